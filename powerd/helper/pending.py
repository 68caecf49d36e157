"""What a disk must not be stopped in, as the kernel tells: data that waits for it, an array's check, a scrub.

Dirty data: /sys/kernel/debug/bdi/NAME/stats counts, for each backing device, the inodes that wait
(b_dirty), or are being written (b_io, b_more_io). Its page counts are of no use here: they are summed up with
a tolerance per processor, and were seen at 4 to 48 kB for ever on a device where nothing was dirty. NAME is
MAJOR:MINOR of the disk or of what is built on it; btrfs has one of its own, /sys/fs/btrfs/UUID/bdi. Without
debugfs only /proc/meminfo is left, for all disks together, where a few dirty pages are always found. Ext4
counts what it has not allocated yet: /sys/fs/ext4/NAME/delayed_allocation_blocks. What older kernels count
nowhere is for unseen.py to find out.

What arrays and btrfs do to it of themselves: see model.upkeep. Its self-test is for self_test.py to find out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from powerd.helper.disks import DiskDevice, read_attribute
from powerd.helper.smart_values import printable_text
from powerd.helper.stack import backing_device_names, block_device_dirs, btrfs_dirs, holder_dirs
from powerd.model.upkeep import UNIX_SOCKETS_FILE, running_maintenance, scrubbed_filesystems

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
            return f"btrfs:{printable_text(read_attribute(path / 'label')) or path.name[:_UUID_PREFIX]} is under {operation}"
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
