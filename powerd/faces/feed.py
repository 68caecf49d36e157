"""Transitions for those who listen, as server-sent events (WHATWG HTML, 9.2)."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from powerd.faces.journal import Entry
from powerd.model import Moment

KEPT: Final = 100
"""So many events are kept for who comes back, and so many may wait for one who reads slowly."""
_ABOUT: Final = "POWERD_"
_PER_SECOND: Final = 1000
"""Ids go on from the time of the first event, so that they grow over a restart too."""


class Event(NamedTuple):
    """One event as it goes over the wire."""

    number: int
    text: str


class Listener(NamedTuple):
    """Who listens: what is yet to be sent, and how to be rid of one who does not read."""

    queue: asyncio.Queue[str]
    cut: Callable[[], None]


class Feed:
    """Hands each event to everybody who listens."""

    def __init__(self) -> None:
        self._last = 0
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._listeners: list[Listener] = []

    def publish(self, entry: Entry, now: Moment) -> None:
        """Tell a journal entry; a listener that is too far behind is cut off, and may ask again."""
        self._last = self._last + 1 if self._last else int(now.wall.timestamp()) * _PER_SECOND
        event = Event(self._last, rendered(entry, now, self._last))
        self._kept.append(event)
        for listener in tuple(self._listeners):
            if listener.queue.full():
                self._listeners.remove(listener)
                listener.cut()
            else:
                listener.queue.put_nowait(event.text)

    @contextmanager
    def listen(self, after: int | None, cut: Callable[[], None]) -> Iterator[asyncio.Queue[str]]:
        """Events from now on, and before them those kept whose id is greater than ``after``.

        Args:
            after: the last id that the listener has seen; None = it is new here.
            cut: called when it is too slow.
        """
        listener = Listener(asyncio.Queue(2 * KEPT), cut)
        if after is not None:
            for event in self._kept:
                if event.number > after:
                    listener.queue.put_nowait(event.text)
        self._listeners.append(listener)
        try:
            yield listener.queue
        finally:
            if listener in self._listeners:
                self._listeners.remove(listener)


def rendered(entry: Entry, now: Moment, number: int) -> str:
    """The event of a journal entry: its POWERD_EVENT is the name, all else of it the data."""
    about = {
        name.removeprefix(_ABOUT).lower(): text
        for name, text in entry.fields.items()
        if name.startswith(_ABOUT) and name != "POWERD_EVENT"
    }
    data = {
        "at": now.wall.isoformat(timespec="seconds"),
        "message": entry.message,
        "priority": entry.priority,
        **about,
    }
    return f"id: {number}\n{event_text(entry.fields['POWERD_EVENT'], data)}"


def event_text(name: str, data: object) -> str:
    """One event without an id; JSON in ASCII has no line break that could end it early."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
