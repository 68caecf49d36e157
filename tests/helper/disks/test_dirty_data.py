"""What a disk must not be stopped in: found where the kernel and the drive tell it, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
from helper.fake_drives import FakeDrives

from powerd.helper.disks.device import find_disk
from powerd.helper.disks.dirty_data import busy_reason

CLEAN = """\
BdiWriteback:                0 kB
BdiReclaimable:              4 kB
BdiDirtyThresh:         517864 kB
BdiWriteBandwidth:       15252 kBps
b_dirty:                     {0}
b_io:                        {1}
b_more_io:                   {2}
b_dirty_time:                3
bdi_list:                    1
state:                       1
"""
UUID = "0d5f3a0a-9f0d-4a71-9b55-1c1c1c1c1c1c"
DATA = "data waits to be written to it; wait for half a minute"


@pytest.fixture
def drives(tmp_path: Path) -> FakeDrives:
    drives = FakeDrives(tmp_path, "sda", "sdb")
    drives.write("sys/block/sda/sda1/partition", "1\n")
    drives.write("sys/kernel/debug/bdi/8:0/stats", CLEAN.format(0, 0, 0))
    return drives


def hold(drives: FakeDrives, part: str, holder: str, number: str) -> None:
    """Build ``holder`` on ``part``."""
    drives.write(f"sys/block/{holder}/dev", f"{number}\n")
    drives.write(f"sys/kernel/debug/bdi/{number}/stats", CLEAN.format(0, 0, 0))
    holders = drives.root / "sys/block" / part / "holders"
    holders.mkdir(parents=True, exist_ok=True)
    (holders / holder).symlink_to(drives.root / "sys/block" / holder)


def why(drives: FakeDrives, name: str = "ata-SDA") -> str | None:
    return busy_reason(find_disk(drives.root, name), drives.root)


def test_nothing_pending(drives: FakeDrives) -> None:
    """Page counts that stay behind where nothing is dirty do not count."""
    assert why(drives) is None
    assert why(drives, "ata-SDB") is None


@pytest.mark.parametrize("counts", [(1, 0, 0), (0, 1, 0), (0, 0, 12)])
def test_dirty_data_of_the_disk(drives: FakeDrives, counts: tuple[int, int, int]) -> None:
    drives.write("sys/kernel/debug/bdi/8:0/stats", CLEAN.format(*counts))
    assert why(drives) == DATA
    assert why(drives, "ata-SDB") is None


def test_dirty_data_of_what_is_built_on_a_partition_of_it(drives: FakeDrives) -> None:
    hold(drives, "sda/sda1", "md0", "9:0")
    hold(drives, "md0", "dm-0", "253:0")
    assert why(drives) is None
    drives.write("sys/kernel/debug/bdi/253:0/stats", CLEAN.format(2, 0, 0))
    assert why(drives) == DATA
    assert why(drives, "ata-SDB") is None


@pytest.fixture
def btrfs(drives: FakeDrives) -> Path:
    """The directory in sysfs of one on sda1; its devices are links."""
    path = drives.root / "sys/fs/btrfs" / UUID
    (path / "devices").mkdir(parents=True)
    (path / "devices/sda1").symlink_to(drives.root / "sys/block/sda/sda1")
    return path


def test_dirty_data_of_a_btrfs(drives: FakeDrives, btrfs: Path) -> None:
    """Its backing device has a name of its own."""
    (drives.root / "sys/devices/virtual/bdi/btrfs-1").mkdir(parents=True)
    (btrfs / "bdi").symlink_to(drives.root / "sys/devices/virtual/bdi/btrfs-1")
    stats = drives.write("sys/kernel/debug/bdi/btrfs-1/stats", CLEAN.format(0, 0, 0))
    assert why(drives) is None
    stats.write_text(CLEAN.format(5, 0, 0))
    assert why(drives) == DATA
    assert why(drives, "ata-SDB") is None


def test_what_is_under_way(drives: FakeDrives) -> None:
    drives.write("sys/block/sda/inflight", "       0        2\n")
    assert "read or written" in str(why(drives))


@pytest.mark.parametrize("action", ["resync", "check", "repair", "recover", "reshape"])
def test_an_array_under_repair(drives: FakeDrives, action: str) -> None:
    hold(drives, "sda/sda1", "md127", "9:127")
    drives.write("sys/block/md127/md/sync_action", f"{action}\n")
    assert f"md127 is under {action}" in str(why(drives))
    for rest in ("idle", "frozen"):
        drives.write("sys/block/md127/md/sync_action", f"{rest}\n")
        assert why(drives) is None


def test_a_btrfs_that_is_scrubbed(drives: FakeDrives, btrfs: Path) -> None:
    """It is read for that, and for what is said. A socket of another file system says nothing of this one."""
    drives.write("sys/block/sda/inflight", "       4        0\n")
    line = "00000000e4f71913: 00000002 00000000 00010000 0001 01 1923570 /var/lib/btrfs/scrub.progress.{}\n"
    sockets = drives.write("proc/self/net/unix", line.format(UUID))
    assert "btrfs:0d5f3a0a is under scrub" in str(why(drives))
    assert why(drives, "ata-SDB") is None
    (btrfs / "label").write_text("photos\n")
    assert "btrfs:photos is under scrub" in str(why(drives))
    sockets.write_text(line.format(UUID.replace("1c", "2d")))
    drives.write("sys/block/sda/inflight", "       0        0\n")
    assert why(drives) is None


def test_a_btrfs_that_moves_its_data(drives: FakeDrives, btrfs: Path) -> None:
    operation = btrfs / "exclusive_operation"
    operation.write_text("device remove\n")
    assert "0d5f3a0a is under device" in str(why(drives))
    for rest in ("none", "balance paused"):
        operation.write_text(f"{rest}\n")
        assert why(drives) is None


def test_holders_that_hold_each_other_end(drives: FakeDrives) -> None:
    hold(drives, "sda", "dm-0", "253:0")
    hold(drives, "dm-0", "dm-1", "253:1")
    hold(drives, "dm-1", "dm-0", "253:0")
    assert why(drives) is None


@pytest.mark.parametrize(
    ("meminfo", "waits"),
    [
        ("Dirty:                12 kB\nWriteback:             0 kB\nWritebackTmp:     999999 kB\n", False),
        ("Dirty:             60000 kB\nWriteback:          9000 kB\n", True),
        ("", False),
    ],
)
def test_without_debugfs_only_much_dirty_data_counts(tmp_path: Path, meminfo: str, *, waits: bool) -> None:
    drives = FakeDrives(tmp_path, "sda")
    drives.write("proc/meminfo", meminfo)
    assert why(drives) == (DATA if waits else None)
