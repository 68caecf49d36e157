"""Reads what sysfs and udev's database tell of every block device, and nothing below /dev."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from powerd.host.eyes import DiskEyes
from powerd.sources.disks import udev

BLOCK: Final = "/sys/block"
_SECTOR: Final = 512  # bytes; sysfs counts in these whatever the disk's own sectors are
_OF_ALL: Final = ("dev", "size", "diskseq")
_OF_DEVICES: Final = (
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
_OF_MD: Final = ("md/level",)
_OF_DM: Final = ("dm/name", "dm/uuid")


@dataclass(frozen=True, slots=True)
class Block:
    """A block device: a whole disk, a partition, or one that the kernel makes of others.

    Attributes:
        name: the kernel's, ``sda1``.
        path: its directory, by where the hardware is: ``/sys/devices/pci0000:00/.../block/sda/sda1``.
        attributes: files of that directory that were there, ``queue/rotational``.
        udev: its record.
        parent: of a partition, the name of the disk.
        slaves: names of the devices that it is made of (md, dm, bcache).
    """

    name: str
    path: str
    attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    udev: udev.Record = field(default_factory=udev.Record)
    parent: str | None = None
    slaves: tuple[str, ...] = ()

    @property
    def number(self) -> str:
        """``MAJOR:MINOR``."""
        return self.attributes.get("dev", "")

    @property
    def size(self) -> int:
        """Bytes; 0 = no medium, not in use, or unknown."""
        return (as_int(self.attributes.get("size")) or 0) * _SECTOR

    @property
    def virtual(self) -> bool:
        """The kernel makes it: no hardware of its own. NVMe with several paths is none, where it stands."""
        return self.path.startswith("/sys/devices/virtual/") and not self.name.startswith("nvme")


def as_int(text: str | None) -> int | None:
    """A whole number as sysfs writes it; None = it is none."""
    try:
        return int(text or "")
    except ValueError:
        return None


async def read(eyes: DiskEyes) -> dict[str, Block]:
    """Every block device by its name, less virtual ones without a size, of which Linux keeps a stock.

    Raises:
        HostError: sysfs may not be looked into.
    """
    found: dict[str, Block] = {}
    for name in eyes.entries(BLOCK):
        await eyes.breathe()
        disk = _disk(eyes, name)
        if disk is None:
            continue
        found[name] = disk
        for entry in eyes.entries(disk.path):
            if entry.startswith(name):
                found[entry] = _partition(eyes, disk, entry)
    return found


def _disk(eyes: DiskEyes, name: str) -> Block | None:
    path = eyes.target(f"{BLOCK}/{name}")
    if path is None:
        return None
    read = _read(eyes, path, _OF_ALL)
    bare = Block(name, path, read)
    if "dev" not in read or (bare.virtual and not bare.size):
        return None
    wanted = (_OF_MD if name.startswith("md") else _OF_DM) if bare.virtual else _OF_DEVICES
    attributes = read | _read(eyes, path, wanted)
    slaves = eyes.entries(f"{path}/slaves") if bare.virtual else ()
    return Block(name, path, MappingProxyType(attributes), _record(eyes, read), slaves=slaves)


def _partition(eyes: DiskEyes, disk: Block, name: str) -> Block:
    path = f"{disk.path}/{name}"
    attributes = _read(eyes, path, ("dev",))
    return Block(name, path, MappingProxyType(attributes), _record(eyes, attributes), parent=disk.name)


def _read(eyes: DiskEyes, path: str, names: Iterable[str]) -> dict[str, str]:
    texts = ((name, eyes.peek(f"{path}/{name}")) for name in names)
    return {name: text for name, text in texts if text is not None}


def _record(eyes: DiskEyes, attributes: Mapping[str, str]) -> udev.Record:
    number = attributes.get("dev")
    return udev.parse(eyes.peek(udev.path_of(number))) if number else udev.Record()
