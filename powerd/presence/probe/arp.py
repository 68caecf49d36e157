"""ARP requests and replies over one packet socket (RFC 826, packet(7)).

A host that drops ICMP still answers ARP, without which it could not communicate at all. Packet sockets do not
use the kernel's neighbour table, so neither gc_thresh3 nor packets queued for resolution limit them.
"""

from __future__ import annotations

import array
import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from powerd.linux.values import HostError, Link

_ETH_P_IP: Final = 0x0800
_ETH_P_ARP: Final = 0x0806
_ARPHRD_ETHER: Final = 1
_REQUEST: Final = 1
_REPLY: Final = 2
_PACKET: Final = struct.Struct("!HHBBH6s4s6s4s")  # hardware, protocol, their lengths, opcode, sender, target
_BROADCAST_MAC: Final = b"\xff" * 6
_ZERO_MAC: Final = bytes(6)
_MAX_BATCH: Final = 256
_BUFFER: Final = 1 << 20  # the kernel limits it to net.core.rmem_max

_SO_ATTACH_FILTER: Final = 26  # asm-generic/socket.h
_INSTRUCTION: Final = struct.Struct("=HBBI")  # linux/filter.h: code, jump if true, jump if false, operand
_DROP_ALL: Final = (_INSTRUCTION.pack(0x06, 0, 0, 0),)  # ret 0: drop
_PASS_REPLIES: Final = (
    _INSTRUCTION.pack(0x28, 0, 0, 6),  # ldh [6]: the opcode
    _INSTRUCTION.pack(0x15, 0, 1, _REPLY),  # jeq: is it a reply?
    _INSTRUCTION.pack(0x06, 0, 0, _PACKET.size),  # ret: accept it
    *_DROP_ALL,
)


class ArpReply(NamedTuple):
    """An ARP reply: an address and its MAC."""

    address: str
    mac: str


def build_request(mac: bytes, own: bytes, target: bytes) -> bytes:
    """An ARP request for ``target`` from ``own`` (four bytes each) at ``mac`` (six bytes)."""
    return _PACKET.pack(_ARPHRD_ETHER, _ETH_P_IP, 6, 4, _REQUEST, mac, own, _ZERO_MAC, target)


def parse_reply(packet: bytes) -> ArpReply | None:
    """Parse an ARP reply for IPv4 on Ethernet; None if the packet is anything else."""
    if len(packet) < _PACKET.size:
        return None
    hardware, protocol, hlen, plen, opcode, mac, sender, _, _ = _PACKET.unpack_from(packet)
    if (hardware, protocol, hlen, plen, opcode) != (_ARPHRD_ETHER, _ETH_P_IP, 6, 4, _REPLY):
        return None
    return ArpReply(socket.inet_ntoa(sender), mac.hex(":"))


class ArpSocket:
    """One packet socket for all links; never blocks.

    It stays open after the sweep with a filter that drops everything: closing a packet socket waits for every
    CPU to leave the receive path (synchronize_net(), measured 8 to 24 ms), which would block the event loop.
    The filter drops packets before they are queued, so ARP traffic does not wake the daemon.

    Raises:
        HostError: no packet socket can be opened.
    """

    def __init__(self) -> None:
        try:
            self.sock = socket.socket(
                socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, socket.htons(_ETH_P_ARP)
            )
        except OSError as error:
            raise HostError(
                f"cannot open a packet socket: {os.strerror(error.errno or errno.EIO)}; "
                "run as root or give the service CAP_NET_RAW and AF_PACKET"
            ) from error
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self.stop_listening()

    def listen(self) -> None:
        """Receive ARP replies from now on."""
        self._attach_filter(_PASS_REPLIES)

    def stop_listening(self) -> None:
        """Receive nothing from now on, and discard what is queued."""
        self._attach_filter(_DROP_ALL)
        while self._receive() is not None:  # ends, since nothing more is added
            pass

    def close(self) -> None:
        """Close the socket; takes 8 to 24 ms."""
        self.sock.close()

    def send_request(self, link: Link, packet: bytes) -> int:
        """Broadcast one request on ``link``; return 0, or the errno with which the kernel refused it."""
        return self._send(packet, (link.name, _ETH_P_ARP, 0, _ARPHRD_ETHER, _BROADCAST_MAC))

    def send_datagram(self, link: Link, mac: bytes, datagram: bytes) -> int:
        """Send an IPv4 packet to a MAC, without routing and neighbour table; return 0 or an errno."""
        return self._send(datagram, (link.name, _ETH_P_IP, 0, _ARPHRD_ETHER, mac))

    def _send(self, packet: bytes, destination: tuple[str, int, int, int, bytes]) -> int:
        try:
            self.sock.sendto(packet, destination)
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    def read_replies(self) -> Iterator[tuple[str, ArpReply]]:
        """The replies that have arrived, each with the name of its interface."""
        for _ in range(_MAX_BATCH):
            received = self._receive()
            if received is None:
                return
            interface, packet = received
            reply = parse_reply(packet)
            if reply is not None:
                yield interface, reply

    def _receive(self) -> tuple[str, bytes] | None:
        """The next packet and its interface; None = the queue is empty."""
        try:
            packet, source = self.sock.recvfrom(_PACKET.size)
        except BlockingIOError:
            return None
        except OSError:  # ENETDOWN: an interface went down; reported once
            return "", b""
        return source[0], packet

    def _attach_filter(self, program: tuple[bytes, ...]) -> None:
        code = array.array("B", b"".join(program))
        self.sock.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program), code.buffer_info()[0])
        )
