"""Transitions for those who listen, as server-sent events (WHATWG HTML, 9.2)."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from powerd.faces.journal import JournalEntry
from powerd.model import Moment

BACKLOG_SIZE: Final = 100
"""So many events are kept for who comes back, and so many may wait for one who reads slowly."""
_FIELD_PREFIX: Final = "POWERD_"
_IDS_PER_SECOND: Final = 1000
"""Ids go on from the time of the first event, so that they grow over a restart too."""


class ServerSentEvent(NamedTuple):
    """One event as it goes over the wire."""

    event_id: int
    text: str


class Subscriber(NamedTuple):
    """Who listens: what is yet to be sent, and how to be rid of one who does not read."""

    queue: asyncio.Queue[str]
    disconnect: Callable[[], None]


class EventFeed:
    """Hands each event to everybody who listens."""

    def __init__(self) -> None:
        self._last_id = 0
        self._backlog: deque[ServerSentEvent] = deque(maxlen=BACKLOG_SIZE)
        self._subscribers: list[Subscriber] = []

    def publish(self, entry: JournalEntry, now: Moment) -> None:
        """Tell a journal entry; a listener that is too far behind is cut off, and may ask again."""
        self._last_id = self._last_id + 1 if self._last_id else int(now.wall.timestamp()) * _IDS_PER_SECOND
        event = ServerSentEvent(self._last_id, format_entry(entry, now, self._last_id))
        self._backlog.append(event)
        for subscriber in tuple(self._subscribers):
            if subscriber.queue.full():
                self._subscribers.remove(subscriber)
                subscriber.disconnect()
            else:
                subscriber.queue.put_nowait(event.text)

    @contextmanager
    def subscribe(self, after: int | None, disconnect: Callable[[], None]) -> Iterator[asyncio.Queue[str]]:
        """Events from now on, and before them those kept whose id is greater than ``after``.

        Args:
            after: the last id that the listener has seen; None = it is new here.
            cut: called when it is too slow.
        """
        subscriber = Subscriber(asyncio.Queue(2 * BACKLOG_SIZE), disconnect)
        if after is not None:
            for event in self._backlog:
                if event.event_id > after:
                    subscriber.queue.put_nowait(event.text)
        self._subscribers.append(subscriber)
        try:
            yield subscriber.queue
        finally:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)


def format_entry(entry: JournalEntry, now: Moment, event_id: int) -> str:
    """The event of a journal entry: its POWERD_EVENT is the name, all else of it the data."""
    details = {
        name.removeprefix(_FIELD_PREFIX).lower(): text
        for name, text in entry.fields.items()
        if name.startswith(_FIELD_PREFIX) and name != "POWERD_EVENT"
    }
    data = {
        "at": now.wall.isoformat(timespec="seconds"),
        "message": entry.message,
        "priority": entry.priority,
        **details,
    }
    return f"id: {event_id}\n{format_event(entry.fields['POWERD_EVENT'], data)}"


def format_event(name: str, data: object) -> str:
    """One event without an id; JSON in ASCII has no line break that could end it early."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
