"""The kernel's trace events that name the process that accesses a disk: their filters and their parser.

Documentation/trace/ftrace.rst and events.rst describe the format, and ``events/SYSTEM/EVENT/format`` in
tracefs the fields. A line of trace_pipe is

           python3-8315    [000] ..... 38135.269732: ext4_sync_fs: dev 7,0 wait 1
           TASK-PID        CPU  flags  time

with TASK = ``<...>`` if the kernel has forgotten its name. PID is that of a thread. An event names its device
in one of these ways:

block_*          ``8,17`` of the disk, the partition, or the device that is built on them
ext4_*, xfs_*    ``dev 8,17`` or ``dev 8:17`` of the device that the filesystem is on
writeback_*      ``bdi 8:16``, the backing device: the whole disk of a partition, or ``bdi btrfs-1``
btrfs_*          the UUID of the filesystem, which no filter of the kernel accepts

The process that causes a delayed write is in other events, which differ by filesystem. A change of an inode
fires writeback_dirty_inode and ext4_journal_start_inode on ext4, xfs_* on XFS, and on btrfs only the
reservation of space; others fire the first. Its flags are I_DIRTY_SYNC alone if only times were changed,
by a write, or by a read without ``noatime``; both are reported as a write. Each page fires
writeback_dirty_folio, on all disks of the machine: it costs 4 % of the time of writes, also to disks that
are not traced, and the other events together 2 %. So it is recorded only where the filesystem of a disk has
no events of its own.

Users choose file names, and the names of their processes. A file name that contains a newline could end in
a line of its own, so the kernel does not record events with such names. A TASK has 15 bytes, in which a
PID and what follows it have no space.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final, Literal, NamedTuple

from powerd.attribution.model import MERGE_WITHIN, EventKind, Operation, TraceEvent, merge_near

Numbers = frozenset[tuple[int, int]]
"""Device numbers, (major, minor)."""

UNKNOWN_NAME: Final = "<...>"
"""What the kernel prints for a task whose name it has forgotten."""
_SECTOR: Final = 512
_MAX_NAME: Final = 255

_LINE: Final = re.compile(
    r"^ *(?P<comm>.{0,16}?)-(?P<pid>[0-9]{1,10}) +(?:\([ 0-9-]+\) +)?\[[0-9]+\] +\S+ +"
    r"(?P<at>[0-9]{1,12}\.[0-9]+): "
    r"(?P<event>\w+): (?P<details>.*)$",
    re.MULTILINE,
)
_DEVICE: Final = re.compile(
    r"(?:bdi (?P<bdi>\S+):|(?:dev )?(?P<major>[0-9]+)[,:](?P<minor>[0-9]+)|(?P<uuid>[0-9a-f-]{36}):)(?: |$)"
)
_INODE: Final = re.compile(r"\bino[ =](?:0x(?P<hex>[0-9a-f]{1,16})|(?P<decimal>[0-9]{1,20}))\b")
_XFS_NAME: Final = re.compile(r"(?:dp ino 0x[0-9a-f]+|.* target) name (.*)$")
_XFS_BYTES: Final = re.compile(r"\bbytecount 0x([0-9a-f]+)")
_ONE_LINE: Final = '!(name ~ "*\n*")'
_BIO: Final = re.compile(r"[0-9]+,[0-9]+ (?P<rwbs>[A-Z]+) [0-9]+ \+ (?P<sectors>[0-9]+) \[(?P<comm>.*)\]$")
_FLAGS: Final = re.compile(r" flags=(\S+)")
_CALLER: Final = re.compile(r"\bcaller (\w+)")
_RESERVATION: Final = re.compile(r"\S+ (?P<type>\w+): (?P<value>[0-9]+) ")


class TraceLine(NamedTuple):
    """A line of a trace.

    Attributes:
        at: CLOCK_MONOTONIC, seconds.
        pid: of the thread.
        comm: its name; UNKNOWN_NAME = forgotten.
        event: its name.
        details: the rest.
    """

    at: float
    pid: int
    comm: str
    event: str
    details: str


class EventType(NamedTuple):
    """An event that is recorded.

    Attributes:
        kind, operation: of its TraceEvent; some details say more.
        device: how it names its device: by number, by backing device, or by the UUID of a btrfs.
        condition: of its filter, besides the device; "" = none.
        filesystem: it is recorded only for disks with this type of filesystem; "" = for all.
    """

    kind: EventKind
    operation: Operation
    device: Literal["number", "backing", "btrfs"] = "number"
    condition: str = ""
    filesystem: str = ""


OTHER: Final = "other"
"""The filesystem of a disk with none of ext4, XFS and btrfs, or with none at all."""
ACCESS_EVENTS: Final[Mapping[str, EventType]] = {
    "block/block_bio_queue": EventType("io", "read"),
    "block/block_rq_issue": EventType("passthrough", "command", condition='rwbs ~ "N*"'),
    "writeback/writeback_single_inode_start": EventType("writeback", "write", "backing"),
    "ext4/ext4_sync_fs": EventType("journal", "sync", filesystem="ext4"),
    "xfs/xfs_fs_sync_fs": EventType("journal", "sync", filesystem="xfs"),
    "btrfs/btrfs_sync_fs": EventType("journal", "sync", "btrfs", filesystem="btrfs"),
}
"""Events of immediate accesses to a disk."""
CHANGE_EVENTS: Final[Mapping[str, EventType]] = {
    "writeback/writeback_dirty_inode": EventType("dirty", "write", "backing"),
    # before Linux 5.18
    "writeback/writeback_dirty_page": EventType("dirty", "write", "backing", filesystem=OTHER),
    "writeback/writeback_dirty_folio": EventType("dirty", "write", "backing", filesystem=OTHER),
    "ext4/ext4_journal_start": EventType("journal", "write", filesystem="ext4"),  # before Linux 6.3
    "ext4/ext4_journal_start_inode": EventType("journal", "write", filesystem="ext4"),
    "ext4/ext4_journal_start_sb": EventType("journal", "write", filesystem="ext4"),
    "ext4/ext4_allocate_inode": EventType("journal", "create", filesystem="ext4"),
    "ext4/ext4_sync_file_enter": EventType("journal", "sync", filesystem="ext4"),
    "xfs/xfs_create": EventType("dirty", "create", condition=_ONE_LINE, filesystem="xfs"),
    "xfs/xfs_symlink": EventType("dirty", "create", condition=_ONE_LINE, filesystem="xfs"),
    "xfs/xfs_link": EventType("dirty", "create", condition=_ONE_LINE, filesystem="xfs"),
    "xfs/xfs_remove": EventType("dirty", "delete", condition=_ONE_LINE, filesystem="xfs"),
    "xfs/xfs_rename": EventType(
        "dirty",
        "rename",
        condition='!(src_name ~ "*\n*" || target_name ~ "*\n*")',
        filesystem="xfs",
    ),
    "xfs/xfs_setattr": EventType("dirty", "attributes", filesystem="xfs"),
    "xfs/xfs_update_time": EventType("dirty", "attributes", filesystem="xfs"),
    "xfs/xfs_file_buffered_write": EventType("dirty", "write", filesystem="xfs"),
    "xfs/xfs_file_direct_write": EventType("dirty", "write", filesystem="xfs"),
    # before Linux 6.13
    "xfs/xfs_filemap_fault": EventType("dirty", "write", condition="write_fault == 1", filesystem="xfs"),
    "xfs/xfs_write_fault": EventType("dirty", "write", filesystem="xfs"),
    "xfs/xfs_file_fsync": EventType("journal", "sync", filesystem="xfs"),
    "btrfs/btrfs_sync_file": EventType("journal", "sync", "btrfs", filesystem="btrfs"),
    "btrfs/btrfs_space_reservation": EventType(
        "dirty",
        "attributes",
        "btrfs",
        'reserve == 1 && (type ~ "delayed_i*" || type == "delalloc" || type == "transaction")',
        "btrfs",
    ),
}
"""Events of changes to data or metadata that is written later, and of requests to write it."""
_TYPES: Final = {name.rpartition("/")[2]: kind for name, kind in {**ACCESS_EVENTS, **CHANGE_EVENTS}.items()}

_EXT4_CALLERS: Final[Mapping[str, Operation]] = {
    "__ext4_new_inode": "create",
    "ext4_link": "create",
    "__ext4_link": "create",
    "ext4_symlink": "create",
    "ext4_unlink": "delete",
    "__ext4_unlink": "delete",
    "ext4_rmdir": "delete",
    "ext4_evict_inode": "delete",
    "ext4_rename": "rename",
    "ext4_cross_rename": "rename",
    "ext4_dirty_inode": "attributes",
    "ext4_setattr": "attributes",
    "ext4_xattr_set": "attributes",
    "ext4_ioctl_setflags": "attributes",
}
"""The function that starts a handle of the journal, and what it does; others write."""


def event_filters(
    types: Mapping[str, EventType], numbers: Numbers, backing: Iterable[str], filesystems: Collection[str]
) -> dict[str, str]:
    """The filter of each event of ``types`` for these devices; "" = all events of this type.

    Args:
        types: the events.
        numbers: of the disks, their partitions, and what is built on them; not empty.
        backing: the names of backing devices; not empty.
        filesystems: the types of those on the disks. The events of others are not enabled, because an event
            costs something also where its filter rejects it.
    """
    devices = {
        "number": _number_filter(numbers),
        "backing": " || ".join(f'name == "{name}"' for name in sorted(backing)),
        "btrfs": "",
    }
    return {
        event: " && ".join(f"({part})" for part in (devices[kind.device], kind.condition) if part)
        for event, kind in types.items()
        if not kind.filesystem or kind.filesystem in filesystems
    }


def _number_filter(numbers: Numbers) -> str:
    """A condition on ``dev``, in the kernel's own encoding; successive numbers are one range."""
    ranges: list[list[int]] = []
    for number in sorted(major << 20 | minor for major, minor in numbers):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return " || ".join(
        f"dev == {low}" if low == high else f"(dev >= {low} && dev <= {high})" for low, high in ranges
    )


