"""Data that wait to be written where the kernel does not count them.

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

from powerd.helper import stack
from powerd.helper.disks import DiskDevice, read_attribute
from powerd.helper.messages.bounds import MAX_QUIET_WINDOW
from powerd.helper.trace import Trace, TracefsUnavailableError, dirty_filter, request_filter

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
    directories = stack.block_device_dirs(disk)
    names = [path.name for path in directories]
    candidates = [
        EXPIRY_SECONDS
        for filesystem in _OTHER_FILESYSTEMS
        for name in names
        if (root / "sys/fs" / filesystem / name).is_dir()
    ]
    candidates += [EXPIRY_SECONDS for _ in stack.btrfs_dirs(names, root)]
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
            root, request_filter([disk.device_number]) | dirty_filter(stack.backing_device_names(disk, root))
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
