"""Reads the accesses in the directories that are chosen in [watch]; the process is unknown."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from powerd.attribution.model import FileReading
from powerd.disks.model import Disk, DiskId
from powerd.linux.ports import Files


def read_directories(
    files: Files, directories: Sequence[str], disks: Mapping[DiskId, Disk], standby: Collection[DiskId]
) -> FileReading:
    """The accesses since the last call, each with the disks below it; pid and inode are 0.

    A directory on a disk in standby stays watched, but a watch on it is added only after the disk has been
    spun up, because looking up its path may read the disk.

    Args:
        files: the port.
        directories: absolute paths; () ends the watch.
        disks: of the last inventory.
        standby: those of them that must not be read.

    Raises:
        HostError: no directory can be watched.
    """
    holders = {directory: _disks_of(directory, disks) for directory in directories}
    may_look_up = {directory for directory, below in holders.items() if below.isdisjoint(standby)}
    reading = files.read_directories(directories, may_look_up)
    devices = {_key(below, disks): tuple(sorted(below)) for below in holders.values() if below}
    keys = {directory: _key(below, disks) for directory, below in holders.items()}
    accesses = tuple(replace(access, device=_device_of(access.path, keys)) for access in reading.accesses)
    return replace(reading, accesses=accesses, devices=devices)


def _disks_of(path: str, disks: Mapping[DiskId, Disk]) -> frozenset[DiskId]:
    """The disks of the file system that holds ``path``, by the longest mount point."""
    depth, found = 0, set[DiskId]()
    for disk in disks.values():
        for mount in disk.mounts:
            where = f"{mount.mount_point.rstrip('/')}/"
            if f"{path}/".startswith(where) and len(where) >= depth:
                found = found | {disk.id} if len(where) == depth else {disk.id}
                depth = len(where)
    return frozenset(found)


def _key(below: Collection[DiskId], disks: Mapping[DiskId, Disk]) -> str:
    """What stands for these disks in FileReading.devices; "" = there are none."""
    return " ".join(sorted(disks[disk].device_number for disk in below))[:64]


def _device_of(path: str, keys: Mapping[str, str]) -> str:
    """The key of the directory that ``path`` is in, or is itself."""
    return keys.get(path) or keys.get(path.rpartition("/")[0] or "/", "")
