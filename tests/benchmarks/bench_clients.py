"""The longest stall of the event loop with thousands of clients, polled every five seconds.

Usage: python tests/benchmarks/bench_clients.py. Polls and decisions run on a simulated LAN whose clients all
have leases; no client answers, or all do, or no probe can be sent. Stalls are CPU time of this process.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Final

from powerd.config.load import parse
from powerd.core.clock import KernelClock
from powerd.core.decide import decide
from powerd.core.poller import PollDepth
from powerd.core.snapshot import Memory, Status
from powerd.core.state import StateStore
from powerd.daemon import DOMAINS
from powerd.linux.values import ProbeOutcome, ProbeReply, ProbeRequest, SweepResult
from powerd.presence.policy import client_policies
from powerd.presence.registry import ClientRegistry
from powerd.presence.source import PresenceSource
from powerd.simulation.clock import SimulatedClock
from powerd.simulation.lan import ANSWERS, FAILED, LEASES, SimulatedLan
from powerd.ui.events import TransitionDetector

MOST_MS: Final = 100.0
COUNTS: Final = (4_096, 12_000)
SILENT: Final = ProbeReply(icmp=ProbeOutcome.SILENT, arp=ProbeOutcome.SILENT)
REPLIES: Final = {"silent": SILENT, "answers": ANSWERS, "fails": FAILED}
ROUNDS: Final = 3


class ManyHosts(SimulatedLan):
    """A LAN on which all hosts give the same reply, in a sweep that yields to the event loop."""

    reply = SILENT

    async def sweep(
        self,
        requests: Sequence[ProbeRequest],
        *,
        timeout: float,  # noqa: ASYNC109 - the signature of the port Network
        tries: int,
        until_first: bool,
        deadline: float = 60.0,
    ) -> SweepResult:
        del timeout, tries, until_first, deadline
        replies = {}
        for count, request in enumerate(requests):
            replies[request.address] = self.reply
            if count % 256 == 0:
                await asyncio.sleep(0)
        return SweepResult(replies)


async def measure(count: int, reply: ProbeReply) -> tuple[float, float]:
    """The longest stall, and the CPU time of one round, in milliseconds."""
    lan = ManyHosts()
    lan.reply = reply
    lan.files[LEASES] = "".join(
        f"0 02:00:00:00:{n >> 8:02x}:{n & 255:02x} 10.0.{n >> 8}.{n & 255} host{n} *\n"
        for n in range(1, count + 1)
    )
    options = parse(b'[clients]\nlearn = "0s"\nevery = "5s"\nabsent_after = "10s"', "bench")
    policy_of = client_policies(options.clients)
    registry = ClientRegistry(lan, lan, {}, lambda *_: None)
    source = PresenceSource(
        lan,
        SimulatedClock(),
        lambda: options.clients,
        registry,
        lambda _: lambda client: policy_of(client).blocks_sleep,
    )
    state, clock, detector = StateStore(), KernelClock(), TransitionDetector()
    waits = [0.0]

    async def turn() -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            waits.append(time.thread_time() - before)

    turning = asyncio.create_task(turn())
    memory = Memory.initial(clock.now())
    started = time.thread_time()
    for _ in range(ROUNDS):
        state.publish(source.name, await source.poll(PollDepth.FULL))
        await asyncio.sleep(0)
        for _ in range(2):  # one more decision is usually due for another source
            decision = decide(state.snapshot(), memory, options, clock.now(), DOMAINS)
            memory = decision.memory
            detector.entries(Status(clock.now(), "observe", state.snapshot(), decision, clock.now()))
            await asyncio.sleep(0)
    took = time.thread_time() - started
    turning.cancel()
    return max(waits) * 1e3, took * 1e3 / ROUNDS


def main() -> int:
    """Print a row for each number of clients and kind of reply."""
    print(f"{'clients':>8} {'reply':>8} {'longest stall':>13} {'per round':>10}")
    failed = False
    for count in COUNTS:
        for name, reply in REPLIES.items():
            wait, took = asyncio.run(measure(count, reply))
            failed = failed or wait > MOST_MS
            print(f"{count:8} {name:>8} {wait:10.0f} ms {took:7.0f} ms")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
