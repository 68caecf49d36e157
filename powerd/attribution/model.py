"""The values of the domain: traced events, accesses of a culprit to a disk, and wakes.

The helper reads the kernel's trace and merges equal events (TraceReading, FileReading); it decides nothing.
``join.py`` makes an Access of each culprit out of them, and ``policy.py`` a Wake of each spin-up.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from types import MappingProxyType
from typing import Annotated, Final, Literal, NamedTuple, TypeAlias, TypeVar

from powerd.core.codec import DISTINCT, PRINTABLE, ROW, length, span
from powerd.core.dataclass import dataclass
from powerd.core.time import Moment, Reading
from powerd.disks.model import MAX_WATCHED_DISKS, ByIdName, DiskId

MAX_EVENTS: Final = 2000
"""Merged events of a TraceReading, and accesses of a FileReading, at most."""
MAX_UNWATCHED: Final = 32
"""File systems of a FileReading that are not watched, at most."""
MAX_PROCESSES: Final = 2000
"""Processes of a TraceReading at most."""
SESSION_SCOPE: Final = re.compile(r"session-(.+)\.scope")
USER_MANAGER: Final = re.compile(r"user@(\d+)\.service")
MERGE_WITHIN: Final = 5.0
"""Seconds. Equal events are merged only up to this distance from one to the next, so that what happened
before a standby is never merged with what ended it."""

MonotonicTime: TypeAlias = Annotated[float, span(0, 1 << 40)]
"""CLOCK_MONOTONIC, seconds."""
ProcessId: TypeAlias = Annotated[int, span(0, (1 << 31) - 1)]
"""A process id in the machine's pid namespace; 0 = the idle task, an interrupt, or unknown."""
ProcessName: TypeAlias = Annotated[str, PRINTABLE, length(0, 64)]
"""The ``comm`` of a task (proc_pid_comm(5)): 15 bytes at most, of which unprintable ones are escaped."""
InodeNumber: TypeAlias = Annotated[int, span(0, (1 << 64) - 1)]
"""An inode of the filesystem on the device; 0 = none, or unknown."""
DeviceKey: TypeAlias = Annotated[str, PRINTABLE, length(1, 64)]
"""How the kernel names a device in an event: ``8:16``, ``253:0``, or ``btrfs-1`` (the name of its bdi)."""
EventCount: TypeAlias = Annotated[int, span(1, 1 << 40)]
ByteCount: TypeAlias = Annotated[int, span(0, 1 << 62)]


class WatchLevel(enum.StrEnum):
    """The means of attribution, worst first; each level includes those before it."""

    COUNTERS = "counters"
    """The I/O counters of each disk: that it was used, and when."""
    CGROUPS = "cgroups"
    """Also the I/O counters of each unit (io.stat of cgroup v2): by which unit."""
    TRACE = "trace"
    """Also the kernel's trace events (tracefs): by which process, and which inode."""
    FILES = "files"
    """Also the paths, by fanotify(7) in a second helper."""

    @property
    def names_processes(self) -> bool:
        """Whether the level shows which process has accessed a disk."""
        return self in {WatchLevel.TRACE, WatchLevel.FILES}


