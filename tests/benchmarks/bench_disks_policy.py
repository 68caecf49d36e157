"""Costs of decisions about a thousand disks: spinning and in standby, single and in groups of four.

Each round is a poll of all counters and one decision on it; times are processor time.
A spin-down of one disk takes the decision on the poll for which it is due, one on the result of the command,
one when VERIFY_AFTER has passed, and one on the result of the power mode check; each concerns all disks.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Final

from disks.policy.simulation import MINUTE, DiskSimulation
from facts import decide

from powerd.core.snapshot import Decision
from powerd.disks.model import Disk, DiskId
from powerd.disks.policy.limits import VERIFY_AFTER
from powerd.disks.state import DiskState
from powerd.service import GC_THRESHOLD
from powerd.simulation.drive import DriveSimulator

DISKS: Final = 1000
ROUNDS: Final = 15
AFTER: Final = 20 * MINUTE
"""The default of spin_down_after."""
LIMIT: Final = 10.0
SPIN_DOWN_LIMIT: Final = 5 * LIMIT


class TimedSimulation(DiskSimulation):
    """Measures the processor time of its decisions, in milliseconds."""

    times: Sequence[float] = ()

    def decide_now(self) -> Decision:
        began = time.thread_time()
        decision = super().decide_now()
        self.times = (*self.times, (time.thread_time() - began) * 1e3)
        return decision


def thousand() -> TimedSimulation:
    """Every other disk is in a group of four."""
    disks = [
        Disk(DiskId(f"ata-X_{n}"), f"sd{n}", group=f"md{n // 8}" if n % 2 else None) for n in range(DISKS)
    ]
    return TimedSimulation(*(DriveSimulator(disk) for disk in disks))


def rounds(simulation: DiskSimulation) -> float:
    """Milliseconds of processor time for a decision, median."""
    times = []
    gc.collect()
    gc.freeze()  # as the daemon does after its start, and the next line too
    gc.set_threshold(GC_THRESHOLD)
    for _ in range(ROUNDS):
        simulation.at += 1
        simulation.poll()
        began = time.thread_time()
        decision = decide(simulation.snapshot, simulation.memory, simulation.options, simulation.now)
        times.append((time.thread_time() - began) * 1e3)
        simulation.memory = decision.memory
    return statistics.median(times)


def one_spin_down(simulation: TimedSimulation) -> tuple[float, float]:
    """Decisions from the moment at which one disk is due to its confirmed standby, and their milliseconds."""
    first, *others = simulation.drives.values()
    simulation.run_until(15 * MINUTE)
    for drive in others:
        drive.access(simulation.at)
    simulation.run_until(AFTER - 1)
    simulation.times = ()
    simulation.run_until(AFTER + VERIFY_AFTER + 5)
    times = simulation.times[1:-1]  # without those with which run_until() begins and ends
    assert simulation.state() is DiskState.STANDBY
    assert [what for _, what in first.log if what == "ata"] == ["ata"]
    return len(times), sum(times)


def main() -> int:
    """Print the table; 1 if a figure is missed."""
    simulation = thousand()
    simulation.run_until(MINUTE)
    spinning = rounds(simulation)
    decisions, spin_down = one_spin_down(simulation)
    simulation.run_until(simulation.at + 40 * MINUTE)
    rows = [
        ("1,000 spinning disks, ms", spinning, LIMIT),
        ("1,000 disks in standby, ms", rounds(simulation), LIMIT),
        ("spin-down of 1 disk of 1,000, decisions", decisions, SPIN_DOWN_LIMIT / LIMIT),
        ("spin-down of 1 disk of 1,000, ms", spin_down, SPIN_DOWN_LIMIT),
    ]
    for name, figure, limit in rows:
        print(f"{name:<40}{figure:>10.2f}{limit:>10.2f}")
    return int(any(figure > limit for _, figure, limit in rows))


if __name__ == "__main__":
    sys.exit(main())
