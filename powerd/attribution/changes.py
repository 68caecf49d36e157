"""Changes to files that the kernel writes later, and the process that has made each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from powerd.attribution.model import Culprit, TracedProcess, TraceEvent, TraceReading
from powerd.attribution.units import find_unit
from powerd.disks.model import DiskId

CHANGE_LIFETIME: Final = 900.0
"""Seconds for which a change is stored: servers that let disks sleep delay writes by minutes."""
MAX_CHANGES: Final = 300
"""Changes that are remembered at most, the latest."""
NOT_WRITTEN: Final = float("-inf")
"""``written_at`` of an inode that has not been written since tracing began."""

_DELEGATES: Final = re.compile(
    r"(kworker/|jbd2/|xfsaild/|xfs-|btrfs-|flush-|kcryptd|dmcrypt_write|kdmflush|md\d+_raid|dm_bufio|txg_sync)"
)
"""Kernel threads that write for others."""
_OF_DEVICE: Final = re.compile(
    r"(?:jbd2|xfsaild|xfs-\w+)/(?P<name>sd[a-z]+|dm-|md|loop)(?P<number>[0-9]*)(?:-[0-9]+)?$"
)
"""Kernel threads that are named after the device of their file system."""
_SD_MAJORS: Final = frozenset({8, *range(65, 72), *range(128, 136)})
_NAMES: Final[Mapping[int, str]] = {**dict.fromkeys(_SD_MAJORS, "sd"), 7: "loop", 9: "md", 259: "partition"}
"""Device names by the major numbers in Documentation/admin-guide/devices.txt; device mapper's is dynamic."""
_KERNEL_SERVERS: Final[Mapping[str, str]] = {"nfsd": "nfs-server.service"}
"""Kernel threads that serve clients, with the unit that starts them."""


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


def is_delegate(event: TraceEvent, process: TracedProcess | None) -> bool:
    """Whether the process of an event is a kernel thread that writes for others."""
    in_kernel = process is None or process.cgroup in {"", "/"}
    return in_kernel and _DELEGATES.match(event.comm) is not None


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


class Culprits:
    """The culprit of each process of a reading.

    A process id can have been used again: then only the row with the name of the event counts, and if there
    is none, nothing is known.
    """

    def __init__(self, processes: Iterable[TracedProcess], users: Mapping[int, str]) -> None:
        self._by_name: dict[tuple[int, str], TracedProcess] = {}
        self._by_pid: dict[int, TracedProcess | None] = {}
        for each in processes:
            self._by_name[each.pid, each.comm] = each
            self._by_pid[each.pid] = None if each.pid in self._by_pid else each
        self._users = users

    def _process(self, event: TraceEvent) -> TracedProcess | None:
        return self._by_name.get((event.pid, event.comm)) or self._by_pid.get(event.pid)

    def of(self, event: TraceEvent) -> Culprit:
        """The process in whose context an event happened."""
        process = self._process(event)
        unit, owner = find_unit(process.cgroup if process else "", self._users)
        if not unit and not owner:
            unit = _KERNEL_SERVERS.get(event.comm, "")
        is_process = process is None or not process.is_thread
        return Culprit(unit, event.comm, (event.pid or None) if is_process else None, owner)

    def is_delegate(self, event: TraceEvent) -> bool:
        """As the function."""
        return is_delegate(event, self._process(event))


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
