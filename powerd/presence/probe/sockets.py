"""The two sockets of a sweep: sends single probes and assigns the replies to the hosts that were probed."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from typing import Protocol

from powerd.linux.values import Link
from powerd.presence.probe.arp import ArpSocket, build_request
from powerd.presence.probe.host_state import HostProbe
from powerd.presence.probe.icmp import EchoSocket, build_datagram


class ProbeKernel(Protocol):
    """What a sweep needs besides its own ICMP socket."""

    def acquire_arp_socket(self) -> ArpSocket:
        """An ARP socket for the duration of the sweep."""
        ...

    def release_arp_socket(self, sock: ArpSocket) -> None:
        """Return it."""
        ...

    def is_ready(self, index: int) -> bool:
        """Whether this link is up and has carrier at present."""
        ...


class ProbeSockets:
    """Probes by ICMP and ARP; sockets are opened when first needed and closed after the sweep.

    A reply counts only from an address that was probed, on the link on which it was probed, with the
    identifier and a sequence number of this sweep.

    Attributes:
        last_sent: time of the last probe whose reply the round waits for, seconds of the loop's clock.
    """

    def __init__(
        self, kernel: ProbeKernel, targets: Mapping[str, HostProbe], on_answer: Callable[[HostProbe], None]
    ) -> None:
        self._kernel = kernel
        self._targets = targets
        self._on_answer = on_answer
        self._loop = asyncio.get_running_loop()
        self._sequence = 0
        self._echo: EchoSocket | None = None
        self._arp: ArpSocket | None = None
        self._registered: list[socket.socket] = []
        self._link_sources: dict[int, _LinkSource] = {}
        self.last_sent = 0.0

    def begin_round(self) -> None:
        """Use the next sequence number from now on."""
        self._sequence += 1
        self.last_sent = self._loop.time()
        if self._echo is not None:
            self._echo.set_sequence(self._sequence)

    def send(self, target: HostProbe) -> None:
        """Send an echo request, or an ARP request to a host that is probed by ARP alone."""
        if target.icmp is not None:
            self._send_icmp(target)
        elif target.arp is not None:
            self.send_arp(target)

    def resend(self, target: HostProbe) -> None:
        """Send an ARP request too, and the echo request again if the kernel refused it."""
        if target.icmp is not None and target.icmp.refused_errno and target.icmp.rtt is None:
            self._send_icmp(target)
        if target.arp is not None and not target.arp.pending and target.arp.rtt is None:
            self.send_arp(target)

    def send_arp(self, target: HostProbe) -> None:
        """Send an ARP request."""
        link, probe = target.request.link, target.arp
        if link is None or probe is None:
            return
        if self._arp is None:
            self._arp = self._kernel.acquire_arp_socket()
        now = self._loop.time()
        code = self._arp.send_request(link, self._link_source(link).request(target.packed))
        probe.record_sent(self._sequence, now, code)
        if not code and (target.icmp is None or not target.icmp.pending):
            self.last_sent = now

    def send_icmp_to_mac(self, target: HostProbe) -> None:
        """Send an echo request to the MAC of a host that answered ARP, without the neighbour table."""
        link, probe = target.request.link, target.icmp
        if link is None or probe is None or not target.macs or self._arp is None:
            return
        now = self._loop.time()
        source = self._link_source(link).address(target.packed)
        datagram = build_datagram(source, target.packed, self._open_echo().packet)
        probe.record_sent(
            self._sequence, now, self._arp.send_datagram(link, _mac_bytes(target.macs[0]), datagram)
        )
        self.last_sent = now

    def receive(self) -> None:
        """Read the replies that have arrived; without epoll(7), so they cost no wake-up."""
        if self._echo is not None:
            self._receive_icmp()
        if self._arp is not None:
            self._receive_arp()

    def add_readers(self) -> None:
        """Read replies as they arrive. Called only before waiting, to save wake-ups for early replies."""
        if self._echo is not None and self._echo.sock not in self._registered:
            self._loop.add_reader(self._echo.sock, self._receive_icmp)
            self._registered.append(self._echo.sock)
        if self._arp is not None and self._arp.sock not in self._registered:
            self._loop.add_reader(self._arp.sock, self._receive_arp)
            self._registered.append(self._arp.sock)

    def close(self) -> None:
        """Remove the readers, close the ICMP socket and return the ARP socket."""
        for sock in self._registered:
            self._loop.remove_reader(sock)
        if self._echo is not None:
            self._echo.close()
        if self._arp is not None:
            self._kernel.release_arp_socket(self._arp)

    def _send_icmp(self, target: HostProbe) -> None:
        probe = target.icmp
        if probe is None:
            return
        echo = self._echo or self._open_echo()
        now = self._loop.time()
        code = echo.send_request(target.request.address)
        probe.record_sent(self._sequence, now, code)
        if not code:
            self.last_sent = now

    def _open_echo(self) -> EchoSocket:
        if self._echo is None:
            self._echo = EchoSocket(int.from_bytes(os.urandom(2), "big"))
            self._echo.set_sequence(self._sequence)
        return self._echo

    def _receive_icmp(self) -> None:
        if self._echo is None:
            return
        now = self._loop.time()
        for echo in self._echo.read_replies():
            target = self._targets.get(echo.address)
            if (
                target is not None
                and target.icmp is not None
                and target.icmp.record_answer(echo.sequence, now)
            ):
                self._on_answer(target)
        for icmp_error in self._echo.take_icmp_errors():
            target = self._targets.get(icmp_error.address)
            if target is not None and target.icmp is not None:
                target.icmp.record_unreachable(icmp_error.reason)

    def _receive_arp(self) -> None:
        if self._arp is None:
            return
        now = self._loop.time()
        for interface, reply in self._arp.read_replies():
            target = self._targets.get(reply.address)
            if target is None or target.request.link is None:
                continue
            if interface == target.request.link.name and target.record_arp_reply(reply.mac, now):
                self._on_answer(target)

    def _link_source(self, link: Link) -> _LinkSource:
        source = self._link_sources.get(link.index)
        if source is None:
            source = self._link_sources[link.index] = _LinkSource(link)
        return source


class _LinkSource:
    """The sender's addresses on one link."""

    def __init__(self, link: Link) -> None:
        self._mac = _mac_bytes(link.mac)
        self._subnets = [
            (int(own.network.network_address), int(own.netmask), own.packed) for own in link.addresses
        ]

    def address(self, target: bytes) -> bytes:
        """The own address in the subnet of ``target``, else any own address, else 0.0.0.0."""
        number = int.from_bytes(target, "big")
        for network, mask, own in self._subnets:
            if number & mask == network:
                return own
        return self._subnets[0][2] if self._subnets else bytes(4)

    def request(self, target: bytes) -> bytes:
        """The ARP request for ``target``."""
        return build_request(self._mac, self.address(target), target)


def _mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))
