"""Costs of attribution in the main process: decisions, the join of a full buffer, and memory.

Times are processor time. A decision is measured with and without the domain, a minute after the previous one,
with accesses to all disks in between and without any.
"""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import time
import tracemalloc
from typing import Final

from attribution.traces import event, reading
from disks.policy.simulation import MINUTE, DiskSimulation
from facts import DOMAINS

from powerd.attribution.history import StoredWake, WakesDocument, restore
from powerd.attribution.join import join
from powerd.attribution.model import EventKind
from powerd.core import decide as core
from powerd.core.domain import Domain
from powerd.disks.model import Disk, DiskId
from powerd.simulation.clock import StoppedClock
from powerd.simulation.drive import DriveSimulator

ROUNDS: Final = 200
WITHOUT: Final = tuple(domain for domain in DOMAINS if domain.name != "attribution")
_IMPORTS: Final = """
import powerd.smart.service, powerd.power.service, powerd.requests.service, powerd.presence.service
import powerd.activity.source, powerd.linux.helper_client
def resident(): return int(open("/proc/self/statm").read().split()[1]) * 4
before = resident()
import powerd.attribution.policy, powerd.attribution.service
print(resident() - before)
"""


def decision_time(disks: int, domains: tuple[Domain, ...], *, used: bool) -> float:
    """Microseconds of processor time for a decision, median."""
    simulation = DiskSimulation(
        *(DriveSimulator(Disk(DiskId(f"ata-X_{n}"), f"sd{n}", f"8:{16 * n}")) for n in range(disks))
    )
    simulation.run_until(MINUTE)
    times = []
    gc.collect()
    gc.freeze()
    for _ in range(ROUNDS):
        simulation.at += MINUTE
        for drive in simulation.drives.values():
            drive.ios += used
        simulation.poll()
        began = time.thread_time()
        decision = core.decide(
            simulation.snapshot, simulation.memory, simulation.options, simulation.now, domains
        )
        times.append((time.thread_time() - began) * 1e6)
        simulation.memory = decision.memory
    return statistics.median(times)


def join_time() -> float:
    """Milliseconds of processor time for 2,000 different events, of which 600 are accesses."""
    kinds: tuple[EventKind, ...] = ("dirty", "io", "writeback")
    events = [
        event(100 + n / 1000, kinds[n % 3], 2 if n % 3 == 2 else 1000 + n, inode=n) for n in range(2000)
    ]
    given = reading(*events)
    began = time.thread_time()
    join(given)
    return (time.thread_time() - began) * 1e3


def stored_wakes_size() -> float:
    """Kilobytes of 200 wakes of each of four disks."""
    wakes = tuple(
        StoredWake(
            1e9 + n, 100.0, certainty="certain", unit="cron.service", comm="cron", pid=n, path=f"/var/{n}"
        )
        for n in range(200)
    )
    document = WakesDocument({DiskId(f"ata-X_{n}"): wakes for n in range(4)})
    tracemalloc.start()
    found = restore(document, StoppedClock().now())
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == len(document.wakes)
    return size / 1024


def main() -> int:
    """Print the table; 1 if a figure is missed."""
    imports = subprocess.run([sys.executable, "-c", _IMPORTS], check=True, capture_output=True, text=True)
    rows = [
        ("modules, kB", float(imports.stdout), 600.0),
        ("4 disks, 200 wakes each, kB", stored_wakes_size(), 424.0),
        ("join of 2,000 events, ms", join_time(), 500.0),
    ]
    for disks, limit in ((1, 100.0), (4, 100.0), (100, 1000.0)):
        for used in (False, True):
            added = decision_time(disks, DOMAINS, used=used) - decision_time(disks, WITHOUT, used=used)
            rows.append((f"decision, {disks} {'used' if used else 'idle'} disks, us more", added, limit))
    for name, figure, limit in rows:
        print(f"{name:<40}{figure:>10.1f}{limit:>10.1f}")
    return int(any(figure > limit for _, figure, limit in rows))


if __name__ == "__main__":
    sys.exit(main())
