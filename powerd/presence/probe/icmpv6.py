"""Probes hosts by ICMPv6: echo (RFC 4443) and neighbour solicitation (RFC 4861, 7.2) over one raw socket.

A host that drops echo requests still answers neighbour solicitations, as it answers ARP on IPv4. They are
sent to the host's own address, not to its multicast group, which the unit's IPAddressAllow= does not contain;
the kernel resolves the address first.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from typing import Final

from powerd.linux.values import HostError, ProbeOutcome, ProbeReply, ProbeRequest
from powerd.presence.probe.icmp import PAYLOAD, read_error_queue, received_packets
from powerd.presence.probe.sweep import BURST_PAUSE, BURST_SIZE

_ECHO_REQUEST: Final = 128
_ECHO_REPLY: Final = 129
_SOLICITATION: Final = 135
_ADVERTISEMENT: Final = 136
_ICMP6_FILTER: Final = 1  # linux/icmpv6.h: a mask of the types to drop
_PASS: Final = 1 << _ECHO_REPLY - 128 | 1 << _ADVERTISEMENT - 128
_FILTER: Final = struct.pack("=8I", *[0xFFFFFFFF] * 4, 0xFFFFFFFF & ~_PASS, *[0xFFFFFFFF] * 3)
_HEADER: Final = struct.Struct("!BBHHH")  # type, code, checksum (by the kernel), identifier, sequence
_ND_HOP_LIMIT: Final = 255
_IPV6_RECVERR: Final = 25  # linux/in6.h; Python 3.11 does not name it
_EXTENDED_ERROR: Final = struct.Struct("=IBBBB")  # linux/errqueue.h: errno, origin, type, code
_ORIGIN_ICMP6: Final = 3
_ADDRESS_UNREACHABLE: Final = (1, 3)
_IPV6_HEADER_SIZE: Final = 40
_SOURCE_MAC: Final = b"\x01\x01"  # option and its length in units of eight bytes
_UNKNOWN_MAC: Final = ""


@dataclass(slots=True)
class _Host:
    """One host: its request, and what it has answered.

    Attributes:
        target: for sendto(2).
        echo_sent, nd_sent: at least one was accepted by the kernel.
        error: why one was not.
        unreachable: a router has reported that echo requests do not reach the host, so its silence to them
            proves nothing.
    """

    request: ProbeRequest
    target: tuple[str, int, int, int]
    echo_sent: bool = False
    nd_sent: bool = False
    echo_answered: bool = False
    nd_answered: bool = False
    rtt: float | None = None
    error: str | None = None
    unreachable: bool = False

    @property
    def answered(self) -> bool:
        """It has sent a sufficient reply."""
        return self.echo_answered or (self.nd_answered and self.request.arp_sufficient)

    def reply(self, *, waited: bool) -> ProbeReply:
        """The outcome; ``waited`` = the last probes had their full time."""
        return ProbeReply(
            _probe_outcome(
                sent=self.echo_sent and not self.unreachable,
                answered=self.echo_answered,
                waited=waited,
                error=self.error,
            ),
            ProbeOutcome.NOT_PROBED
            if self.request.link is None
            else _probe_outcome(
                sent=self.nd_sent, answered=self.nd_answered, waited=waited, error=self.error
            ),
            self.rtt,
            # The reply to a solicitation of one host need not contain its MAC (RFC 4861, 4.4).
            (min(self.request.macs, default=_UNKNOWN_MAC),) if self.nd_answered else (),
            self.error,
        )


def _probe_outcome(*, sent: bool, answered: bool, waited: bool, error: str | None) -> ProbeOutcome:
    if answered:
        return ProbeOutcome.ANSWERED
    if sent and waited:
        return ProbeOutcome.SILENT
    return ProbeOutcome.FAILED if error and not sent else ProbeOutcome.NOT_PROBED


async def sweep_ipv6(
    requests: Sequence[ProbeRequest],
    *,
    timeout: float,  # noqa: ASYNC109 - the time a reply may take, not the call's
    tries: int,
    until_first: bool,
    deadline: float,
) -> dict[str, ProbeReply]:
    """Probe all hosts; the arguments are those of sweep().

    Raises:
        HostError: no socket can be opened.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline
    try:
        sweep = _Sweep(requests, until_first=until_first)
    except OSError as error:
        if error.errno != errno.EAFNOSUPPORT:
            raise HostError(
                f"cannot open a raw socket for ICMPv6: {os.strerror(error.errno or errno.EIO)}; run as root "
                "or give the service CAP_NET_RAW and AF_INET6"
            ) from error
        failed = ProbeOutcome.FAILED
        reason = "the kernel has no IPv6 (ipv6.disable=1), or the service lacks AF_INET6"
        return {
            each.address: ProbeReply(failed, failed if each.link else ProbeOutcome.NOT_PROBED, error=reason)
            for each in requests
        }
    waited = False
    try:
        for sequence in range(1, tries + 1):
            if sweep.is_over() or loop.time() >= end:
                break
            await sweep.send(sequence)
            until = loop.time() + timeout
            await sweep.wait(min(until, end))
            waited = loop.time() >= until
    finally:
        sweep.close()
    return {host.request.address: host.reply(waited=waited) for host in sweep.hosts}


