"""Who is named for an access, case by case, on ext4, XFS and btrfs, as the kernel fires the events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.attribution.changes import Change
from powerd.attribution.join import join
from powerd.attribution.model import (
    Access,
    EventKind,
    FileAccess,
    FileReading,
    Operation,
    TracedProcess,
    TraceEvent,
    TraceReading,
    WatchLevel,
)
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


@dataclass(frozen=True)
class Scenario:
    """Events, and who is named: (unit or comm, operation, certainty); the accesses by others are none."""

    name: str
    events: list[TraceEvent]
    expected: set[tuple[str, str, str]]
    processes: tuple[TracedProcess, ...] = ()
    disk: DiskId = DISK


CRON = ("cron.service", "write", "certain")
CASES = [
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


@pytest.mark.parametrize("case", CASES, ids=lambda scenario: scenario.name)
def test_who_is_named(case: Scenario) -> None:
    joined = join(reading(*case.events, processes=case.processes), users={1000: "alice"})
    assert named(joined.accesses, case.disk) == case.expected


@given(case=st.sampled_from(CASES), cut=st.floats(0, 450), noise=st.integers(0, 3))
def test_unrelated_events_and_the_moment_of_a_reading_change_nothing(
    case: Scenario, cut: float, noise: int
) -> None:
    """Another disk, a later time, an inode that is not written: and the events come in two readings."""
    unrelated = [
        event(99, "dirty", 105, "write", FILE, device="8:32", comm="noise"),
        event(99.5, "io", 105, "write", device="8:33", comm="noise"),
        event(98, "writeback", KWORKER, inode=FILE, device="8:32"),
        event(1000, "io", 106, "read", device="8:17", comm="late"),
    ][noise:]
    events = sorted([*case.events, *unrelated], key=lambda each: each.first_at)
    halves = (
        [each for each in events if each.first_at < cut],
        [each for each in events if each.first_at >= cut],
    )
    found: list[Access] = []
    changes: tuple[Change, ...] = ()
    for half in halves:
        joined = join(reading(*half, processes=case.processes), changes, users={1000: "alice"})
        found += joined.accesses
        changes = joined.changes
    names = {row for row in named(found, case.disk) if row[0] != "late"}
    assert {name for name, *_ in names} == {name for name, *_ in case.expected}


def test_powerd_s_own_accesses_are_its_own() -> None:
    joined = join(reading(event(100, "passthrough", HELPER, "command"), *delayed(pid=WRITER)))
    assert {access.culprit.unit: access.own for access in joined.accesses} == {
        "powerd-helper.service": True,
        "cron.service": False,
    }


def test_a_process_id_that_was_used_again() -> None:
    """The unit is that of the process with the name of the event; without one, it is unknown."""
    processes = [
        TracedProcess(300, "cron", "/system.slice/cron.service"),
        TracedProcess(300, "smbd", "/system.slice/smbd.service"),
    ]
    events = [
        event(100, "io", 300, "read", comm="cron"),
        event(5000, "io", 300, "read", comm="smbd"),
        event(6000, "io", 300, "read", comm="other"),
        event(7000, "io", SHELL, "read", comm="a thread with a name of its own"),
    ]
    found = join(reading(*events, processes=processes)).accesses
    assert [(access.culprit.comm, access.culprit.unit) for access in found] == [
        ("cron", "cron.service"),
        ("smbd", "smbd.service"),
        ("other", ""),
        ("a thread with a name of its own", "session-3.scope"),
    ]


def test_if_events_are_missing_a_change_by_another_is_possible() -> None:
    """Also in the next reading. Who submits an access himself is as sure as before."""
    changed = [event(100, "dirty", WRITER, "write", FILE), event(100, "io", READER, "read")]
    first = join(replace(reading(*changed, *data(120)), lost=1))
    assert named(first.accesses) == {
        ("cron.service", "write", "likely"),
        ("jellyfin.service", "read", "certain"),
    }
    first = join(replace(reading(*changed), lost=1))
    for lost in (0, 1):
        second = join(replace(reading(*data(133)), lost=lost), first.changes)
        assert named(second.accesses) == {("cron.service", "write", "likely")}


def test_a_late_write_is_joined_by_its_inode_but_less_sure() -> None:
    events = [event(100, "dirty", WRITER, "write", FILE), *data(500)]
    assert named(join(reading(*events)).accesses) == {("cron.service", "write", "likely")}


def test_the_same_inode_of_the_next_writer() -> None:
    """Who has changed a file before it was last written has nothing to do with the next write."""
    first = join(reading(event(100, "dirty", WRITER, "write", FILE), *data(133)))
    second = join(reading(event(200, "dirty", READER, "write", FILE), *data(233)), first.changes)
    assert named(second.accesses) == {("jellyfin.service", "write", "certain")}


def test_paths_of_the_second_helper() -> None:
    files = FileReading(
        (
            FileAccess(WRITER, "/other/disk", "attributes", FILE, "8:33"),
            FileAccess(READER, "/other/disk", "read", 0, "8:33"),
            FileAccess(WRITER, "/var/spool/cron/root", "attributes", FILE, "8:17"),
            FileAccess(READER, "/srv/a.mkv", "read", 0, "8:17"),
            FileAccess(WRITER, "/other/disk", "attributes", FILE, "8:33"),
        ),
        devices={"8:17": (DISK,), "8:33": (OTHER,)},
    )
    events = [*delayed(pid=WRITER), event(100, "io", READER, "read")]
    found = {
        (access.culprit.comm, access.path, access.level)
        for access in join(reading(*events), (), files).accesses
    }
    assert found == {
        ("cron", "/var/spool/cron/root", WatchLevel.FILES),
        ("jellyfin", "/srv/a.mkv", WatchLevel.FILES),
    }


def test_a_path_belongs_to_an_access_if_no_other_can_be_meant() -> None:
    def path_of(*accesses: FileAccess, overflow: bool = False, inode: int = 0) -> str:
        files = FileReading(accesses, overflow, {"0:41": (DISK,), "0:42": (DISK,)})
        events = [event(100, "io", READER, "read")]
        if inode:
            events = [event(100, "dirty", READER, "write", inode), *data(133, inode)]
        (access,) = join(reading(*events), (), files).accesses
        return access.path

    first, second, other = (
        FileAccess(READER, path, "read", inode, device)
        for path, inode, device in (("/a/1", 7, "0:41"), ("/a/2", 8, "0:41"), ("/b/3", 7, "0:42"))
    )
    opened = replace(other, operation="write")
    assert path_of(first) == path_of(first, first) == path_of(first, opened) == "/a/1"
    assert path_of(first, second) == "/a", "either"
    assert path_of(first, other) == path_of(second, first, other) == ""
    assert path_of(first, overflow=True) == "", "another may be missing"
    assert path_of(first, second, overflow=True, inode=7) == "/a/1"
    assert path_of(first, replace(first, path="/a/0"), inode=7) == "/a/0", "it was renamed"
    assert path_of(first, other, inode=7) == "", "of another subvolume"


def test_an_access_through_a_stack_of_devices_is_counted_once() -> None:
    events = [event(100, "io", READER, "read", device=device) for device in ("253:0", "8:16")]
    trace = replace(reading(*events), devices={**DEVICES, "253:0": (DISK,)})
    (access,) = join(trace).accesses
    assert (access.count, access.size) == (1, 4096)


def test_the_same_access_again_after_a_standby() -> None:
    """What happened before is not merged with what started the disk, nor counted for each device."""
    events = [
        event(at, "io", READER, "read", device=device) for at in (100, 900) for device in ("253:0", "8:16")
    ]
    trace = replace(reading(*events), devices={**DEVICES, "253:0": (DISK,)})
    accesses = join(trace).accesses
    assert [(access.first_at, access.count) for access in accesses] == [(100, 1), (900, 1)]


def test_changes_are_forgotten() -> None:
    many = [event(100 + n, "dirty", WRITER, "write", n + 2) for n in range(600)]
    assert len(join(reading(*many)).changes) == 300
    old = join(reading(event(100, "dirty", WRITER, "write", FILE))).changes
    assert join(reading(event(2000, "io", READER, "read")), old).changes == ()
