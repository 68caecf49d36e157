"""The block device behind a disk's name, and what is built on it, by sysfs; the device is never touched.

/sys/block/NAME (Documentation/ABI/stable/sysfs-block): ``dev`` is "MAJOR:MINOR", ``size`` counts 512 bytes
whatever the sector size is, ``inflight`` is "READS WRITES" in progress, ``stat`` counts sectors
(Documentation/block/stat.rst). ``device`` below it is the SCSI layer's: ``vendor``, ``type``, and
``power/runtime_status`` (Documentation/ABI/testing/sysfs-devices-power), which is read before a disk is
opened, because an open wakes a suspended disk.

``holders`` of a disk and of its partitions names the arrays and mappings on it. A mounted file system has a
directory below /sys/fs/TYPE, named after its device; btrfs has one named after its UUID, where ``devices``
are links.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from powerd.core.dataclass import dataclass
from powerd.disks.model import FailureCause
from powerd.helper.errors import RefusalError

_DEPTH: Final = 8  # partition, md, crypt, LVM, and spare


def holder_dirs(disk: DiskDevice) -> list[Path]:
    """The sysfs directories of all arrays and mappings on the disk or its partitions, at any depth."""
    directories: dict[Path, None] = {}
    layer = [disk.sysfs]
    for _ in range(_DEPTH):
        below = (part for path in layer for part in partition_dirs(path))
        layer = [holder.resolve() for part in below for holder in sorted(part.glob("holders/*"))]
        directories |= dict.fromkeys(layer)
    return list(directories)


def block_device_dirs(disk: DiskDevice) -> list[Path]:
    """The sysfs directories of the disk, its partitions, and all block devices on it."""
    return [part for path in (disk.sysfs, *holder_dirs(disk)) for part in partition_dirs(path)]


def btrfs_dirs(names: Iterable[str], root: Path) -> Iterator[Path]:
    """The directories of mounted btrfs file systems on the named devices."""
    wanted = set(names)
    for filesystem in sorted((root / "sys/fs/btrfs").glob("*-*")):
        if wanted & {member.name for member in (filesystem / "devices").glob("*")}:
            yield filesystem


def backing_device_names(disk: DiskDevice, root: Path) -> set[str]:
    """The names of the backing devices that hold dirty data for the disk."""
    directories = block_device_dirs(disk)
    names = {read_attribute(path / "dev") for path in directories if not (path / "partition").exists()} - {""}
    return names | {
        (path / "bdi").resolve().name for path in btrfs_dirs((path.name for path in directories), root)
    }


_NAME: Final = re.compile(r"[a-z][a-z0-9]{1,31}")
_LOOP: Final = re.compile(r"loop[0-9]+")
_DEVICE_NUMBER: Final = re.compile(r"([0-9]{1,4}):([0-9]{1,7})")
_DISK_TYPES: Final = {"0", "20"}  # direct access, and zoned (SPC-5, "PERIPHERAL DEVICE TYPE")
_SECTOR: Final = 512
_SECTORS_READ, _SECTORS_WRITTEN = 2, 6  # fields of ``stat`` that count sectors
_READ_SIZE: Final = 4096


@dataclass(frozen=True, slots=True)
class DiskDevice:
    """A whole disk.

    Attributes:
        name: its link in /dev/disk/by-id.
        node: its device file, ``/dev/sda``.
        sysfs: its directory in sysfs.
        device_number: ``(major, minor)``.
    """

    name: str
    node: Path
    sysfs: Path
    device_number: tuple[int, int]

    @property
    def runtime_suspended(self) -> bool:
        """Runtime power management has suspended the device, so an open would wake it."""
        return self.read("device/power/runtime_status") in {"suspended", "suspending"}

    @property
    def size(self) -> int:
        """Bytes; 0 = unknown."""
        return _int_or_zero(self.read("size")) * _SECTOR

    @property
    def in_flight(self) -> int:
        """Reads and writes in progress."""
        return sum(map(_int_or_zero, self.read("inflight").split()))

    @property
    def sectors(self) -> tuple[str, ...]:
        """Counts of sectors read and written; passthrough commands do not change them."""
        fields = self.read("stat").split()
        return tuple(fields[index] for index in (_SECTORS_READ, _SECTORS_WRITTEN) if index < len(fields))

    @property
    def scsi_only(self) -> bool:
        """The disk supports SCSI commands only, as SAS disks do; not ATA, and not behind a USB bridge."""
        vendor = self.read("device/vendor")
        return vendor not in {"", "ATA"} and not self.on_usb

    @property
    def on_usb(self) -> bool:
        """The disk is behind a USB bridge."""
        return "/usb" in os.path.realpath(self.sysfs / "device")

    @property
    def rotational(self) -> bool:
        """The disk has a spindle, or the kernel does not report that it has none (``queue/rotational``)."""
        return self.read("queue/rotational") != "0" and not self.is_nvme

    @property
    def is_nvme(self) -> bool:
        """The disk is an NVMe drive."""
        return self.node.name.startswith("nvme")

    def read(self, attribute: str) -> str:
        """The text of an attribute; "" = there is none."""
        return read_attribute(self.sysfs / attribute)


def find_disk(root: Path, name: str, *, allow_loops: bool = False) -> DiskDevice:
    """The disk whose link in /dev/disk/by-id is ``name``.

    Args:
        root: the directory that paths start at.
        name: meets the constraint of ByIdName.
        allow_loops: loop devices count as disks; for tests.

    Raises:
        RefusalError: there is no such disk, or it is not a whole disk.
    """
    try:
        target = str((root / "dev/disk/by-id" / name).readlink())
    except OSError:
        raise RefusalError(
            f"there is no disk {name}; `ls /dev/disk/by-id` lists all", FailureCause.GONE
        ) from None
    device = target.removeprefix("../../")
    sysfs = root / "sys/block" / device
    if not _NAME.fullmatch(device) or not sysfs.is_dir():
        raise RefusalError(f"{name} is a partition or not a disk; name the whole disk")
    if not (allow_loops and _LOOP.fullmatch(device)):
        _require_hardware(name, sysfs)
    number = _DEVICE_NUMBER.fullmatch(read_attribute(sysfs / "dev"))
    if number is None:
        raise RefusalError(f"{name} ({device}) has been removed; plug it in again", FailureCause.GONE)
    return DiskDevice(name, root / "dev" / device, sysfs, (int(number[1]), int(number[2])))


def open_disk(disk: DiskDevice) -> int:
    """Open a disk for reading; opening it for writing would make udev probe it on close.

    Raises:
        RefusalError: it cannot be opened, or its name now belongs to another disk.
    """
    try:
        descriptor = os.open(disk.node, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise RefusalError(f"{disk.name} cannot be opened: {error.strerror or error}; see dmesg") from None
    number = os.fstat(descriptor).st_rdev
    if (os.major(number), os.minor(number)) != disk.device_number:
        os.close(descriptor)
        raise RefusalError(f"{disk.node} is no longer {disk.name}; try again", FailureCause.GONE)
    return descriptor


def partition_dirs(sysfs: Path) -> Iterator[Path]:
    """The directories of a disk and of its partitions."""
    yield sysfs
    yield from sorted(path.parent for path in sysfs.glob("*/partition"))


def read_attribute(path: Path) -> str:
    """The text of an attribute, stripped; "" = it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(descriptor, _READ_SIZE).decode("ascii", "replace").strip()
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _require_hardware(name: str, sysfs: Path) -> None:
    """Refuse arrays, mappings and loops (no "device" in sysfs), and SCSI devices of other types."""
    if not (sysfs / "device").exists():
        raise RefusalError(f"{name} ({sysfs.name}) is a virtual device; name the disks below it")
    scsi_type = read_attribute(sysfs / "device/type")
    if scsi_type and scsi_type not in _DISK_TYPES:
        raise RefusalError(f"{name} ({sysfs.name}) is another kind of drive, not a disk; leave it out")


def _int_or_zero(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
