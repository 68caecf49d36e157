"""``GET /api/events``: the feed over HTTP. Only web imports it, with aiohttp."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import web

from powerd.faces.feed import format_event
from powerd.faces.render import status_json

if TYPE_CHECKING:
    from powerd.faces.http import UiContext

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
