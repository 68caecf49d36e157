"""Associated stations of a hostapd, asked over its control socket (hostapd's ctrl_iface.c, unix(7))."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import Final

from powerd.host.values import HostError

_TIMEOUT: Final = 1.0
"""Seconds for the whole conversation; hostapd answers within a millisecond."""
_MAX_STATIONS: Final = 2048
"""Stations asked for at most: hostapd's own limit is 2007 (IEEE 802.11 association identifiers)."""
_RECEIVE_SIZE: Final = 1 << 13
_MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.IGNORECASE)


async def query_stations(control: str) -> str:
    """What ``hostapd_cli all_sta`` prints: a line with the MAC, then ``key=value`` lines, per station.

    Raises:
        OSError: the socket cannot be reached.
        HostError: it does not answer like a hostapd.
    """
    blocks: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.bind(
            ""
        )  # an address of the kernel's choice in the abstract namespace, which leaves no file behind
        sock.connect(control)
        try:
            async with asyncio.timeout(_TIMEOUT):
                answer = await _request(sock, "STA-FIRST")
                while len(blocks) < _MAX_STATIONS and (mac := _station_mac(answer)) is not None:
                    blocks.append(answer)
                    answer = await _request(sock, f"STA-NEXT {mac}")
        except TimeoutError:
            raise HostError(f"{control} does not answer; is hostapd still running?") from None
    if answer.startswith("UNKNOWN COMMAND"):
        raise HostError(
            f"{control} answers like no hostapd: {answer.strip()[:40]}; remove it from clients.leases"
        )
    return "".join(blocks)


async def _request(sock: socket.socket, command: str) -> str:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, command.encode())
    while True:
        answer = (await loop.sock_recv(sock, _RECEIVE_SIZE)).decode(errors="replace")
        if not answer.startswith("<"):  # "<3>AP-STA-CONNECTED ...": an event, to whoever listens
            return answer


def _station_mac(answer: str) -> str | None:
    """The MAC that an answer is about; None = no (further) station."""
    first = answer.partition("\n")[0].strip()
    return first if _MAC.fullmatch(first) else None