def parse_lines(text: str) -> Iterator[TraceLine]:
    """The events in the text of a trace; other lines are ignored."""
    for line in _LINE.finditer(text):
        yield TraceLine(float(line["at"]), int(line["pid"]), line["comm"], line["event"], line["details"])


def parse_event(line: TraceLine, btrfs: Mapping[str, str]) -> TraceEvent | None:
    """The event of a line; None = it is none of those recorded, or names no device of interest.

    Args:
        line: the line.
        btrfs: the backing device of each btrfs, by UUID.
    """
    kind, device = _TYPES.get(line.event), _DEVICE.match(line.details)
    if kind is None or device is None:
        return None
    if device["uuid"]:
        key = btrfs.get(device["uuid"], "")
    else:
        key = device["bdi"] or f"{device['major']}:{device['minor']}"
    if not key:
        return None
    event = TraceEvent(
        kind.kind,
        key,
        line.pid,
        printable(line.comm),
        kind.operation,
        inode=_inode_number(line.details),
        first_at=line.at,
        last_at=line.at,
    )
    return _with_details(event, line)


def _inode_number(details: str) -> int:
    inode = _INODE.search(details)
    if inode is None:
        return 0
    return int(inode["hex"], 16) if inode["hex"] else int(inode["decimal"])


def _with_details(event: TraceEvent, line: TraceLine) -> TraceEvent:
    """``event`` with what is particular to its type."""
    details = line.details
    match line.event.partition("_")[0], event.kind:
        case "block", "io" if bio := _BIO.match(details):
            event = _with_bio(event, bio)
        case "writeback", "dirty" if (flags := _FLAGS.search(details)) and flags[1] != "I_DIRTY_SYNC":
            event = replace(event, operation="attributes")
        case "block", "passthrough":
            event = replace(event, comm=_known_name(event.comm, details.rpartition("[")[2].rstrip("]")))
        case "ext4", "journal" if caller := _CALLER.search(details):
            event = replace(event, operation=_EXT4_CALLERS.get(caller[1], "write"))
        case "xfs", "dirty":
            if name := _XFS_NAME.search(details):
                event = replace(event, name=printable(name[1])[:_MAX_NAME])
            elif size := _XFS_BYTES.search(details):
                event = replace(event, size=int(size[1], 16))
        case "btrfs", "dirty" if reservation := _RESERVATION.match(details):
            event = _with_reservation(event, reservation["type"], int(reservation["value"]))
    return event


