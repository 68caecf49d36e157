"""What a disk must not be stopped in, as the kernel tells: data that waits for it, an array's check, a scrub.

Dirty data: /sys/kernel/debug/bdi/NAME/stats counts, for each backing device, the inodes that wait
(b_dirty), or are being written (b_io, b_more_io). Its page counts are of no use here: they are summed up with
a tolerance per processor, and were seen at 4 to 48 kB for ever on a device where nothing was dirty. NAME is
MAJOR:MINOR of the disk or of what is built on it; btrfs has one of its own, /sys/fs/btrfs/UUID/bdi. Without
debugfs only /proc/meminfo is left, for all disks together, where a few dirty pages are always found. Ext4
counts what it has not allocated yet: /sys/fs/ext4/NAME/delayed_allocation_blocks. What older kernels count
nowhere is for unseen.py to find out.

What arrays and btrfs do to it of themselves: see model.upkeep. Its self-test is for self_test.py to find out.

Data that wait to be written where the kernel does not count them.

Before Linux 6.10, which has ``wb_stats`` beside ``stats`` in /sys/kernel/debug/bdi/NAME, only the root
cgroup's are counted, and on a system with cgroup v2 every service has a cgroup of its own. What waits there
is found out by watching for as long as it may wait: it is written meanwhile, or was not there; and what
begins to wait meanwhile is told by the kernel.

How long: data are written when they are 30 s old, by a flusher that comes every 5 s (proc(5),
dirty_expire_centisecs, dirty_writeback_centisecs). Ext4 commits its journal after 5 s (ext4(5), commit=), so
what happens on one shows sooner, if the disk has been idle for half a minute before.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Final

from powerd.disks.maintenance import UNIX_SOCKETS_FILE, running_maintenance, scrubbed_filesystems
from powerd.helper.disks import device
from powerd.helper.disks.device import (
    DiskDevice,
    backing_device_names,
    block_device_dirs,
    btrfs_dirs,
    holder_dirs,
    read_attribute,
)
from powerd.helper.disks.tracefs import Trace, TracefsUnavailableError, dirty_filter, request_filter
from powerd.helper.protocol.deadlines import MAX_QUIET_WINDOW
from powerd.helper.smart.values import printable_text

_DIRTY_INODES: Final = re.compile(r"^b_(?:dirty|io|more_io):\s+([0-9]+)$", re.MULTILINE)
_MEMINFO: Final = re.compile(r"^(?:Dirty|Writeback):\s+([0-9]+) kB$", re.MULTILINE)
_MUCH_DIRTY_KB: Final = 64 * 1024
"""kB of dirty data on the machine with which somebody is plainly writing, to whatever disk."""
_UUID_PREFIX: Final = 8  # of a UUID, by which a file system without a label is named
_ZERO: Final = {"", "0"}


def busy_reason(disk: DiskDevice, root: Path) -> str | None:
    """Why the disk must not be stopped now, as far as the kernel knows; None = no reason."""
    maintenance = _maintenance(disk, root)
    if maintenance is not None:  # first, as it says why the disk is being read
        return f"{maintenance}; wait until it is done"
    if disk.in_flight:
        return "it is being read or written; wait until that is done"
    if _has_dirty_data(disk, root):
        return "data waits to be written to it; wait for half a minute"
    return None


def _maintenance(disk: DiskDevice, root: Path) -> str | None:
    """What an array or a btrfs on it is under, ``md0 is under check``; None = nothing."""
    for path in holder_dirs(disk):
        if operation := running_maintenance(read_attribute(path / "md/sync_action")):
            return f"{path.name} is under {operation}"
    filesystems = tuple(btrfs_dirs((path.name for path in block_device_dirs(disk)), root))
    scrubs = _scrubbed_filesystems(root) if filesystems else frozenset()
    for path in filesystems:
        if operation := running_maintenance(
            read_attribute(path / "exclusive_operation"), scrub_running=path.name in scrubs
        ):
            return (
                f"btrfs:{printable_text(read_attribute(path / 'label')) or path.name[:_UUID_PREFIX]} "
                f"is under {operation}"
            )
    return None


def _scrubbed_filesystems(root: Path) -> frozenset[str]:
    try:
        return scrubbed_filesystems((root / UNIX_SOCKETS_FILE.lstrip("/")).read_text(errors="replace"))
    except OSError:
        return frozenset()


def _has_dirty_data(disk: DiskDevice, root: Path) -> bool:
    """Whether data is known to wait for the disk, or for what is built on it."""
    names = [path.name for path in block_device_dirs(disk)]
    if any(
        read_attribute(root / "sys/fs/ext4" / name / "delayed_allocation_blocks") not in _ZERO
        for name in names
    ):
        return True
    stats = root / "sys/kernel/debug/bdi"
    if not stats.is_dir():
        return sum(map(int, _MEMINFO.findall(read_attribute(root / "proc/meminfo")))) > _MUCH_DIRTY_KB
    texts = (read_attribute(stats / name / "stats") for name in backing_device_names(disk, root))
    return any(int(count) for text in texts for count in _DIRTY_INODES.findall(text))


EXPIRY_SECONDS: Final = 36.0
"""Seconds after which nothing waits any more, on whatever file system."""
EXT4_COMMIT_SECONDS: Final = 5.0
"""Seconds between two commits of an ext4 that was not told otherwise."""
_ROUNDING: Final = 2.0
_OTHER_FILESYSTEMS: Final = ("xfs", "f2fs")
_EXT_FILESYSTEMS: Final = {"ext3", "ext4"}
_COMMIT_OPTION: Final = re.compile(r"(?:^|,)commit=([0-9]{1,6})(?:,|$)")
_DEVICE_FIELD, _OPTIONS_FIELD = 2, -1  # fields of /proc/self/mountinfo (proc(5))


def quiet_window(disk: DiskDevice, root: Path) -> float:
    """Seconds for which data may wait for the disk without being counted; 0 = what waits is counted."""
    stats = root / "sys/kernel/debug/bdi" / ":".join(map(str, disk.device_number))
    single_cgroup = not (root / "sys/fs/cgroup/cgroup.controllers").exists()
    if (stats / "stats").exists() and (single_cgroup or (stats / "wb_stats").exists()):
        return 0.0
    directories = device.block_device_dirs(disk)
    names = [path.name for path in directories]
    candidates = [
        EXPIRY_SECONDS
        for filesystem in _OTHER_FILESYSTEMS
        for name in names
        if (root / "sys/fs" / filesystem / name).is_dir()
    ]
    candidates += [EXPIRY_SECONDS for _ in device.btrfs_dirs(names, root)]
    mounts = _mounts(
        {read_attribute(path / "dev") for path in directories}, root
    )  # FAT, NTFS and others have no directory
    candidates += [EXPIRY_SECONDS for mount in mounts if not _EXT_FILESYSTEMS & set(mount)]
    for path in directories:
        ext4 = root / "sys/fs/ext4" / path.name
        if ext4.is_dir():
            journal = read_attribute(ext4 / "journal_task").isdigit()
            candidates.append(
                _commit_seconds(read_attribute(path / "dev"), root) + _ROUNDING if journal else EXPIRY_SECONDS
            )
    return min(max(candidates, default=0.0), MAX_QUIET_WINDOW)


async def stays_idle(disk: DiskDevice, root: Path, seconds: float) -> bool:
    """Whether for so long nothing is read from the disk or written to it, nor begins to wait for that."""
    sectors_before = disk.sectors
    try:
        with Trace(
            root, request_filter([disk.device_number]) | dirty_filter(device.backing_device_names(disk, root))
        ) as trace:
            return not await trace.wait(seconds, bool)
    except TracefsUnavailableError:
        await asyncio.sleep(seconds)
        return disk.sectors == sectors_before


def _commit_seconds(number: str, root: Path) -> float:
    """Seconds between two commits of the ext4 on the device of this number."""
    options = (mount[_OPTIONS_FIELD] for mount in _mounts({number}, root))
    intervals = [float(option[1]) for text in options if (option := _COMMIT_OPTION.search(text))]
    return max(intervals, default=EXT4_COMMIT_SECONDS) or EXT4_COMMIT_SECONDS


def _mounts(numbers: set[str], root: Path) -> list[list[str]]:
    """The fields of each line of /proc/self/mountinfo about a device of these numbers."""
    try:
        lines = (root / "proc/self/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return []
    fields = (line.split() for line in lines)
    return [mount for mount in fields if len(mount) > _DEVICE_FIELD and mount[_DEVICE_FIELD] in numbers]
