"""Waits for the first access to any of some sleeping disks.

The kernel tells of it at once where tracefs can be had, and nobody wakes up until then. Elsewhere sysfs is
read every second: the sectors read and written, for those do not move by commands like hdparm's, which Linux
before 5.18 counts as reads; and what is in flight, for sectors do not move either while a spindle starts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from powerd.helper.disks import Disk
from powerd.helper.log import WARNING, tell
from powerd.helper.trace import NoTraceError, Trace, requested, requests

EVERY: Final = 1.0
"""Seconds between two looks where tracefs is not to be had."""


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
    by_number = {disk.number: disk for disk in disks}
    told = await trace.wait(None, lambda events: not requested(events).isdisjoint(by_number))
    return next(disk for number, disk in by_number.items() if number in requested(told))


async def _noticed(disks: Sequence[Disk], every: float) -> Disk:
    """What a look now and then shows; in flight at two looks in a row is no mere command."""
    before = [(disk.sectors, disk.in_flight) for disk in disks]
    while True:
        await asyncio.sleep(every)
        now = [(disk.sectors, disk.in_flight) for disk in disks]
        for disk, (old, was_in_flight), (new, in_flight) in zip(disks, before, now, strict=True):
            if new != old or (was_in_flight and in_flight):
                return disk
        before = now
