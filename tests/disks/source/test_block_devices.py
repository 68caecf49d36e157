from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.hardware import Hardware

from powerd.disks.source import block_devices
from powerd.disks.source.block_devices import (
    BlockDevice,
    UdevRecord,
    parse_int,
    parse_udev_record,
    udev_record_path,
    unescape_hex,
)
from powerd.linux.files import HostFiles

UDEV_FILE = """\
S:disk/by-id/ata-WDC_WD20EFRX-68EUZN0_WD-WCC4M0XYZ123
S:disk/by-id/wwn-0x50014ee2b1234567
S:disk/by-path/pci-0000:00:17.0-ata-2
W:12
I:3456789
E:ID_ATA=1
E:ID_MODEL=WDC_WD20EFRX-68EUZN0
E:ID_MODEL_ENC=WDC\\x20WD20EFRX-68EUZN0\\x20\\x20
E:ID_SERIAL_SHORT=WD-WCC4M0XYZ123
E:ID_FS_LABEL=a=b
E:ID_PART_TABLE_UUID=
G:systemd
Q:systemd
V:1
"""


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


def test_links_and_properties_of_udev_are_read() -> None:
    record = parse_udev_record(UDEV_FILE)
    assert record.links == (
        "disk/by-id/ata-WDC_WD20EFRX-68EUZN0_WD-WCC4M0XYZ123",
        "disk/by-id/wwn-0x50014ee2b1234567",
        "disk/by-path/pci-0000:00:17.0-ata-2",
    )
    assert record.get("ID_SERIAL_SHORT") == "WD-WCC4M0XYZ123"
    assert record.get("ID_FS_LABEL") == "a=b"
    assert "ID_PART_TABLE_UUID" not in record.properties
    assert record.get("ID_SCSI_SERIAL", "ID_MODEL") == "WDC_WD20EFRX-68EUZN0"
    assert record.get("NONE") == ""


def test_no_file_is_an_empty_udev_record() -> None:
    assert parse_udev_record(None) == parse_udev_record("") == UdevRecord()
    assert udev_record_path("8:16") == "/run/udev/data/b8:16"


def test_encoded_values_become_plain() -> None:
    assert unescape_hex("WDC\\x20WD20EFRX-68EUZN0\\x20\\x20") == "WDC WD20EFRX-68EUZN0"
    assert unescape_hex("caf\\xc3\\xa9") == "café"
    assert unescape_hex("a\\x00\\x1b[31mb") == "a [31mb"
    assert unescape_hex("\\x20\\x20") == ""
    assert unescape_hex("back\\slash \\x2") == "back\\slash \\x2"


@given(st.text())
def test_any_text_of_udev_is_borne(text: str) -> None:
    record = parse_udev_record(text)
    assert all(key and value for key, value in record.properties.items())
    assert all(f"S:{link}" in text for link in record.links)
    assert unescape_hex(text).isprintable()


@given(st.lists(st.sampled_from(UDEV_FILE.splitlines()) | st.text(st.characters(exclude_characters="\n"))))
def test_lines_of_udev_do_not_disturb_each_other(lines: list[str]) -> None:
    whole = parse_udev_record("\n".join(lines))
    assert whole.links == tuple(link for line in lines for link in parse_udev_record(line).links)
