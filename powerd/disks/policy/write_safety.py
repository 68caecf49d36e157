"""Whether writing something down wakes a disk, or keeps one from falling asleep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from powerd.core.time import Moment, Reading, Unavailable
from powerd.disks.disk_id import DiskId
from powerd.disks.model import DiskActivity
from powerd.disks.state import DiskReport, DiskState

_RECENT_USE: Final = 60.0
"""Seconds; a disk used since then spins for some time yet."""
_SPINNING_STATES: Final = frozenset({DiskState.ACTIVE, DiskState.UNSUPPORTED, DiskState.EXCLUDED})
"""States of which none says that a disk sleeps, or may do so at any moment."""


def may_write(
    directory: str,
    reports: tuple[DiskReport, ...],
    activity: Mapping[DiskId, Reading[DiskActivity] | Unavailable],
    now: Moment,
) -> bool:
    """Whether writing below ``directory`` wakes no disk and keeps none from falling asleep.

    It does not where that lies on a disk that has no spindle, or is none, or on one that was in use within
    the last minute: that spins, also if it cannot be made to stand by, or is a USB disk that powerd leaves
    alone. Of a mirror or a pool this has to be true of each member. What no disk is known to hold may be on a
    network, or on any of them below an overlay: so none may sleep.

    Args:
        directory: an absolute path.
        reports: what policy makes of each disk; none = they have yet to be looked at.
        activity: what their counters say.
        now: the present moment.
    """
    disks_below = _disks_holding(directory, reports)
    if not disks_below:
        return bool(reports) and all(each.state in _SPINNING_STATES for each in reports)
    return all(_tolerates_write(each, activity.get(each.disk.id), now) for each in disks_below)


def _tolerates_write(
    report: DiskReport, reading: Reading[DiskActivity] | Unavailable | None, now: Moment
) -> bool:
    """Whether a write to a disk neither wakes it nor keeps it from falling asleep."""
    if report.state is DiskState.EXCLUDED and report.disk.ineligible_reason is not None:
        return True
    if not isinstance(reading, Reading) or reading.value.runtime_suspended:
        return False
    return report.state in _SPINNING_STATES and now.mono - reading.value.last_io_at <= _RECENT_USE


def would_wake_disk(directory: str, reports: tuple[DiskReport, ...]) -> bool:
    """Whether writing below ``directory`` wakes a disk; of one that powerd does not know, it says no."""
    return any(each.state.is_stopped for each in _disks_holding(directory, reports))


def _disks_holding(directory: str, reports: tuple[DiskReport, ...]) -> list[DiskReport]:
    """The disks that hold a directory, as the mount table has it: all on which that filesystem lies."""
    mounted = [(mount.mount_point, report) for report in reports for mount in report.disk.mounts]
    enclosing = [row for row in mounted if f"{directory}/".startswith(f"{row[0].rstrip('/')}/")]
    deepest = max((where for where, _ in enclosing), key=len, default="")
    return [report for where, report in enclosing if where == deepest]
