"""What a disk must not be stopped in: data that waits to be written to it, an array's repair, a self-test.

Dirty data: /sys/kernel/debug/bdi/NAME/stats counts, for each backing device, the inodes that wait
(b_dirty), or are being written (b_io, b_more_io). Its page counts are of no use here: they are summed up with
a tolerance per processor, and were seen at 4 to 48 kB for ever on a device where nothing was dirty. NAME is
MAJOR:MINOR of the disk or of what is built on it; btrfs has one of its own, /sys/fs/btrfs/UUID/bdi. Without
debugfs only /proc/meminfo is left, for all disks together, where a few dirty pages are always found.

Arrays: /sys/block/mdN/md/sync_action (Documentation/admin-guide/md.rst).
Self-tests: ``smartctl --json -c``, ata_smart_data.self_test.status.value, with 15 in its upper half while one
runs (ACS-3, "Self-test execution status").
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from powerd.helper.disks import Disk, parts, read

_WAITING: Final = re.compile(r"^b_(?:dirty|io|more_io):\s+([0-9]+)$", re.MULTILINE)
_MEMINFO: Final = re.compile(r"^(?:Dirty|Writeback):\s+([0-9]+) kB$", re.MULTILINE)
_MANY: Final = 64 * 1024
"""kB of dirty data on the machine with which somebody is plainly writing, to whatever disk."""
_AT_REST: Final = {"", "idle", "frozen", "none"}
_RUNS: Final = 15
_DEPTH: Final = 8  # of a pile of holders: partition, md, crypt, LVM and some


def hindrance(disk: Disk, root: Path) -> str | None:
    """Why the disk must not be stopped now, as far as the kernel knows; None = no reason."""
    if disk.in_flight:
        return "it is being read or written; wait until that is done"
    above = list(dict.fromkeys(_holders(disk)))
    for path in above:
        action = read(path / "md/sync_action")
        if action not in _AT_REST:
            return f"{path.name} is under {action}; wait until it is done"
    if _dirty([disk.sysfs, *above], root):
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


def self_test(device: str) -> list[str]:
    """The question for self_test_runs(): IDENTIFY DEVICE and SMART READ DATA, two commands."""
    return ["smartctl", "--json=c", "-d", "sat", "-c", device]


def _holders(disk: Disk) -> Iterator[Path]:
    """What is built on the disk or its partitions, and on that, and so on: directories in sysfs."""
    layer = [disk.sysfs]
    for _ in range(_DEPTH):
        below = (part for path in layer for part in parts(path))
        layer = [holder.resolve() for part in below for holder in sorted(part.glob("holders/*"))]
        yield from layer


def _dirty(devices: list[Path], root: Path) -> bool:
    """Whether anything waits to be written to the devices, or to a btrfs on one of them."""
    stats = root / "sys/kernel/debug/bdi"
    if not stats.is_dir():
        return sum(map(int, _MEMINFO.findall(read(root / "proc/meminfo")))) > _MANY
    names = {read(path / "dev") for path in devices} | set(_btrfs({path.name for path in devices}, root))
    return any(
        int(count) for name in names if name for count in _WAITING.findall(read(stats / name / "stats"))
    )


def _btrfs(devices: set[str], root: Path) -> Iterator[str]:
    """Names of the backing devices of btrfs file systems on ``devices`` or on partitions of theirs."""
    for filesystem in sorted((root / "sys/fs/btrfs").glob("*-*")):
        for member in (filesystem / "devices").glob("*"):
            whole = member.resolve()
            if {whole.name, whole.parent.name} & devices:
                yield (filesystem / "bdi").resolve().name
