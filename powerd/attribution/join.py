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

Pure: an unrelated event never changes who is named.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Final, NamedTuple

from powerd.attribution.changes import (
    MAX_CHANGES,
    NOT_WRITTEN,
    Change,
    Culprits,
    made_changes,
    remembered_changes,
    without_allocations,
)
from powerd.attribution.model import (
    Access,
    Certainty,
    Culprit,
    FileReading,
    TraceEvent,
    TraceReading,
    WatchLevel,
)
from powerd.attribution.paths import common_path, with_paths
from powerd.disks.model import DiskId

OWN_UNITS: Final = frozenset({"powerd.service", "powerd-helper.service", "powerd-files.service"})
WRITEBACK_WITHIN: Final = 60.0
"""Seconds from a change to the write, with the default of 30 s for dirty data and some for the commit."""
_SLACK: Final = 2.0
"""Seconds by which events that belong together may be apart."""
_MERGE_WITHIN: Final = 30.0
"""Seconds. Accesses farther apart are not merged, because the disk may have been stopped in between."""
_MAX_CAUSES: Final = 20
"""Culprits and files that one access is divided between, the first ones."""
_STACKED: Final = re.compile(r"kcryptd|dmcrypt_write|kdmflush|md\d+_raid")
"""Those of md and device mapper. Newer kernels do the same in a kworker."""


class Joined(NamedTuple):
    """The accesses of a reading, by time, and the changes that are remembered for the next one."""

    accesses: tuple[Access, ...] = ()
    changes: tuple[Change, ...] = ()


class _Cause(NamedTuple):
    """Who has caused an access, and what about it."""

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
    return Joined(tuple(_merged(found)), remembered_changes(changes, trace))


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
        self._changes = [change for change in changes if disk in change.disks]
        events = [event for event in trace.events if disk in trace.devices.get(event.device, ())]
        self._io = [event for event in events if event.kind == "io"]
        self._commands = [event for event in events if event.kind == "passthrough"]
        self._writebacks = [event for event in events if event.kind == "writeback"]
        self._syncs = [event for event in events if event.operation == "sync"]
        # Of an array or a volume on several disks an event says not which of them was accessed.
        self._shared = frozenset(device for device, below in trace.devices.items() if len(below) > 1)
        self._on_disk = [event for event in self._io if event.device not in self._shared]

    def accesses(self) -> Iterator[Access]:
        """All of them."""
        for event in self._commands:
            yield self._access(event, self._submitter(event))
        counted = defaultdict[tuple[int, str], dict[str, TraceEvent]](dict)  # the last one of each device
        for event in self._io:
            if event.device in self._shared and not _overlapping(event, self._on_disk):
                continue
            last = counted[event.pid, event.operation]
            if any(each.device != event.device for each in _overlapping(event, last.values())):
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
        """Who has caused an access; [] = it belongs to another one, which names them."""
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
        above = [each for each in self._io if each.device != event.device and not _STACKED.match(each.comm)]
        in_kworker = event.comm.startswith("kworker/") and not _overlapping(event, self._writebacks)
        if not in_kworker and not _STACKED.match(event.comm):
            return False
        return event.device not in self._shared and bool(_overlapping(event, above))

    def _is_flush_of_write(self, event: TraceEvent) -> bool:
        """Whether a flush ends a write or a commit of the journal."""
        if event.operation != "flush":
            return False
        return bool(_overlapping(event, [each for each in self._io if each.operation == "write"]))

    def _synchronised(self, event: TraceEvent) -> list[_Cause]:
        """Who has changed what a process only writes for others; [] = it writes its own data."""
        inodes = {
            each.inode
            for each in self._syncs
            if each.pid == event.pid
            and each.first_at <= event.last_at + _SLACK
            and each.last_at >= event.first_at - WRITEBACK_WITHIN
        }
        if event.comm == "sync" or 0 in inodes:  # of all files
            return self._dirtiers(event)
        made = [each for inode in inodes for each in self._changes_of_inode(inode, event)]
        if any(each.culprit.pid == event.pid for each in made):
            return []
        return _distinct([_cause_of(each, "certain") for each in made])

    def _dirtiers(self, event: TraceEvent) -> list[_Cause]:
        """Those whose changes are written: by inode if the thread writes inodes, otherwise by the commit."""
        written = _overlapping(event, [each for each in self._writebacks if each.pid == event.pid])
        causes = [cause for each in written for cause in self._dirtiers_of_inode(each)]
        if causes and not event.comm.startswith("jbd2/"):
            return _distinct(causes)
        since = self._last_commit(event)
        made = self._changes[: bisect_right(self._changes, event.last_at, key=attrgetter("first_at"))]
        recent = [each for each in made if each.last_at > since] or [
            each for each in made if each.last_at > event.first_at - WRITEBACK_WITHIN
        ]
        recent = recent[:MAX_CHANGES] or made[-1:]
        handles = [each for each in recent if each.starts_handle] or recent
        changed = {_process_and_inode(each) for each in handles}
        by_process = _distinct(
            [_cause_of(each, "certain") for each in recent if _process_and_inode(each) in changed]
        )
        late = bool(handles) and handles[0].last_at < event.first_at - WRITEBACK_WITHIN
        if late or len({(cause.culprit.pid, cause.culprit.comm) for cause in by_process}) > 1:
            return [cause._replace(certainty="likely") for cause in by_process]
        return by_process

    def _dirtiers_of_inode(self, written: TraceEvent) -> Iterator[_Cause]:
        """Those that have changed an inode since it was last written."""
        if written.inode in self._metadata:
            return
        for each in self._changes_of_inode(written.inode, written):
            recent = each.last_at >= written.first_at - WRITEBACK_WITHIN
            yield _cause_of(each, "certain" if recent else "likely")

    def _changes_of_inode(self, inode: int, event: TraceEvent) -> list[Change]:
        """The changes of an inode that an event writes, since it was last written."""
        before = max(
            (
                each.last_at
                for each in self._writebacks
                if each.inode == inode and each.last_at < event.first_at - _SLACK
            ),
            default=NOT_WRITTEN,
        )
        return [
            each
            for each in self._changes
            if each.inode == inode and _precedes(each, event) and each.last_at > max(before, each.written_at)
        ]

    def _last_commit(self, event: TraceEvent) -> float:
        """When the journal was last committed before a commit; of another write, a minute ago."""
        commits = [
            each.last_at
            for each in self._io
            if each.comm == event.comm and each.last_at < event.first_at - _SLACK
        ]
        if not event.comm.startswith("jbd2/") or not commits:
            return event.first_at - WRITEBACK_WITHIN
        return max(commits) - _SLACK


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


