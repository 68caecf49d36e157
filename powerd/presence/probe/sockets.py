"""The two sockets of a sweep: puts single questions and matches what comes back to who was asked."""

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
    """What a sweep needs of the machine besides an ICMP socket of its own."""

    def acquire_arp_socket(self) -> ArpSocket:
        """An ARP socket for the time of the sweep."""
        ...

    def release_arp_socket(self, sock: ArpSocket) -> None:
        """Take it back."""
        ...

    def is_ready(self, index: int) -> bool:
        """Whether this link is up and has carrier right now."""
        ...


class ProbeSockets:
    """Asks by ICMP and ARP; sockets are opened when first needed, and open no longer than the sweep.

    An answer counts only from an address that was asked, on the link it was asked on, with the
    identifier and a sequence number of this sweep.

    Attributes:
        last_sent: when a question was sent for whose answer the round must wait, seconds of the loop's clock.
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
        """Questions from now on carry the next sequence number."""
        self._sequence += 1
        self.last_sent = self._loop.time()
        if self._echo is not None:
            self._echo.set_sequence(self._sequence)

    def send(self, target: HostProbe) -> None:
        """Ask by ICMP, or by ARP who is not to be asked by ICMP."""
        if target.icmp is not None:
            self._send_icmp(target)
        elif target.arp is not None:
            self.send_arp(target)

    def resend(self, target: HostProbe) -> None:
        """Ask by ICMP once more if the kernel refused it, and by ARP too."""
        if target.icmp is not None and target.icmp.refused and target.icmp.rtt is None:
            self._send_icmp(target)
        if target.arp is not None and not target.arp.pending and target.arp.rtt is None:
            self.send_arp(target)

    def send_arp(self, target: HostProbe) -> None:
        """Ask by ARP."""
        link, probe = target.ask.link, target.arp
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
        """Ask by ICMP whoever has answered ARP, at its MAC: takes no entry of the neighbour table."""
        link, probe = target.ask.link, target.icmp
        if link is None or probe is None or target.mac is None or self._arp is None:
            return
        now = self._loop.time()
        source = self._link_source(link).address(target.packed)
        datagram = build_datagram(source, target.packed, self._open_echo().packet)
        probe.record_sent(
            self._sequence, now, self._arp.send_datagram(link, _mac_bytes(target.mac), datagram)
        )
        self.last_sent = now

    def receive(self) -> None:
        """Read what has arrived by now; an answer that is already there costs no wake-up."""
        if self._echo is not None:
            self._receive_icmp()
        if self._arp is not None:
            self._receive_arp()

    def add_readers(self) -> None:
        """Read whatever arrives from now on. Called only to wait: an early answer costs no epoll(7)."""
        if self._echo is not None and self._echo.sock not in self._registered:
            self._loop.add_reader(self._echo.sock, self._receive_icmp)
            self._registered.append(self._echo.sock)
        if self._arp is not None and self._arp.sock not in self._registered:
            self._loop.add_reader(self._arp.sock, self._receive_arp)
            self._registered.append(self._arp.sock)

    def close(self) -> None:
        """Stop listening."""
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
        code = echo.send_request(target.ask.address)
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
                target.icmp.record_obstruction(icmp_error.reason)

    def _receive_arp(self) -> None:
        if self._arp is None:
            return
        now = self._loop.time()
        for interface, reply in self._arp.read_replies():
            target = self._targets.get(reply.address)
            if target is None or target.arp is None or target.ask.link is None:
                continue
            # A reply carries no number: it is taken for one to the latest question.
            latest = next(reversed(target.arp.sent), 0)
            if interface == target.ask.link.name and target.arp.record_answer(latest, now):
                target.mac = reply.mac
                self._on_answer(target)

    def _link_source(self, link: Link) -> _LinkSource:
        source = self._link_sources.get(link.index)
        if source is None:
            source = self._link_sources[link.index] = _LinkSource(link)
        return source


class _LinkSource:
    """Who we are on one link: what an ARP question says of the asker."""

    def __init__(self, link: Link) -> None:
        self._mac = _mac_bytes(link.mac)
        self._subnets = [
            (int(own.network.network_address), int(own.netmask), own.packed) for own in link.addresses
        ]

    def address(self, target: bytes) -> bytes:
        """The own address in the subnet of ``target``; else any, else 0.0.0.0."""
        number = int.from_bytes(target, "big")
        for network, mask, own in self._subnets:
            if number & mask == network:
                return own
        return self._subnets[0][2] if self._subnets else bytes(4)

    def request(self, target: bytes) -> bytes:
        """The ARP question for ``target``."""
        return build_request(self._mac, self.address(target), target)


def _mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))
