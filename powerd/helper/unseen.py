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
from powerd.helper.disks import Disk, read
from powerd.helper.messages.bounds import WINDOW
from powerd.helper.trace import NoTraceError, Trace, dirtied, requests

EXPIRE: Final = 36.0
"""Seconds after which nothing waits any more, on whatever file system."""
COMMIT: Final = 5.0
"""Seconds between two commits of an ext4 that was not told otherwise."""
_ROUNDING: Final = 2.0
_OTHERS: Final = ("xfs", "f2fs")
_EXT4: Final = {"ext3", "ext4"}
_OPTION: Final = re.compile(r"(?:^|,)commit=([0-9]{1,6})(?:,|$)")
_NUMBER, _OPTIONS = 2, -1  # fields of /proc/self/mountinfo (proc(5))


def window(disk: Disk, root: Path) -> float:
    """Seconds for which data may wait for the disk without being counted; 0 = what waits is counted."""
    stats = root / "sys/kernel/debug/bdi" / ":".join(map(str, disk.number))
    one_group = not (root / "sys/fs/cgroup/cgroup.controllers").exists()
    if (stats / "stats").exists() and (one_group or (stats / "wb_stats").exists()):
        return 0.0
    above = stack.devices(disk)
    names = [path.name for path in above]
    found = [EXPIRE for kind in _OTHERS for name in names if (root / "sys/fs" / kind / name).is_dir()]
    found += [EXPIRE for _ in stack.btrfs(names, root)]
    mounted = _mounts({read(path / "dev") for path in above}, root)  # FAT, NTFS and others have no directory
    found += [EXPIRE for words in mounted if not _EXT4 & set(words)]
    for path in above:
        ext4 = root / "sys/fs/ext4" / path.name
        if ext4.is_dir():
            journal = read(ext4 / "journal_task").isdigit()
            found.append(_commit(read(path / "dev"), root) + _ROUNDING if journal else EXPIRE)
    return min(max(found, default=0.0), WINDOW)


async def stays_quiet(disk: Disk, root: Path, seconds: float) -> bool:
    """Whether for so long nothing is read from the disk or written to it, nor begins to wait for that."""
    before = disk.sectors
    try:
        with Trace(root, requests([disk.number]) | dirtied(stack.backings(disk, root))) as trace:
            return not await trace.wait(seconds, bool)
    except NoTraceError:
        await asyncio.sleep(seconds)
        return disk.sectors == before


def _commit(number: str, root: Path) -> float:
    """Seconds between two commits of the ext4 on the device of this number."""
    options = (words[_OPTIONS] for words in _mounts({number}, root))
    told = [float(option[1]) for text in options if (option := _OPTION.search(text))]
    return max(told, default=COMMIT) or COMMIT


def _mounts(numbers: set[str], root: Path) -> list[list[str]]:
    """The fields of each line of /proc/self/mountinfo about a device of these numbers."""
    try:
        lines = (root / "proc/self/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return []
    fields = (line.split() for line in lines)
    return [words for words in fields if len(words) > _NUMBER and words[_NUMBER] in numbers]
