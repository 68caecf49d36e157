"""What is built on a disk: partitions, arrays, mappings, file systems, by what sysfs says of them.

/sys/block/NAME/holders and /sys/block/NAME/PARTITION/holders name what uses them. A file system that is
mounted has a directory below /sys/fs/TYPE, by the name of its device; btrfs by its UUID, where ``devices``
are links.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from powerd.helper.disks import Disk, parts, read

_DEPTH: Final = 8  # partition, md, crypt, LVM and some


def holders(disk: Disk) -> list[Path]:
    """What is built on the disk or its partitions, and on that, and so on: directories in sysfs."""
    found: dict[Path, None] = {}
    layer = [disk.sysfs]
    for _ in range(_DEPTH):
        below = (part for path in layer for part in parts(path))
        layer = [holder.resolve() for part in below for holder in sorted(part.glob("holders/*"))]
        found |= dict.fromkeys(layer)
    return list(found)


def devices(disk: Disk) -> list[Path]:
    """The directories of all block devices that are the disk's, or lie on it."""
    return [part for path in (disk.sysfs, *holders(disk)) for part in parts(path)]


def btrfs(names: Iterable[str], root: Path) -> Iterator[Path]:
    """The directories of mounted btrfs file systems on devices of these names."""
    wanted = set(names)
    for filesystem in sorted((root / "sys/fs/btrfs").glob("*-*")):
        if wanted & {member.name for member in (filesystem / "devices").glob("*")}:
            yield filesystem


def backings(disk: Disk, root: Path) -> set[str]:
    """The names of the backing devices that data for the disk waits at."""
    above = devices(disk)
    names = {read(path / "dev") for path in above if not (path / "partition").exists()} - {""}
    return names | {(path / "bdi").resolve().name for path in btrfs((path.name for path in above), root)}
