from __future__ import annotations

import re

import pytest
from disks.source.block_builders import ATA_PATH, drive, stacked_device
from hypothesis import given
from hypothesis import strategies as st

from powerd.disks.model import BY_ID_PATTERN
from powerd.disks.source import identity
from powerd.disks.source.block_devices import BlockDevice

SAS = "/sys/devices/pci0000:00/0000:01:00.0/host0/port-0:1/end_device-0:1/target0:0:1/0:0:1:0/block"
USB = "/sys/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block"
RAID = "/sys/devices/pci0000:00/0000:02:00.0/host0/target0:2:0/0:2:0:0/block"
ISCSI = "/sys/devices/platform/host7/session1/target7:0:0/7:0:0:1/block"
FIBRE = "/sys/devices/pci0000:00/0000:03:00.0/host8/rport-8:0-3/target8:0:1/8:0:1:0/block"
VIRTIO_SCSI = "/sys/devices/pci0000:00/0000:00:05.0/virtio2/host2/target2:0:0/2:0:0:0/block"
TCM = "/sys/devices/tcm_loop_0/tcm_loop_adapter_0/host2/target2:0:1/2:0:1:0/block"
NVME = "/sys/devices/pci0000:00/0000:04:00.0/nvme/nvme0"


def test_the_best_name_has_model_and_serial_number() -> None:
    names = (
        "wwn-0x50014ee2b1234567",
        "scsi-SATA_WDC_WD20EFRX_WCC1",
        "ata-WDC_WD20EFRX-68EUZN0_WCC1",
        "scsi-350014ee2b1234567",
        "lvm-pv-uuid-abcdef",
    )
    assert identity.by_id_names(drive("sda", *names)) == (names[2], names[1], names[3], names[0])


def test_nvme_names_with_a_model_come_first() -> None:
    names = ("nvme-eui.0025385b71b0a3c5", "nvme-Samsung_SSD_970_S466_1", "nvme-Samsung_SSD_970_S466")
    assert identity.by_id_names(drive("nvme0n1", *names)) == (names[2], names[1], names[0])


def test_names_that_the_helper_would_not_take_are_none() -> None:
    names = ("ata-" + "x" * 130, "ata-a/b", "ata-ü", "-x", "ata-..")
    assert identity.by_id_names(drive("sda", *names)) == ("ata-..",)


def test_a_name_of_two_disks_is_neithers() -> None:
    one = drive("sda", "ata-BRIDGE_000", "wwn-0x1")
    two = drive("sdb", "ata-BRIDGE_000", "wwn-0x2")
    three = drive("sdc", "scsi-36000")
    four = drive("sdd", "scsi-36000")
    ids = identity.assign_ids((one, two, three, four))
    assert ids == {"sda": "wwn-0x1", "sdb": "wwn-0x2", "sdc": None, "sdd": None}
    assert "same name" in (identity.ineligible_reason(three, None) or "")


@pytest.mark.parametrize(
    ("name", "path", "reported", "transport"),
    [
        ("sda", "", {}, "ata"),
        ("sda", "", {"ID_ATA": ""}, "ata"),
        ("sda", SAS, {"ID_ATA": ""}, "sas"),
        ("sda", SAS, {}, "ata"),
        ("sda", TCM, {}, "ata"),
        ("sda", USB, {}, "usb"),
        ("sda", RAID, {"ID_ATA": ""}, "other"),
        ("sda", ISCSI, {}, "other"),
        ("sda", FIBRE, {"ID_ATA": ""}, "other"),
        ("sda", VIRTIO_SCSI, {"ID_ATA": ""}, "virtio"),
        ("vda", "/sys/devices/pci0000:00/0000:00:02.0/virtio1/block", {"ID_ATA": ""}, "virtio"),
        ("nvme0n1", NVME, {"ID_ATA": ""}, "nvme"),
        ("mmcblk0", "/sys/devices/platform/mmc_host/mmc0/mmc0:0001/block", {"ID_ATA": ""}, "mmc"),
    ],
)
def test_how_it_is_attached(name: str, path: str, reported: dict[str, str], transport: str) -> None:
    block = drive(name, path=path or ATA_PATH, extra_properties=reported)
    assert identity.find_transport(block) == transport


@pytest.mark.parametrize(
    ("reported", "files", "model"),
    [
        ({"ID_MODEL_ENC": "WDC\\x20WD20EFRX\\x20\\x20", "ID_MODEL": "WDC_WD20EFRX"}, {}, "WDC WD20EFRX"),
        ({"ID_MODEL": "WDC_WD20EFRX"}, {"device/vendor": "ATA"}, "WDC WD20EFRX"),
        ({"ID_MODEL_ENC": "ST4000", "ID_VENDOR_ENC": "SEAGATE\\x20"}, {}, "SEAGATE ST4000"),
        ({"ID_MODEL": "SEAGATE_X", "ID_VENDOR": "SEAGATE"}, {}, "SEAGATE X"),
        ({}, {"device/model": "WDC WD20EFRX-68E", "device/vendor": "ATA"}, "WDC WD20EFRX-68E"),
        ({}, {"device/vendor": "0x1af4"}, ""),
        ({}, {}, ""),
    ],
)
def test_what_people_call_it(reported: dict[str, str], files: dict[str, str], model: str) -> None:
    assert identity.find_model(drive(files=files, extra_properties=reported)) == model


