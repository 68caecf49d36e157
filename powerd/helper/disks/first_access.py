"""Waits for the first access to one of several disks in standby, and spins a disk up.

Tracefs reports an access at once, without a wake-up before. Without tracefs sysfs is read every second: the
sectors read and written, which passthrough commands such as hdparm's do not change (Linux before 5.18
counts them as reads), and the requests in progress, because the sectors do not change while a drive is
spinning up.
"""

from __future__ import annotations

import asyncio
import fcntl
import mmap
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from powerd.helper.disks.device import DiskDevice, open_disk
from powerd.helper.disks.tracefs import Trace, TracefsUnavailableError, request_filter, requested_disks
from powerd.helper.errors import WARNING, RefusalError, log_line

_BLOCK: Final = 4096  # a multiple of every logical block size


def spin_up(disk: DiskDevice) -> None:
    """Spin a disk up by reading a block at a random place, which the drive's cache does not hold; blocks.

    Raises:
        RefusalError: the disk cannot be read.
    """
    blocks = disk.size // _BLOCK
    offset = random.randrange(blocks) * _BLOCK if blocks else 0  # noqa: S311 - no secret, just another place
    descriptor = open_disk(disk)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_DIRECT)  # which also clears O_NONBLOCK
        with mmap.mmap(-1, _BLOCK) as page:  # O_DIRECT requires aligned memory
            os.preadv(descriptor, [page], offset)
    except OSError as error:
        raise RefusalError(f"{disk.name} cannot be read: {error.strerror or error}; see dmesg") from None
    finally:
        os.close(descriptor)


POLL_INTERVAL: Final = 1.0
"""Seconds between two reads of sysfs without tracefs."""


async def wait_for_first_access(
    disks: Sequence[DiskDevice], root: Path, interval: float = POLL_INTERVAL
) -> DiskDevice:
    """The first of ``disks`` that is being read or written, or will be.

    Args:
        disks: all in standby.
        root: the directory that paths start at.
        interval: seconds, as POLL_INTERVAL.
    """
    try:
        with Trace(root, request_filter(disk.device_number for disk in disks)) as trace:
            in_progress = next((disk for disk in disks if disk.in_flight), None)
            return in_progress or await _access_from_trace(disks, trace)
    except TracefsUnavailableError as error:
        log_line(WARNING, f"a group of {len(disks)} disks is polled every {interval:g} s, because {error}")
        return await _access_from_counters(disks, interval)


async def _access_from_trace(disks: Sequence[DiskDevice], trace: Trace) -> DiskDevice:
    """The first access that tracefs reports."""
    by_number = {disk.device_number: disk for disk in disks}
    traced = await trace.wait(None, lambda events: not requested_disks(events).isdisjoint(by_number))
    return next(disk for number, disk in by_number.items() if number in requested_disks(traced))


async def _access_from_counters(disks: Sequence[DiskDevice], interval: float) -> DiskDevice:
    """The first access in sysfs; a request in progress at two reads in a row is not a passthrough command."""
    previous = [(disk.sectors, disk.in_flight) for disk in disks]
    while True:
        await asyncio.sleep(interval)
        current = [(disk.sectors, disk.in_flight) for disk in disks]
        for disk, (old, was_in_flight), (new, in_flight) in zip(disks, previous, current, strict=True):
            if new != old or (was_in_flight and in_flight):
                return disk
        previous = current
