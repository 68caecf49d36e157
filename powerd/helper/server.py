"""The helper's server: one request per connection, and no connection can hold up another.

What a client may do wrong ends with itself: a wrong user, a hundred connections, a line that is too long,
comes too slowly or never ends. Each gets one line that says so, and each is told to the journal in one line.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any, Final

from powerd.helper.desk import Desk, refused
from powerd.helper.door import Peer, peer_of
from powerd.helper.log import INFO, WARNING, tell
from powerd.helper.protocol import LINE, Answer, Guard, ProtocolError, Request, parse_request, to_line
from powerd.model import Trouble

CLIENTS: Final = 8
"""Connections that may be open without having said yet what they want."""
REQUESTS_AT_ONCE: Final = 512
"""Requests that are carried out at the same time: one for each disk, and some to guard groups of them."""
PATIENCE: Final = 5.0
"""Seconds within which a whole request has to arrive."""


_LOGGED: Final = 1000
"""Characters of a message that go to the journal."""


class Server:
    """Serves a listening socket until it has been left alone for long enough, or is told to end.

    Args:
        door: the listening socket.
        desk: who carries requests out.
        users: user ids that may ask.
        idle: seconds without a client after which it leaves; None = never.
    """

    def __init__(
        self, door: socket.socket, desk: Desk, users: frozenset[int], idle: float | None = None
    ) -> None:
        self._door = door
        self._desk = desk
        self._users = users
        self._idle = idle
        self._visits: set[asyncio.Task[None]] = set()
        self._strangers = 0
        self._over = asyncio.Event()
        self._leaving: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Serve until the end; whoever is being served then gets no answer."""
        loop = asyncio.get_running_loop()
        self._door.settimeout(0)
        loop.add_reader(self._door, self._accept)
        self._rest()
        try:
            await self._over.wait()
        finally:
            loop.remove_reader(self._door)

    def end(self) -> None:
        """Leave."""
        self._over.set()

    def _accept(self) -> None:
        """Let one client in, or turn it away at once; who comes after the end waits for the next helper."""
        with contextlib.suppress(OSError):  # it has gone already
            connection, _ = self._door.accept()
            peer = peer_of(connection)
            if peer.uid not in self._users:
                _turn_away(connection, peer, f"user {peer.uid} may not ask the helper; ask the daemon")
            elif self._strangers >= CLIENTS:
                _turn_away(connection, peer, f"{CLIENTS} clients are being served; ask again in a moment")
            elif len(self._visits) >= REQUESTS_AT_ONCE:
                why = f"{REQUESTS_AT_ONCE} requests are being carried out; ask again in a moment"
                _turn_away(connection, peer, why)
            else:
                self._strangers += 1
                visit = asyncio.get_running_loop().create_task(self._serve(connection, peer))
                self._visits.add(visit)
                visit.add_done_callback(self._visits.discard)
                visit.add_done_callback(lambda _: self._rest())

    async def _serve(self, connection: socket.socket, peer: Peer) -> None:
        asked = "no request"
        with connection:
            try:
                request = parse_request(await self._line_of(connection))
                asked = _text(request)
                answer = await self._answer(request, connection)
            except ProtocolError as error:
                answer = refused(str(error), Trouble.UNREACHED)
            except OSError as error:
                answer = refused(f"the connection broke: {error.strerror or error}", Trouble.UNREACHED)
            _tell(INFO, peer, asked, answer)
            _send(connection, answer)

    async def _line_of(self, connection: socket.socket) -> bytes:
        try:
            return await _line(connection)
        finally:
            self._strangers -= 1

    async def _answer(self, request: Request, connection: socket.socket) -> Answer:
        """The desk's answer; a guard, which may take a week, ends with its connection."""
        if not isinstance(request, Guard):
            return await self._desk.serve(request)
        serving = asyncio.ensure_future(self._desk.serve(request))
        gone = asyncio.ensure_future(asyncio.get_running_loop().sock_recv(connection, 1))
        try:
            await asyncio.wait({serving, gone}, return_when=asyncio.FIRST_COMPLETED)
            return serving.result() if serving.done() else refused("the guard ends, as its connection does")
        finally:
            await _cancel(serving, gone)

    def _rest(self) -> None:
        """Begin to count the time without a client."""
        if self._leaving is not None:
            self._leaving.cancel()
        if self._idle is not None:
            self._leaving = asyncio.get_running_loop().call_later(self._idle, self._leave)

    def _leave(self) -> None:
        """Leave, unless somebody is here or a device hangs: its quarantine would be forgotten."""
        if self._visits or self._desk.busy:
            self._rest()
        else:
            self._over.set()


async def _line(connection: socket.socket) -> bytes:
    """The one line of a connection, its end included.

    Raises:
        ProtocolError: it is too long, too slow, unfinished, or not the only one.
        OSError: the connection broke.
    """
    connection.settimeout(0)
    line = b""
    try:
        async with asyncio.timeout(PATIENCE):
            while b"\n" not in line:
                if len(line) >= LINE:
                    raise ProtocolError(f"a line may have {LINE} bytes, and this one has more")
                piece = await asyncio.get_running_loop().sock_recv(connection, LINE - len(line))
                if not piece:
                    raise ProtocolError("the request does not end with a line's end")
                line += piece
    except TimeoutError:
        raise ProtocolError(f"no whole line came within {PATIENCE:g} s") from None
    if not line.endswith(b"\n") or line.count(b"\n") > 1:
        raise ProtocolError("there is more than one line; make a connection for each request")
    return line


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    """End ``tasks`` that have not ended; whatever comes of them is of no interest any more."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _turn_away(connection: socket.socket, peer: Peer, why: str) -> None:
    """Answer without reading a byte."""
    with connection:
        connection.settimeout(0)
        answer = refused(why, Trouble.UNREACHED)
        _tell(WARNING, peer, "nothing yet", answer)
        _send(connection, answer)


def _send(connection: socket.socket, answer: Answer) -> None:
    """One line fits into an empty socket's buffer, so this neither waits nor cuts; who has gone gets none."""
    with contextlib.suppress(OSError):
        connection.send(to_line(answer))


def _tell(level: int, peer: Peer, asked: str, answer: Answer) -> None:
    tell(level, f"user {peer.uid}, pid {peer.pid}: {asked}; {_text(answer)}")


def _text(message: Request | Answer) -> str:
    """As on the wire; of a drive's health, which has thousands of letters, the beginning."""
    text = to_line(message).decode().rstrip()
    return text if len(text) <= _LOGGED else f"{text[: _LOGGED - 3]}..."
