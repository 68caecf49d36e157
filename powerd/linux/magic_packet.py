"""Builds and sends the Wake-on-LAN magic packet.

The format is AMD's Magic Packet Technology, publication 20213: six bytes ff, then sixteen times the MAC
address of the card, anywhere in a frame. powerd sends it as a UDP datagram to the discard port.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from typing import Final

from powerd.linux.values import HostError

PORT: Final = 9
REPEATS: Final = 3
"""A broadcast is not acknowledged; three copies make up for lost ones."""
_INTERVAL: Final = 0.1


def magic_packet(mac: str) -> bytes:
    """The 102 bytes that wake the card with address ``mac``, written with colons.

    Raises:
        ValueError: ``mac`` is not a MAC address.
    """
    address = bytes.fromhex(mac.replace(":", ""))
    if len(address) != 6:  # noqa: PLR2004 - bytes in a MAC address
        raise ValueError(f'"{mac}" is not a MAC address')
    return b"\xff" * 6 + address * 16


async def send_magic_packets(mac: str, to: Sequence[str]) -> None:
    """Send the magic packet to each of the broadcast addresses ``to``, three times, 100 ms apart.

    Raises:
        HostError: sending to an address failed; the packets to the others were sent.
    """
    frame = magic_packet(mac)
    errors: list[HostError] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as udp_socket:
        udp_socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for n in range(REPEATS):
            if n:
                await asyncio.sleep(_INTERVAL)
            for address in to:
                try:
                    _send_datagram(udp_socket, frame, address)
                except HostError as error:
                    errors.append(error)
    if errors:
        raise errors[0]


def _send_datagram(udp_socket: socket.socket, frame: bytes, address: str) -> None:
    try:
        udp_socket.sendto(frame, (address, PORT))
    except BlockingIOError:  # the send buffer is full: the packet is lost, as on the wire
        return
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise HostError(
            f"cannot send to {address}: {reason}; see: ip route get {address}, and the service's "
            "IPAddressAllow="
        ) from None
