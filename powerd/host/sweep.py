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

from powerd.host.prober import Kernel, Prober
from powerd.host.target import Target
from powerd.host.values import Ask, Reply, Sweep

CHUNK: Final = 256
"""Hosts of one round: three rounds of unresolved ones fit the send buffer, and four the neighbour table."""
_SLICE: Final = 128
"""Questions sent before answers are read and the loop gets its turn: 2 ms; no receive buffer overflows."""
_PAUSE: Final = 0.01
"""Seconds between slices: an access point sends broadcasts slowly and drops what does not fit its queue."""
_ARP_PAUSE: Final = 0.128
"""The same for large LANs: 1,000 broadcasts a second."""
_ARP_AFTER: Final = 0.3
"""The part of the timeout after which ARP is asked too."""
_BREATH: Final = 512
"""Hosts looked at, without asking them, before the loop gets its turn."""


async def sweep(  # noqa: PLR0913 - one question with six sides, all named
    kernel: Kernel,
    asks: Sequence[Ask],
    *,
    timeout: float,  # noqa: ASYNC109 - the time an answer may take, not the call's
    tries: int,
    until_first: bool,
    deadline: float,
) -> Sweep:
    """Ask all of them; see Eyes.sweep().

    Raises:
        HostError: no socket can be had.
        ValueError: an address is asked for twice, or is none.
    """
    loop = asyncio.get_running_loop()
    start = loop.time()
    replies = dict.fromkeys((ask.address for ask in asks), Reply())
    if len(replies) != len(asks):
        raise ValueError("a sweep asks for one address twice")
    search = _Search(kernel, timeout=timeout, tries=tries, until_first=until_first, ends=start + deadline)
    try:
        await search.run(asks)
        await search.tell(replies)
    finally:
        search.close()
    return Sweep(replies, loop.time() - start)


class _Search:
    """One sweep under way."""

    def __init__(self, kernel: Kernel, *, timeout: float, tries: int, until_first: bool, ends: float) -> None:
        self._kernel = kernel
        self._loop = asyncio.get_running_loop()
        self._timeout = timeout
        self._tries = tries
        self._until_first = until_first
        self._ends = ends
        self._targets: dict[str, Target] = {}
        self._prober = Prober(kernel, self._targets, self._heard)
        self._waiting: set[Target] = set()
        self._waiter: asyncio.Future[None] | None = None
        self._found = False

    async def run(self, asks: Sequence[Ask]) -> None:
        """Ask everybody, as often as it takes."""
        await self._prepare(asks)
        targets = [target for target in self._targets.values() if target.tries]
        on_link = [target for target in targets if target.arp]
        if len(on_link) > CHUNK:
            if self._until_first:
                await self._round(targets[:_SLICE])
            await self._arp_rounds(on_link)
            await self._direct_round([target for target in on_link if target.mac and not target.settled])
        queue = deque(target for target in targets if not target.settled)
        while queue and not self._over():
            chunk = [queue.popleft() for _ in range(min(CHUNK, len(queue)))]
            await self._round(chunk)
            queue.extend(target for target in chunk if not target.settled)

    async def tell(self, replies: dict[str, Reply]) -> None:
        """Put down what became of each host; a link that went down meanwhile takes its silence with it."""
        lost = frozenset() if self._found else self._lost_links()
        out_of_time = not self._found and self._loop.time() >= self._ends
        for count, (address, target) in enumerate(self._targets.items(), 1):
            link = target.ask.link
            if link is not None and link.index in lost:
                target.give_up(f"{link.name} went down or lost its carrier meanwhile")
            elif out_of_time:
                target.out_of_time("no time was left to wait for its answer")
            replies[address] = target.reply(cut_short=self._found)
            if count % _BREATH == 0:
                await asyncio.sleep(0)

    def close(self) -> None:
        self._prober.close()

    async def _prepare(self, asks: Sequence[Ask]) -> None:
        for count, ask in enumerate(asks, 1):
            if ask.address not in self._targets:
                self._targets[ask.address] = Target(ask, self._tries)
            if count % _BREATH == 0:
                await asyncio.sleep(0)

    async def _round(self, chunk: list[Target]) -> None:
        """Ask these by ICMP, then those still silent by ARP as well, and wait for the answers."""
        chunk = [target for target in chunk if not target.settled]  # late answers come while they queue
        self._begin(chunk)
        asked_again_at = self._loop.time() + self._timeout * _ARP_AFTER
        await self._send(chunk, self._prober.ask, _PAUSE)
        if any(target.wants_more for target in chunk):
            await self._wait(asked_again_at)
            again = [target for target in chunk if target in self._waiting]
            await self._send(again, self._prober.ask_again, _PAUSE)
        waited = await self._wait_out()
        for target in chunk:
            target.end_round(waited=waited)

    async def _arp_rounds(self, targets: list[Target]) -> None:
        """Ask all by ARP alone, as often as each is to be asked; those who stay silent are settled."""
        for _ in range(self._tries):
            silent = [target for target in targets if target.arp and target.arp.rtt is None]
            if self._over() or not silent:
                break
            self._begin(silent)
            await self._send(silent, self._prober.ask_arp, _ARP_PAUSE)
            waited = await self._wait_out()
            for target in silent:
                if target.arp:
                    target.arp.end_round(waited=waited)
        for target in targets:
            if target.arp and target.arp.silent and target.arp.rtt is None:
                target.imply_silence()

    async def _direct_round(self, targets: list[Target]) -> None:
        """Ask those who answered ARP by ICMP, past the neighbour table, in which they had no room together.

        A firewall of ours may drop answers to what it has not seen leave (conntrack calls them invalid). So
        silence counts only of those for whom ARP is proof enough; the others are asked the usual way too.
        """
        self._begin(targets)
        await self._send(targets, self._prober.ask_directly, _ARP_PAUSE)
        waited = await self._wait_out()
        for target in targets:
            if target.icmp:
                target.icmp.end_round(waited=waited and target.ask.arp_counts)

    def _begin(self, targets: list[Target]) -> None:
        self._waiting = set(targets)
        self._prober.begin_round()

    async def _send(self, targets: list[Target], ask: Callable[[Target], None], pause: float) -> None:
        """Ask in slices, reading in between, until all are asked or the sweep is over."""
        for begin in range(0, len(targets), _SLICE):
            if begin:
                await self._wait(self._loop.time() + pause)
            if self._over():
                return
            for target in targets[begin : begin + _SLICE]:
                ask(target)
            self._prober.hear()

    def _heard(self, target: Target) -> None:
        if target.main and target.main.rtt is not None:
            self._waiting.discard(target)
        self._found = self._found or (self._until_first and target.found)
        if (self._found or not self._waiting) and self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def _over(self) -> bool:
        return self._found or self._loop.time() >= self._ends

    async def _wait_out(self) -> bool:
        """Wait for the answers to all that was sent; whether they had their full time."""
        due = self._prober.last_sent + self._timeout
        await self._wait(due)
        return self._loop.time() >= due

    async def _wait(self, until: float) -> None:
        """Wait until then, the end of the sweep, or until nobody is waited for any more."""
        until = min(until, self._ends)
        if self._found or not self._waiting or self._loop.time() >= until:
            return
        self._prober.watch()
        self._waiter = self._loop.create_future()
        timer = self._loop.call_at(until, _release, self._waiter)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _lost_links(self) -> frozenset[int]:
        links = {t.ask.link.index for t in self._targets.values() if t.ask.link and t.ask.link.ready}
        return frozenset(index for index in links if not self._kernel.is_ready(index))


def _release(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
