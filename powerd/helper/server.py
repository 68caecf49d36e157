"""The helper's server: one request per connection; no connection delays another.

An invalid client affects only itself: a user without permission, too many connections, a line that is too
long, too slow or unfinished. Each gets a refusal of one line, and the journal gets one line for each
request.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import Any, Final

from powerd.attribution.model import FileReading, TraceReading
from powerd.disks.model import FailureCause
from powerd.helper.dispatcher import Dispatcher, refusal
from powerd.helper.errors import NOTICE, WARNING, log_line
from powerd.helper.protocol.codec import (
    MAX_LINE,
    ProtocolError,
    encode_request,
    encode_response,
    parse_request,
)
from powerd.helper.protocol.messages import AwaitFirstAccess, ReadFiles, Request, Response
from powerd.linux.unix_sockets import Peer, peer_of

MAX_UNREAD_CONNECTIONS: Final = 8
"""Open connections whose request has not been read yet."""
MAX_REQUESTS: Final = 512
"""Requests at the same time: one for each disk, and some that watch groups of disks."""
REQUEST_TIMEOUT: Final = 5.0
"""Seconds until a whole request must have arrived, and until a whole response must have been read."""

_MAX_LOGGED: Final = 1000
"""Characters of a message in the journal."""


class HelperServer:
    """Serves a listening socket until no client has connected for ``idle`` seconds, or ``stop`` is called.

    Args:
        listener: the listening socket.
        dispatcher: executes the requests.
        users: user ids that may connect.
        idle: seconds without a client until the server stops; None = it never does.
    """

    def __init__(
        self,
        listener: socket.socket,
        dispatcher: Dispatcher,
        users: frozenset[int],
        idle: float | None = None,
    ) -> None:
        self._listener = listener
        self._dispatcher = dispatcher
        self._users = users
        self._idle = idle
        self._connections: set[asyncio.Task[None]] = set()
        self._unread_connections = 0
        self._stopped = asyncio.Event()
        self._idle_timer: asyncio.TimerHandle | None = None
        self._watcher = -1  # pidfd_open(2) of the process that watches files; -1 = none

    async def run(self) -> None:
        """Serve until stopped; requests that are then being executed get no response."""
        loop = asyncio.get_running_loop()
        self._listener.settimeout(0)
        loop.add_reader(self._listener, self._accept)
        self._restart_idle_timer()
        try:
            await self._stopped.wait()
        finally:
            loop.remove_reader(self._listener)

    def stop(self) -> None:
        """Stop serving."""
        self._stopped.set()

    def _accept(self) -> None:
        """Accept one client, or refuse it at once; later clients wait in the queue for the next helper."""
        with contextlib.suppress(OSError):  # the client has closed it already
            connection, _ = self._listener.accept()
            peer = peer_of(connection)
            if peer.uid not in self._users:
                _reject(connection, peer, f"user {peer.uid} may not use the helper; use the daemon")
            elif self._unread_connections >= MAX_UNREAD_CONNECTIONS:
                _reject(
                    connection,
                    peer,
                    f"{MAX_UNREAD_CONNECTIONS} clients have sent no request yet; try again in a moment",
                )
            elif len(self._connections) >= MAX_REQUESTS:
                reason = f"{MAX_REQUESTS} requests are being executed; try again in a moment"
                _reject(connection, peer, reason)
            else:
                self._unread_connections += 1
                task = asyncio.get_running_loop().create_task(self._serve(connection, peer))
                self._connections.add(task)
                task.add_done_callback(self._connections.discard)
                task.add_done_callback(lambda _: self._restart_idle_timer())

    async def _serve(self, connection: socket.socket, peer: Peer) -> None:
        request_text = "no request"
        with connection:
            try:
                request = parse_request(await self._read_request(connection))
                request_text = _shortened(encode_request(request))
                response = await self._execute(request, connection)
            except ProtocolError as error:
                response = refusal(str(error), FailureCause.HELPER_UNAVAILABLE)
            except OSError as error:
                response = refusal(
                    f"the connection failed: {error.strerror or error}", FailureCause.HELPER_UNAVAILABLE
                )
            line = response_line(response)
            if not isinstance(
                response, FileReading | TraceReading
            ):  # a log entry could start the disk that is watched
                _log(NOTICE, peer, request_text, line)
            await _send_all(connection, line)

    async def _read_request(self, connection: socket.socket) -> bytes:
        try:
            return await _read_line(connection)
        finally:
            self._unread_connections -= 1

    async def _execute(self, request: Request, connection: socket.socket) -> Response:
        """The response; a watch for the first access, which may take a week, ends with its connection."""
        if not isinstance(request, AwaitFirstAccess):
            response = await self._dispatcher.dispatch(request)
            if isinstance(request, ReadFiles) and isinstance(response, FileReading):
                self._stay_with(peer_of(connection).pid if request.disks or request.standby else 0)
            return response
        serving = asyncio.ensure_future(self._dispatcher.dispatch(request))
        disconnected = asyncio.ensure_future(asyncio.get_running_loop().sock_recv(connection, 1))
        try:
            await asyncio.wait({serving, disconnected}, return_when=asyncio.FIRST_COMPLETED)
            return serving.result() if serving.done() else refusal("the client has closed the connection")
        finally:
            await _cancel(serving, disconnected)

    def _stay_with(self, pid: int) -> None:
        """Stay until the process ``pid`` has ended, without a wake-up before; 0 = for no process."""
        loop = asyncio.get_running_loop()
        if self._watcher >= 0:
            loop.remove_reader(self._watcher)
            os.close(self._watcher)
            self._watcher = -1
        if pid:
            with contextlib.suppress(OSError):  # it has ended already
                self._watcher = os.pidfd_open(pid)
                loop.add_reader(self._watcher, self._stay_with, 0)
        self._restart_idle_timer()

    def _restart_idle_timer(self) -> None:
        """Restart the time without a client."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        if self._idle is not None and self._watcher < 0:
            self._idle_timer = asyncio.get_running_loop().call_later(self._idle, self._stop_if_idle)

    def _stop_if_idle(self) -> None:
        """Stop, unless a client is connected or a device hangs: its quarantine must not be forgotten."""
        if self._connections or self._dispatcher.busy:
            self._restart_idle_timer()
        else:
            self._stopped.set()


