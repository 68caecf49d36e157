"""The helper's server: one request per connection, and no connection can hold up another.

What a client may do wrong ends with itself: a wrong user, a hundred connections, a line that is too long,
comes too slowly or never ends. Each gets one line that says so, and each is told to the journal in one line.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any, Final

from powerd.disks.model import FailureCause
from powerd.helper.dispatcher import Dispatcher, refusal
from powerd.helper.errors import INFO, WARNING, log_line
from powerd.helper.protocol.codec import MAX_LINE, Request, Response, encode, parse_request
from powerd.helper.protocol.fields import ProtocolError
from powerd.helper.protocol.messages import AwaitFirstAccess
from powerd.helper.unix_socket import Peer, peer_of

MAX_UNREAD_CONNECTIONS: Final = 8
"""Connections that may be open without having said yet what they want."""
MAX_REQUESTS: Final = 512
"""Requests that are carried out at the same time: one for each disk, and some to guard groups of them."""
REQUEST_TIMEOUT: Final = 5.0
"""Seconds within which a whole request has to arrive."""


_MAX_LOGGED: Final = 1000
"""Characters of a message that go to the journal."""


class HelperServer:
    """Serves a listening socket until it has been left alone for long enough, or is told to end.

    Args:
        listener: the listening socket.
        dispatcher: who carries requests out.
        users: user ids that may ask.
        idle: seconds without a client after which it leaves; None = never.
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

    async def run(self) -> None:
        """Serve until the end; whoever is being served then gets no answer."""
        loop = asyncio.get_running_loop()
        self._listener.settimeout(0)
        loop.add_reader(self._listener, self._accept)
        self._restart_idle_timer()
        try:
            await self._stopped.wait()
        finally:
            loop.remove_reader(self._listener)

    def stop(self) -> None:
        """Leave."""
        self._stopped.set()

    def _accept(self) -> None:
        """Let one client in, or turn it away at once; who comes after the end waits for the next helper."""
        with contextlib.suppress(OSError):  # it has gone already
            connection, _ = self._listener.accept()
            peer = peer_of(connection)
            if peer.uid not in self._users:
                _reject(connection, peer, f"user {peer.uid} may not ask the helper; ask the daemon")
            elif self._unread_connections >= MAX_UNREAD_CONNECTIONS:
                _reject(
                    connection,
                    peer,
                    f"{MAX_UNREAD_CONNECTIONS} clients are being served; ask again in a moment",
                )
            elif len(self._connections) >= MAX_REQUESTS:
                reason = f"{MAX_REQUESTS} requests are being carried out; ask again in a moment"
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
                request_text = _summary(request)
                answer = await self._answer(request, connection)
            except ProtocolError as error:
                answer = refusal(str(error), FailureCause.HELPER_UNAVAILABLE)
            except OSError as error:
                answer = refusal(
                    f"the connection broke: {error.strerror or error}", FailureCause.HELPER_UNAVAILABLE
                )
            _log(INFO, peer, request_text, answer)
            _send(connection, answer)

    async def _read_request(self, connection: socket.socket) -> bytes:
        try:
            return await _read_line(connection)
        finally:
            self._unread_connections -= 1

    async def _answer(self, request: Request, connection: socket.socket) -> Response:
        """The desk's answer; a guard, which may take a week, ends with its connection."""
        if not isinstance(request, AwaitFirstAccess):
            return await self._dispatcher.dispatch(request)
        serving = asyncio.ensure_future(self._dispatcher.dispatch(request))
        disconnected = asyncio.ensure_future(asyncio.get_running_loop().sock_recv(connection, 1))
        try:
            await asyncio.wait({serving, disconnected}, return_when=asyncio.FIRST_COMPLETED)
            return serving.result() if serving.done() else refusal("the guard ends, as its connection does")
        finally:
            await _cancel(serving, disconnected)

    def _restart_idle_timer(self) -> None:
        """Begin to count the time without a client."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        if self._idle is not None:
            self._idle_timer = asyncio.get_running_loop().call_later(self._idle, self._stop_if_idle)

    def _stop_if_idle(self) -> None:
        """Leave, unless somebody is here or a device hangs: its quarantine would be forgotten."""
        if self._connections or self._dispatcher.busy:
            self._restart_idle_timer()
        else:
            self._stopped.set()


async def _read_line(connection: socket.socket) -> bytes:
    """The one line of a connection, its end included.

    Raises:
        ProtocolError: it is too long, too slow, unfinished, or not the only one.
        OSError: the connection broke.
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
                    raise ProtocolError("the request does not end with a line's end")
                line += chunk
    except TimeoutError:
        raise ProtocolError(f"no whole line came within {REQUEST_TIMEOUT:g} s") from None
    if not line.endswith(b"\n") or line.count(b"\n") > 1:
        raise ProtocolError("there is more than one line; make a connection for each request")
    return line


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    """End ``tasks`` that have not ended; whatever comes of them is of no interest any more."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _reject(connection: socket.socket, peer: Peer, reason: str) -> None:
    """Answer without reading a byte."""
    with connection:
        connection.settimeout(0)
        answer = refusal(reason, FailureCause.HELPER_UNAVAILABLE)
        _log(WARNING, peer, "nothing yet", answer)
        _send(connection, answer)


def _send(connection: socket.socket, answer: Response) -> None:
    """One line fits into an empty socket's buffer, so this neither waits nor cuts; who has gone gets none."""
    with contextlib.suppress(OSError):
        connection.send(encode(answer))


def _log(level: int, peer: Peer, request_text: str, answer: Response) -> None:
    log_line(level, f"user {peer.uid}, pid {peer.pid}: {request_text}; {_summary(answer)}")


def _summary(message: Request | Response) -> str:
    """As on the wire; of a drive's health, which has thousands of letters, the beginning."""
    text = encode(message).decode().rstrip()
    return text if len(text) <= _MAX_LOGGED else f"{text[: _MAX_LOGGED - 3]}..."
