"""Reads the accesses in the directories that are chosen in [watch], without the process (inotify(7)).

The kernel keeps them until they are read, and has no times, so they are read in every round.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from powerd.attribution.model import Access, Culprit
from powerd.disks.model import DiskId
from powerd.disks.state import DiskReport
from powerd.linux.ports import Files

MAX_ACCESSES: Final = 1000
"""Accesses that are remembered until they are taken; of one round the first."""


class DirectorySource:
    """The accesses in chosen directories.

    Args:
        files: the port.

    Attributes:
        unwatched: the directories that are not watched, one sentence each with the reason.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._accesses: deque[Access] = deque(maxlen=MAX_ACCESSES)
        self._read_at = 0.0
        self._watches = False
        self.unwatched: tuple[str, ...] = ()

    def poll(self, directories: Sequence[str], reports: Sequence[DiskReport], now: float) -> None:
        """Remember the accesses since the last call; from now on exactly these directories are watched.

        A directory on a disk that does not spin, or may soon stop, stays watched, but a watch is added only
        while its disk spins, because looking up the path may read the disk. One on no disk is not watched: it
        wakes none, and a network file system may hang.

        Args:
            directories: absolute paths.
            reports: of the disks.
            now: CLOCK_MONOTONIC.

        Raises:
            HostError: no directory can be watched.
        """
        if not directories and not self._watches:
            return
        self._watches = bool(directories)
        since, self._read_at = self._read_at or now, now
        stopped = {report.disk.id for report in reports if not report.state.tolerates_writes}
        found = {directory: _disks_of(directory, reports) for directory in directories}
        holders = {directory: disks for directory, disks in found.items() if disks}
        reading = self._files.read_directories(
            tuple(holders), {directory for directory, disks in holders.items() if disks.isdisjoint(stopped)}
        )
        on_no_disk = [directory for directory, disks in found.items() if reports and not disks]
        self.unwatched = (
            *reading.unwatched,
            *(f"{each} is not watched: it is on no disk that powerd knows" for each in on_no_disk),
        )
        for each in reading.accesses[:MAX_ACCESSES]:
            self._accesses.extend(
                Access(
                    disk,
                    Culprit(),
                    each.operation,
                    each.path,
                    first_at=since,
                    last_at=now,
                    count=each.count,
                )
                for disk in sorted(_holder(each.path, holders))
            )

    def take(self) -> tuple[Access, ...]:
        """The accesses since the last call, by time; the times are those of the rounds."""
        accesses = tuple(self._accesses)
        self._accesses.clear()
        return accesses


def _disks_of(path: str, reports: Sequence[DiskReport]) -> frozenset[DiskId]:
    """The disks of the file system that holds ``path``, by the longest mount point."""
    depth, found = 0, set[DiskId]()
    for report in reports:
        for mount in report.disk.mounts:
            where = f"{mount.mount_point.rstrip('/')}/"
            if f"{path}/".startswith(where) and len(where) >= depth:
                found = found | {report.disk.id} if len(where) == depth else {report.disk.id}
                depth = len(where)
    return frozenset(found)


def _holder(path: str, holders: Mapping[str, Collection[DiskId]]) -> Collection[DiskId]:
    """The disks of the directory that ``path`` is in, or is itself."""
    return holders.get(path) or holders.get(path.rpartition("/")[0] or "/", ())
