"""Wake-on-LAN: the magic packet, and sending it.

The format is AMD's Magic Packet Technology, publication 20213: six bytes ff, then the address of the card
sixteen times, anywhere in a frame that reaches it. Here that is a UDP datagram to the discard port.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from typing import Final

from powerd.host.values import HostError

PORT: Final = 9
TIMES: Final = 3
"""A broadcast is not acknowledged, and one of three arrives."""
_APART: Final = 0.1


def packet(mac: str) -> bytes:
    """The 102 bytes that wake the card with address ``mac``, written with colons.

    Raises:
        ValueError: it is no such address.
    """
    address = bytes.fromhex(mac.replace(":", ""))
    if len(address) != 6:  # noqa: PLR2004 - bytes in a MAC address
        raise ValueError(f'"{mac}" is no MAC address')
    return b"\xff" * 6 + address * 16


async def send(mac: str, to: Sequence[str]) -> None:
    """Send the magic packet to each of the broadcast addresses ``to``, three times, 100 ms apart.

    Raises:
        HostError: one of them cannot be sent to; the others have been.
    """
    frame = packet(mac)
    faults: list[HostError] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for n in range(TIMES):
            if n:
                await asyncio.sleep(_APART)
            for address in to:
                try:
                    _send(door, frame, address)
                except HostError as error:
                    faults.append(error)
    if faults:
        raise faults[0]


def _send(door: socket.socket, frame: bytes, address: str) -> None:
    try:
        door.sendto(frame, (address, PORT))
    except BlockingIOError:  # a full send buffer: this one is lost as a packet on the wire may be
        return
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise HostError(
            f"cannot send to {address}: {why}; see: ip route get {address}, and the service's IPAddressAllow="
        ) from None