def test_whose_serial_number() -> None:
    assert identity.find_serial(drive(ID_SCSI_SERIAL="Z1Z", ID_SERIAL_SHORT="35000c500")) == "Z1Z"
    assert identity.find_serial(drive(ID_SERIAL_SHORT="WCC1")) == "WCC1"
    assert identity.find_serial(drive(files={"device/serial": "S466"})) == "S466"
    assert identity.find_serial(drive()) == ""


@pytest.mark.parametrize(
    ("block", "why"),
    [
        (drive("sda", "ata-A_1"), None),
        (drive("sda", "ata-A_1", ID_ATA_ROTATION_RATE_RPM="7200"), None),
        (drive("sda", "scsi-3500", path=SAS, ID_ATA=""), None),
        (drive("sda", "ata-A_1", path=TCM), None),
        (drive("sda", "usb-A_1", path=USB, ID_ATA=""), None),
        (drive("sda"), "no name in /dev/disk/by-id"),
        (drive("sda", "ata-A_1", rotational="0"), "solid state"),
        (drive("sda", "ata-A_1", ID_ATA_ROTATION_RATE_RPM="0"), "solid state"),
        (drive("sda", "ata-A_1", rotational=None), "unknown whether"),
        (drive("sda", "ata-A_1", rotational="?"), "unknown whether"),
        (drive("nvme0n1", "nvme-A_1", path=NVME, rotational="1"), "solid state"),
        (drive("nvme0n1", "nvme-A", path="/sys/devices/virtual/nvme-subsystem/nvme-subsys0"), "solid state"),
        (drive("mmcblk0", "mmc-A_1", path="/sys/x/mmc0"), "solid state"),
        (drive("vda", "virtio-A", path="/sys/devices/pci0000:00/virtio1/block"), "virtual machine"),
        (drive("xvda", path="/sys/devices/vbd-768/block"), "virtual machine"),
        (drive("sda", "ata-QEMU_HARDDISK_QM00001", ID_MODEL_ENC="QEMU\\x20HARDDISK"), "virtual machine"),
        (drive("sda", "ata-VBOX_HARDDISK_VB1", ID_MODEL="VBOX_HARDDISK"), "virtual machine"),
        (drive("sda", "usb-A_1", path=USB, removable="1"), "removable"),
        (drive("sda", "usb-A_1", path=USB, size="0"), "no size"),
        (drive("sda", "usb-A_1", path=USB, size="garbage"), "no size"),
        (drive("sr0", "ata-DVD_1", removable="1"), "optical"),
        (drive("sda", "usb-DVD_1", files={"device/type": "5"}), "optical"),
        (drive("fd0", path="/sys/devices/platform/floppy.0/block", removable="1"), "floppy"),
        (drive("sda", "scsi-36000", path=RAID, ID_ATA=""), "hides the drive"),
        (drive("sda", "scsi-36000", path=ISCSI, ID_ATA=""), "hides the drive"),
        (drive("sda", "ata-A_1", ID_ATA=""), "could not read"),
        (stacked_device("loop0"), "loop"),
        (stacked_device("zram0"), "memory"),
        (stacked_device("ram0"), "memory"),
        (stacked_device("md0", "sda1"), "array"),
        (stacked_device("dm-0", "sda1"), "volume"),
        (stacked_device("nbd0"), "another machine"),
        (stacked_device("strange0"), "virtual"),
    ],
)
def test_what_is_left_alone_and_why(block: BlockDevice, why: str | None) -> None:
    message = identity.ineligible_reason(block, identity.assign_ids([block])[block.name])
    assert message is None if why is None else why in (message or "")
    assert message is None or "\n" not in message


@given(
    st.dictionaries(st.sampled_from(["ID_ATA", "ID_MODEL", "ID_MODEL_ENC", "ID_VENDOR"]), st.text()),
    st.lists(st.text()),
)
def test_any_udev_record_is_accepted(reported: dict[str, str], links: list[str]) -> None:
    block = drive("sda", *links, extra_properties=reported)
    id_ = identity.assign_ids([block])["sda"]
    assert id_ is None or re.fullmatch(BY_ID_PATTERN, id_)
    assert (identity.ineligible_reason(block, id_) is None) <= (id_ is not None)
    identity.find_model(block)


@pytest.mark.parametrize(
    ("enabled", "value", "level"),
    [
        ("1", "254", 254),
        ("1", "1", 1),
        ("1", "0", None),
        ("1", "255", None),
        ("1", "0xfe", None),
        ("1", "", None),
        ("0", "128", None),
        ("", "128", None),
    ],
)
def test_the_apm_level_as_ata_id_writes_it(enabled: str, value: str, level: int | None) -> None:
    reported = {"ID_ATA_FEATURE_SET_APM_ENABLED": enabled, "ID_ATA_FEATURE_SET_APM_CURRENT_VALUE": value}
    assert identity.find_apm(drive(extra_properties=reported)) == level
