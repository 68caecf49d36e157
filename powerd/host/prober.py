"""The two sockets of a sweep: puts single questions and matches what comes back to who was asked."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from typing import Protocol

from powerd.host.arp import ArpSocket, build_request
from powerd.host.icmp import EchoSocket, build_datagram
from powerd.host.target import Target
from powerd.host.values import Link


class Kernel(Protocol):
    """What a sweep needs of the machine besides an ICMP socket of its own."""

    def take_arp(self) -> ArpSocket:
        """An ARP socket for the time of the sweep."""
        ...

    def return_arp(self, sock: ArpSocket) -> None:
        """Take it back."""
        ...

    def is_ready(self, index: int) -> bool:
        """Whether this link is up and has carrier right now."""
        ...


class Prober:
    """Asks by ICMP and ARP; sockets are opened when first needed, and open no longer than the sweep.

    An answer counts only from an address that was asked, on the link it was asked on, with the
    identifier and a sequence number of this sweep.

    Attributes:
        last_sent: when a question was sent for whose answer the round must wait, seconds of the loop's clock.
    """

    def __init__(
        self, kernel: Kernel, targets: Mapping[str, Target], heard: Callable[[Target], None]
    ) -> None:
        self._kernel = kernel
        self._targets = targets
        self._heard = heard
        self._loop = asyncio.get_running_loop()
        self._sequence = 0
        self._echo: EchoSocket | None = None
        self._arp: ArpSocket | None = None
        self._watched: list[socket.socket] = []
        self._senders: dict[int, _Sender] = {}
        self.last_sent = 0.0

    def begin_round(self) -> None:
        """Questions from now on carry the next sequence number."""
        self._sequence += 1
        self.last_sent = self._loop.time()
        if self._echo is not None:
            self._echo.begin(self._sequence)

    def ask(self, target: Target) -> None:
        """Ask by ICMP, or by ARP who is not to be asked by ICMP."""
        if target.icmp is not None:
            self._ask_icmp(target)
        elif target.arp is not None:
            self.ask_arp(target)

    def ask_again(self, target: Target) -> None:
        """Ask by ICMP once more if the kernel refused it, and by ARP too."""
        if target.icmp is not None and target.icmp.refused and target.icmp.rtt is None:
            self._ask_icmp(target)
        if target.arp is not None and not target.arp.pending and target.arp.rtt is None:
            self.ask_arp(target)

    def ask_arp(self, target: Target) -> None:
        """Ask by ARP."""
        link, question = target.ask.link, target.arp
        if link is None or question is None:
            return
        if self._arp is None:
            self._arp = self._kernel.take_arp()
        now = self._loop.time()
        code = self._arp.ask(link, self._sender(link).request(target.packed))
        question.ask(self._sequence, now, code)
        if not code and (target.icmp is None or not target.icmp.pending):
            self.last_sent = now

    def ask_directly(self, target: Target) -> None:
        """Ask by ICMP whoever has answered ARP, at its MAC: takes no entry of the neighbour table."""
        link, question = target.ask.link, target.icmp
        if link is None or question is None or target.mac is None or self._arp is None:
            return
        now = self._loop.time()
        source = self._sender(link).address(target.packed)
        datagram = build_datagram(source, target.packed, self._open_echo().packet)
        question.ask(self._sequence, now, self._arp.deliver(link, _packed(target.mac), datagram))
        self.last_sent = now

    def hear(self) -> None:
        """Read what has arrived by now; an answer that is already there costs no wake-up."""
        if self._echo is not None:
            self._hear_echo()
        if self._arp is not None:
            self._hear_arp()

    def watch(self) -> None:
        """Read whatever arrives from now on. Called only to wait: an early answer costs no epoll(7)."""
        if self._echo is not None and self._echo.sock not in self._watched:
            self._loop.add_reader(self._echo.sock, self._hear_echo)
            self._watched.append(self._echo.sock)
        if self._arp is not None and self._arp.sock not in self._watched:
            self._loop.add_reader(self._arp.sock, self._hear_arp)
            self._watched.append(self._arp.sock)

    def close(self) -> None:
        """Stop listening."""
        for sock in self._watched:
            self._loop.remove_reader(sock)
        if self._echo is not None:
            self._echo.close()
        if self._arp is not None:
            self._kernel.return_arp(self._arp)

    def _ask_icmp(self, target: Target) -> None:
        question = target.icmp
        if question is None:
            return
        echo = self._echo or self._open_echo()
        now = self._loop.time()
        code = echo.ask(target.ask.address)
        question.ask(self._sequence, now, code)
        if not code:
            self.last_sent = now

    def _open_echo(self) -> EchoSocket:
        if self._echo is None:
            self._echo = EchoSocket(int.from_bytes(os.urandom(2), "big"))
            self._echo.begin(self._sequence)
        return self._echo

    def _hear_echo(self) -> None:
        if self._echo is None:
            return
        now = self._loop.time()
        for echo in self._echo.hear():
            target = self._targets.get(echo.address)
            if target is not None and target.icmp is not None and target.icmp.answer(echo.sequence, now):
                self._heard(target)
        for obstacle in self._echo.take_obstacles():
            target = self._targets.get(obstacle.address)
            if target is not None and target.icmp is not None:
                target.icmp.obstruct(obstacle.why)

    def _hear_arp(self) -> None:
        if self._arp is None:
            return
        now = self._loop.time()
        for interface, answer in self._arp.hear():
            target = self._targets.get(answer.address)
            if target is None or target.arp is None or target.ask.link is None:
                continue
            # A reply carries no number: it is taken for one to the latest question.
            latest = next(reversed(target.arp.sent), 0)
            if interface == target.ask.link.name and target.arp.answer(latest, now):
                target.mac = answer.mac
                self._heard(target)

    def _sender(self, link: Link) -> _Sender:
        sender = self._senders.get(link.index)
        if sender is None:
            sender = self._senders[link.index] = _Sender(link)
        return sender


class _Sender:
    """Who we are on one link: what an ARP question says of the asker."""

    def __init__(self, link: Link) -> None:
        self._mac = _packed(link.mac)
        self._nets = [
            (int(own.network.network_address), int(own.netmask), own.packed) for own in link.addresses
        ]

    def address(self, target: bytes) -> bytes:
        """The own address in the subnet of ``target``; else any, else 0.0.0.0."""
        number = int.from_bytes(target, "big")
        for network, mask, own in self._nets:
            if number & mask == network:
                return own
        return self._nets[0][2] if self._nets else bytes(4)

    def request(self, target: bytes) -> bytes:
        """The ARP question for ``target``."""
        return build_request(self._mac, self.address(target), target)


def _packed(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))