class _Sweep:
    """A running sweep over one socket."""

    def __init__(self, requests: Sequence[ProbeRequest], *, until_first: bool) -> None:
        self.hosts = [_Host(request, _target(request)) for request in requests]
        self._by_address = {(host.target[0], host.target[3]): host for host in self.hosts}
        self._until_first = until_first
        self._identifier = int.from_bytes(os.urandom(2), "big")
        self._loop = asyncio.get_running_loop()
        self._sent_at = 0.0
        self._done: asyncio.Future[None] | None = None
        self._sock = socket.socket(
            socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMPV6
        )
        self._sock.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, _FILTER)
        self._sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, _ND_HOP_LIMIT)
        self._sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)

    def is_over(self) -> bool:
        """No further probe is needed."""
        answered = (host.answered for host in self.hosts)
        return any(answered) if self._until_first else all(answered)

    async def send(self, sequence: int) -> None:
        """Send an echo request and a solicitation to each host that has not answered."""
        echo = _HEADER.pack(_ECHO_REQUEST, 0, 0, self._identifier, sequence) + PAYLOAD
        self._sent_at = self._loop.time()
        for count, host in enumerate(self.hosts, 1):
            if host.answered:
                continue
            if host.request.icmp or host.request.link is None:
                host.echo_sent = self._send_to(host, echo) or host.echo_sent
            if host.request.link is not None:
                host.nd_sent = self._send_to(host, _solicitation(host)) or host.nd_sent
            if count % BURST_SIZE == 0:
                await asyncio.sleep(BURST_PAUSE)
                self._receive()

    async def wait(self, until: float) -> None:
        """Wait until ``until`` or the last outstanding reply."""
        self._receive()
        if self.is_over():
            return
        self._done = self._loop.create_future()
        self._loop.add_reader(self._sock, self._receive)
        try:
            async with asyncio.timeout_at(until):
                await self._done
        except TimeoutError:
            pass
        finally:
            self._loop.remove_reader(self._sock)
            self._done = None

    def close(self) -> None:
        self._sock.close()

    def _send_to(self, host: _Host, packet: bytes) -> bool:
        """Whether the kernel accepted it; a call may report a queued error of another host, as ip(7) says."""
        try:
            try:
                self._sock.sendto(packet, host.target)
            except OSError:
                if not self._drain_errors():
                    raise
                self._sock.sendto(packet, host.target)
        except OSError as error:
            host.error = os.strerror(error.errno or errno.EIO)
            if error.errno == errno.EPERM:
                host.error += "; the service's IPAddressAllow= does not contain this address"
            return False
        return True

    def _receive(self) -> None:
        for packet, source in received_packets(self._sock.recvfrom, self._drain_errors):
            self._record(packet, source)
        if self._done is not None and not self._done.done() and self.is_over():
            self._done.set_result(None)

    def _drain_errors(self) -> bool:
        """Read the routers' reports; return whether there was any.

        "Address unreachable" comes from the last router, or from this machine, when the host does not answer
        solicitations; that is silence. All others concern the route (RFC 4443, 3.1).
        """
        return read_error_queue(self._sock, (socket.IPPROTO_IPV6, _IPV6_RECVERR), self._record_error)

    def _record_error(self, packet: bytes, extended: bytes, target: tuple[str, int, int, int]) -> None:
        host = self._host_at(target)
        packet = packet[_IPV6_HEADER_SIZE:] if packet[:1] and packet[0] >> 4 == 6 else packet  # noqa: PLR2004 - the version in an IPv6 header, RFC 8200
        if host is None or len(packet) < _HEADER.size or len(extended) < _EXTENDED_ERROR.size:
            return
        code, origin, icmp_type, icmp_code, _ = _EXTENDED_ERROR.unpack_from(extended)
        kind, _, _, identifier, _ = _HEADER.unpack_from(packet)
        if origin != _ORIGIN_ICMP6 or (icmp_type, icmp_code) == _ADDRESS_UNREACHABLE:
            return
        if (kind, identifier) == (_ECHO_REQUEST, self._identifier):
            host.unreachable, host.error = True, f"a router reports: {os.strerror(code)}"

    def _host_at(self, source: tuple[str, int, int, int]) -> _Host | None:
        """The host with the address of a packet; a link-local address is one of its link."""
        address = source[0].partition("%")[0]
        return self._by_address.get((address, source[3])) or self._by_address.get((address, 0))

    def _record(self, packet: bytes, source: tuple[str, int, int, int]) -> None:
        if len(packet) < _HEADER.size:
            return
        kind, _, _, identifier, _ = _HEADER.unpack_from(packet)
        sender = source[0].partition("%")[0]
        host = self._host_at(source)
        if host is None:
            return
        if kind == _ECHO_REPLY and identifier == self._identifier:
            host.echo_answered = True
        elif kind == _ADVERTISEMENT and host.nd_sent and packet[8:24] == IPv6Address(sender).packed:
            host.nd_answered = True
        else:
            return
        host.rtt = host.rtt or self._loop.time() - self._sent_at


def _target(request: ProbeRequest) -> tuple[str, int, int, int]:
    """The address for sendto(2), with the index of the link of a link-local address."""
    try:
        address = IPv6Address(request.address.partition("%")[0])
    except AddressValueError:
        raise ValueError(f'"{request.address}" is not an IPv6 address') from None
    return str(address), 0, 0, request.link.index if request.link and address.is_link_local else 0


def _solicitation(host: _Host) -> bytes:
    mac = bytes.fromhex(host.request.link.mac.replace(":", "")) if host.request.link else bytes(6)
    target = IPv6Address(host.target[0]).packed
    return struct.pack("!BBHI", _SOLICITATION, 0, 0, 0) + target + _SOURCE_MAC + mac
