"""Disks by name: which device is meant, and which names lead to none."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from helper.fake_drives import FakeDrives
from helper.loop_devices import LoopDevices

from powerd.helper.disks.device import DiskDevice, find_disk, open_disk, partition_dirs, read_attribute
from powerd.helper.errors import RefusalError


@pytest.fixture
def drives(tmp_path: Path) -> FakeDrives:
    return FakeDrives(tmp_path, "sda", "sdb")


def refusal(drives: FakeDrives, name: str) -> str:
    with pytest.raises(RefusalError) as caught:
        find_disk(drives.root, name)
    return str(caught.value)


def link(drives: FakeDrives, name: str, target: str) -> str:
    (drives.root / "dev/disk/by-id" / name).symlink_to(target)
    return name


def test_a_disk_is_found_by_its_link(drives: FakeDrives) -> None:
    disk = find_disk(drives.root, "ata-SDB")
    assert disk == DiskDevice("ata-SDB", drives.root / "dev/sdb", drives.root / "sys/block/sdb", (8, 16))
    assert (disk.size, disk.in_flight, disk.runtime_suspended, disk.scsi_only) == (8 << 20, 0, False, False)


def test_links_follow_the_disk_when_letters_move(drives: FakeDrives) -> None:
    by_id = drives.root / "dev/disk/by-id/ata-SDA"
    by_id.unlink()
    by_id.symlink_to("../../sdb")
    assert find_disk(drives.root, "ata-SDA").device_number == (8, 16)


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("../../sda1", "is a partition or not a disk"),
        ("../../../etc/passwd", "is a partition or not a disk"),
        ("/dev/sda", "is a partition or not a disk"),
        ("../../disk/../sda", "is a partition or not a disk"),
        ("../..", "is a partition or not a disk"),
        ("../../.", "is a partition or not a disk"),
        ("../../", "is a partition or not a disk"),
        ("../../md0", r"(md0) is a virtual device; name the disks below it"),
        ("../../loop0", r"(loop0) is a virtual device"),
        ("../../sr0", r"(sr0) is another kind of drive"),
        ("../../sdq", r"(sdq) has been removed; plug it in again"),
    ],
)
def test_what_is_no_whole_disk_is_refused(drives: FakeDrives, target: str, says: str) -> None:
    (drives.root / "sys/block/sda/sda1").mkdir()
    for name in ("md0", "loop0"):
        drives.write(f"sys/block/{name}/dev", "9:0\n")
    for name in ("sr0", "sdq"):
        (drives.root / "sys/block" / name / "device").mkdir(parents=True)
    drives.write("sys/block/sr0/device/type", "5\n")
    assert says in refusal(drives, link(drives, "ata-X", target))


def test_a_name_without_a_link_is_refused(drives: FakeDrives) -> None:
    assert "`ls /dev/disk/by-id`" in refusal(drives, "ata-NONE")
    (drives.root / "dev/disk/by-id/file").write_text("")
    assert "no disk file" in refusal(drives, "file")


def test_zoned_disks_are_disks_and_virtual_ones_too(drives: FakeDrives) -> None:
    drives.write("sys/block/sda/device/type", "20\n")
    assert find_disk(drives.root, "ata-SDA").name == "ata-SDA"
    (drives.root / "sys/block/sda/device/type").unlink()
    assert find_disk(drives.root, "ata-SDA").name == "ata-SDA"


@pytest.mark.parametrize(
    ("status", "asleep"),
    [
        ("active", False),
        ("suspended", True),
        ("suspending", True),
        ("resuming", False),
        ("unsupported", False),
    ],
)
def test_what_the_kernel_has_suspended(drives: FakeDrives, status: str, *, asleep: bool) -> None:
    drives.write("sys/block/sda/device/power/runtime_status", f"{status}\n")
    assert find_disk(drives.root, "ata-SDA").runtime_suspended is asleep


def test_who_speaks_scsi_only(drives: FakeDrives, tmp_path: Path) -> None:
    drives.write("sys/block/sda/device/vendor", "SEAGATE \n")
    assert find_disk(drives.root, "ata-SDA").scsi_only
    device = drives.root / "sys/block/sda/device"
    there = tmp_path / "machine/sys/devices/pci0/usb2/2-1/target/2:0:0:0"
    there.parent.mkdir(parents=True)
    device.rename(there)
    device.symlink_to(there)
    assert not find_disk(drives.root, "ata-SDA").scsi_only


def test_odd_attributes_are_zeroes(drives: FakeDrives) -> None:
    drives.write("sys/block/sda/size", "many\n")
    drives.write("sys/block/sda/inflight", "x 1 ²\n")
    disk = find_disk(drives.root, "ata-SDA")
    assert (disk.size, disk.in_flight) == (0, 1)
    assert disk.read("no-such") == disk.read("device") == ""


def test_parts(drives: FakeDrives) -> None:
    drives.write("sys/block/sda/sda2/partition", "2\n")
    drives.write("sys/block/sda/sda1/partition", "1\n")
    (drives.root / "sys/block/sda/queue").mkdir()
    assert [path.name for path in partition_dirs(drives.root / "sys/block/sda")] == ["sda", "sda1", "sda2"]


def test_what_has_another_number_is_not_opened(drives: FakeDrives) -> None:
    disk = find_disk(drives.root, "ata-SDA")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(RefusalError, match=r"/dev/sda .*ata-SDA"):
        open_disk(disk)
    disk.node.unlink()
    with pytest.raises(RefusalError, match=os.strerror(errno.ENOENT)):
        open_disk(disk)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.lan
def test_the_real_kernel_s_loop_device(tmp_path: Path) -> None:
    with LoopDevices(tmp_path, 1) as loops:
        (name,) = loops.ids
        with pytest.raises(RefusalError, match="is a virtual device"):
            find_disk(loops.root, name)
        disk = find_disk(loops.root, name, allow_loops=True)
        assert disk.size == loops.size
        assert read_attribute(disk.sysfs / "ro") == "0"
        descriptor = open_disk(disk)
        os.close(descriptor)
        assert disk.device_number == (7, int(loops.devices[0].removeprefix("/dev/loop")))
