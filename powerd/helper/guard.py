"""Waits for the first access to any of some sleeping disks.

The kernel tells of it at once where tracefs can be had, and nobody wakes up until then. Elsewhere sysfs is
read every second: /sys/block/X/stat (Documentation/block/stat.rst), the sectors read and written, for those
do not move by commands like hdparm's, which Linux before 5.18 counts as reads; and ``inflight``, for sectors
do not move either while a spindle starts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from powerd.helper.disks import Disk
from powerd.helper.log import WARNING, tell
from powerd.helper.trace import NoTraceError, Trace, requested, requests

EVERY: Final = 1.0
"""Seconds between two looks where tracefs is not to be had."""
_READ, _WRITTEN = 2, 6  # fields of stat that count sectors


async def first_access(disks: Sequence[Disk], root: Path, every: float = EVERY) -> Disk:
    """The first of ``disks`` that is read or written from now on, or is already.

    Args:
        disks: all asleep.
        root: where paths begin.
        every: seconds, as EVERY.
    """
    try:
        with Trace(root, requests(disk.number for disk in disks)) as trace:
            already = next((disk for disk in disks if disk.in_flight), None)
            return already or await _told(disks, trace)
    except NoTraceError as error:
        tell(WARNING, f"a group of {len(disks)} disks is looked at every {every:g} s, as {error}")
        return await _noticed(disks, every)


async def _told(disks: Sequence[Disk], trace: Trace) -> Disk:
    """What the kernel tells."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[Disk] = loop.create_future()

    def look() -> None:
        numbers = requested(trace.told())
        disk = next((disk for disk in disks if disk.number in numbers), None)
        if disk is not None and not found.done():
            found.set_result(disk)

    loop.add_reader(trace.fileno(), look)
    try:
        return await found
    finally:
        loop.remove_reader(trace.fileno())


class _Sight(NamedTuple):
    """What sysfs shows of a disk."""

    sectors: tuple[str, ...]
    in_flight: int


async def _noticed(disks: Sequence[Disk], every: float) -> Disk:
    """What a look now and then shows; in flight at two looks in a row is no mere command."""
    before = [_sight(disk) for disk in disks]
    while True:
        await asyncio.sleep(every)
        now = [_sight(disk) for disk in disks]
        for disk, old, new in zip(disks, before, now, strict=True):
            if new.sectors != old.sectors or (old.in_flight and new.in_flight):
                return disk
        before = now


def _sight(disk: Disk) -> _Sight:
    fields = disk.read("stat").split()
    sectors = tuple(fields[place] for place in (_READ, _WRITTEN) if place < len(fields))
    return _Sight(sectors, disk.in_flight)
