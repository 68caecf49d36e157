"""What is built on a disk: partitions, arrays and mappings in layers, and file systems on those."""

from __future__ import annotations

from pathlib import Path

import pytest
from helper.fake_drives import FakeDrives

from powerd.helper.disks.device import (
    DiskDevice,
    backing_device_names,
    block_device_dirs,
    btrfs_dirs,
    find_disk,
    holder_dirs,
)


@pytest.fixture
def drives(tmp_path: Path) -> FakeDrives:
    """On sda1 lies md0, partitioned, and on md0p1 a mapping; on sdb another one."""
    drives = FakeDrives(tmp_path, "sda", "sdb")
    drives.write("sys/block/sda/sda1/partition", "1\n")
    drives.write("sys/block/sda/sda1/dev", "8:1\n")
    drives.write("sys/block/md0/dev", "9:0\n")
    drives.write("sys/block/md0/md0p1/partition", "1\n")
    for name, number in (("dm-0", "253:0"), ("dm-1", "253:1")):
        drives.write(f"sys/block/{name}/dev", f"{number}\n")
    for part, holder in (("sda/sda1", "md0"), ("md0/md0p1", "dm-0"), ("sdb", "dm-1")):
        hold(drives, part, holder)
    return drives


def hold(drives: FakeDrives, part: str, holder: str) -> None:
    directory = drives.root / "sys/block" / part / "holders"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / holder).symlink_to(drives.root / "sys/block" / holder)


def disk(drives: FakeDrives, name: str = "ata-SDA") -> DiskDevice:
    return find_disk(drives.root, name)


def test_layers(drives: FakeDrives) -> None:
    assert [path.name for path in holder_dirs(disk(drives))] == ["md0", "dm-0"]
    assert [path.name for path in block_device_dirs(disk(drives))] == ["sda", "sda1", "md0", "md0p1", "dm-0"]
    assert [path.name for path in block_device_dirs(disk(drives, "ata-SDB"))] == ["sdb", "dm-1"]
    assert backing_device_names(disk(drives), drives.root) == {"8:0", "9:0", "253:0"}


def test_what_holds_itself_ends(drives: FakeDrives) -> None:
    hold(drives, "dm-0", "md0")
    assert [path.name for path in holder_dirs(disk(drives))] == ["md0", "dm-0"]


def test_btrfs(drives: FakeDrives) -> None:
    filesystem = drives.root / "sys/fs/btrfs/0d5f3a0a-9f0d-4a71-9b55-1c1c1c1c1c1c"
    (filesystem / "devices").mkdir(parents=True)
    (drives.root / "sys/fs/btrfs/features").mkdir()
    for name in ("sda1", "sdz"):
        (filesystem / "devices" / name).symlink_to(drives.root / "sys/block/sda/sda1")
    (drives.root / "sys/devices/virtual/bdi/btrfs-1").mkdir(parents=True)
    (filesystem / "bdi").symlink_to(drives.root / "sys/devices/virtual/bdi/btrfs-1")
    assert list(btrfs_dirs(["sda", "sda1"], drives.root)) == [filesystem]
    assert list(btrfs_dirs(["sdb"], drives.root)) == []
    assert backing_device_names(disk(drives), drives.root) == {"8:0", "9:0", "253:0", "btrfs-1"}
    assert backing_device_names(disk(drives, "ata-SDB"), drives.root) == {"8:16", "253:1"}
