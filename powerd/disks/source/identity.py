"""The identity of a disk: its stable id, its transport, and why powerd cannot manage it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

from powerd.disks.model import BY_ID_PATTERN, DiskId
from powerd.disks.source.block_devices import BlockDevice, parse_int, unescape_hex

_BY_ID: Final = re.compile(BY_ID_PATTERN)
_BY_ID_DIRECTORY: Final = "disk/by-id/"
_NAME_PREFIXES: Final = (
    "ata-",
    "nvme-",
    "scsi-S",
    "scsi-",
    "usb-",
    "mmc-",
    "memstick-",
    "ieee1394-",
    "virtio-",
    "wwn-",
)
"""Kinds of names, those with a serial number first (60-persistent-storage.rules; sg3-utils adds scsi-S)."""
_NVME_WITHOUT_MODEL: Final = re.compile(r"nvme-(eui|uuid|nvme|nqn)\.")
"""NVMe names without the model."""

_TRANSPORT_BY_PATH: Final = (
    (re.compile(r"/usb\d+/"), "usb"),
    (re.compile(r"/(session\d+|rport-[\d:-]+|fw\d+)/"), "other"),
    (re.compile(r"/virtio\d+/"), "virtio"),
)
_TRANSPORT_BY_NAME: Final = (("nvme", "nvme"), ("mmcblk", "mmc"), ("vd", "virtio"))
_MIN_APM, _MAX_APM = 1, 254  # ATA8-ACS, SET FEATURES, "Enable/disable advanced power management"
_OPTICAL_TYPE: Final = "5"  # device/type, the peripheral device type of SPC-4, table 141

_VIRTUAL_DEVICES: Final = (
    ("loop", "a loop device: a file on another disk"),
    ("zram", "compressed memory"),
    ("ram", "memory"),
    ("md", "an array: its members are listed by themselves"),
    ("dm-", "a volume: the disks below it are listed by themselves"),
    ("bcache", "a cached device: the disks below it are listed by themselves"),
    ("zd", "a volume of a ZFS pool: its disks are listed by themselves"),
    ("nbd", "a disk of another machine"),
    ("rbd", "a disk of another machine"),
)
_DUPLICATE_NAME: Final = (
    "another disk has the same name in /dev/disk/by-id: two paths to one drive, or the name of a USB bridge"
)
_NO_NAME: Final = (
    "it has no name in /dev/disk/by-id: check that udev runs; the drive may report no serial number"
)
_HYPERVISORS: Final = re.compile(r"QEMU HARDDISK|VBOX HARDDISK|VMware|Virtual[ _]disk|Msft", re.IGNORECASE)


def by_id_names(disk: BlockDevice) -> tuple[str, ...]:
    """Its names below /dev/disk/by-id that distinguish it from other disks, best first."""
    names = {
        link.removeprefix(_BY_ID_DIRECTORY) for link in disk.udev.links if link.startswith(_BY_ID_DIRECTORY)
    }
    usable = [name for name in names if _BY_ID.fullmatch(name) and _name_rank(name) < len(_NAME_PREFIXES)]
    return tuple(
        sorted(
            usable,
            key=lambda name: (_name_rank(name), bool(_NVME_WITHOUT_MODEL.match(name)), len(name), name),
        )
    )


def assign_ids(disks: Iterable[BlockDevice]) -> dict[str, DiskId | None]:
    """The id of each disk, by the kernel's name; None = no name is unique.

    Two disks share a name if they are two paths to one drive, or drives behind a bridge that uses its own
    name.
    """
    names = {disk.name: by_id_names(disk) for disk in disks}
    claims = Counter(name for each in names.values() for name in each)
    return {
        disk: next((DiskId(name) for name in each if claims[name] == 1), None) for disk, each in names.items()
    }


def find_transport(disk: BlockDevice) -> str:
    """The transport, one of the values of Disk.transport; a SATA drive on a SAS controller is ata."""
    for start, kind in _TRANSPORT_BY_NAME:
        if disk.name.startswith(start):
            return kind
    for pattern, kind in _TRANSPORT_BY_PATH:
        if pattern.search(disk.path):
            return kind
    if disk.udev.get("ID_ATA") == "1" or re.search(r"/ata\d+/", disk.path):
        return "ata"
    return "sas" if "/end_device-" in disk.path else "other"


def find_model(disk: BlockDevice) -> str:
    """Vendor and model as udev reads them, else the first 16 letters from SCSI INQUIRY; "" = unknown."""
    found = unescape_hex(disk.udev.get("ID_MODEL_ENC")) or disk.udev.get("ID_MODEL").replace("_", " ").strip()
    if not found:
        found = disk.attributes.get("device/model", "")
    vendor = unescape_hex(disk.udev.get("ID_VENDOR_ENC")) or disk.udev.get("ID_VENDOR").replace("_", " ")
    vendor = vendor or disk.attributes.get("device/vendor", "")
    if vendor in {"", "ATA"} or vendor.startswith("0x") or found.startswith(vendor):
        return found
    return f"{vendor} {found}".strip()


def find_serial(disk: BlockDevice) -> str:
    """The serial number of the drive, or of its bridge if only that is known; "" = unknown."""
    return disk.udev.get("ID_SCSI_SERIAL", "ID_SERIAL_SHORT") or disk.attributes.get("device/serial", "")


def find_rpm(disk: BlockDevice) -> int | None:
    """Revolutions per minute; 0 = no hard disk, None = not reported (ATA word 217, as ata_id writes it)."""
    return parse_int(disk.udev.get("ID_ATA_ROTATION_RATE_RPM"))


def find_apm(disk: BlockDevice) -> int | None:
    """The APM level as udev last read it, 1 to 254; None = off, not supported, or unknown.

    udev's ata_id reads the identity of the drive at hotplug and whenever a program has had it open for
    writing, and writes the level in decimal (systemd, src/udev/ata_id/ata_id.c).
    """
    if disk.udev.get("ID_ATA_FEATURE_SET_APM_ENABLED") != "1":
        return None
    level = parse_int(disk.udev.get("ID_ATA_FEATURE_SET_APM_CURRENT_VALUE"))
    return level if level is not None and _MIN_APM <= level <= _MAX_APM else None


def find_rotational(disk: BlockDevice) -> bool | None:
    """Whether it is a hard disk; None = unknown. The kernel says 1 for each device that does not say 0."""
    if disk.is_virtual:
        return None
    if find_rpm(disk) == 0:
        return False
    return {"0": False, "1": True}.get(disk.attributes.get("queue/rotational", ""))


def ineligible_reason(disk: BlockDevice, id_: DiskId | None) -> str | None:
    """Why powerd cannot manage it, whatever the configuration says; None = it is a suitable hard disk."""
    if disk.is_virtual:
        return next(
            (why for start, why in _VIRTUAL_DEVICES if disk.name.startswith(start)), "a virtual device"
        )
    kind = find_transport(disk)
    why = _medium_reason(disk) or _no_spindle_reason(disk, kind)
    if why is None and id_ is None:
        why = _DUPLICATE_NAME if by_id_names(disk) else _NO_NAME
    return why


def _medium_reason(disk: BlockDevice) -> str | None:
    """Why the medium rules it out; None = it does not."""
    if disk.name.startswith("sr") or disk.attributes.get("device/type") == _OPTICAL_TYPE:
        return "an optical drive"
    if disk.name.startswith("fd"):
        return "a floppy drive"
    if disk.attributes.get("removable") == "1":
        return "its medium is removable"
    return None if disk.size else "it has no size: no medium, or a broken drive"


def _no_spindle_reason(disk: BlockDevice, kind: str) -> str | None:
    """Why it is not a hard disk that powerd can stop; None = it is one."""
    if kind == "virtio" or disk.name.startswith("xvd") or _HYPERVISORS.search(find_model(disk)):
        return "a virtual machine's disk"
    if kind in {"nvme", "mmc"} or find_rotational(disk) is False:
        return "solid state: nothing to spin down"
    if find_rotational(disk) is None:
        return "unknown whether it is a hard disk"
    if kind == "other":
        return "its controller or network hides the drive behind it"
    if kind == "ata" and disk.udev.get("ID_ATA") != "1":
        return "udev could not read the identity of the drive"
    return None


def _name_rank(name: str) -> int:
    return next(
        (rank for rank, start in enumerate(_NAME_PREFIXES) if name.startswith(start)), len(_NAME_PREFIXES)
    )
