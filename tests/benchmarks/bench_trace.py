"""Costs of recording the accesses to a disk: on other disks, on a busy disk, and in a burst.

Needs root and tracefs. Two ext4 file systems are on loop devices; the helper's code records accesses to one.

- not traced: rewriting files on the other disk, with and without the record.
- saturated: the same on the recorded disk, whose buffer is full soon. Rounds with and without the record
  alternate, and the medians are compared, because the load of a virtual machine's host varies.
- forks: programs started one after the other, each of which is recorded.
- burst: a program changes files at 10,000 events a second; the processor time that the kernel adds to it,
  plus that of the request that reads the record, in percent of a processor; the number of changes in the
  record.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from helper.loop_devices import FILESYSTEM_SIZE, INSTANCES, LoopDevices

from powerd.helper.disks.device import DiskDevice, find_disk
from powerd.helper.disks.trace_recorder import read_trace, stop_trace

OTHERS_AT_MOST: Final = 0.02
"""Share of the time; 0 within the error of this measurement."""
SATURATED_AT_MOST: Final = 0.05
BURST_AT_MOST: Final = 0.02
RATE: Final = 10_000
FIRST: Final = 1000
FILES: Final = 200
BLOCK: Final = b"x" * 4096


def rewrite(place: Path) -> None:
    """Rewrite FILES files of 40 kB, and wait until they are on the disk."""
    for name in range(FILES):
        with (place / str(name)).open("wb", buffering=0) as file:
            for _block in range(10):
                file.write(BLOCK)
    descriptor = os.open(place, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def start_programs(_place: Path) -> None:
    """Start a program a hundred times."""
    for _ in range(100):
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)


def processor_time(work: Callable[[], object]) -> float:
    """Seconds that this process, its children and the kernel for them take for ``work``."""

    def used() -> float:
        usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    before = used()
    work()
    return used() - before


def compare(work: Callable[[Path], None], place: Path, disk: DiskDevice, root: Path, rounds: int) -> float:
    """How much more processor time ``work`` takes while ``disk`` is recorded, as a share."""
    times: dict[bool, list[float]] = {True: [], False: []}
    for number in range(2 * rounds + 2):
        recorded = bool(number % 2)
        if recorded:
            read_trace([disk.name], root, allow_loops=True)
            work(place)  # fills the buffers, if the disk is recorded
        spent = processor_time(lambda: work(place))
        if number > 1:
            times[recorded].append(spent)
        stop_trace(root)
    with_record, without = statistics.median(times[True]), statistics.median(times[False])
    print(f"  {without * 1000:7.1f} ms without, {with_record * 1000:7.1f} ms with the record", end="")
    return with_record / without - 1


def burst(place: Path, seconds: float) -> None:
    """Change attributes of files, which fires two events each, at RATE events a second."""
    started, changed = time.monotonic(), 0
    while (elapsed := time.monotonic() - started) < seconds:
        while changed < elapsed * RATE / 2:
            os.utime(place / str(changed % FILES), (changed, changed))
            changed += 1
        time.sleep(0.001)


@contextmanager
def only_user_of_the_names() -> Iterator[None]:
    """Wait for tests that use instances of the same names."""
    lock = os.open(INSTANCES, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    yield
    os.close(lock)


def main() -> int:
    """Print the figures; the exit status is 1 if one is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the burst")
    arguments = parser.parse_args()
    if not INSTANCES.is_dir():
        print("not measured: no tracefs; mount it with: mount -t tracefs nodev /sys/kernel/tracing")
        return 1
    missed = False

    def report(name: str, value: float, at_most: float) -> None:
        nonlocal missed
        missed |= value > at_most
        print(f"  {name}: {value:+.1%} (at most {at_most:.0%})")

    with (
        only_user_of_the_names(),
        tempfile.TemporaryDirectory() as scratch,
        LoopDevices(Path(scratch), 2, FILESYSTEM_SIZE) as loops,
    ):
        places = []
        for number in range(2):
            loops.make_filesystem(number, "ext4")
            places.append(loops.mount(number, "noinit_itable,no_prefetch_block_bitmaps"))
            rewrite(places[-1])
        disk = find_disk(loops.root, loops.ids[0], allow_loops=True)
        rounds = arguments.rounds
        report(
            "a disk that is not traced", compare(rewrite, places[1], disk, loops.root, rounds), OTHERS_AT_MOST
        )
        report("a saturated disk", compare(rewrite, places[0], disk, loops.root, rounds), SATURATED_AT_MOST)
        report(
            "programs started",
            compare(start_programs, places[0], disk, loops.root, rounds),
            SATURATED_AT_MOST,
        )

        seconds = arguments.seconds
        unrecorded = processor_time(lambda: burst(places[0], seconds))
        read_trace([disk.name], loops.root, allow_loops=True)
        recorded = processor_time(lambda: burst(places[0], seconds))
        readings = []
        request = processor_time(
            lambda: readings.append(read_trace([disk.name], loops.root, allow_loops=True))
        )
        stop_trace(loops.root)
        changes = [event for event in readings[0].events if event.kind in {"dirty", "journal"}]
        named = sum(event.count for event in changes if event.pid == os.getpid())
        print(
            f"  {RATE} events a second for {seconds:.0f} s: {recorded - unrecorded:+.2f} s of the kernel, "
            f"{request:.3f} s of the request; {named} changes named, {readings[0].lost} not recorded"
        )
        report("of a processor", (max(recorded - unrecorded, 0) + request) / seconds, BURST_AT_MOST)
        missed |= named < FIRST
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
