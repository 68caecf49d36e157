"""The HTTP server on real sockets, in the loop of a test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fakes.requests import REQUESTS
from ui.statuses import NOW, family

from powerd.core.snapshot import Status
from powerd.linux.unix_sockets import listen_tcp, listen_unix
from powerd.ui.http.context import UiContext
from powerd.ui.http.event_feed import EventFeed
from powerd.ui.http.lazy_server import DEADLINE_SECONDS, LazyHttpServer


@dataclass
class WebServer:
    """A server with one Unix and one TCP socket, and the requests that reached the daemon."""

    path: Path
    status: Status | None = field(default_factory=family)
    trouble: str | None = None
    refreshes: int = 0
    check_polls: int = 0
    refresh_started: Callable[[], Awaitable[None]] | None = None
    port: int = 0
    faults: list[Mapping[str, Any]] = field(default_factory=list)
    deadline: float = DEADLINE_SECONDS
    feed: EventFeed = field(default_factory=EventFeed)

    async def poll_checks(self) -> None:
        self.check_polls += 1

    async def refresh(self) -> None:
        self.refreshes += 1
        if self.refresh_started is not None:
            await self.refresh_started()

    def run(self, scene: Callable[[], Awaitable[None]]) -> None:
        """Run ``scene`` while the server listens."""

        async def whole() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: self.faults.append(context))
            listener = listen_tcp("127.0.0.1:0")
            self.port = listener.getsockname()[1]
            context = UiContext(
                lambda: self.status,
                lambda: NOW,
                self.refresh,
                self.poll_checks,
                lambda: self.trouble,
                REQUESTS,
                self.feed,
            )
            server = LazyHttpServer([listen_unix(self.path), listener], context, self.deadline)
            await server.start()
            try:
                await scene()
            finally:
                await server.close()

        asyncio.run(whole())

    def address(self, *, tcp: bool) -> str | tuple[str, int]:
        return ("127.0.0.1", self.port) if tcp else str(self.path)

    async def open(self, *, tcp: bool = False) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if tcp:
            return await asyncio.open_connection("127.0.0.1", self.port)
        return await asyncio.open_unix_connection(str(self.path))

    async def raw(self, request: str, *, tcp: bool = False) -> Answer:
        """Send ``request`` as it is; the connection is closed by the server."""
        reader, writer = await self.open(tcp=tcp)
        writer.write(request.encode())
        answer = (await reader.read()).decode()
        writer.close()
        head, _, body = answer.partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        return Answer(int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body)

    async def request(self, path: str, method: str = "GET", *, tcp: bool = False) -> Answer:
        host = f"Host: localhost:{self.port}\r\n" if tcp else ""
        return await self.raw(f"{method} {path} HTTP/1.0\r\n{host}\r\n", tcp=tcp)


@dataclass
class Answer:
    """One HTTP answer, taken apart."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever JSON there is
        return json.loads(self.body)
