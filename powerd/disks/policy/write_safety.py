"""Whether a write to a file starts a disk, or keeps one from spinning down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from powerd.core.time import Moment, Reading, Unavailable
from powerd.disks.model import DiskActivity, DiskId
from powerd.disks.state import DiskReport, DiskState

_RECENT_USE: Final = 60.0
"""Seconds; a disk that was used within them goes on spinning for some time."""


def may_write(
    directory: str,
    reports: tuple[DiskReport, ...],
    activity: Mapping[DiskId, Reading[DiskActivity] | Unavailable],
    now: Moment,
) -> bool:
    """Whether a write below ``directory`` starts no disk and keeps none from spinning down.

    That is so if the directory is on a device that is not a hard disk, or on a disk that was used within the
    last minute. For a mirror or a pool it has to hold for each member. A directory on no known disk may be on
    the network, or on any disk below an overlay filesystem, so every disk has to spin.

    Args:
        directory: an absolute path.
        reports: on each disk; none = no disk has been read yet.
        activity: the counters of each disk.
        now: the present moment.
    """
    disks_below = _disks_holding(directory, reports)
    if not disks_below:
        return bool(reports) and all(report.state.tolerates_writes for report in reports)
    return all(_tolerates_write(report, activity.get(report.disk.id), now) for report in disks_below)


def _tolerates_write(
    report: DiskReport, reading: Reading[DiskActivity] | Unavailable | None, now: Moment
) -> bool:
    """Whether a write to a disk neither starts it nor keeps it from spinning down."""
    if report.state is DiskState.EXCLUDED and report.disk.ineligible_reason is not None:
        return True
    if not isinstance(reading, Reading) or reading.value.runtime_suspended:
        return False
    return report.state.tolerates_writes and now.mono - reading.value.last_io_at <= _RECENT_USE


def would_start_disk(directory: str, reports: tuple[DiskReport, ...]) -> bool:
    """Whether a write below ``directory`` starts a disk; False for a directory on no known disk."""
    return any(report.state.is_stopped for report in _disks_holding(directory, reports))


def spins_down(paths: Iterable[str], reports: tuple[DiskReport, ...]) -> bool:
    """Whether one of the paths is on a disk that powerd spins down."""
    holding = (report for path in paths for report in _disks_holding(path, reports))
    return any(report.spin_down_after > 0 for report in holding)


def _disks_holding(directory: str, reports: tuple[DiskReport, ...]) -> list[DiskReport]:
    """The disks of the filesystem that ``directory`` is on, as the mount table has it."""
    mounted = [(mount.mount_point, report) for report in reports for mount in report.disk.mounts]
    enclosing = [row for row in mounted if f"{directory}/".startswith(f"{row[0].rstrip('/')}/")]
    deepest = max((where for where, _ in enclosing), key=len, default="")
    return [report for where, report in enclosing if where == deepest]
