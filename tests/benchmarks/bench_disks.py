"""Costs of polling disks: counters, a routine poll, an inventory, and a burst of hotplug events.

The disks are a tree of files by tests/rig/hardware.py. The counters are also read from the sysfs of this
machine, one block device under a hundred names. The burst needs root: the kernel emits ten thousand change
events of a loop device.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Final

from rig.hardware import Hardware

from powerd.core.clock import KernelClock
from powerd.core.poller import PollDepth
from powerd.disks.model import DiskFacts
from powerd.disks.source import counters
from powerd.disks.source.source import DiskSource
from powerd.linux.files import HostFiles
from powerd.linux.udev_monitor import BlockDeviceMonitor

DISKS: Final = 100
EVENTS: Final = 10_000
UEVENT: Final = Path("/sys/block/loop7/uevent")
LIMITS: Final = {
    "reading all counters, real sysfs, ms": 5.0,
    "the same, opening each file, ms": float("inf"),
    "a routine poll, ms": 5.0,
    "an inventory, ms": 100.0,
    "memory for hotplug, MB": 5.0,
    "burst: CPU of the monitor, s": 0.1,
    "burst: requested polls": 5.0,
}


def resident() -> float:
    """Resident memory of this process, MB (proc(5))."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def median_ms(work: Callable[[], object], rounds: int = 50) -> float:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times)


def real_counters() -> Iterator[tuple[str, float]]:
    """The files of a real block device under a hundred names.

    ``size`` replaces ``device/iorequest_cnt``, which a virtual disk does not have.
    """
    device = next(path for path in Path("/sys/block").iterdir() if (path / "power/runtime_status").exists())
    files = ("size", "stat", "power/runtime_status")
    paths = [f"{device}/{'./' * n}{file}" for n in range(DISKS) for file in files]
    sysfs = HostFiles(Path("/"))

    def read() -> list[counters.IoStat | None]:
        return [counters.parse_stat(text) for text in sysfs.read_cached(paths)[1::3]]

    assert all(read())
    yield "reading all counters, real sysfs, ms", median_ms(read)
    yield "the same, opening each file, ms", median_ms(lambda: [sysfs.read_text(path) for path in paths])
    sysfs.close()


async def rounds(root: Path) -> tuple[tuple[str, float], ...]:
    """Polls of a tree by the source: routine ones, and inventories after hotplug."""
    hardware = Hardware(root)
    for n in range(DISKS):
        hardware.sata(n, f"WCC{n}")
        hardware.partition(
            n, 1, ID_FS_TYPE="zfs_member", ID_FS_UUID=f"{n // 10}", ID_FS_LABEL=f"tank{n // 10}"
        )
    source = DiskSource(HostFiles(root), KernelClock())
    facts = await source.poll(PollDepth.ROUTINE)
    assert len(facts.part(DiskFacts).activity or {}) == DISKS
    quiet, fresh = [], []
    for _ in range(50):
        began = time.perf_counter()
        await source.poll(PollDepth.ROUTINE)
        quiet.append((time.perf_counter() - began) * 1e3)
    for _ in range(10):
        hardware.mount("8:1", "/srv", "ext4", "/dev/sda1")
        source = DiskSource(HostFiles(root), KernelClock())
        began = time.perf_counter()
        await source.poll(PollDepth.ROUTINE)
        fresh.append((time.perf_counter() - began) * 1e3)
    return (("a routine poll, ms", statistics.median(quiet)), ("an inventory, ms", statistics.median(fresh)))


async def storm() -> tuple[tuple[str, float], ...]:
    """Events as fast as the kernel emits them, for about 10 s, and the cost of receiving them."""
    numbers = count()
    before = resident()
    events = BlockDeviceMonitor(lambda: print(f"poll {next(numbers) + 1}"), "kernel")
    memory = resident() - before
    uevent, listening = os.open(UEVENT, os.O_WRONLY), 0.0
    for _ in range(100):
        for _ in range(EVENTS // 100):
            os.write(uevent, b"change")
        began = time.process_time()
        await asyncio.sleep(0.1)
        listening += time.process_time() - began
    os.close(uevent)
    events.close()
    return (
        ("memory for hotplug, MB", memory),
        ("burst: CPU of the monitor, s", listening),
        ("burst: requested polls", next(numbers)),
    )


def main() -> int:
    """Print the table; 1 if a figure is missed."""
    root = os.geteuid() == 0 and UEVENT.exists()
    figures = dict(asyncio.run(storm())) if root else {}  # first, while memory is no more than the daemon's
    figures |= real_counters()
    with tempfile.TemporaryDirectory() as scratch:
        figures |= asyncio.run(rounds(Path(scratch)))
    print(f"{DISKS} disks, {EVENTS} events")
    print(f"{'':40}{'at most':>10}{'measured':>10}")
    for title, most in LIMITS.items():
        measured = f"{figures[title]:10.2f}" if title in figures else f"{'not root':>10}"
        print(f"{title:40}{most:10g}{measured}")
    return int(any(figure > LIMITS[title] for title, figure in figures.items()))


if __name__ == "__main__":
    sys.exit(main())
