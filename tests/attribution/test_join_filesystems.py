"""Who is named if a disk has several file systems, as the kernel fires the events."""

from __future__ import annotations

from dataclasses import replace

import pytest
from attribution.traces import (
    BACKUP,
    DEVICES,
    DISK,
    FILE,
    JBD2,
    KWORKER,
    READER,
    WRITER,
    XFSAILD,
    event,
    named,
    reading,
)

from powerd.attribution.changes import device_of_thread
from powerd.attribution.join import join
from powerd.attribution.model import TraceEvent

PARTITIONS = {**DEVICES, "8:18": (DISK,), "btrfs-2": (DISK,)}
JELLYFIN, CRON = ("jellyfin.service", "write"), ("cron.service", "write")
BOTH = [
    event(130, "journal", READER, "write", 50, device="8:17"),
    event(130, "dirty", READER, "write", 50),
    event(131, "journal", WRITER, "write", FILE, device="8:18"),
    event(131, "dirty", WRITER, "write", FILE),
]
"""Handles of the journals of two partitions."""
XFS = [*BOTH[:2], event(131, "dirty", WRITER, "create", 128, device="8:18", name="job")]
"""A handle of the journal of an ext4, and a change on an XFS."""
BTRFS = [
    event(130, "journal", READER, "write", 0, device="btrfs-1"),
    event(131, "dirty", WRITER, "write", FILE, device="btrfs-2"),
    event(131, "journal", WRITER, "write", 0, device="btrfs-2"),
]


def who(*events: TraceEvent) -> set[tuple[str, str, str]]:
    return named(join(replace(reading(*events), devices=PARTITIONS)).accesses)


@pytest.mark.parametrize("device", ["8:16", "8:17", "8:18"])
@pytest.mark.parametrize("comm", ["jbd2/sdb2-8", "jbd2/sda18-8", "jbd2/nvme0n1p2-8"])
def test_a_commit_is_by_the_handles_of_its_journal(comm: str, device: str) -> None:
    """Whether the kernel reports the disk or the partition; a thread may have no name that is known."""
    found = who(*BOTH, event(136, "io", JBD2, device=device, comm=comm))
    if comm == "jbd2/sdb2-8" or device == "8:18":
        assert found == {(*CRON, "certain")}
    elif device == "8:17":
        assert found == {(*JELLYFIN, "certain")}
    else:
        assert found == {(*CRON, "likely"), (*JELLYFIN, "likely")}


def test_nobody_is_named_for_a_commit_without_a_handle_of_its_journal() -> None:
    assert who(*BOTH[:2], event(136, "io", JBD2, comm="jbd2/sdb2-8")) == {("jbd2/sdb2-8", "write", "unknown")}


def test_metadata_are_written_by_the_inode_of_the_partition() -> None:
    metadata = [event(160, "writeback", KWORKER, inode=8 << 20 | 18), event(160, "io", KWORKER)]
    assert who(*BOTH, *metadata) == {(*CRON, "certain")}


def test_a_handle_of_another_file_system_says_nothing_about_xfs() -> None:
    for comm in ("xfsaild/sdb2", "xfsaild/loop2p2"):
        written = event(160, "io", XFSAILD, comm=comm)
        assert who(*XFS, written) == {("cron.service", "create", "certain")}
        assert who(*XFS[:2], written) == {(comm, "write", "unknown")}
    assert who(*XFS, event(136, "io", JBD2, comm="jbd2/sdb1-8")) == {(*JELLYFIN, "certain")}


def test_a_kworker_that_writes_no_inode_may_write_for_any_file_system() -> None:
    written = event(160, "io", 32, comm="kworker/1:2")
    assert who(*XFS, written) == {("cron.service", "create", "likely"), (*JELLYFIN, "likely")}
    assert who(*XFS[:2], written) == {(*JELLYFIN, "likely")}


def test_a_transaction_of_btrfs_has_nothing_to_do_with_other_file_systems() -> None:
    transaction = event(160, "io", 33, comm="btrfs-transacti")
    assert who(*BOTH[:2], *BTRFS[1:], transaction) == {(*CRON, "certain")}
    assert who(*BTRFS, transaction) == {(*CRON, "likely"), (*JELLYFIN, "likely")}


def test_a_sync_of_one_file_system_is_not_of_the_other() -> None:
    sync = event(140, "journal", BACKUP, "sync", device="8:18", comm="backup")
    assert who(*BOTH, sync, event(140, "io", BACKUP, device="8:18", comm="backup")) == {(*CRON, "certain")}


@pytest.mark.parametrize(
    "changes",
    [
        [(READER, "8:17"), (WRITER, "8:18")],
        [(READER, "btrfs-1"), (WRITER, "btrfs-1")],
        [(WRITER, "8:17"), (WRITER, "8:18")],
    ],
)
def test_equal_inodes_may_be_on_two_file_systems(changes: list[tuple[int, str]]) -> None:
    """The event of the write-back has the backing device only; all are named, the latest first."""
    backing = "btrfs-1" if "btrfs-1" in changes[0] else "8:16"
    events = [
        *(event(100 + at, "dirty", pid, inode=12, device=on) for at, (pid, on) in enumerate(changes)),
        event(130, "writeback", KWORKER, inode=12, device=backing),
        event(130, "io", KWORKER),
    ]
    accesses = join(replace(reading(*events), devices=PARTITIONS)).accesses
    assert accesses[0].culprit.pid == WRITER
    assert {access.certainty for access in accesses} == {"likely"}
    assert {access.culprit.pid for access in accesses} == {pid for pid, _ in changes}


def test_an_inode_of_another_btrfs_is_another_one() -> None:
    events = [
        event(100, "dirty", READER, inode=FILE, device="btrfs-1"),
        event(101, "dirty", WRITER, inode=FILE, device="btrfs-2"),
        event(102, "dirty", READER, inode=FILE, device="8:17"),
        event(130, "writeback", KWORKER, inode=FILE, device="btrfs-2"),
        event(130, "io", KWORKER),
    ]
    assert who(*events) == {(*CRON, "certain")}


@pytest.mark.parametrize(
    ("comm", "device"),
    [
        ("jbd2/sdb1-8", "8:17"),
        ("xfsaild/sdb2", "8:18"),
        ("jbd2/sdb-8", "8:16"),
        ("xfs-cil/dm-3", "253:3"),
        ("jbd2/md127-8", "9:127"),
        ("jbd2/loop7-8", "7:7"),
        ("jbd2/sdb3-8", ""),
        ("jbd2/sdb17-8", ""),  # its number is of the extended range
        ("jbd2/nvme0n1p1-8", ""),
        ("jbd2/loop2p1-8", ""),
        ("kworker/1:2", ""),
        ("btrfs-transacti", ""),
    ],
)
def test_the_device_of_a_thread(comm: str, device: str) -> None:
    devices = ["8:16", "8:17", "8:18", "253:3", "9:3", "9:127", "7:7", "259:1", "259:2", "btrfs-1"]
    assert device_of_thread(comm, devices) == device
