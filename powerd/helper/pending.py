"""What a disk must not be stopped in: data that waits to be written to it, an array's repair, a self-test.

Dirty data: /sys/kernel/debug/bdi/NAME/stats counts, for each backing device, the inodes that wait
(b_dirty), or are being written (b_io, b_more_io). Its page counts are of no use here: they are summed up with
a tolerance per processor, and were seen at 4 to 48 kB for ever on a device where nothing was dirty. NAME is
MAJOR:MINOR of the disk or of what is built on it; btrfs has one of its own, /sys/fs/btrfs/UUID/bdi. Without
debugfs only /proc/meminfo is left, for all disks together, where a few dirty pages are always found. Ext4
counts what it has not allocated yet: /sys/fs/ext4/NAME/delayed_allocation_blocks. What older kernels count
nowhere is for unseen.py to find out.

Arrays: /sys/block/mdN/md/sync_action (Documentation/admin-guide/md.rst).
Self-tests: ``smartctl --json -c``, ata_smart_data.self_test.status.value, with 15 in its upper half while one
runs (ACS-3, "Self-test execution status").
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from powerd.helper.disks import Disk, read
from powerd.helper.stack import backings, devices, holders

_WAITING: Final = re.compile(r"^b_(?:dirty|io|more_io):\s+([0-9]+)$", re.MULTILINE)
_MEMINFO: Final = re.compile(r"^(?:Dirty|Writeback):\s+([0-9]+) kB$", re.MULTILINE)
_MANY: Final = 64 * 1024
"""kB of dirty data on the machine with which somebody is plainly writing, to whatever disk."""
_AT_REST: Final = {"", "idle", "frozen", "none"}
_RUNS: Final = 15
_NONE: Final = {"", "0"}


def hindrance(disk: Disk, root: Path) -> str | None:
    """Why the disk must not be stopped now, as far as the kernel knows; None = no reason."""
    if disk.in_flight:
        return "it is being read or written; wait until that is done"
    for path in holders(disk):
        action = read(path / "md/sync_action")
        if action not in _AT_REST:
            return f"{path.name} is under {action}; wait until it is done"
    if _dirty(disk, root):
        return "data waits to be written to it; wait for half a minute"
    return None


def self_test_runs(report: str) -> bool:
    """Whether a report of ``smartctl --json -c`` tells of a self-test under way; what is none does not."""
    try:
        value = json.loads(report)
        for key in ("ata_smart_data", "self_test", "status", "value"):
            value = value[key]
    except (ValueError, LookupError, TypeError, RecursionError):
        return False
    return isinstance(value, int) and value >> 4 == _RUNS


def self_test_hindrance(report: str) -> str | None:
    """Why a disk whose smartctl has reported this must not be stopped; what is no report proves nothing."""
    if self_test_runs(report):
        return "a SMART self-test runs; wait until it is done"
    try:
        readable = isinstance(json.loads(report), dict)
    except (ValueError, RecursionError):
        readable = False
    return None if readable else "smartctl does not say whether a self-test runs; see: smartctl -c"


def self_test(device: str, kind: str) -> list[str]:
    """The question for self_test_hindrance(): IDENTIFY DEVICE and SMART READ DATA, two commands."""
    return ["smartctl", "--json=c", "-d", kind, "-c", device]


def _dirty(disk: Disk, root: Path) -> bool:
    """Whether data is known to wait for the disk, or for what is built on it."""
    names = [path.name for path in devices(disk)]
    if any(read(root / "sys/fs/ext4" / name / "delayed_allocation_blocks") not in _NONE for name in names):
        return True
    stats = root / "sys/kernel/debug/bdi"
    if not stats.is_dir():
        return sum(map(int, _MEMINFO.findall(read(root / "proc/meminfo")))) > _MANY
    texts = (read(stats / name / "stats") for name in backings(disk, root))
    return any(int(count) for text in texts for count in _WAITING.findall(text))
