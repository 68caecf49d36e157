"""Transitions for those who listen, as server-sent events (WHATWG HTML, 9.2).

``GET /api/events``: the feed over HTTP. Only web imports it, with aiohttp.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from aiohttp import web

from powerd.core.time import Moment
from powerd.ui.api import status_json
from powerd.ui.journal import JournalEntry

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
            disconnect: called when it is too slow.
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


if TYPE_CHECKING:
    from powerd.ui.http.lazy_server import UiContext

HEARTBEAT_SECONDS: Final = 55.0
"""After so many seconds of silence a comment goes out, for proxies close a connection silent for 60."""
_MAX_ID_LENGTH: Final = 20


class EventStream:
    """Sends each transition to who listens, until they leave."""

    def __init__(self, context: UiContext) -> None:
        self._context = context
        self._send_tasks: set[asyncio.Task[None]] = set()

    def add_route(self, application: web.Application) -> None:
        """Add the route."""
        application.router.add_get("/api/events", self._stream_events, allow_head=False)
        application.on_shutdown.append(self._on_shutdown)

    async def _stream_events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        send_task = asyncio.ensure_future(self._send_events(request, response))
        self._send_tasks.add(send_task)
        try:
            await asyncio.wait([send_task])
        finally:
            self._send_tasks.discard(send_task)
            send_task.cancel()
        return response

    async def _send_events(self, request: web.Request, response: web.StreamResponse) -> None:
        """The state as it is, what was missed, and then what happens."""
        context, transport = self._context, request.transport
        if transport is None:
            return
        with context.feed.subscribe(
            last_id(request.headers.get("Last-Event-ID", "")), transport.abort
        ) as queue:
            state = status_json(context.status(), context.now(), context.trouble())
            await response.write(format_event("hello", state).encode())
            while True:
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        text = await queue.get()
                except TimeoutError:
                    text = ": powerd is there\n\n"
                await response.write(text.encode())

    async def _on_shutdown(self, _application: web.Application) -> None:
        for send_task in self._send_tasks:
            send_task.cancel()


def last_id(header: str) -> int | None:
    """The number in ``Last-Event-ID``; None = there is none, or none of ours."""
    return int(header) if header.isascii() and header.isdecimal() and len(header) <= _MAX_ID_LENGTH else None
