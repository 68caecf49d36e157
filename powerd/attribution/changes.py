"""What an access is joined to: changes to files that the kernel writes later, and events of the same time."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from powerd.attribution.culprits import Culprits
from powerd.attribution.model import Culprit, TraceEvent, TraceReading
from powerd.disks.model import DiskId

CHANGE_LIFETIME: Final = 900.0
"""Seconds for which a change is stored: servers that let disks sleep delay writes by minutes."""
MAX_CHANGES: Final = 300
"""Changes that are remembered at most, the latest."""
NOT_WRITTEN: Final = float("-inf")
"""``written_at`` of an inode that has not been written since tracing began."""

_OF_DEVICE: Final = re.compile(
    r"(?:jbd2|xfsaild|xfs-\w+)/(?P<name>sd[a-z]+|dm-|md|loop)(?P<number>[0-9]*)(?:-[0-9]+)?$"
)
"""Kernel threads that are named after the device of their file system."""
_SD_MAJORS: Final = frozenset({8, *range(65, 72), *range(128, 136)})
_NAMES: Final[Mapping[int, str]] = {**dict.fromkeys(_SD_MAJORS, "sd"), 7: "loop", 9: "md", 259: "partition"}
"""Device names by the major numbers in Documentation/admin-guide/devices.txt; device mapper's is dynamic."""
SLACK: Final = 2.0
"""Seconds by which events that belong together may be apart."""


class Change(NamedTuple):
    """A change that is written later.

    Attributes:
        device, disks: the device as in TraceEvent, and the disks below it.
        inode, name, operation: as in TraceEvent.
        culprit: who made it.
        starts_handle: it started a handle of the journal.
        first_at, last_at: CLOCK_MONOTONIC.
        written_at: CLOCK_MONOTONIC of the last write-back of the inode.
        incomplete: events of that time are missing, so others may have changed the same.
    """

    device: str
    disks: tuple[DiskId, ...]
    inode: int
    name: str
    operation: str
    culprit: Culprit
    starts_handle: bool
    first_at: float
    last_at: float
    written_at: float = NOT_WRITTEN
    incomplete: bool = False


def device_of_thread(comm: str, devices: Iterable[str]) -> str:
    """The device of the file system that a kernel thread writes to; "" = unknown.

    Args:
        comm: the name of the thread: ``jbd2/sdb2-8``, ``xfsaild/dm-3``.
        devices: the keys of TraceReading.devices of one disk; an event has only the number of the disk.
    """
    thread = _OF_DEVICE.match(comm)
    if thread is None:
        return ""
    found = []
    for device in devices:
        major, _, minor = device.partition(":")
        if not (major.isdecimal() and minor.isdecimal()):
            continue
        name = _NAMES.get(int(major), "dm-")
        number = int(minor) % 16 if name == "sd" else int(minor)
        if thread["name"].startswith(name) and int(thread["number"] or 0) == number:
            found.append(device)
    return found[0] if len(found) == 1 else ""


def overlap(event: TraceEvent, other: TraceEvent) -> bool:
    """Whether both happened at the same time, or up to SLACK apart."""
    return other.first_at <= event.last_at + SLACK and other.last_at >= event.first_at - SLACK


class EventTimes:
    """Events by time, for those that overlap with another one.

    One look-up takes logarithmic time, besides the events that it returns: a reading has up to 2,000.
    """

    def __init__(self, events: Iterable[TraceEvent]) -> None:
        self._events = sorted(events, key=lambda each: each.first_at)
        self._first_at = [each.first_at for each in self._events]
        self._ended = list(accumulate((each.last_at for each in self._events), max))

    def during(self, event: TraceEvent) -> list[TraceEvent]:
        """Those events."""
        begin, end = self._range(event)
        return [each for each in self._events[begin:end] if overlap(event, each)]

    def any_during(self, event: TraceEvent) -> bool:
        """Whether there is one."""
        begin, end = self._range(event)
        return begin < end

    def _range(self, event: TraceEvent) -> tuple[int, int]:
        """From the first that has not ended before, to those that begin after; empty if there is none."""
        return (
            bisect_left(self._ended, event.first_at - SLACK),
            bisect_right(self._first_at, event.last_at + SLACK),
        )


def made_changes(trace: TraceReading, culprits: Culprits) -> Iterator[Change]:
    """The changes in a reading, by the order of its events."""
    for event in trace.events:
        if (
            event.kind in {"dirty", "journal"}
            and event.operation != "sync"
            and not culprits.is_delegate(event)
        ):
            yield Change(
                event.device,
                trace.devices.get(event.device, ()),
                event.inode,
                event.name,
                event.operation,
                culprits.of(event),
                event.kind == "journal",
                event.first_at,
                event.last_at,
            )


def without_allocations(changes: Sequence[Change], trace: TraceReading) -> list[Change]:
    """The changes, by time, without those that a process has made only by synchronising another's data.

    ext4 allocates the blocks of a file when it writes them, in the process that calls fsync(2), and starts
    handles of the journal for it.
    """
    synchronised: dict[tuple[int | None, int], float] = {}
    for event in trace.events:
        if event.operation == "sync":
            synchronised.setdefault((event.pid, event.inode), event.first_at)
    found: list[Change] = []
    changed_by: dict[int, set[int | None]] = {}
    for change in sorted(changes, key=lambda change: change.first_at):
        pid, processes = change.culprit.pid, changed_by.setdefault(change.inode, set())
        since = min(synchronised.get((pid, inode), float("inf")) for inode in (change.inode, 0))
        if since <= change.first_at and processes and pid not in processes:
            continue
        processes.add(pid)
        found.append(change)
    return found


def remembered_changes(changes: Sequence[Change], trace: TraceReading) -> tuple[Change, ...]:
    """The latest changes, with the last write-back of the inode of each."""
    end = max((event.last_at for event in trace.events), default=trace.since)
    written: dict[tuple[int, DiskId], float] = {}
    for event in trace.events:
        if event.kind == "writeback" and event.inode:
            for disk in trace.devices.get(event.device, ()):
                key = (event.inode, disk)
                written[key] = max(written.get(key, NOT_WRITTEN), event.last_at)
    latest = [change for change in changes if change.last_at >= end - CHANGE_LIFETIME][-MAX_CHANGES:]
    return tuple(
        [
            change._replace(
                written_at=max(
                    (written[change.inode, disk] for disk in change.disks if (change.inode, disk) in written),
                    default=change.written_at,
                )
            )
            for change in latest
        ]
    )
