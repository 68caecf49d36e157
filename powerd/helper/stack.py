"""What is built on a disk: partitions, arrays, mappings, file systems, by what sysfs says of them.

/sys/block/NAME/holders and /sys/block/NAME/PARTITION/holders name what uses them. A file system that is
mounted has a directory below /sys/fs/TYPE, by the name of its device; btrfs by its UUID, where ``devices``
are links.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from powerd.helper.disks import DiskDevice, partition_dirs, read_attribute

_DEPTH: Final = 8  # partition, md, crypt, LVM and some


def holder_dirs(disk: DiskDevice) -> list[Path]:
    """What is built on the disk or its partitions, and on that, and so on: directories in sysfs."""
    directories: dict[Path, None] = {}
    layer = [disk.sysfs]
    for _ in range(_DEPTH):
        below = (part for path in layer for part in partition_dirs(path))
        layer = [holder.resolve() for part in below for holder in sorted(part.glob("holders/*"))]
        directories |= dict.fromkeys(layer)
    return list(directories)


def block_device_dirs(disk: DiskDevice) -> list[Path]:
    """The directories of all block devices that are the disk's, or lie on it."""
    return [part for path in (disk.sysfs, *holder_dirs(disk)) for part in partition_dirs(path)]


def btrfs_dirs(names: Iterable[str], root: Path) -> Iterator[Path]:
    """The directories of mounted btrfs file systems on devices of these names."""
    wanted = set(names)
    for filesystem in sorted((root / "sys/fs/btrfs").glob("*-*")):
        if wanted & {member.name for member in (filesystem / "devices").glob("*")}:
            yield filesystem


def backing_device_names(disk: DiskDevice, root: Path) -> set[str]:
    """The names of the backing devices that data for the disk waits at."""
    directories = block_device_dirs(disk)
    names = {read_attribute(path / "dev") for path in directories if not (path / "partition").exists()} - {""}
    return names | {
        (path / "bdi").resolve().name for path in btrfs_dirs((path.name for path in directories), root)
    }
