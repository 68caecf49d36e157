from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.hardware import Hardware

from powerd.disks.source import block_devices
from powerd.disks.source.block_devices import BlockDevice, parse_int
from powerd.linux.files import HostFiles


def read(root: Path) -> dict[str, BlockDevice]:
    return asyncio.run(block_devices.read_block_devices(HostFiles(root)))


def test_a_disk_and_its_partitions(tmp_path: Path) -> None:
    hardware = Hardware(tmp_path)
    id_ = hardware.sata(0, "WCC1")
    hardware.partition(0, 1, ID_FS_TYPE="ext4")
    found = read(tmp_path)
    assert list(found) == ["sda", "sda1"]
    disk, partition = found["sda"], found["sda1"]
    assert disk.path == "/sys/devices/pci0000:00/0000:00:17.0/ata1/host1/target1:0:0/1:0:0:0/block/sda"
    assert (disk.device_number, disk.size, disk.parent, disk.is_virtual) == (
        "8:0",
        3907029168 * 512,
        None,
        False,
    )
    assert disk.attributes["device/vendor"] == "ATA"
    assert f"disk/by-id/{id_}" in disk.udev.links
    assert (partition.device_number, partition.parent, partition.udev.get("ID_FS_TYPE")) == (
        "8:1",
        "sda",
        "ext4",
    )


def test_what_the_kernel_makes_has_slaves(tmp_path: Path) -> None:
    hardware = Hardware(tmp_path)
    hardware.sata(0, "WCC1")
    hardware.md("md0", 0, ["sda"])
    hardware.dm(0, ["md0"], "vg0-root", "LVM-x")
    found = read(tmp_path)
    assert found["md0"].slaves == ("sda",)
    assert found["md0"].is_virtual
    assert found["md0"].attributes["md/level"] == "raid1"
    assert found["dm-0"].attributes["dm/name"] == "vg0-root"


def test_the_stock_of_unused_devices_is_left_out(tmp_path: Path) -> None:
    hardware = Hardware(tmp_path)
    for n in range(8):
        hardware.virtual(f"loop{n}", f"7:{n}")
        hardware.sysfs(f"loop{n}", "size", "8" if n == 3 else "0")
    assert list(read(tmp_path)) == ["loop3"]


def test_what_vanishes_meanwhile_is_left_out(tmp_path: Path) -> None:
    hardware = Hardware(tmp_path)
    hardware.sata(0, "WCC1")
    hardware.sata(1, "WCC2")
    (tmp_path / "sys/block/sdb").resolve().joinpath("dev").unlink()
    (tmp_path / "sys/block/sdc").symlink_to("../devices/nowhere")
    assert list(read(tmp_path)) == ["sda"]


def test_without_udev_there_are_disks_without_names(tmp_path: Path) -> None:
    hardware = Hardware(tmp_path)
    hardware.sata(0, "WCC1")
    hardware.at("/run/udev/data/b8:0").unlink()
    assert read(tmp_path)["sda"].udev.links == ()


def test_nothing_below_dev_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hardware = Hardware(tmp_path)
    hardware.sata(0, "WCC1")
    hardware.partition(0, 1)
    opened: list[str] = []
    machine = HostFiles(tmp_path)
    read_text = machine.read_text

    def noted(path: str) -> str | None:
        opened.append(path)
        return read_text(path)

    monkeypatch.setattr(machine, "read_text", noted)
    asyncio.run(block_devices.read_block_devices(machine))
    assert opened
    assert not [path for path in opened if not path.startswith(("/sys/devices/", "/run/udev/data/"))]


def test_the_disks_of_this_machine() -> None:
    """Whatever it has; a root filesystem on a block device at least."""
    found = read(Path("/"))
    for block in found.values():
        assert block.device_number.count(":") == 1
        assert block.parent is None or block.parent in found
    assert set(found) >= {name.name for name in Path("/sys/block").iterdir() if name.name.startswith("vd")}


@given(st.text())
def test_numbers_of_sysfs(text: str) -> None:
    assert parse_int(text) is None or parse_int(text) == int(text)
    assert parse_int(None) is None
