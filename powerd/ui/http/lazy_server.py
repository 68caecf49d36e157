"""Lazy HTTP server: sockets listen from the start; aiohttp is imported on the first connection.

aiohttp takes 17 MB and 0.2 s. The first connection waits in the kernel's queue meanwhile and is then served.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from powerd.ui.http.context import UiContext

if TYPE_CHECKING:
    from aiohttp.web import AppRunner


DEADLINE_SECONDS: Final = 20.0
"""Seconds that the server waits for a client: for its request, and until it has read the response."""


class LazyHttpServer:
    """Serves HTTP on sockets that already listen, and closes them at the end.

    Args:
        sockets: non-blocking listening sockets, Unix and TCP.
        context: the daemon's side.
        deadline: see DEADLINE_SECONDS.
    """

    def __init__(
        self, sockets: Sequence[socket.socket], context: UiContext, deadline: float = DEADLINE_SECONDS
    ) -> None:
        self._sockets = tuple(sockets)
        self._context = context
        self._deadline = deadline
        self._startup: asyncio.Task[AppRunner] | None = None

    async def start(self) -> None:
        """Wait for the first connection in the background."""
        loop = asyncio.get_running_loop()
        for listener in self._sockets:
            loop.add_reader(listener, self._on_connection)

    async def close(self) -> None:
        """Stop serving within a second, and close the sockets."""
        self._stop_waiting()
        if self._startup is not None:
            self._startup.cancel()
            results = await asyncio.gather(self._startup, return_exceptions=True)
            if not isinstance(results[0], BaseException):
                await results[0].cleanup()
        for listener in self._sockets:
            listener.close()

    def _stop_waiting(self) -> None:
        loop = asyncio.get_running_loop()
        for listener in self._sockets:
            if listener.fileno() >= 0:
                loop.remove_reader(listener)

    def _on_connection(self) -> None:
        self._stop_waiting()
        self._startup = asyncio.get_running_loop().create_task(self._start_server())
        self._startup.add_done_callback(self._on_started)

    async def _start_server(self) -> AppRunner:
        from powerd.ui.http import app  # noqa: PLC0415 - imports aiohttp, on the first connection only

        return await app.start_server(self._sockets, self._context, self._deadline)

    def _on_started(self, startup: asyncio.Task[AppRunner]) -> None:
        """Report a failed start. The daemon continues to decide without the HTTP server."""
        if startup.cancelled() or (error := startup.exception()) is None:
            return
        for listener in self._sockets:
            listener.close()
        message = f"the status page cannot be served: {error}; is aiohttp installed?"
        startup.get_loop().call_exception_handler({"message": message, "exception": error})