def _overlapping(event: TraceEvent, others: Iterable[TraceEvent]) -> list[TraceEvent]:
    """Those of ``others`` that happened during ``event``, or shortly before or after it."""
    return [
        each
        for each in others
        if each.first_at <= event.last_at + _SLACK and each.last_at >= event.first_at - _SLACK
    ]


def _distinct(causes: Iterable[_Cause]) -> list[_Cause]:
    """One cause of each culprit and inode: the most telling operation, in the order of the first of each."""
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
    """How much an operation says: a deleted file is written to as well, and everything sets attributes."""
    return {"attributes": 0, "write": 1}.get(cause.operation, 2)


def _merged(found: Iterable[Access]) -> list[Access]:
    """Accesses of one culprit to one disk with the same operation and file, merged; by time."""
    merged: list[Access] = []
    places: dict[tuple[object, ...], int] = {}
    for access in sorted(found, key=lambda each: each.first_at):
        key = (access.disk, access.culprit, access.operation, access.path, access.inode, access.certainty)
        place = places.get(key)
        if place is None or access.first_at > merged[place].last_at + _MERGE_WITHIN:
            places[key] = len(merged)
            merged.append(access)
            continue
        known = merged[place]
        merged[place] = replace(
            known,
            last_at=max(known.last_at, access.last_at),
            count=known.count + access.count,
            size=known.size + access.size,
        )
    return merged


def join_directories(
    found: Sequence[Access], seen: Sequence[Access], level: WatchLevel
) -> tuple[Access, ...]:
    """The accesses with paths of the watched directories, of which the culprit is unknown.

    An access gets a path if it is the only one to its disk that reads, or writes, at that time. A file in
    memory is accessed without its disk, so what was seen counts by itself only if nothing better is known.

    Args:
        found: the accesses to disks.
        seen: the accesses to files in watched directories.
        level: that of ``found``.
    """
    if level is WatchLevel.COUNTERS:
        return (*found, *_merged(seen))
    rivals = Counter((access.disk, access.operation == "read") for access in found if not access.own)
    result = []
    for access in found:
        kind = access.disk, access.operation == "read"
        if not access.path and not access.own and rivals[kind] == 1:
            paths = {
                each.path
                for each in seen
                if (each.disk, each.operation == "read") == kind
                and each.first_at - _SLACK <= access.last_at
                and access.first_at <= each.last_at + _SLACK
            }
            access = replace(access, path=common_path(paths))  # noqa: PLW2901 - the same access
        result.append(access)
    return tuple(result)
