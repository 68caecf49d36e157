"""Joins trace events to accesses: the process that caused an access is often not the one that made it.

Linux writes changed data later, by threads of its own. Measured on ext4 with the defaults, after one write of
9 kB: the journal is committed after 4 s (jbd2), metadata are written after 28 s and the data after 33 s
(kworker). So for each disk:

- A read is by the process that submits it, as are direct I/O and passthrough commands.
- Write-back of an inode is by those that have changed the inode since it was last written.
- A commit of the journal, and write-back of the block device's own inode, which is metadata, are by those
  that have started handles of the journal since the last commit. XFS and btrfs fire no event for a handle;
  there all changes count.
- A process that only synchronises (sync(1), a backup tool) writes what others have changed; they count.
- Threads of md and device mapper pass on what was submitted to the device above.

An unrelated event never changes the culprits.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Final, NamedTuple, TypeVar

from powerd.attribution.changes import (
    MAX_CHANGES,
    NOT_WRITTEN,
    SLACK,
    Change,
    EventTimes,
    device_of_thread,
    made_changes,
    overlap,
    remembered_changes,
    without_allocations,
)
from powerd.attribution.culprits import OWN_UNITS, Culprits
from powerd.attribution.model import (
    Access,
    Certainty,
    Culprit,
    FileReading,
    TraceEvent,
    TraceReading,
    WatchLevel,
)
from powerd.attribution.paths import merged, with_paths
from powerd.disks.model import DiskId

WRITEBACK_WITHIN: Final = 60.0
"""Seconds from a change to the write: the default of 30 s for dirty data, and some for the commit."""
_MAX_CAUSES: Final = 20
"""Culprits and files that one access is divided between, the first ones."""
_STACKED: Final = re.compile(r"kcryptd|dmcrypt_write|kdmflush|md\d+_raid")
"""Those of md and device mapper. Newer kernels do the same in a kworker."""


class Joined(NamedTuple):
    """The accesses of a reading, by time, and the changes that are remembered for the next one."""

    accesses: tuple[Access, ...] = ()
    changes: tuple[Change, ...] = ()


class _Cause(NamedTuple):
    """The cause of an access."""

    culprit: Culprit
    operation: str
    certainty: Certainty
    inode: int = 0
    name: str = ""


def join(
    trace: TraceReading,
    earlier: Sequence[Change] = (),
    files: FileReading | None = None,
    users: Mapping[int, str] | None = None,
) -> Joined:
    """The accesses to each disk in a reading.

    Args:
        trace: the reading.
        earlier: what the last call has returned.
        files: what the second helper has read of the same time; None = nothing.
        users: names by user id.
    """
    culprits = Culprits(trace.processes, users or {})
    changes = without_allocations([*earlier, *made_changes(trace, culprits)], trace)
    if trace.lost:
        changes = [change._replace(incomplete=True) for change in changes]
    disks = dict.fromkeys(disk for below in trace.devices.values() for disk in below)
    metadata = frozenset(_device_inodes(trace.devices))
    found = [
        access for disk in disks for access in _DiskTrace(disk, trace, changes, culprits, metadata).accesses()
    ]
    if files is not None:
        found = with_paths(found, files)
    return Joined(tuple(merged(found)), remembered_changes(changes, trace))


class _DiskTrace:
    """The events of one disk."""

    def __init__(
        self,
        disk: DiskId,
        trace: TraceReading,
        changes: Sequence[Change],
        culprits: Culprits,
        metadata: frozenset[int],
    ) -> None:
        self._disk = disk
        self._culprits = culprits
        self._metadata = metadata
        self._devices = [device for device, below in trace.devices.items() if disk in below]
        self._changes = [change for change in changes if disk in change.disks]
        self._journals = {change.device for change in self._changes if change.starts_handle}
        self._changes_by_devices: dict[frozenset[str], list[Change]] = {}
        self._changes_by_inode = _grouped(self._changes, attrgetter("inode"))
        events = [event for event in trace.events if disk in trace.devices.get(event.device, ())]
        self._io = [event for event in events if event.kind == "io"]
        self._commands = [event for event in events if event.kind == "passthrough"]
        writebacks = [event for event in events if event.kind == "writeback"]
        self._writebacks = EventTimes(writebacks)
        self._writebacks_by_inode = _grouped(writebacks, attrgetter("inode"))
        self._writebacks_by_pid = {
            pid: EventTimes(written) for pid, written in _grouped(writebacks, attrgetter("pid")).items()
        }
        self._writes = EventTimes(event for event in self._io if event.operation == "write")
        self._submitted = {  # to each device, not by a thread of md or device mapper
            device: EventTimes(event for event in of_device if not _STACKED.match(event.comm))
            for device, of_device in _grouped(self._io, attrgetter("device")).items()
        }
        self._commits = _grouped(
            (each for each in self._io if each.comm.startswith("jbd2/")), attrgetter("comm")
        )
        self._syncs = _grouped((event for event in events if event.operation == "sync"), attrgetter("pid"))
        # An event of an array or a volume on several disks does not contain the disk that was accessed.
        self._shared = frozenset(device for device, below in trace.devices.items() if len(below) > 1)
        self._on_disk = EventTimes(event for event in self._io if event.device not in self._shared)

    def accesses(self) -> Iterator[Access]:
        """All of them."""
        for event in self._commands:
            yield self._access(event, self._submitter(event))
        counted = defaultdict[tuple[int, str], dict[str, TraceEvent]](dict)  # the last one of each device
        for event in self._io:
            if event.device in self._shared and not self._on_disk.any_during(event):
                continue
            last = counted[event.pid, event.operation]
            if any(each.device != event.device and overlap(event, each) for each in last.values()):
                continue  # the same access, on its way through a stack of devices
            last[event.device] = event
            causes = self._causes(event)[:_MAX_CAUSES]
            for cause in causes:
                yield self._access(event, cause, len(causes))

    def _access(self, event: TraceEvent, cause: _Cause, share: int = 1) -> Access:
        return Access(
            self._disk,
            cause.culprit,
            cause.operation,
            cause.name,
            cause.inode,
            event.first_at,
            event.last_at,
            max(event.count // share, 1),
            event.size // share,
            cause.certainty,
            WatchLevel.TRACE,
            cause.culprit.unit in OWN_UNITS,
        )

    def _submitter(self, event: TraceEvent, certainty: Certainty = "certain") -> _Cause:
        return _Cause(self._culprits.of(event), event.operation, certainty, event.inode, event.name)

    def _causes(self, event: TraceEvent) -> list[_Cause]:
        """The causes of an access; [] = it belongs to another access, which has them."""
        if self._culprits.is_delegate(event):
            if self._is_passed_on(event) or self._is_flush_of_write(event):
                return []
            return self._dirtiers(event) or [self._submitter(event, "unknown")]
        if event.operation == "read":
            return [self._submitter(event)]
        return self._synchronised(event) or [self._with_own_change(event)]

    def _with_own_change(self, event: TraceEvent) -> _Cause:
        """The submitter of a write, with the file that it has changed."""
        cause = self._submitter(event, "likely" if event.comm == "sync" else "certain")
        own = [each for each in self._changes if each.culprit.pid == event.pid and _precedes(each, event)]
        files = {(each.inode, each.name) for each in own if each.inode not in self._metadata}
        if len(files) != 1:
            return cause
        ((inode, name),) = files
        return cause._replace(inode=inode, name=name)

    def _is_passed_on(self, event: TraceEvent) -> bool:
        """Whether a thread of md or device mapper passes on what was submitted to the device above."""
        in_kworker = event.comm.startswith("kworker/") and not self._writebacks.any_during(event)
        if event.device in self._shared or not (in_kworker or _STACKED.match(event.comm)):
            return False
        above = [times for device, times in self._submitted.items() if device != event.device]
        return any(times.any_during(event) for times in above)

    def _is_flush_of_write(self, event: TraceEvent) -> bool:
        """Whether a flush ends a write or a commit of the journal."""
        return event.operation == "flush" and self._writes.any_during(event)

    def _synchronised(self, event: TraceEvent) -> list[_Cause]:
        """The changes of other processes that a process only writes; [] = it writes its own data."""
        synchronised = {
            each.inode: each
            for each in self._syncs.get(event.pid, ())
            if each.first_at <= event.last_at + SLACK and each.last_at >= event.first_at - WRITEBACK_WITHIN
        }
        if event.comm == "sync" or 0 in synchronised:  # of all files
            return self._dirtiers(event)
        made = {inode: self._changes_of_inode(each, event) for inode, each in synchronised.items()}
        if any(change.culprit.pid == event.pid for changes in made.values() for change in changes):
            return []
        return _distinct(
            cause
            for inode, changes in made.items()
            for cause in _causes_of_inode(changes, synchronised[inode], NOT_WRITTEN)
        )

    def _dirtiers(self, event: TraceEvent) -> list[_Cause]:
        """Those whose changes are written: by inode if the thread writes inodes, otherwise by time."""
        times = self._writebacks_by_pid.get(event.pid)
        written = times.during(event) if times else []
        causes = [cause for each in written for cause in self._dirtiers_of_inode(each)]
        if causes and not event.comm.startswith("jbd2/"):
            return _distinct(causes)
        metadata = {each.inode for each in written} & self._metadata - {0}
        changes = self._changes_on(self._filesystems(event, metadata))
        made = changes[: bisect_right(changes, event.last_at, key=attrgetter("first_at"))]
        since, minute_ago = self._last_commit(event), event.first_at - WRITEBACK_WITHIN
        recent = [each for each in made if each.last_at > since] or [
            each for each in made if each.last_at > minute_ago
        ]
        recent = recent[:MAX_CHANGES] or made[-1:]
        handles = [each for each in recent if each.starts_handle]
        in_journal = bool(metadata) or event.comm.startswith(("jbd2/", "btrfs-"))
        if in_journal and handles:
            recent = _about(recent, handles)
        elif handles and event.comm.startswith(("xfsaild/", "xfs-")):
            elsewhere = set(_about(recent, handles))
            recent, handles = [each for each in recent if each not in elsewhere], []
        journals = {each.device for each in handles}
        # Without an inode, a kworker writes for XFS or btrfs, so another file system may be meant.
        unsure = not in_journal and event.comm.startswith("kworker/") and not all(map(_is_btrfs, journals))
        late = bool(recent) and recent[0].last_at < minute_ago
        several = len({each.culprit.pid or each.culprit for each in recent}) > 1 or len(journals) > 1
        return _distinct(
            _cause_of(each, "likely" if unsure or late or several else "certain") for each in recent
        )

    def _changes_on(self, devices: frozenset[str]) -> list[Change]:
        """The changes on these file systems: an event of each has the device, others the backing device."""
        if not devices:
            return self._changes
        if devices not in self._changes_by_devices:
            on_devices = [each for each in self._changes if each.device in devices]
            self._changes_by_devices[devices] = _about(self._changes, on_devices)
        return self._changes_by_devices[devices]

    def _filesystems(self, event: TraceEvent, metadata: Iterable[int]) -> frozenset[str]:
        """The devices of the file systems that an event can write to; empty = unknown.

        Newer kernels report the whole disk for an access to a partition, so most events say it otherwise.
        """
        if metadata:
            return frozenset(f"{inode >> 20}:{inode & 0xFFFFF}" for inode in metadata)
        if event.comm.startswith("btrfs-"):
            return frozenset(filter(_is_btrfs, self._devices))
        device = device_of_thread(event.comm, self._devices)
        if not device and event.device in self._journals:
            device = event.device
        return frozenset({device} - {""})

    def _dirtiers_of_inode(self, written: TraceEvent) -> Iterator[_Cause]:
        """Those that have changed an inode since it was last written."""
        if written.inode not in self._metadata:
            changes = self._changes_of_inode(written, written)
            yield from _causes_of_inode(changes, written, written.first_at - WRITEBACK_WITHIN)

    def _changes_of_inode(self, written: TraceEvent, event: TraceEvent) -> list[Change]:
        """The changes of the inode of ``written`` that an event writes, since it was last written."""
        before = max(
            (
                each.last_at
                for each in self._writebacks_by_inode.get(written.inode, ())
                if each.last_at < event.first_at - SLACK
            ),
            default=NOT_WRITTEN,
        )
        return [
            each
            for each in self._changes_by_inode.get(written.inode, ())
            if _precedes(each, event)
            and each.last_at > max(before, each.written_at)
            and (each.device == written.device or not (_is_btrfs(each.device) or _is_btrfs(written.device)))
        ]

    def _last_commit(self, event: TraceEvent) -> float:
        """When the journal was last committed before a commit; of another write, a minute ago."""
        commits = self._commits[event.comm] if event.comm.startswith("jbd2/") else []
        return max(
            (each.last_at - SLACK for each in commits if each.last_at < event.first_at - SLACK),
            default=event.first_at - WRITEBACK_WITHIN,
        )


def _device_inodes(devices: Iterable[str]) -> Iterator[int]:
    """The inode of each block device, by which the kernel writes metadata: its number (dev_t)."""
    for device in devices:
        major, _, minor = device.partition(":")
        if major.isdecimal() and minor.isdecimal():
            yield int(major) << 20 | int(minor)
    yield 0


def _cause_of(change: Change, certainty: Certainty) -> _Cause:
    if change.incomplete:
        certainty = "likely"
    return _Cause(change.culprit, change.operation, certainty, change.inode, change.name)


def _precedes(change: Change, event: TraceEvent) -> bool:
    return change.first_at <= event.last_at


def _causes_of_inode(changes: Sequence[Change], written: TraceEvent, since: float) -> Iterator[_Cause]:
    """Those that have made the changes of an inode, the latest first; sure if it is one since then.

    Several file systems of a disk, or subvolumes, may have an inode of that number, and only some events
    contain the file system: ``written`` may have the backing device.
    """
    devices = {each.device for each in changes} - {written.device}
    journals = {each.device for each in changes if each.starts_handle}
    several = (
        len({each.culprit.pid or each.culprit for each in changes}) > 1
        or max(len(devices), len(journals)) > 1
    )
    for each in sorted(changes, key=attrgetter("last_at"), reverse=True):
        yield _cause_of(each, "likely" if several or each.last_at < since else "certain")


def _about(changes: Iterable[Change], chosen: Iterable[Change]) -> list[Change]:
    """The changes by the same processes of the same inodes as those that are chosen."""
    keys = set(map(_process_and_inode, chosen))
    return [each for each in changes if _process_and_inode(each) in keys]


def _is_btrfs(device: str) -> bool:
    return device.startswith("btrfs-")


_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


def _grouped(values: Iterable[_V], key: Callable[[_V], _K]) -> dict[_K, list[_V]]:
    """The values by key, in their order."""
    groups: dict[_K, list[_V]] = {}
    for value in values:
        groups.setdefault(key(value), []).append(value)
    return groups


def _distinct(causes: Iterable[_Cause]) -> list[_Cause]:
    """One cause of each culprit and inode: the most specific operation, in the order of the first of each."""
    found: dict[tuple[object, ...], _Cause] = {}
    for cause in causes:
        key = _process_and_inode(cause)
        earlier = found.get(key)
        if earlier is None or _weight(cause) > _weight(earlier):
            found[key] = cause if earlier is None else cause._replace(name=cause.name or earlier.name)
    return list(found.values())


def _process_and_inode(about: _Cause | Change) -> tuple[object, ...]:
    culprit = about.culprit  # its hash is that of all fields, by a function in Python
    return culprit.pid, culprit.comm, culprit.unit, about.inode


def _weight(cause: _Cause) -> int:
    """How specific an operation is: a deleted file is written to as well, and everything sets attributes."""
    return {"attributes": 0, "write": 1}.get(cause.operation, 2)
