"""``GET /api/events``: the feed over HTTP. Only web imports it, with aiohttp."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import web

from powerd.faces.feed import event_text
from powerd.faces.render import status_json

if TYPE_CHECKING:
    from powerd.faces.http import Faces

HEARTBEAT: Final = 55.0
"""After so many seconds of silence a comment goes out, for proxies close a connection silent for 60."""
_LONGEST_ID: Final = 20


class Stream:
    """Sends each transition to who listens, until they leave."""

    def __init__(self, faces: Faces) -> None:
        self._faces = faces
        self._streams: set[asyncio.Task[None]] = set()

    def serve(self, application: web.Application) -> None:
        """Add the route."""
        application.router.add_get("/api/events", self._events, allow_head=False)
        application.on_shutdown.append(self._close)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        sending = asyncio.ensure_future(self._send(request, response))
        self._streams.add(sending)
        try:
            await asyncio.wait([sending])
        finally:
            self._streams.discard(sending)
            sending.cancel()
        return response

    async def _send(self, request: web.Request, response: web.StreamResponse) -> None:
        """The state as it is, what was missed, and then what happens."""
        faces, transport = self._faces, request.transport
        if transport is None:
            return
        with faces.feed.listen(last_id(request.headers.get("Last-Event-ID", "")), transport.abort) as events:
            state = status_json(faces.status(), faces.now(), faces.trouble())
            await response.write(event_text("hello", state).encode())
            while True:
                try:
                    async with asyncio.timeout(HEARTBEAT):
                        text = await events.get()
                except TimeoutError:
                    text = ": powerd is there\n\n"
                await response.write(text.encode())

    async def _close(self, _application: web.Application) -> None:
        for sending in self._streams:
            sending.cancel()


def last_id(header: str) -> int | None:
    """The number in ``Last-Event-ID``; None = there is none, or none of ours."""
    return int(header) if header.isascii() and header.isdecimal() and len(header) <= _LONGEST_ID else None
