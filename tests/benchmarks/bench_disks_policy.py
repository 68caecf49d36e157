"""What deciding about disks costs: a thousand, spinning and asleep, alone and in groups of four.

Each round is a fresh look at all counters and one decision on it; processor time counts, not the wall clock.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from typing import Final

from disks.policy.simulation import MINUTE, DiskSimulation
from facts import decide

from powerd.disks.model import Disk, DiskId
from powerd.service import GC_THRESHOLD
from powerd.simulation.drive import DriveSimulator

DISKS: Final = 1000
ROUNDS: Final = 15
LIMIT: Final = 10.0


def thousand() -> DiskSimulation:
    """Every other disk is in a group of four."""
    disks = [
        Disk(DiskId(f"ata-X_{n}"), f"sd{n}", group=f"md{n // 8}" if n % 2 else None) for n in range(DISKS)
    ]
    return DiskSimulation(*(DriveSimulator(disk) for disk in disks))


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


def main() -> int:
    """Print the table; 1 if a figure is missed."""
    simulation = thousand()
    simulation.run_until(MINUTE)
    figures = {"1,000 spinning disks, ms": rounds(simulation)}
    simulation.run_until(simulation.at + 25 * MINUTE)
    figures["1,000 sleeping disks, ms"] = rounds(simulation)
    for name, figure in figures.items():
        print(f"{name:<40}{figure:>10.2f}{LIMIT:>10.2f}")
    return int(any(figure > LIMIT for figure in figures.values()))


if __name__ == "__main__":
    sys.exit(main())
