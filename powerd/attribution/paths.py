"""The paths of accesses at level "files".

fanotify(7) reports who opened, read or changed which file, also in memory, and not when; the trace has who
accessed the disk, with an inode only where the kernel has one. So a path belongs to an access only if no
other one can be meant.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace

from powerd.attribution.model import Access, FileReading, WatchLevel
from powerd.disks.model import DiskId


def common_path(paths: Collection[str]) -> str:
    """The only path, or the directory that all of them are in; "" = there is none."""
    different = set(paths)
    if len(different) != 1:
        different = {path.rpartition("/")[0] for path in different}
    return different.pop() if len(different) == 1 else ""


def with_paths(found: Iterable[Access], files: FileReading) -> list[Access]:
    """The accesses, with the path of each that is known, of a file on the same disk."""
    by_inode = defaultdict[tuple[DiskId, int, int], dict[str, str]](dict)  # the last one of each filesystem
    by_operation = defaultdict[tuple[DiskId, int, str], dict[object, str]](dict)  # the first one of each file
    by_pid = defaultdict[tuple[DiskId, int], dict[object, str]](dict)
    for each in files.accesses:
        file = (each.device, each.inode) if each.inode else each.path  # a renamed file has two paths
        for disk in files.devices.get(each.device, ()):
            if each.inode:
                by_inode[disk, each.pid, each.inode][each.device] = each.path
            by_operation[disk, each.pid, each.operation].setdefault(file, each.path)
            by_pid[disk, each.pid].setdefault(file, each.path)
    result = []
    for access in found:
        disk, pid = access.disk, access.culprit.pid or 0
        files_of = by_operation.get((disk, pid, access.operation)) or by_pid.get((disk, pid)) or {}
        possible = [] if files.overflow else [*files_of.values()]  # another one may be missing
        if len(possible) > 1 and access.path:
            possible = [path for path in possible if path.endswith(f"/{access.path}")]
        of_inode = by_inode.get((disk, pid, access.inode), {}).values()
        path = common_path(of_inode) or common_path(possible) or access.path
        result.append(replace(access, path=path, level=WatchLevel.FILES) if pid and path else access)
    return result
