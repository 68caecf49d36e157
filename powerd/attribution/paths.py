"""The paths of accesses.

fanotify(7) reports which process opened, read or changed which file, also in memory, without a time; the
trace has the process that accessed the disk, with an inode only where the kernel has one. So an access gets a
path only if no other path is possible.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Final

from powerd.attribution.changes import SLACK
from powerd.attribution.model import Access, FileReading, WatchLevel, merge_near
from powerd.disks.model import DiskId

_MERGE_WITHIN: Final = 30.0
"""Seconds. Accesses farther apart are not merged, because the disk may have been stopped in between."""


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


def join_directories(
    found: Sequence[Access], seen: Sequence[Access], level: WatchLevel
) -> tuple[Access, ...]:
    """The accesses with paths of the watched directories, of which the culprit is unknown.

    An access gets a path if it is the only one to its disk that reads, or writes, at that time. A file in
    memory is accessed without its disk, so what was seen counts by itself only if nothing better is known.

    Args:
        found: the accesses to disks.
        seen: the accesses to files in watched directories.
        level: that of ``found``.
    """
    if level is WatchLevel.COUNTERS:
        return (*found, *merged(seen))
    rivals = Counter((access.disk, access.operation == "read") for access in found if not access.own)
    result = []
    for access in found:
        kind = access.disk, access.operation == "read"
        if not access.path and not access.own and rivals[kind] == 1:
            paths = {
                each.path
                for each in seen
                if (each.disk, each.operation == "read") == kind
                and each.first_at - SLACK <= access.last_at
                and access.first_at <= each.last_at + SLACK
            }
            result.append(replace(access, path=common_path(paths)))
        else:
            result.append(access)
    return tuple(result)


def merged(found: Iterable[Access]) -> list[Access]:
    """Accesses of one culprit to one disk with the same operation and file, merged; by time."""
    return merge_near(
        found,
        lambda each: (each.disk, each.culprit, each.operation, each.path, each.inode, each.certainty),
        _MERGE_WITHIN,
    )
