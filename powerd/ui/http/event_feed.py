"""Server-sent events (WHATWG HTML, 9.2): keeps the latest events and hands each new one to all subscribers.

This module does not import aiohttp: the daemon publishes events from its start.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from powerd.core.time import Moment
from powerd.ui.journal import JournalEntry

BACKLOG_SIZE: Final = 100
"""Events kept for subscribers that reconnect. Twice this number may wait for a slow subscriber."""
_CHANGED: Final = "event: changed\ndata: {}\n\n"
_FIELD_PREFIX: Final = "POWERD_"
_IDS_PER_SECOND: Final = 1000
"""The first id is derived from the time of the first event, so ids also grow across restarts."""


class ServerSentEvent(NamedTuple):
    """One event: its id, and its text on the wire."""

    event_id: int
    text: str


class Subscriber(NamedTuple):
    """One subscriber: the texts to be sent, and how to disconnect it when it reads too slowly."""

    queue: asyncio.Queue[str]
    disconnect: Callable[[], None]


class EventFeed:
    """Distributes events to all subscribers."""

    def __init__(self) -> None:
        self._last_id = 0
        self._backlog: deque[ServerSentEvent] = deque(maxlen=BACKLOG_SIZE)
        self._subscribers: list[Subscriber] = []
        self._shown: Hashable = None

    def publish(self, entry: JournalEntry, now: Moment) -> None:
        """Send a journal entry as an event, and disconnect subscribers whose queue is full."""
        self._last_id = self._last_id + 1 if self._last_id else int(now.wall.timestamp()) * _IDS_PER_SECOND
        event = ServerSentEvent(self._last_id, format_entry(entry, now, self._last_id))
        self._backlog.append(event)
        self._send(event.text)

    def publish_change(self, shown: Hashable) -> None:
        """Send ``changed``, without an id, if ``shown`` has changed and there are subscribers."""
        if shown != self._shown:
            self._shown = shown
            self._send(_CHANGED)

    def _send(self, text: str) -> None:
        for subscriber in tuple(self._subscribers):
            if subscriber.queue.full():
                self._subscribers.remove(subscriber)
                subscriber.disconnect()
            else:
                subscriber.queue.put_nowait(text)

    @contextmanager
    def subscribe(self, after: int | None, disconnect: Callable[[], None]) -> Iterator[asyncio.Queue[str]]:
        """A queue of all events from now on, preceded by the kept events whose id is greater than ``after``.

        Args:
            after: the last id that the subscriber has received; None = it connects for the first time.
            disconnect: called when the subscriber reads too slowly.
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
    """The event of a journal entry: POWERD_EVENT is its name, all other fields are its data."""
    fields = {
        name.removeprefix(_FIELD_PREFIX).lower(): text
        for name, text in entry.fields.items()
        if name.startswith(_FIELD_PREFIX) and name != "POWERD_EVENT"
    }
    data = {
        "at": now.wall.isoformat(timespec="seconds"),
        "message": entry.message,
        "priority": entry.priority,
        **fields,
    }
    return f"id: {event_id}\n{format_event(entry.fields['POWERD_EVENT'], data)}"


def format_event(name: str, data: object) -> str:
    """One event without an id. JSON in ASCII contains no line break that could end the event early."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
