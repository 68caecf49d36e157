"""Cases on ext4, XFS and btrfs: what the kernel fires, and who is named for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from attribution.traces import (
    BACKUP,
    CONTAINER,
    DISK,
    FILE,
    KWORKER,
    MEMBER,
    READER,
    SHELL,
    WRITER,
    XFSAILD,
    commit,
    data,
    delayed,
    event,
    metadata,
)

from powerd.attribution.model import TracedProcess, TraceEvent
from powerd.disks.model import DiskId


@dataclass(frozen=True)
class Scenario:
    """Events, and who is named: (unit or comm, operation, certainty); the accesses by others are none."""

    name: str
    events: list[TraceEvent]
    expected: set[tuple[str, str, str]]
    processes: tuple[TracedProcess, ...] = ()
    disk: DiskId = DISK


CRON = ("cron.service", "write", "certain")
CASES: Final = [
    Scenario("buffered write", delayed(pid=WRITER), {CRON}),
    Scenario(
        "write and fsync",
        [
            event(100, "journal", WRITER, "attributes", FILE, device="8:17"),
            event(100, "dirty", WRITER, "write", FILE),
            event(100.1, "journal", WRITER, "sync", FILE, device="8:17"),
            event(100.1, "io", WRITER, device="8:17"),
            *commit(100.2),
        ],
        {CRON},
    ),
    Scenario(
        "direct write",
        [
            event(100, "dirty", WRITER, "attributes", FILE),
            event(100, "io", WRITER, device="8:17"),
        ],
        {CRON},
    ),
    Scenario(
        "direct write and fsync, while another process has unwritten data",
        [
            event(99, "dirty", READER, "write", FILE + 1),
            event(100, "io", WRITER, device="8:17"),
            event(100.1, "journal", WRITER, "sync", FILE, device="8:17"),
        ],
        {CRON},
    ),
    Scenario(
        "mmap store",
        [event(100, "dirty", WRITER, "write", FILE), *data(133)],
        {CRON},
    ),
    Scenario(
        "metadata only",
        [
            event(100, "journal", WRITER, "attributes", FILE, device="8:17"),
            event(100, "dirty", WRITER, "attributes", FILE),
            *commit(104),
            *metadata(128),
        ],
        {("cron.service", "attributes", "certain")},
    ),
    Scenario(
        "cold read, whose access time is committed",
        [
            event(100, "io", READER, "read", device="8:17"),
            event(100, "journal", READER, "attributes", FILE, device="8:17"),
            event(100, "dirty", READER, "attributes", FILE),
            *commit(105),
        ],
        {("jellyfin.service", "read", "certain"), ("jellyfin.service", "attributes", "certain")},
    ),
    Scenario(
        "delete",
        [
            event(100, "journal", WRITER, "delete", FILE, device="8:17"),
            event(100, "dirty", WRITER, "attributes", FILE),
            *commit(104),
        ],
        {("cron.service", "delete", "certain")},
    ),
    Scenario(
        "rename",
        [
            event(100, "journal", WRITER, "rename", FILE, device="8:17"),
            event(100, "dirty", WRITER, "attributes", FILE),
            *commit(104),
        ],
        {("cron.service", "rename", "certain")},
    ),
    Scenario(
        "appends by a process that runs for long",
        [*delayed(pid=WRITER), *delayed(pid=WRITER, at=400)],
        {CRON},
    ),
    Scenario(
        "a process that has ended",
        [event(100, "dirty", 900, "write", FILE, comm="logrotate"), *data(133)],
        {("cron.service", "write", "certain")},
        (TracedProcess(900, "logrotate", "/system.slice/cron.service", "cron"),),
    ),
    Scenario(
        "a process of which nothing but the name is known",
        [event(100, "dirty", 901, "write", FILE, comm="logrotate"), *data(133)],
        {("logrotate", "write", "certain")},
    ),
    Scenario(
        "sync by a third party",
        [
            event(100, "journal", WRITER, "attributes", FILE, device="8:17"),
            event(100, "dirty", WRITER, "write", FILE),
            event(110, "journal", BACKUP, "sync", device="8:17"),
            event(110, "io", BACKUP, device="8:17"),
            *data(110),
            *commit(110.2),
        ],
        {CRON},
    ),
    Scenario(
        "fsync by a third party",
        [
            event(100, "dirty", WRITER, "write", FILE),
            event(101, "dirty", READER, "write", FILE + 1),
            event(110, "journal", SHELL, "sync", FILE, device="8:17"),
            event(110, "io", SHELL, device="8:17"),
        ],
        {CRON},
    ),
    Scenario(
        "fsync by a third party, which allocates the blocks",
        [
            event(100, "journal", WRITER, "attributes", FILE, device="8:17"),
            event(100, "dirty", WRITER, "write", FILE),
            event(110, "journal", SHELL, "sync", FILE, device="8:17"),
            event(110.01, "journal", SHELL, "write", FILE, device="8:17"),
            event(110.02, "dirty", SHELL, "attributes", FILE),
            event(110.03, "io", SHELL, device="8:17"),
            *commit(110.1),
        ],
        {CRON},
    ),
    Scenario(
        "sync of everything by a process that has changed a file long before",
        [
            event(100, "journal", SHELL, "attributes", FILE + 1, device="8:17"),
            event(690, "dirty", WRITER, "write", FILE),
            event(690, "journal", WRITER, "write", FILE, device="8:17"),
            event(700, "journal", SHELL, "sync", device="8:17"),
            event(700, "io", SHELL, device="8:17"),
        ],
        {CRON},
    ),
    Scenario(
        "fsync by a third party that has changed another file",
        [
            event(99, "dirty", SHELL, "write", FILE + 1),
            event(100, "dirty", WRITER, "write", FILE),
            event(110, "journal", SHELL, "sync", FILE, device="8:17"),
            event(110, "io", SHELL, device="8:17"),
        ],
        {CRON},
    ),
    Scenario(
        "fsync by a third party that has changed the same file before it was last written",
        [
            event(100, "dirty", SHELL, "write", FILE),
            *data(133),
            event(200, "dirty", WRITER, "write", FILE),
            event(210, "journal", SHELL, "sync", FILE, device="8:17"),
            event(210, "io", SHELL, device="8:17"),
        ],
        {CRON, ("alice's session 3", "write", "certain")},
    ),
    Scenario(
        "direct write, long after a sync by the same process",
        [
            event(100, "journal", SHELL, "sync", device="8:17"),
            event(899, "dirty", WRITER, "write", FILE),
            event(900, "io", SHELL, device="8:17"),
        ],
        {("alice's session 3", "write", "certain")},
    ),
    Scenario("a container", delayed(pid=CONTAINER), {("container 3f2a9c000000", "write", "certain")}),
    Scenario("a login session", delayed(pid=SHELL), {("alice's session 3", "write", "certain")}),
    Scenario(
        "smartctl of another program",
        [event(100, "passthrough", 902, "command", comm="smartctl")],
        {("smartmontools.service", "command", "certain")},
        (TracedProcess(902, "smartctl", "/system.slice/smartmontools.service"),),
    ),
    Scenario(
        "a scrub of trim",
        [event(100, "io", WRITER, "discard", device="8:17")],
        {("cron.service", "discard", "certain")},
    ),
    Scenario(
        "two writers of one inode: both, which may be on two file systems of the disk",
        [
            event(100, "dirty", WRITER, "write", FILE),
            event(101, "dirty", READER, "write", FILE),
            *data(133),
        ],
        {("cron.service", "write", "likely"), ("jellyfin.service", "write", "likely")},
    ),
    Scenario(
        "two handles in one commit: both, and either may be why the disk was woken",
        [
            event(100, "journal", WRITER, "write", FILE, device="8:17"),
            event(101, "journal", READER, "write", FILE + 1, device="8:17"),
            *commit(104),
        ],
        {("cron.service", "write", "likely"), ("jellyfin.service", "write", "likely")},
    ),
    Scenario(
        "a commit does not count for the handles of the one before",
        [
            event(100, "journal", WRITER, "write", FILE, device="8:17"),
            *commit(104),
            event(110, "journal", READER, "write", FILE + 1, device="8:17"),
            event(114, "io", 23, comm="jbd2/sdb1-8"),
        ],
        {CRON, ("jellyfin.service", "write", "certain")},
        (TracedProcess(23, "jbd2/sdb1-8", "/"),),
    ),
    Scenario(
        "a kernel thread for nobody", [event(100, "io", KWORKER)], {("kworker/u8:2", "write", "unknown")}
    ),
    Scenario(
        "a kernel thread of its own",
        [event(100, "io", 30, comm="ext4lazyinit")],
        {("ext4lazyinit", "write", "certain")},
    ),
    Scenario(
        "the NFS server",
        [event(100, "io", 31, "read", comm="nfsd")],
        {("nfs-server.service", "read", "certain")},
        (TracedProcess(31, "nfsd", "/"),),
    ),
    Scenario(
        "a process that calls itself a kernel thread",
        [event(100, "io", 904, "read", comm="kworker/0:1")],
        {("evil.service", "read", "certain")},
        (TracedProcess(904, "kworker/0:1", "/system.slice/evil.service"),),
    ),
    Scenario(
        "XFS: buffered write",
        [
            event(100, "dirty", WRITER, "write", FILE, device="8:17"),
            event(100, "dirty", WRITER, "write", FILE),
            *data(133),
        ],
        {CRON},
    ),
    Scenario(
        "XFS: metadata only, written by xfsaild",
        [
            event(100, "dirty", WRITER, "create", FILE, device="8:17", name="spool.new"),
            event(130, "io", 32, device="8:17", comm="kworker/1:2"),
            event(140, "io", XFSAILD, device="8:17"),
        ],
        {("cron.service", "create", "certain")},
    ),
    Scenario(
        "btrfs: buffered write, of the inodes of a subvolume",
        [
            event(100, "dirty", WRITER, "write", FILE, device="btrfs-1"),
            event(130, "writeback", KWORKER, inode=FILE, device="btrfs-1"),
            event(130, "io", KWORKER),
            event(130.1, "io", 33, comm="btrfs-transacti"),
        ],
        {CRON},
    ),
    Scenario(
        "btrfs: metadata only",
        [
            event(100, "dirty", WRITER, "attributes", FILE, device="btrfs-1"),
            event(130, "io", 33, comm="btrfs-transacti"),
        ],
        {("cron.service", "attributes", "certain")},
    ),
    Scenario(
        "an array: the reader, on the member that was read",
        [
            event(100, "io", READER, "read", device="9:0"),
            event(100.01, "io", READER, "read", device="8:48"),
        ],
        {("jellyfin.service", "read", "certain")},
        disk=MEMBER,
    ),
    Scenario(
        "an array: nobody, on the member that was not",
        [
            event(100, "io", READER, "read", device="9:0"),
            event(100.01, "io", READER, "read", device="8:48"),
        ],
        set(),
    ),
    Scenario(
        "an array: its thread writes for the process above it",
        [
            event(100, "io", WRITER, device="9:0"),
            event(100.01, "io", 34, comm="md0_raid1"),
        ],
        {CRON},
    ),
]
