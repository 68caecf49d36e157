"""Asks many hosts at once whether they are there, by ICMP and by ARP, and loses none on the way.

A round asks up to 256 hosts by ICMP, those still silent after three tenths of the time by ARP as well, and
ends when its time is up or all have answered. Silent hosts wait in a queue for their next round, and so do
those whose question the kernel refused: a refusal is never silence.

Every echo request to a host on the own link takes an entry of the kernel's neighbour table, which ends at
1,024 (gc_thresh3, arp(7)) and frees none younger than 5 s. With more hosts than fit a round, ARP
therefore goes first, past that table, and whoever answers it is asked by ICMP at its MAC, past it as well.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from powerd.linux.values import ProbeReply, ProbeRequest, SweepResult
from powerd.presence.probe.host_state import HostProbe
from powerd.presence.probe.sockets import ProbeKernel, ProbeSockets

ROUND_SIZE: Final = 256
"""Hosts of one round: three rounds of unresolved ones fit the send buffer, and four the neighbour table."""
_BURST_SIZE: Final = 128
"""Questions sent before answers are read and the loop gets its turn: 2 ms; no receive buffer overflows."""
_BURST_PAUSE: Final = 0.01
"""Seconds between slices: an access point sends broadcasts slowly and drops what does not fit its queue."""
_ARP_BURST_PAUSE: Final = 0.128
"""The same for large LANs: 1,000 broadcasts a second."""
_ARP_DELAY_FRACTION: Final = 0.3
"""The part of the timeout after which ARP is asked too."""
_YIELD_EVERY: Final = 512
"""Hosts looked at, without asking them, before the loop gets its turn."""


async def sweep(  # noqa: PLR0913 - one question with six sides, all named
    kernel: ProbeKernel,
    requests: Sequence[ProbeRequest],
    *,
    timeout: float,  # noqa: ASYNC109 - the time an answer may take, not the call's
    tries: int,
    until_first: bool,
    deadline: float,
) -> SweepResult:
    """Ask all of them; see Eyes.sweep().

    Raises:
        HostError: no socket can be had.
        ValueError: an address is asked for twice, or is none.
    """
    loop = asyncio.get_running_loop()
    start = loop.time()
    replies = dict.fromkeys((ask.address for ask in requests), ProbeReply())
    if len(replies) != len(requests):
        raise ValueError("a sweep asks for one address twice")
    sweep_run = _SweepRun(
        kernel, timeout=timeout, tries=tries, until_first=until_first, deadline=start + deadline
    )
    try:
        await sweep_run.run(requests)
        await sweep_run.collect(replies)
    finally:
        sweep_run.close()
    return SweepResult(replies, loop.time() - start)


class _SweepRun:
    """One sweep under way."""

    def __init__(
        self, kernel: ProbeKernel, *, timeout: float, tries: int, until_first: bool, deadline: float
    ) -> None:
        self._kernel = kernel
        self._loop = asyncio.get_running_loop()
        self._timeout = timeout
        self._tries = tries
        self._until_first = until_first
        self._deadline = deadline
        self._targets: dict[str, HostProbe] = {}
        self._sockets = ProbeSockets(kernel, self._targets, self._on_answer)
        self._waiting: set[HostProbe] = set()
        self._waiter: asyncio.Future[None] | None = None
        self._answer_found = False

    async def run(self, requests: Sequence[ProbeRequest]) -> None:
        """Ask everybody, as often as it takes."""
        await self._prepare(requests)
        targets = [target for target in self._targets.values() if target.tries]
        on_link = [target for target in targets if target.arp]
        if len(on_link) > ROUND_SIZE:
            if self._until_first:
                await self._round(targets[:_BURST_SIZE])
            await self._arp_rounds(on_link)
            await self._icmp_to_mac_round([target for target in on_link if target.mac and not target.settled])
        queue = deque(target for target in targets if not target.settled)
        while queue and not self._is_over():
            batch = [queue.popleft() for _ in range(min(ROUND_SIZE, len(queue)))]
            await self._round(batch)
            queue.extend(target for target in batch if not target.settled)

    async def collect(self, replies: dict[str, ProbeReply]) -> None:
        """Put down what became of each host; a link that went down meanwhile takes its silence with it."""
        lost_links = frozenset() if self._answer_found else self._lost_links()
        out_of_time = not self._answer_found and self._loop.time() >= self._deadline
        for count, (address, target) in enumerate(self._targets.items(), 1):
            link = target.ask.link
            if link is not None and link.index in lost_links:
                target.abort(f"{link.name} went down or lost its carrier meanwhile")
            elif out_of_time:
                target.expire("no time was left to wait for its answer")
            replies[address] = target.reply(cut_short=self._answer_found)
            if count % _YIELD_EVERY == 0:
                await asyncio.sleep(0)

    def close(self) -> None:
        self._sockets.close()

    async def _prepare(self, requests: Sequence[ProbeRequest]) -> None:
        for count, request in enumerate(requests, 1):
            if request.address not in self._targets:
                self._targets[request.address] = HostProbe(request, self._tries)
            if count % _YIELD_EVERY == 0:
                await asyncio.sleep(0)

    async def _round(self, batch: list[HostProbe]) -> None:
        """Ask these by ICMP, then those still silent by ARP as well, and wait for the answers."""
        batch = [target for target in batch if not target.settled]  # late answers come while they queue
        self._begin_round(batch)
        resend_at = self._loop.time() + self._timeout * _ARP_DELAY_FRACTION
        await self._send(batch, self._sockets.send, _BURST_PAUSE)
        if any(target.needs_resend for target in batch):
            await self._wait(resend_at)
            unanswered = [target for target in batch if target in self._waiting]
            await self._send(unanswered, self._sockets.resend, _BURST_PAUSE)
        waited = await self._wait_for_answers()
        for target in batch:
            target.end_round(waited=waited)

    async def _arp_rounds(self, targets: list[HostProbe]) -> None:
        """Ask all by ARP alone, as often as each is to be asked; those who stay silent are settled."""
        for _ in range(self._tries):
            silent = [target for target in targets if target.arp and target.arp.rtt is None]
            if self._is_over() or not silent:
                break
            self._begin_round(silent)
            await self._send(silent, self._sockets.send_arp, _ARP_BURST_PAUSE)
            waited = await self._wait_for_answers()
            for target in silent:
                if target.arp:
                    target.arp.end_round(waited=waited)
        for target in targets:
            if target.arp and target.arp.silent and target.arp.rtt is None:
                target.mark_silent()

    async def _icmp_to_mac_round(self, targets: list[HostProbe]) -> None:
        """Ask those who answered ARP by ICMP, past the neighbour table, in which they had no room together.

        A firewall of ours may drop answers to what it has not seen leave (conntrack calls them invalid). So
        silence counts only of those for whom ARP is proof enough; the others are asked the usual way too.
        """
        self._begin_round(targets)
        await self._send(targets, self._sockets.send_icmp_to_mac, _ARP_BURST_PAUSE)
        waited = await self._wait_for_answers()
        for target in targets:
            if target.icmp:
                target.icmp.end_round(waited=waited and target.ask.arp_sufficient)

    def _begin_round(self, targets: list[HostProbe]) -> None:
        self._waiting = set(targets)
        self._sockets.begin_round()

    async def _send(
        self, targets: list[HostProbe], send_one: Callable[[HostProbe], None], pause: float
    ) -> None:
        """Ask in slices, reading in between, until all are asked or the sweep is over."""
        for begin in range(0, len(targets), _BURST_SIZE):
            if begin:
                await self._wait(self._loop.time() + pause)
            if self._is_over():
                return
            for target in targets[begin : begin + _BURST_SIZE]:
                send_one(target)
            self._sockets.receive()

    def _on_answer(self, target: HostProbe) -> None:
        if target.main and target.main.rtt is not None:
            self._waiting.discard(target)
        self._answer_found = self._answer_found or (self._until_first and target.answered)
        if (self._answer_found or not self._waiting) and self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def _is_over(self) -> bool:
        return self._answer_found or self._loop.time() >= self._deadline

    async def _wait_for_answers(self) -> bool:
        """Wait for the answers to all that was sent; whether they had their full time."""
        deadline = self._sockets.last_sent + self._timeout
        await self._wait(deadline)
        return self._loop.time() >= deadline

    async def _wait(self, until: float) -> None:
        """Wait until then, the end of the sweep, or until nobody is waited for any more."""
        until = min(until, self._deadline)
        if self._answer_found or not self._waiting or self._loop.time() >= until:
            return
        self._sockets.add_readers()
        self._waiter = self._loop.create_future()
        timer = self._loop.call_at(until, _wake_waiter, self._waiter)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _lost_links(self) -> frozenset[int]:
        links = {t.ask.link.index for t in self._targets.values() if t.ask.link and t.ask.link.ready}
        return frozenset(index for index in links if not self._kernel.is_ready(index))


def _wake_waiter(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