EventKind: TypeAlias = Literal["io", "dirty", "writeback", "journal", "passthrough"]
"""What the process did in whose context an event happened:

io            it submitted I/O to a block device (block_bio_queue)
dirty         it changed what is written later (writeback_dirty_inode, ext4_*, xfs_*)
writeback     it writes an inode that another process may have changed (writeback_single_inode)
journal       it started a handle of the journal, which makes a commit necessary (ext4_journal_start*, jbd2_*)
passthrough   it sent a SCSI or ATA command past the block layer (smartctl, hdparm)
"""
Operation: TypeAlias = Literal[
    "read", "write", "flush", "discard", "create", "delete", "rename", "attributes", "sync", "command"
]
"""What was done; ``sync`` is fsync(2), sync(2) and syncfs(2), and ``command`` a passthrough command."""


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """Events of one process on one device that differ in time and size only, at most MERGE_WITHIN apart.

    The operation ``sync`` (fsync(2), sync(2), syncfs(2): ext4_sync_file_enter, ext4_sync_fs, xfs_file_fsync,
    btrfs_sync_file, btrfs_sync_fs) is reported as ``journal``: the process writes what others may have
    changed.

    Attributes:
        kind: see EventKind.
        device: a key of TraceReading.devices.
        pid, comm: the task in whose context it happened. The event contains the name, so it is known also of
            a process that has ended.
        operation: see Operation.
        inode: for ``dirty``, ``writeback`` and ``journal``; 0 = the event has none, or it is the inode of
            the block device itself, by which the kernel writes metadata.
        name: the last component of the path, of the events that have it (XFS); "" = unknown.
        first_at, last_at: of the first and the last of the events.
        count: how many events.
        size: bytes of all of them; 0 where the events have none.
    """

    kind: EventKind
    device: DeviceKey
    pid: ProcessId
    comm: ProcessName
    operation: Operation
    inode: InodeNumber = 0
    name: Annotated[str, PRINTABLE, length(0, 255)] = ""
    first_at: MonotonicTime = 0.0
    last_at: MonotonicTime = 0.0
    count: EventCount = 1
    size: ByteCount = 0


@dataclass(frozen=True, slots=True)
class TracedProcess:
    """A process that events name, or one that has ended.

    Attributes:
        pid, comm: as in TraceEvent.
        cgroup: its control group in cgroup v2, ``/system.slice/cron.service``; "" = unknown.
        ancestor: the name of the nearest living ancestor, whose control group this is, because the process
            has ended; "" = the control group is its own.
        is_thread: ``pid`` is that of a thread of an unknown process in this control group.
    """

    pid: ProcessId
    comm: ProcessName
    cgroup: Annotated[str, PRINTABLE, length(0, 1024)] = ""
    ancestor: ProcessName = ""
    is_thread: bool = False


@dataclass(frozen=True, slots=True)
class TraceReading:
    """The response to ``read-trace`` and ``stop-trace``: what the trace held. Reading empties it.

    Attributes:
        events: by the time of the first of each.
        processes: of those events, with what is known of their control groups.
        devices: of each device that is traced, the disks below it: ``8:16`` is one disk, ``9:0`` (md),
            ``253:0`` (dm) and ``btrfs-1`` may be several.
        since: since when these disks are traced without a gap; what happened earlier is unknown.
        lost: events that did not fit into the buffer, or into the response.
    """

    events: Annotated[tuple[Annotated[TraceEvent, ROW], ...], length(0, MAX_EVENTS)] = ()
    processes: Annotated[tuple[Annotated[TracedProcess, ROW], ...], length(0, MAX_PROCESSES)] = ()
    devices: Mapping[DeviceKey, Annotated[tuple[ByIdName, ...], length(0, MAX_WATCHED_DISKS), DISTINCT]] = (
        field(default_factory=lambda: MappingProxyType({}))
    )
    since: MonotonicTime = 0.0
    lost: Annotated[int, span(0, 1 << 40)] = 0


@dataclass(frozen=True, slots=True)
class FileAccess:
    """Accesses of one process to one file (fanotify(7)).

    Attributes:
        pid: 0 = unknown.
        path: absolute; of a deleted file where it was; ``?`` stands for a directory that is unknown.
        operation: see Operation.
        inode: 0 = unknown.
        device: of the filesystem (st_dev), ``8:17``; of btrfs it is anonymous, ``0:41``.
        count: how many.
    """

    pid: ProcessId
    path: Annotated[str, PRINTABLE, length(1, 4096)]
    operation: Operation
    inode: InodeNumber = 0
    device: Annotated[str, PRINTABLE, length(0, 64)] = ""
    count: EventCount = 1


