"""The connections of the HTTP server: limited in number, and closed when the client lets the server wait.

asyncio's own server accepts without a limit. Without a free descriptor CPython 3.11 logs one error per entry
of the backlog at each wake-up of the loop: 237,110 lines in 46 s.

This module imports aiohttp, so only ``app`` imports it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import os
import re
import socket
from http import HTTPStatus
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMethod, LineTooLong

MAX_UNIX_CONNECTIONS: Final = 128
"""Open connections to the Unix socket: up to 100 of them may be holds."""
MAX_TCP_CONNECTIONS: Final = 48
"""Open connections to all TCP sockets together. Each takes 24 KB, which the process keeps."""
MAX_EVENT_STREAMS: Final = 16
"""Event streams among the connections of a kind."""
MAX_REQUEST_SIZE: Final = 48 * 1024
"""Bytes that are read from a connection: the head and the body of one request."""
_COLLECT_EVERY: Final = 1024
"""Ended connections between two garbage collections."""
_MIN_WAIT: Final = 0.25
"""Seconds that each connection has for its request, however many others wait to be accepted."""
_LINGER_SECONDS: Final = 1.0
"""Seconds that the rest of a refused body is read; without them the response may be lost."""
_RETRY_SECONDS: Final = 0.2
"""Seconds until the next attempt when no connection can be accepted."""
_EPISODE_SECONDS: Final = 600.0
"""A limit is reported again after it has not been reached for this time."""
SECURITY_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # with "no-referrer" browsers send "Origin: null" with a form
    "Server": "powerd",
    "X-Content-Type-Options": "nosniff",
}
"""Headers of every response; an HTML document has a Content-Security-Policy of its own."""
_REQUEST_LINE: Final = re.compile(r"b'[\w!#$%&*+.^`|~-]+ \S+ HTTP/1\.[01]'")
_PROTOCOL_OPTIONS: Final[dict[str, Any]] = {
    "access_log": None,
    "lingering_time": _LINGER_SECONDS,
    "auto_decompress": False,  # 1 MB unpacks to 1 GB, which stops the loop for seconds
    "logger": logging.getLogger(__name__),
}
_PROTOCOL_OPTIONS["logger"].disabled = True  # aiohttp logs a traceback for each malformed request


class ConnectionLimit:
    """Counts the open connections of one kind.

    Args:
        kind: of the sockets, in the message.
        maximum: of open connections.
    """

    def __init__(self, kind: str, maximum: int) -> None:
        self._kind = kind
        self._maximum = maximum
        self._quiet_until = 0.0
        self.open: dict[Connection, None] = {}
        """Ordered by age."""
        self.event_streams = 0
        self._ended = 0

    def remove(self, connection: Connection) -> None:
        """Stop counting a connection; it may have been removed before.

        asyncio's transports are cyclic garbage. The service collects it after 20,000 allocations: 4,000
        transports, or 3 MB, in a flood of connections.
        """
        if connection in self.open:
            del self.open[connection]
            self._ended += 1
            if self._ended % _COLLECT_EVERY == 0:
                gc.collect()

    def make_room(self) -> bool:
        """Whether one more connection may be opened; closes the oldest one that waits for its client."""
        if len(self.open) < self._maximum:
            return True
        self.report(
            f"{self._maximum} connections to the {self._kind} are open, which is the limit; those "
            "without a complete request are closed early"
        )
        latest = asyncio.get_running_loop().time() - _MIN_WAIT
        oldest = next(
            (one for one in self.open if one.waits_since is not None and one.waits_since <= latest), None
        )
        if oldest is None:
            return False
        oldest.abort()
        return True

    def report(self, text: str) -> None:
        """Report a problem once per episode, through the exception handler of the loop."""
        loop = asyncio.get_running_loop()
        if loop.time() >= self._quiet_until:
            loop.call_exception_handler({"message": text})
        self._quiet_until = loop.time() + _EPISODE_SECONDS


class Listener(web.BaseSite):
    """Accepts the connections of a listening socket up to the limit; the others wait in the backlog.

    Args:
        runner: serves the connections.
        sock: the listening socket.
        limit: shared by the sockets of one kind.
        deadline: see Connection.
    """

    def __init__(
        self, runner: web.AppRunner, sock: socket.socket, limit: ConnectionLimit, deadline: float
    ) -> None:
        super().__init__(runner)
        self._socket = sock
        self._limit = limit
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._reserve: int | None = None

    @property
    def name(self) -> str:
        """The address of the socket."""
        return str(self._socket.getsockname())

    async def start(self) -> None:
        """Accept connections from now on."""
        await super().start()
        self._take_reserve()
        self._accept_again()

    async def stop(self) -> None:
        """Accept no more connections; those that are open stay open."""
        await super().stop()
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(self._socket)
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None
        await asyncio.gather(*self._opening)

    def _accept_again(self) -> None:
        self._retry = None
        self._loop.add_reader(self._socket, self._on_readable)

    def _on_readable(self) -> None:
        try:
            accepted = self._accept() if self._limit.make_room() else None
        except (BlockingIOError, ConnectionAbortedError):  # the client has gone again
            return
        except OSError as error:
            self._limit.report(f"no connection can be accepted: {error.strerror}")
            accepted = None
        if accepted is None:
            self._loop.remove_reader(self._socket)
            self._retry = self._loop.call_later(_RETRY_SECONDS, self._accept_again)
            return
        accepted.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        if (server := self._runner.server) is None:  # pragma: no cover - stop() is called first
            accepted.close()
            return
        connection = Connection(server, self._limit, self._deadline)
        opening = self._loop.create_task(self._open(connection, accepted))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)

    def _accept(self) -> socket.socket:
        """Accept a connection; a descriptor in reserve is used when no other is free.

        Raises:
            OSError: there is no connection, or no descriptor.
        """
        self._take_reserve()
        try:
            return self._socket.accept()[0]
        except OSError as error:
            if error.errno != errno.EMFILE or self._reserve is None:
                raise
            self._limit.report(f"the descriptor in reserve is used for a connection: {error.strerror}")
            os.close(self._reserve)
            self._reserve = None
            return self._socket.accept()[0]

    def _take_reserve(self) -> None:
        if self._reserve is None:
            with contextlib.suppress(OSError):  # no descriptor is free
                self._reserve = os.open(os.devnull, os.O_RDONLY)

    async def _open(self, connection: Connection, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection, accepted)
        except OSError as error:
            self._limit.remove(connection)
            accepted.close()
            self._limit.report(f"a connection cannot be opened: {error.strerror}")


class Connection(web.RequestHandler):
    """One connection, for one request.

    Args:
        server: calls the handlers of requests.
        limit: counts this connection.
        deadline: seconds that the server waits for the client: for the complete request, and then until the
            client has read the response.
    """

    def __init__(self, server: web.Server, limit: ConnectionLimit, deadline: float) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **_PROTOCOL_OPTIONS)
        self.limit = limit
        self._deadline = deadline
        self._open_transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._remaining = MAX_REQUEST_SIZE
        self.waits_since: float | None = None
        """When the server began to wait for the client, by the loop's clock; None = the client waits."""
        limit.open[self] = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the request."""
        self._open_transport = cast(
            "asyncio.Transport", transport
        )  # aiohttp's own ends before the descriptor
        self.wait_for_client()
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stop counting this connection."""
        self.stop_waiting()
        self._open_transport = None
        self.limit.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse at most MAX_REQUEST_SIZE bytes; the rest is not read."""
        if len(data) > self._remaining and self._open_transport is not None:
            self._open_transport.pause_reading()
            if self.waits_since is not None:
                self.wait_for_client(_LINGER_SECONDS)
        data = data[: self._remaining]
        self._remaining -= len(data)
        super().data_received(data)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The response to a request that aiohttp cannot parse."""
        if request.writer.output_size:
            raise ConnectionError("a part of the response has been sent")
        text = message or "internal error"
        if isinstance(exc, BadHttpMethod) and _REQUEST_LINE.search(text):
            status, text = HTTPStatus.NOT_IMPLEMENTED, "the method is not known"  # RFC 9110, 9.1
        elif isinstance(exc, LineTooLong):
            status, text = (
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"a line is longer than {self.max_line_size} bytes",
            )
        else:
            text = f"the request is not valid HTTP: {text.partition(':')[0]}"
        response = error_response(status, text)
        response.headers.update(SECURITY_HEADERS)
        response.force_close()
        return response

    def wait_for_client(self, seconds: float | None = None) -> None:
        """Close the connection if the client does not continue before the deadline, or within ``seconds``."""
        self.stop_waiting()
        if self._open_transport is not None:
            loop = asyncio.get_running_loop()
            self.waits_since = loop.time()
            self._timer = loop.call_later(self._deadline if seconds is None else seconds, self.abort)

    def stop_waiting(self) -> None:
        """The request is complete: its handler determines how long it takes."""
        self.waits_since = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def abort(self) -> None:
        """Close the connection at once, without sending what is left."""
        self.limit.remove(self)
        if self._open_transport is not None:
            self._open_transport.abort()


def connection_of(request: web.BaseRequest) -> Connection:
    """The connection of a request."""
    return cast("Connection", request.protocol)


def error_response(status: int, text: str) -> web.Response:
    """``{"error": "…"}``."""
    return web.json_response({"error": text}, status=status)
