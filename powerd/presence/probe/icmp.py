"""ICMP echo over one raw socket (RFC 792, raw(7), ip(7)); icmplib opens the socket and builds the packets.

icmplib's own send() resolves the host, sets two socket options and builds a packet each time: 30 us, against
6 us for sendto() of a packet shared by all hosts of a round. Its receive() does not check the sender.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from icmplib.exceptions import ICMPSocketError
from icmplib.sockets import ICMPv4Socket

from powerd.linux.values import HostError

_SOL_RAW: Final = 255
_ICMP_FILTER: Final = 1  # linux/icmp.h: a mask of the types to drop
_ONLY_ECHO_REPLIES: Final = struct.pack("=I", 0xFFFFFFFF & ~(1 << 0))
_IP_RECVERR: Final = 11  # linux/in.h; Python 3.11 does not name it
_BUFFER: Final = 1 << 20  # the kernel limits it to net.core.wmem_max and rmem_max
PAYLOAD: Final = b"powerd presence probe"
RECEIVE_SIZE: Final = 128  # bytes: the longest IP header and an ICMP header; the payload is not needed

MAX_BATCH: Final = 256
_IP: Final = struct.Struct(
    "!BBHHHBBH4s4s"
)  # version, service, length, id, flags, ttl, protocol, checksum, ...
_DONT_FRAGMENT: Final = 0x4000
_TTL: Final = 64
_ECHO: Final = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence
_EXTENDED_ERROR: Final = struct.Struct(
    "=IBBBBII"
)  # linux/errqueue.h: errno, origin, type, code, pad, info, data
_ORIGIN_ICMP: Final = 2
_HOST_UNREACHABLE: Final = (3, 1)


def received_packets(
    receive: Callable[[int], tuple[bytes, Any]], drain_errors: Callable[[], bool]
) -> Iterator[tuple[bytes, Any]]:
    """The packets that have arrived at a raw socket with an error queue, each with its sender.

    Args:
        receive: recvfrom(2) of the socket.
        drain_errors: drains its error queue; returns whether it held any message.
    """
    for _ in range(MAX_BATCH):
        try:
            packet, source = receive(RECEIVE_SIZE)
        except BlockingIOError:
            break
        except OSError:  # an error of the queue, reported once
            if not drain_errors():
                break
            continue
        yield packet, source
    drain_errors()


def read_error_queue(
    sock: socket.socket, kind: tuple[int, int], record: Callable[[bytes, bytes, Any], None]
) -> bool:
    """Drain the error queue of a socket; return whether it held any message.

    Args:
        sock: has IP_RECVERR or IPV6_RECVERR set.
        kind: level and type of the control message that holds the extended error (ip(7)).
        record: called with the rejected packet, its extended error and the address that it was sent to.
    """
    for count in range(MAX_BATCH):
        try:
            packet, ancillary, _, target = sock.recvmsg(RECEIVE_SIZE, MAX_BATCH, socket.MSG_ERRQUEUE)
        except OSError:
            return count > 0
        for level, type_, extended in ancillary:
            if (level, type_) == kind:
                record(packet, extended, target)
    return True


class EchoReply(NamedTuple):
    """An echo reply: its sender, identifier and sequence number."""

    address: str
    identifier: int
    sequence: int


class IcmpError(NamedTuple):
    """A router's report that an echo request did not reach ``address``, with the kernel's text for it."""

    address: str
    identifier: int
    reason: str


def parse_echo(packet: bytes, source: str) -> EchoReply | None:
    """Parse an echo reply in an IPv4 packet, with or without header options; None if it is anything else."""
    if not packet:
        return None
    start = (packet[0] & 0x0F) * 4
    if start < 20 or len(packet) < start + _ECHO.size:  # noqa: PLR2004 - the shortest IPv4 header, RFC 791
        return None
    kind, code, _, identifier, sequence = _ECHO.unpack_from(packet, start)
    return EchoReply(source, identifier, sequence) if (kind, code) == (0, 0) else None


def build_datagram(source: bytes, target: bytes, message: bytes) -> bytes:
    """An IPv4 packet (RFC 791) with an ICMP message; addresses are four bytes each."""
    length = _IP.size + len(message)
    header = _IP.pack(0x45, 0, length, 0, _DONT_FRAGMENT, _TTL, socket.IPPROTO_ICMP, 0, source, target)
    total: int = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return b"".join((header[:10], checksum.to_bytes(2, "big"), header[12:], message))


def parse_icmp_error(request: bytes, extended: bytes, target: str) -> IcmpError | None:
    """Parse one message of the error queue (ip(7), IP_RECVERR); None = it is not relevant.

    "Host unreachable" comes from the last router, or from this machine, when the host does not answer ARP;
    that is silence. All other errors (no route, prohibited, time exceeded) concern the route.
    """
    if len(extended) < _EXTENDED_ERROR.size or len(request) < _ECHO.size:
        return None
    code, origin, icmp_type, icmp_code, _, _, _ = _EXTENDED_ERROR.unpack_from(extended)
    if origin != _ORIGIN_ICMP or (icmp_type, icmp_code) == _HOST_UNREACHABLE:
        return None
    return IcmpError(target, _ECHO.unpack_from(request)[3], f"a router reports: {os.strerror(code)}")


class EchoSocket(ICMPv4Socket):  # type: ignore[misc]  # icmplib ships no types
    """One raw ICMP socket for all hosts of a sweep; never blocks.

    IP_RECVERR is set because raw(7) hides ENOBUFS without it: a request that the full neighbour table
    (gc_thresh3) dropped would count as sent, and its host as absent. The price is an error queue; it is
    drained at each use of the socket, so that it does not keep waking the event loop.

    Raises:
        HostError: no raw socket can be opened.
    """

    def __init__(self, identifier: int) -> None:
        self.identifier = identifier
        self._icmp_errors: list[IcmpError] = []
        self.packet = b""
        try:
            super().__init__()
        except ICMPSocketError as error:
            raise HostError(
                f"cannot open a raw socket: {error}; run as root or give the service CAP_NET_RAW"
            ) from error
        sock: socket.socket = self.sock
        # icmplib's ``sock`` is a property, which is too slow for each packet.
        self._send, self._receive = sock.sendto, sock.recvfrom
        sock.setblocking(False)  # noqa: FBT003 - the socket's own signature
        sock.setsockopt(_SOL_RAW, _ICMP_FILTER, _ONLY_ECHO_REPLIES)
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        # Requests to hosts that do not resolve occupy the send buffer for 3 s; it has room for three tries.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)

    def set_sequence(self, sequence: int) -> None:
        """Build the ICMP message that is sent from now on, ``packet``."""
        self.packet = self._create_packet(self.identifier, sequence, PAYLOAD)

    def send_request(self, address: str) -> int:
        """Send one request; return 0, or the errno with which the kernel refused it.

        The next call on the socket reports a queued error of another host (ip(7)), so an error counts only if
        it occurs again with an empty queue.
        """
        try:
            self._send(self.packet, (address, 0))
        except OSError as error:
            if error.errno in {errno.ENOBUFS, errno.EAGAIN} or not self._drain_errors():
                return error.errno or errno.EIO
        else:
            return 0
        try:
            self._send(self.packet, (address, 0))
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    def read_replies(self) -> Iterator[EchoReply]:
        """The echo replies with this socket's identifier that have arrived."""
        for packet, (source, _) in received_packets(self._receive, self._drain_errors):
            echo = parse_echo(packet, source)
            if echo is not None and echo.identifier == self.identifier:
                yield echo

    def take_icmp_errors(self) -> list[IcmpError]:
        """The routers' reports since the last call."""
        taken, self._icmp_errors = self._icmp_errors, []
        return taken

    def _drain_errors(self) -> bool:
        """Drain the error queue; return whether it held any message."""
        return read_error_queue(self.sock, (socket.IPPROTO_IP, _IP_RECVERR), self._record_error)

    def _record_error(self, request: bytes, extended: bytes, target: tuple[str, int]) -> None:
        icmp_error = parse_icmp_error(request, extended, target[0])
        if icmp_error is not None and icmp_error.identifier == self.identifier:
            self._icmp_errors.append(icmp_error)
