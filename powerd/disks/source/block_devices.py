"""Reads every block device from sysfs and udev's database, and nothing below /dev.

udev's database has one file per block device in /run/udev/data, ``bMAJOR:MINOR``. Each line is a letter, a
colon and a value: ``S:`` a link below /dev, ``E:`` a property KEY=VALUE; other letters are tags, priorities
and times. The format is systemd's own (src/libsystemd/sd-device/device-private.c, device_update_db).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from powerd.core.dataclass import dataclass
from powerd.core.turns import in_turns
from powerd.disks.source.counters import SECTOR_BYTES

if TYPE_CHECKING:  # powerd check does without it
    from powerd.linux.ports import Files

SYS_BLOCK: Final = "/sys/block"
_COMMON_ATTRIBUTES: Final = ("dev", "size", "diskseq")
_HARDWARE_ATTRIBUTES: Final = (
    "removable",
    "queue/rotational",
    "queue/iostats",
    "queue/iostats_passthrough",
    "device/vendor",
    "device/model",
    "device/type",
    "device/serial",
    "device/power/control",
    "device/power/autosuspend_delay_ms",
)
_MD_ATTRIBUTES: Final = ("md/level",)
_DM_ATTRIBUTES: Final = ("dm/name", "dm/uuid")
_ESCAPE: Final = re.compile(r"(?:\\x[0-9a-fA-F]{2})+")


@dataclass(frozen=True, slots=True)
class UdevRecord:
    """The record of a device in udev's database.

    Attributes:
        links: names below /dev, ``disk/by-id/ata-...``.
        properties: by key, ``ID_SERIAL_SHORT``; without empty values.
    """

    links: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def get(self, *keys: str) -> str:
        """The value of the first of ``keys`` that has one; "" if none has."""
        return next((value for key in keys if (value := self.properties.get(key))), "")


def udev_record_path(device_number: str) -> str:
    """The file of the block device ``MAJOR:MINOR``."""
    return f"/run/udev/data/b{device_number}"


def parse_udev_record(text: str | None) -> UdevRecord:
    """The record in the text of a file; lines of any other format are ignored; None = there is no file."""
    links: list[str] = []
    properties: dict[str, str] = {}
    for line in (text or "").split("\n"):
        kind, colon, value = line.partition(":")
        if not colon:
            continue
        if kind == "S":
            links.append(value)
        elif kind == "E":
            key, equals, content = value.partition("=")
            if equals and key and content:
                properties[key] = content
    return UdevRecord(tuple(links), MappingProxyType(properties))


def unescape_hex(encoded: str) -> str:
    r"""Decodes an ``_ENC`` property, with ``\x20`` for a blank and the like (udev_util_encode_string)."""
    text = _ESCAPE.sub(
        lambda found: bytes.fromhex(found[0].replace("\\x", "")).decode(errors="replace"), encoded
    )
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


@dataclass(frozen=True, slots=True)
class BlockDevice:
    """A block device: a whole disk, a partition, or a virtual device (md, dm, loop).

    Attributes:
        name: the kernel's, ``sda1``.
        path: its directory, by hardware topology: ``/sys/devices/pci0000:00/.../block/sda/sda1``.
        attributes: the files of that directory that exist, ``queue/rotational``.
        udev: its record in udev's database.
        parent: of a partition, the name of the disk.
        slaves: names of the devices that it is made of (md, dm, bcache).
    """

    name: str
    path: str
    attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    udev: UdevRecord = field(default_factory=UdevRecord)
    parent: str | None = None
    slaves: tuple[str, ...] = ()

    @property
    def device_number(self) -> str:
        """``MAJOR:MINOR``."""
        return self.attributes.get("dev", "")

    @property
    def size(self) -> int:
        """Bytes; 0 = no medium, not in use, or unknown."""
        return (parse_int(self.attributes.get("size")) or 0) * SECTOR_BYTES

    @property
    def is_virtual(self) -> bool:
        """Whether it has no hardware of its own. NVMe multipath devices have, despite their path."""
        return self.path.startswith("/sys/devices/virtual/") and not self.name.startswith("nvme")


def parse_int(text: str | None) -> int | None:
    """A whole number as sysfs writes it; None = the text is not a number."""
    try:
        return int(text or "")
    except ValueError:
        return None


async def read_block_devices(files: Files) -> dict[str, BlockDevice]:
    """Every block device by its name, without virtual ones of size 0, which Linux creates in advance.

    Raises:
        HostError: sysfs is not readable.
    """
    found: dict[str, BlockDevice] = {}
    async for name in in_turns(files.listdir(SYS_BLOCK), 1):
        disk = _read_disk(files, name)
        if disk is None:
            continue
        found[name] = disk
        for entry in files.listdir(disk.path):
            if entry.startswith(name):
                found[entry] = _read_partition(files, disk, entry)
    return found


def _read_disk(files: Files, name: str) -> BlockDevice | None:
    path = files.realpath(f"{SYS_BLOCK}/{name}")
    if path is None:
        return None
    read = _read_attributes(files, path, _COMMON_ATTRIBUTES)
    bare = BlockDevice(name, path, read)
    if "dev" not in read or (bare.is_virtual and not bare.size):
        return None
    wanted = (
        (_MD_ATTRIBUTES if name.startswith("md") else _DM_ATTRIBUTES)
        if bare.is_virtual
        else _HARDWARE_ATTRIBUTES
    )
    attributes = read | _read_attributes(files, path, wanted)
    slaves = files.listdir(f"{path}/slaves") if bare.is_virtual else ()
    return BlockDevice(name, path, MappingProxyType(attributes), _udev_record(files, read), slaves=slaves)


def _read_partition(files: Files, disk: BlockDevice, name: str) -> BlockDevice:
    path = f"{disk.path}/{name}"
    attributes = _read_attributes(files, path, ("dev",))
    return BlockDevice(
        name, path, MappingProxyType(attributes), _udev_record(files, attributes), parent=disk.name
    )


def _read_attributes(files: Files, path: str, names: Iterable[str]) -> dict[str, str]:
    texts = ((name, files.read_text(f"{path}/{name}")) for name in names)
    return {name: text for name, text in texts if text is not None}


def _udev_record(files: Files, attributes: Mapping[str, str]) -> UdevRecord:
    number = attributes.get("dev")
    return parse_udev_record(files.read_text(udev_record_path(number))) if number else UdevRecord()
