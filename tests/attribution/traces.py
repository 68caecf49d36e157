"""Readings of a trace as the kernel fires the events, and who is named for the accesses in one."""

from __future__ import annotations

from collections.abc import Sequence

from powerd.attribution.model import Access, EventKind, Operation, TracedProcess, TraceEvent, TraceReading
from powerd.disks.model import DiskId

DISK, OTHER, MEMBER = DiskId("ata-WDC_1"), DiskId("ata-WDC_2"), DiskId("ata-WDC_3")
DEVICES = {
    "8:16": (DISK,),
    "8:17": (DISK,),
    "8:32": (OTHER,),
    "8:33": (OTHER,),
    "btrfs-1": (DISK,),
    "9:0": (DISK, MEMBER),
    "8:48": (MEMBER,),
}
DEVICE_INODE = 8 << 20 | 17
FILE = 131_077

GROUPS = {
    100: "/system.slice/cron.service",
    101: "/system.slice/jellyfin.service",
    102: "/user.slice/user-1000.slice/session-3.scope",
    103: "/system.slice/docker-" + "3f2a9c" + "0" * 58 + ".scope",
    104: "/system.slice/powerd-helper.service",
    105: "/system.slice/backup.service",
    2: "/",
    3: "/",
    4: "/",
}
WRITER, READER, SHELL, CONTAINER, HELPER, BACKUP = 100, 101, 102, 103, 104, 105
KWORKER, JBD2, XFSAILD = 2, 3, 4
NAMES = {
    WRITER: "cron",
    READER: "jellyfin",
    SHELL: "vi",
    CONTAINER: "node",
    HELPER: "smartctl",
    BACKUP: "sync",
    KWORKER: "kworker/u8:2",
    JBD2: "jbd2/sdb1-8",
    XFSAILD: "xfsaild/sdb1",
}


def event(  # noqa: PLR0913 - an event has these parts
    at: float,
    kind: EventKind,
    pid: int,
    operation: Operation = "write",
    inode: int = 0,
    *,
    device: str = "8:16",
    name: str = "",
    comm: str = "",
) -> TraceEvent:
    size = 4096 if kind == "io" and operation in {"read", "write"} else 0
    return TraceEvent(
        kind, device, pid, comm or NAMES.get(pid, "sh"), operation, inode, name, at, at, size=size
    )


def reading(*events: TraceEvent, processes: Sequence[TracedProcess] = ()) -> TraceReading:
    known = [TracedProcess(pid, NAMES[pid], group) for pid, group in GROUPS.items()]
    ordered = sorted(events, key=lambda each: each.first_at)
    return TraceReading(tuple(ordered), (*known, *processes), DEVICES, since=0.0)


def delayed(*, pid: int, inode: int = FILE, at: float = 100.0) -> list[TraceEvent]:
    """A buffered write to ext4, and what the kernel makes of it in the next 34 s."""
    return [
        event(at, "journal", pid, "attributes", inode, device="8:17"),
        event(at, "dirty", pid, "attributes", inode),
        event(at, "dirty", pid, "write", inode),
        *commit(at + 4.3),
        *metadata(at + 28.4),
        *data(at + 33.5, inode),
    ]


def commit(at: float) -> list[TraceEvent]:
    return [
        event(at, "io", JBD2, device="8:17"),
        event(at + 0.1, "io", 22, "flush", comm="kworker/1:1H"),
    ]


def metadata(at: float) -> list[TraceEvent]:
    return [event(at, "writeback", KWORKER, inode=DEVICE_INODE), event(at, "io", KWORKER, device="8:17")]


def data(at: float, inode: int = FILE) -> list[TraceEvent]:
    return [
        event(at, "writeback", KWORKER, inode=inode),
        event(at, "io", KWORKER, "read", device="8:17"),  # a bitmap
        event(at + 0.1, "io", KWORKER, device="8:17"),
    ]


def named(accesses: Sequence[Access], disk: DiskId = DISK) -> set[tuple[str, str, str]]:
    return {
        (
            access.culprit.owner or access.culprit.unit or access.culprit.comm,
            access.operation,
            access.certainty,
        )
        for access in accesses
        if access.disk == disk
    }