@dataclass(frozen=True, slots=True)
class FileReading:
    """The response to ``read-files``: the accesses since the last one.

    Attributes:
        accesses: in the order of the first of each.
        overflow: some are missing.
        devices: of each device that is watched, the watched disks below it.
        unwatched: the file systems on these disks that are not watched, one sentence each with the reason.
    """

    accesses: Annotated[tuple[Annotated[FileAccess, ROW], ...], length(0, MAX_EVENTS)] = ()
    overflow: bool = False
    devices: Mapping[DeviceKey, Annotated[tuple[ByIdName, ...], length(0, MAX_WATCHED_DISKS), DISTINCT]] = (
        field(default_factory=lambda: MappingProxyType({}))
    )
    unwatched: Annotated[
        tuple[Annotated[str, PRINTABLE, length(1, 4400)], ...], length(0, MAX_UNWATCHED)
    ] = ()


@dataclass(frozen=True, slots=True)
class Culprit:
    """The origin of an access; ``unit`` and ``comm`` both "" = unknown.

    Attributes:
        unit: the systemd unit, ``cron.service``; "" = unknown, or the kernel itself.
        comm: the name of the process; "" = only the unit is known.
        pid: None = only the unit is known.
        owner: what the unit stands for, for people: ``container web``, ``virtual machine nas2``,
            ``alice's session 3``; "" = nothing but the unit.
    """

    unit: str = ""
    comm: str = ""
    pid: int | None = None
    owner: str = ""


Certainty: TypeAlias = Literal["certain", "likely", "unknown"]


@dataclass(frozen=True, slots=True)
class Access:
    """The accesses of one culprit to one disk in a stretch of time.

    Attributes:
        disk: the disk.
        culprit: who.
        operation: see Operation.
        path: of the file, or the last component of it; "" = unknown.
        inode: of the file; 0 = unknown.
        first_at, last_at: CLOCK_MONOTONIC of the first and the last access to the disk. Data that were
            written may have been changed a minute before.
        count: accesses to the disk.
        size: bytes; 0 = unknown.
        certainty: ``certain``: the kernel named the process; ``likely``: joined by time, or to a unit only;
            ``unknown``: no culprit was found.
        level: by which this was found.
        own: it is powerd's own.
        slept: Moment.slept at that time; the policy sets it.
    """

    disk: DiskId
    culprit: Culprit
    operation: str = ""
    path: str = ""
    inode: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    count: int = 1
    size: int = 0
    certainty: Certainty = "unknown"
    level: WatchLevel = WatchLevel.COUNTERS
    own: bool = False
    slept: float = 0.0


_Merged = TypeVar("_Merged", TraceEvent, Access)


def merge_near(
    found: Iterable[_Merged], key: Callable[[_Merged], tuple[object, ...]], within: float
) -> list[_Merged]:
    """Events or accesses with the same key merged, unless they are far apart; by the first of each.

    Args:
        found: in any order.
        key: what merged ones have in common.
        within: seconds from the end of one to the start of the next, at most.
    """
    merged: list[_Merged] = []
    places: dict[tuple[object, ...], int] = {}
    for each in sorted(found, key=lambda each: each.first_at):
        place = places.get(same := key(each))
        if place is None or each.first_at > merged[place].last_at + within:
            places[same] = len(merged)
            merged.append(each)
            continue
        earlier = merged[place]
        merged[place] = replace(
            earlier,
            last_at=max(earlier.last_at, each.last_at),
            count=earlier.count + each.count,
            size=earlier.size + each.size,
        )
    return merged


