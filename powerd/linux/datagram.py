"""One request and its reply by UDP. The socket is open only while the reply may arrive."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

_MAX_DATAGRAM: Final = 4096
_TRIES: Final = 2
_MAX_FOREIGN: Final = 16
"""Datagrams of the peer that are not a reply, after which the exchange ends."""


async def query(
    server: tuple[str, int],
    request: bytes,
    *,
    accepts: Callable[[bytes], bool],
    timeout: float,  # noqa: ASYNC109 - the time of each try
) -> bytes | None:
    """Send a datagram, again if there is no reply, and return the first reply that is accepted.

    The socket is connected, so that the kernel delivers datagrams of ``server`` only.

    Args:
        server: an IP address, a link-local one with its link, and a port.
        request: the datagram.
        accepts: whether a datagram is the reply.
        timeout: seconds for the reply to each of two tries.

    Returns:
        The reply; None = none has arrived, or the kernel or the host refuses the request.
    """
    loop = asyncio.get_running_loop()
    try:
        found = socket.getaddrinfo(*server, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
        family, kind, _, _, address = found[0]
        with socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as sock:
            sock.connect(address)
            for _ in range(_TRIES):
                sock.send(request)
                try:
                    async with asyncio.timeout(timeout):
                        for _ in range(_MAX_FOREIGN):
                            reply = await loop.sock_recv(sock, _MAX_DATAGRAM)
                            if accepts(reply):
                                return reply
                        return None
                except TimeoutError:
                    pass
    except OSError:  # no route, a port that is closed, or IPAddressDeny= of the unit
        pass
    return None
