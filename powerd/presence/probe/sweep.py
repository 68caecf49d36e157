"""Probes many hosts at once by ICMP and ARP, with a definite outcome for each.

A round sends echo requests to up to 256 hosts, sends ARP requests to those that are silent after three tenths
of the timeout, and ends at the timeout or when all have answered. Silent hosts are queued for their next
round; so are hosts whose probe the kernel refused, since a refusal is not silence.

Each echo request to a host on an own link takes an entry of the kernel's neighbour table, which holds 1,024
(gc_thresh3, arp(7)) and frees none younger than 5 s. With more hosts than fit into a round, ARP requests over
a packet socket come first, and echo requests to the hosts that answer are sent to their MAC; neither uses
that table.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from powerd.core.turns import in_turns
from powerd.linux.values import ProbeReply, ProbeRequest, SweepResult
from powerd.presence.probe.host_state import HostProbe
from powerd.presence.probe.sockets import ProbeKernel, ProbeSockets

ROUND_SIZE: Final = 256
"""Hosts per round: three rounds of unresolved hosts fit into the send buffer, four into the ARP table."""
BURST_SIZE: Final = 128
"""Probes sent before replies are read and the event loop gets its turn: 2 ms; no receive buffer overflows."""
BURST_PAUSE: Final = 0.01
"""Seconds between bursts: an access point sends broadcasts slowly and drops what does not fit its queue."""
_ARP_BURST_PAUSE: Final = 0.128
"""The same for large LANs: 1,000 broadcasts per second."""
_ARP_DELAY_FRACTION: Final = 0.3
"""The fraction of the timeout after which ARP requests are sent."""
_YIELD_EVERY: Final = 512
"""Hosts processed, without sending, before the event loop gets its turn."""


async def sweep(  # noqa: PLR0913 - the options of one sweep, by keyword
    kernel: ProbeKernel,
    requests: Sequence[ProbeRequest],
    *,
    timeout: float,  # noqa: ASYNC109 - the time an answer may take, not the call's
    tries: int,
    until_first: bool,
    deadline: float,
) -> SweepResult:
    """Probe all hosts.

    Args:
        kernel: the ARP socket and the state of the links.
        requests: one per address.
        timeout: seconds within which a reply must arrive.
        tries: rounds in which a silent host is probed.
        until_first: end the sweep at the first sufficient reply; the outcome of others may be NOT_PROBED.
        deadline: seconds after which the sweep ends; hosts without a probe of full time have FAILED.

    Raises:
        HostError: no socket can be opened.
        ValueError: an address is invalid or occurs twice.
    """
    loop = asyncio.get_running_loop()
    start = loop.time()
    replies = dict.fromkeys((request.address for request in requests), ProbeReply())
    if len(replies) != len(requests):
        raise ValueError("two requests of a sweep have the same address")
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
    """A running sweep."""

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
        """Probe the hosts until each is settled or the sweep is over."""
        await self._prepare(requests)
        targets = [target for target in self._targets.values() if target.tries]
        on_link = [target for target in targets if target.arp]
        if len(on_link) > ROUND_SIZE:
            if self._until_first:
                await self._round(targets[:BURST_SIZE])
            await self._arp_rounds(on_link)
            await self._icmp_to_mac_round(
                [target for target in on_link if target.macs and not target.settled]
            )
        queue = deque(target for target in targets if not target.settled)
        while queue and not self._is_over():
            batch = [queue.popleft() for _ in range(min(ROUND_SIZE, len(queue)))]
            await self._round(batch)
            queue.extend(target for target in batch if not target.settled)

    async def collect(self, replies: dict[str, ProbeReply]) -> None:
        """Store the reply of each host; silence on a link that went down during the sweep proves nothing."""
        lost_links = frozenset() if self._answer_found else self._lost_links()
        out_of_time = not self._answer_found and self._loop.time() >= self._deadline
        async for address, target in in_turns(self._targets.items(), _YIELD_EVERY):
            link = target.request.link
            if link is not None and link.index in lost_links:
                target.abort(f"{link.name} went down or lost its carrier during the sweep")
            elif out_of_time:
                target.expire("the sweep ended before a reply could arrive")
            replies[address] = target.reply(cut_short=self._answer_found)

    def close(self) -> None:
        """Close the sockets, and free the targets at once: a garbage collection is rare."""
        self._sockets.close()
        self._targets.clear()
        self._waiting.clear()

    async def _prepare(self, requests: Sequence[ProbeRequest]) -> None:
        async for request in in_turns(requests, _YIELD_EVERY):
            if request.address not in self._targets:
                self._targets[request.address] = HostProbe(request, self._tries)

    async def _round(self, batch: list[HostProbe]) -> None:
        """Send echo requests, then ARP requests to hosts that are still silent, and wait for replies."""
        batch = [
            target for target in batch if not target.settled
        ]  # late replies arrive while hosts are queued
        self._begin_round(batch)
        resend_at = self._loop.time() + self._timeout * _ARP_DELAY_FRACTION
        await self._send(batch, self._sockets.send, BURST_PAUSE)
        if any(target.needs_resend for target in batch):
            await self._wait(resend_at)
            unanswered = [target for target in batch if target in self._waiting]
            await self._send(unanswered, self._sockets.resend, BURST_PAUSE)
        waited = await self._wait_for_answers()
        for target in batch:
            target.end_round(waited=waited)

    async def _arp_rounds(self, targets: list[HostProbe]) -> None:
        """Probe hosts by ARP alone, up to ``tries`` times; hosts that stay silent are settled."""
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
        """Send echo requests to the MAC of hosts that answered ARP, without the neighbour table.

        This server's firewall may drop the replies, since conntrack has not seen the requests (state
        INVALID). So silence counts only for hosts whose ARP reply is sufficient; the others are probed in
        ordinary rounds too.
        """
        self._begin_round(targets)
        await self._send(targets, self._sockets.send_icmp_to_mac, _ARP_BURST_PAUSE)
        waited = await self._wait_for_answers()
        for target in targets:
            if target.icmp:
                target.icmp.end_round(waited=waited and target.request.arp_sufficient)

    def _begin_round(self, targets: list[HostProbe]) -> None:
        self._waiting = set(targets)
        self._sockets.begin_round()

    async def _send(
        self, targets: list[HostProbe], send_one: Callable[[HostProbe], None], pause: float
    ) -> None:
        """Send in bursts, and read replies after each, until all are sent or the sweep is over."""
        for begin in range(0, len(targets), BURST_SIZE):
            if begin:
                await self._wait(self._loop.time() + pause)
            if self._is_over():
                return
            for target in targets[begin : begin + BURST_SIZE]:
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
        """Wait for the replies to all probes; return whether the full timeout has passed."""
        deadline = self._sockets.last_sent + self._timeout
        await self._wait(deadline)
        return self._loop.time() >= deadline

    async def _wait(self, until: float) -> None:
        """Wait until ``until``, the end of the sweep, or the last outstanding reply."""
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
        links = {
            t.request.link.index for t in self._targets.values() if t.request.link and t.request.link.ready
        }
        return frozenset(index for index in links if not self._kernel.is_ready(index))


def _wake_waiter(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
