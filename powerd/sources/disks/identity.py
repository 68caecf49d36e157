"""What a disk is: its stable name, how it is attached, and why powerd may have to leave it alone. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

from powerd.model import DiskId
from powerd.model.disk_id import BY_ID
from powerd.sources.disks.blocks import Block, as_int
from powerd.sources.disks.udev import plain

_ID: Final = re.compile(BY_ID)
_DIRECTORY: Final = "disk/by-id/"
_RANKS: Final = (
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
"""Kinds of names, those with a serial number first (60-persistent-storage.rules; sg3-utils makes scsi-S)."""
_BARE: Final = re.compile(r"nvme-(eui|uuid|nvme|nqn)\.")
"""Names of NVMe without model."""

_PATHS: Final = (
    (re.compile(r"/usb\d+/"), "usb"),
    (re.compile(r"/(session\d+|rport-[\d:-]+|fw\d+)/"), "other"),
    (re.compile(r"/virtio\d+/"), "virtio"),
)
_NAMES: Final = (("nvme", "nvme"), ("mmcblk", "mmc"), ("vd", "virtio"))
_LEAST_APM, _MOST_APM = 1, 254  # ATA8-ACS, SET FEATURES, "Enable/disable advanced power management"
_OPTICAL: Final = "5"  # device/type, the peripheral device type of SPC-4, table 141

_MADE_BY_KERNEL: Final = (
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
_SHARED: Final = (
    "another disk has the same name in /dev/disk/by-id: two paths to one drive, or a bridge's own name"
)
_NAMELESS: Final = (
    "it has no name in /dev/disk/by-id: see that udev runs; the drive may tell no serial number"
)
_HYPERVISORS: Final = re.compile(r"QEMU HARDDISK|VBOX HARDDISK|VMware|Virtual[ _]disk|Msft", re.IGNORECASE)


def names_of(disk: Block) -> tuple[str, ...]:
    """Its names below /dev/disk/by-id that tell it from others, best first."""
    names = {link.removeprefix(_DIRECTORY) for link in disk.udev.links if link.startswith(_DIRECTORY)}
    fit = [name for name in names if _ID.fullmatch(name) and _rank(name) < len(_RANKS)]
    return tuple(sorted(fit, key=lambda name: (_rank(name), bool(_BARE.match(name)), len(name), name)))


def identify(disks: Iterable[Block]) -> dict[str, DiskId | None]:
    """The id of each disk, by the kernel's name; None = it has none that is its own alone.

    Two disks with one name are two paths to one drive, or drives behind a bridge that lends them its own.
    """
    names = {disk.name: names_of(disk) for disk in disks}
    claims = Counter(name for each in names.values() for name in each)
    return {
        disk: next((DiskId(name) for name in each if claims[name] == 1), None) for disk, each in names.items()
    }


def transport(disk: Block) -> str:
    """How it is attached, in the words of Disk.transport; a SATA drive on a SAS controller is ata."""
    for start, kind in _NAMES:
        if disk.name.startswith(start):
            return kind
    for pattern, kind in _PATHS:
        if pattern.search(disk.path):
            return kind
    if disk.udev.get("ID_ATA") == "1" or re.search(r"/ata\d+/", disk.path):
        return "ata"
    return "sas" if "/end_device-" in disk.path else "other"


def model(disk: Block) -> str:
    """Maker and model as udev knows them, else the first 16 letters that SCSI has of it; "" = unknown."""
    told = plain(disk.udev.get("ID_MODEL_ENC")) or disk.udev.get("ID_MODEL").replace("_", " ").strip()
    if not told:
        told = disk.attributes.get("device/model", "")
    vendor = plain(disk.udev.get("ID_VENDOR_ENC")) or disk.udev.get("ID_VENDOR").replace("_", " ")
    vendor = vendor or disk.attributes.get("device/vendor", "")
    if vendor in {"", "ATA"} or vendor.startswith("0x") or told.startswith(vendor):
        return told
    return f"{vendor} {told}".strip()


def serial(disk: Block) -> str:
    """The drive's serial number, not its bridge's where both are known; "" = unknown."""
    return disk.udev.get("ID_SCSI_SERIAL", "ID_SERIAL_SHORT") or disk.attributes.get("device/serial", "")


def rpm(disk: Block) -> int | None:
    """Rounds a minute; 0 = it has no spindle, None = it does not say (ATA word 217, as ata_id writes it)."""
    return as_int(disk.udev.get("ID_ATA_ROTATION_RATE_RPM"))


def apm(disk: Block) -> int | None:
    """Its APM level as udev last heard it, 1 to 254; None = off, or it has none, or does not say.

    udev's ata_id asks for the drive's identity when it is plugged in, and whenever somebody has had it open
    for writing, and writes the level in decimal (systemd, src/udev/ata_id/ata_id.c).
    """
    if disk.udev.get("ID_ATA_FEATURE_SET_APM_ENABLED") != "1":
        return None
    level = as_int(disk.udev.get("ID_ATA_FEATURE_SET_APM_CURRENT_VALUE"))
    return level if level is not None and _LEAST_APM <= level <= _MOST_APM else None


def rotational(disk: Block) -> bool | None:
    """Whether it has a spindle; None = nobody says. The kernel says yes of whatever does not say no."""
    if disk.virtual:
        return None
    if rpm(disk) == 0:
        return False
    return {"0": False, "1": True}.get(disk.attributes.get("queue/rotational", ""))


def excluded(disk: Block, id_: DiskId | None) -> str | None:
    """Why powerd never touches it; None = it is a hard drive. Of USB the configuration decides besides."""
    if disk.virtual:
        return next(
            (why for start, why in _MADE_BY_KERNEL if disk.name.startswith(start)), "a virtual device"
        )
    kind = transport(disk)
    why = _medium(disk) or _spindle(disk, kind)
    if why is None and id_ is None:
        why = _SHARED if names_of(disk) else _NAMELESS
    return why


def _medium(disk: Block) -> str | None:
    """Why what is in it, or not in it, makes it none of ours."""
    if disk.name.startswith("sr") or disk.attributes.get("device/type") == _OPTICAL:
        return "an optical drive"
    if disk.name.startswith("fd"):
        return "a floppy drive"
    if disk.attributes.get("removable") == "1":
        return "its medium can be taken out"
    return None if disk.size else "it has no size: no medium, or a broken drive"


def _spindle(disk: Block, kind: str) -> str | None:
    """Why it has no spindle that could be stopped."""
    if kind == "virtio" or disk.name.startswith("xvd") or _HYPERVISORS.search(model(disk)):
        return "a virtual machine's disk"
    if kind in {"nvme", "mmc"} or rotational(disk) is False:
        return "solid state: there is no spindle"
    if rotational(disk) is None:
        return "nobody says whether it has a spindle"
    if kind == "other":
        return "its controller or network hides the drive behind it"
    if kind == "ata" and disk.udev.get("ID_ATA") != "1":
        return "udev could not read the drive's identity"
    return None


def _rank(name: str) -> int:
    return next((rank for rank, start in enumerate(_RANKS) if name.startswith(start)), len(_RANKS))