def _with_reservation(event: TraceEvent, reason: str, value: int) -> TraceEvent:
    """``event`` of a btrfs that reserves space: for a transaction, data, a directory entry, or an inode."""
    if reason == "transaction":
        return replace(event, kind="journal", operation="write")
    return replace(event, operation="attributes" if reason == "delayed_inode" else "write", inode=value)


def _with_bio(event: TraceEvent, bio: re.Match[str]) -> TraceEvent:
    """``event`` with the operation and size of a bio; RWBS as Documentation/trace/events-block.rst has it."""
    flags, size = bio["rwbs"], int(bio["sectors"]) * _SECTOR
    operation: Operation
    if not size and "F" in flags:
        operation = "flush"
    elif "D" in flags:
        operation = "discard"
    else:
        operation = "read" if "R" in flags else "write"
    return replace(event, comm=_known_name(event.comm, bio["comm"]), operation=operation, size=size)


def _known_name(comm: str, other: str) -> str:
    return printable(other) if comm == UNKNOWN_NAME else comm


def printable(text: str) -> str:
    """``text`` with "?" for each character that cannot be printed."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)


def merge_events(events: Iterable[TraceEvent]) -> list[TraceEvent]:
    """Events that differ in time and size only, merged if near; by the time of the first of each."""
    return merge_near(
        events,
        lambda each: (
            *(each.kind, each.device, each.pid, each.comm),
            *(each.operation, each.inode, each.name),
        ),
        MERGE_WITHIN,
    )