@dataclass(frozen=True, slots=True)
class Wake:
    """A disk in standby was started, but not by a resume of the server, which starts most disks.

    Attributes:
        disk: the disk.
        at: when; to the millisecond if the trace has it, otherwise as the counters have shown it.
        slept_for: seconds in standby, including those in which the server slept; None = unknown.
        access: the first access; None = not known yet, or never.
        level: the level at that time.
        explanation: one clause, why it is not known better: ``level counters: powerd-helper does not run``;
            "" = it is certain.
    """

    disk: DiskId
    at: Moment
    slept_for: float | None = None
    access: Access | None = None
    level: WatchLevel = WatchLevel.COUNTERS
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class AttributionFacts:
    """The last reading of the accesses to the disks.

    Attributes:
        found: the accesses, and when they were requested; None = nothing has been read yet.
        disks: those that are traced since then.
        level, level_reason: as in AttributionReport.
        since: CLOCK_MONOTONIC, since when the accesses are known without a gap.
        lost: events that are missing.
    """

    found: Reading[tuple[Access, ...]] | None = None
    disks: tuple[DiskId, ...] = ()
    level: WatchLevel = WatchLevel.COUNTERS
    level_reason: str = ""
    since: float = 0.0
    lost: int = 0


class DiskUse(NamedTuple):
    """What the policy remembers of one disk. A NamedTuple, because it is built for each disk that is used.

    Attributes:
        io_count: DiskActivity.io_count at the last decision.
        io_count_read: the same at the last reading of the accesses, or after one that found powerd only.
        counted_read_at: AttributionMemory.read_at of that reading.
        rate_at, rate_count: CLOCK_MONOTONIC of a reading of the counters, and its io_count; the rate of I/O
            is measured from there.
        busy: it is used all the time, so it is not traced.
        quiet_since: CLOCK_MONOTONIC since which a busy disk has had little I/O; None = it has much.
        stopped_since: the beginning of the standby that it is in; None = it is in none.
        last_spin_up: DiskReport.last_spin_up at the last decision.
        resumed_at: Memory.resumed_at when it was last known whether the disk spins.
    """

    io_count: int = 0
    io_count_read: int = 0
    counted_read_at: float | None = None
    rate_at: float = 0.0
    rate_count: int = 0
    busy: bool = False
    quiet_since: float | None = None
    stopped_since: Moment | None = None
    last_spin_up: Moment | None = None
    resumed_at: float | None = None


@dataclass(frozen=True, slots=True)
class AttributionMemory:
    """The memory of the policy.

    Attributes:
        wakes, busy: as in AttributionReport.
        pending: of each disk whose last wake has no access yet, CLOCK_MONOTONIC of its spin-down.
        accesses: those of the last hour, oldest first.
        uses: of each disk that powerd manages.
        read_at: CLOCK_MONOTONIC of the last reading; None = there was none.
        fruitless_reads: readings in a row that have found nothing, or only powerd's own accesses.
        slept, slept_before: Moment.slept at the last decision, and before the last sleep.
    """

    wakes: Mapping[DiskId, tuple[Wake, ...]] = field(default_factory=lambda: MappingProxyType({}))
    busy: tuple[Access, ...] = ()
    pending: Mapping[DiskId, float] = field(default_factory=lambda: MappingProxyType({}))
    accesses: tuple[Access, ...] = ()
    uses: Mapping[DiskId, DiskUse] = field(default_factory=lambda: MappingProxyType({}))
    read_at: float | None = None
    fruitless_reads: int = 0
    slept: float = 0.0
    slept_before: float = 0.0


@dataclass(frozen=True, slots=True)
class AttributionReport:
    """What is known of accesses.

    Attributes:
        wakes: of each disk, newest first.
        busy: the accesses of the last hour, by disk and culprit, most first; of one culprit (unit, or process
            without a unit) all operations are one Access, with the most frequent operation.
        level: the one in use.
        level_reason: why no better level is in use, one sentence; "" = it is the best, or the one configured.
        traced: disks to be traced.
        read_due: CLOCK_MONOTONIC at which the trace is to be read; inf = not before something happens.
    """

    wakes: Mapping[DiskId, tuple[Wake, ...]] = field(default_factory=lambda: MappingProxyType({}))
    busy: tuple[Access, ...] = ()
    level: WatchLevel = WatchLevel.COUNTERS
    level_reason: str = ""
    traced: tuple[DiskId, ...] = ()
    read_due: float = float("inf")
