"""``GET /api/events``: the event feed over HTTP. It imports aiohttp, so only ``app`` imports it."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from powerd.ui.api import status_json
from powerd.ui.http.context import UiContext
from powerd.ui.http.event_feed import format_event

HEARTBEAT_SECONDS: Final = 55.0
"""A comment is sent after this time without an event: proxies close a connection that is silent for 60 s."""
_MAX_ID_LENGTH: Final = 20


class EventStream:
    """Sends events to each connected client until it disconnects."""

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
        """Send the current state, the missed events, and then each new event."""
        context, transport = self._context, request.transport
        if transport is None:
            return
        with context.feed.subscribe(
            last_id(request.headers.get("Last-Event-ID", "")), transport.abort
        ) as queue:
            state = status_json(context.status(), context.now(), context.decision_error())
            await response.write(format_event("hello", state).encode())
            while True:
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        text = await queue.get()
                except TimeoutError:
                    text = ": heartbeat\n\n"
                await response.write(text.encode())

    async def _on_shutdown(self, _application: web.Application) -> None:
        for send_task in self._send_tasks:
            send_task.cancel()


def last_id(header: str) -> int | None:
    """The number in the header ``Last-Event-ID``; None if it is missing or not an id of powerd."""
    return int(header) if header.isascii() and header.isdecimal() and len(header) <= _MAX_ID_LENGTH else None
