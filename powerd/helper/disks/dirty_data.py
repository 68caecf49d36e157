"""Reasons against a spin-down that the kernel reports: dirty data, and maintenance of an array or a btrfs.

/sys/kernel/debug/bdi/NAME/stats counts the inodes of each backing device that are dirty (b_dirty) or being
written (b_io, b_more_io). Its page counts are not used: they are summed with a tolerance per processor, and
were measured at 4 to 48 kB, permanently, on a device without dirty data. NAME is MAJOR:MINOR of the disk or
of a device on it; btrfs has one of its own, /sys/fs/btrfs/UUID/bdi. Without debugfs only /proc/meminfo
remains, which sums up all disks and is rarely 0. Ext4 counts data without an allocation:
/sys/fs/ext4/NAME/delayed_allocation_blocks.

Before Linux 6.10, which has ``wb_stats`` beside ``stats``, only the dirty data of the root cgroup is
counted, and with cgroup v2 each service has a cgroup of its own. Such data is detected by watching the disk
for as long as it may stay
dirty: either it is written during that time, or there is none. Events of the kernel report data that becomes
dirty during that time. Data is written when it is 30 s old, by a flusher that runs every 5 s (proc(5),
dirty_expire_centisecs, dirty_writeback_centisecs). Ext4 commits its journal every 5 s (ext4(5), commit=),
so its data is written sooner.
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
from powerd.helper.smart.report import printable_text

_DIRTY_INODES: Final = re.compile(r"^b_(?:dirty|io|more_io):\s+([0-9]+)$", re.MULTILINE)
_MEMINFO: Final = re.compile(r"^(?:Dirty|Writeback):\s+([0-9]+) kB$", re.MULTILINE)
_MUCH_DIRTY_KB: Final = 64 * 1024
"""kB of dirty data on the machine; with more, some program is certainly writing"""
_UUID_PREFIX: Final = 8  # of a UUID, for a file system without a label
_ZERO: Final = {"", "0"}


def busy_reason(disk: DiskDevice, root: Path) -> str | None:
    """Why the disk must not be spun down, according to the kernel; None = no reason."""
    maintenance = _maintenance(disk, root)
    if maintenance is not None:  # first, because it explains the reads of the disk
        return f"{maintenance}; wait until it is done"
    if disk.in_flight:
        return "it is being read or written; wait until that is done"
    if _has_dirty_data(disk, root):
        return "data waits to be written to it; wait for half a minute"
    return None


def _maintenance(disk: DiskDevice, root: Path) -> str | None:
    """The maintenance of an array or a btrfs on the disk, ``md0 is under check``; None = none."""
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
    """Whether dirty data is known for the disk or a device on it."""
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
"""Seconds after which no data stays dirty, on any file system."""
EXT4_COMMIT_SECONDS: Final = 5.0
"""Seconds between two journal commits of ext4 by default."""
_ROUNDING: Final = 2.0
_OTHER_FILESYSTEMS: Final = ("xfs", "f2fs")
_EXT_FILESYSTEMS: Final = {"ext3", "ext4"}
_COMMIT_OPTION: Final = re.compile(r"(?:^|,)commit=([0-9]{1,6})(?:,|$)")
_DEVICE_FIELD, _OPTIONS_FIELD = 2, -1  # fields of /proc/self/mountinfo (proc(5))


def quiet_window(disk: DiskDevice, root: Path) -> float:
    """Seconds for which data may be dirty without being counted; 0 = all is counted."""
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
    """Whether the disk is neither read nor written, nor gets dirty data, for ``seconds``."""
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
    """Seconds between two journal commits of the ext4 on this device."""
    options = (mount[_OPTIONS_FIELD] for mount in _mounts({number}, root))
    intervals = [float(option[1]) for text in options if (option := _COMMIT_OPTION.search(text))]
    return max(intervals, default=EXT4_COMMIT_SECONDS) or EXT4_COMMIT_SECONDS


def _mounts(numbers: set[str], root: Path) -> list[list[str]]:
    """The fields of the lines of /proc/self/mountinfo about these devices."""
    try:
        lines = (root / "proc/self/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return []
    fields = (line.split() for line in lines)
    return [mount for mount in fields if len(mount) > _DEVICE_FIELD and mount[_DEVICE_FIELD] in numbers]