async def _read_line(connection: socket.socket) -> bytes:
    """The one line of a connection, its end included.

    Raises:
        ProtocolError: the line is too long, too slow or unfinished, or there is a second one.
        OSError: the connection is broken.
    """
    connection.settimeout(0)
    line = b""
    try:
        async with asyncio.timeout(REQUEST_TIMEOUT):
            while b"\n" not in line:
                if len(line) >= MAX_LINE:
                    raise ProtocolError(f"a line may have {MAX_LINE} bytes, and this one has more")
                chunk = await asyncio.get_running_loop().sock_recv(connection, MAX_LINE - len(line))
                if not chunk:
                    raise ProtocolError("the request does not end with a newline")
                line += chunk
    except TimeoutError:
        raise ProtocolError(f"no complete line arrived within {REQUEST_TIMEOUT:g} s") from None
    if not line.endswith(b"\n") or line.count(b"\n") > 1:
        raise ProtocolError("there is more than one line; open a connection for each request")
    return line


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks that are still running, and ignore their results."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _reject(connection: socket.socket, peer: Peer, reason: str) -> None:
    """Refuse a connection without reading from it."""
    with connection:
        connection.settimeout(0)
        line = encode_response(refusal(reason, FailureCause.HELPER_UNAVAILABLE))
        _log(WARNING, peer, "request not read", line)
        with contextlib.suppress(OSError):  # the client has closed the connection
            connection.send(line)  # fits into the empty buffer of a socket: neither blocks nor truncates


def response_line(response: Response) -> bytes:
    """The line of a response; one with an impossible value is replaced by a refusal."""
    try:
        return encode_response(response)
    except ProtocolError as error:  # a driver or a tool has reported an impossible value
        return encode_response(refusal(f"the machine reports an impossible value: {error}"))


async def _send_all(connection: socket.socket, line: bytes) -> None:
    """Send a line that may not fit into the buffer of the socket; a client that does not read it is left."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(REQUEST_TIMEOUT):
            await asyncio.get_running_loop().sock_sendall(connection, line)


def _send(connection: socket.socket, line: bytes) -> None:
    """Send a refusal; it fits into the empty buffer of a socket, so this neither blocks nor truncates."""
    with contextlib.suppress(OSError):  # the client has closed the connection
        connection.send(line)


def _log(level: int, peer: Peer, request_text: str, line: bytes) -> None:
    log_line(level, f"user {peer.uid}, pid {peer.pid}: {request_text}; {_shortened(line)}")


def _shortened(line: bytes) -> str:
    """A line for the journal; a drive's health, which has thousands of characters, is truncated."""
    text = line.decode().rstrip()
    return text if len(text) <= _MAX_LOGGED else f"{text[: _MAX_LOGGED - 3]}..."
