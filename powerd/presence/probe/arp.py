"""ARP questions and answers over one packet socket (RFC 826, packet(7)).

A host that drops ICMP still answers ARP: it could not talk to anybody otherwise. Packet sockets do not
use the kernel's neighbour table, so neither gc_thresh3 nor a send buffer full of parked packets limits them.
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
_BUFFER: Final = 1 << 20  # cut by the kernel to net.core.rmem_max

_SO_ATTACH_FILTER: Final = 26  # asm-generic/socket.h
_INSTRUCTION: Final = struct.Struct("=HBBI")  # linux/filter.h: code, jump if true, jump if false, operand
_DROP_ALL: Final = (_INSTRUCTION.pack(0x06, 0, 0, 0),)  # ret 0: drop
_PASS_REPLIES: Final = (
    _INSTRUCTION.pack(0x28, 0, 0, 6),  # ldh [6]: the opcode
    _INSTRUCTION.pack(0x15, 0, 1, _REPLY),  # jeq: a reply?
    _INSTRUCTION.pack(0x06, 0, 0, _PACKET.size),  # ret: keep it
    *_DROP_ALL,
)


class ArpReply(NamedTuple):
    """An ARP reply: the address it speaks for, and the MAC that does."""

    address: str
    mac: str


def build_request(mac: bytes, own: bytes, target: bytes) -> bytes:
    """Who has ``target``? Tell ``own`` (four bytes each) at ``mac`` (six)."""
    return _PACKET.pack(_ARPHRD_ETHER, _ETH_P_IP, 6, 4, _REQUEST, mac, own, _ZERO_MAC, target)


def parse_reply(packet: bytes) -> ArpReply | None:
    """An ARP reply for IPv4 on Ethernet; None if it is anything else."""
    if len(packet) < _PACKET.size:
        return None
    hardware, protocol, hlen, plen, opcode, mac, sender, _, _ = _PACKET.unpack_from(packet)
    if (hardware, protocol, hlen, plen, opcode) != (_ARPHRD_ETHER, _ETH_P_IP, 6, 4, _REPLY):
        return None
    return ArpReply(socket.inet_ntoa(sender), mac.hex(":"))


class ArpSocket:
    """One packet socket for all links; never blocks.

    It outlives the sweep, deaf: closing a packet socket waits for every CPU to leave the receive path
    (synchronize_net(), measured 8 to 24 ms), which would hold up the loop. While deaf, the kernel
    drops each packet before it is queued, so nobody else's ARP ever wakes the daemon.

    Raises:
        HostError: no packet socket can be had.
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
        """Hear ARP replies from now on."""
        self._attach_filter(_PASS_REPLIES)

    def stop_listening(self) -> None:
        """Hear nothing any more, and forget what was heard and not read."""
        self._attach_filter(_DROP_ALL)
        while self._receive() is not None:  # ends, since nothing is added any more
            pass

    def close(self) -> None:
        """Give the socket back; takes some milliseconds."""
        self.sock.close()

    def send_request(self, link: Link, packet: bytes) -> int:
        """Send one question to everybody on ``link``; 0, or the errno with which the kernel refused it."""
        return self._send(packet, (link.name, _ETH_P_ARP, 0, _ARPHRD_ETHER, _BROADCAST_MAC))

    def send_datagram(self, link: Link, mac: bytes, datagram: bytes) -> int:
        """Send an IPv4 packet straight to a MAC, past routes and neighbour table; 0 or an errno."""
        return self._send(datagram, (link.name, _ETH_P_IP, 0, _ARPHRD_ETHER, mac))

    def _send(self, packet: bytes, destination: tuple[str, int, int, int, bytes]) -> int:
        try:
            self.sock.sendto(packet, destination)
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    def read_replies(self) -> Iterator[tuple[str, ArpReply]]:
        """The replies that have arrived, each with the name of the interface it arrived on."""
        for _ in range(_MAX_BATCH):
            received = self._receive()
            if received is None:
                return
            interface, packet = received
            reply = parse_reply(packet)
            if reply is not None:
                yield interface, reply

    def _receive(self) -> tuple[str, bytes] | None:
        """The next packet and its interface; None = nothing is there."""
        try:
            packet, source = self.sock.recvfrom(_PACKET.size)
        except BlockingIOError:
            return None
        except OSError:  # ENETDOWN: an interface went down; told once
            return "", b""
        return source[0], packet

    def _attach_filter(self, program: tuple[bytes, ...]) -> None:
        code = array.array("B", b"".join(program))
        self.sock.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program), code.buffer_info()[0])
        )
