"""Serialises wakes and accesses into the JSON values of the HTTP API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from powerd.attribution.model import Access, AttributionReport, Culprit, Wake
from powerd.core.snapshot import Status
from powerd.core.time import Moment, rfc3339, timestamp, wall_time_after
from powerd.disks.model import Disk, DiskId, find_disk
from powerd.ui.api import disks_by_id

if TYPE_CHECKING:
    from powerd.ui.schema import AccessedJson, AccessJson, WakeJson


def wakes_json(status: Status | None, now: Moment, query: str | None = None) -> list[WakeJson] | None:
    """The value of ``/api/wakes``: wakes of disks, newest first.

    Args:
        status: the last decision; None = there is none yet.
        now: the present moment.
        query: id, device name or serial number of the only disk to show, which may be detached; None = all.

    Returns:
        None if no disk matches ``query``.

    Raises:
        RequestRefusedError: several disks match.
    """
    wakes = status.decision.part(AttributionReport).wakes if status else {}
    disks = disks_by_id(status)
    if query is not None:
        disk = find_disk(disks.values(), query)
        wanted = disk.id if disk else DiskId(query)
        if disk is None and wanted not in wakes:
            return None
        wakes = {wanted: wakes.get(wanted, ())}
    newest_first = sorted(
        (each for of_disk in wakes.values() for each in of_disk), key=_time_of_wake, reverse=True
    )
    return [_wake_json(wake, disks.get(wake.disk), now) for wake in newest_first]


def accesses_json(status: Status | None, now: Moment, query: str | None = None) -> list[AccessJson] | None:
    """The value of ``/api/accesses``: the accesses of the last hour in the order of the disks, most first.

    Arguments, result and errors are as of wakes_json().
    """
    disks = disks_by_id(status)
    busy = status.decision.part(AttributionReport).busy if status else ()
    disk = None if query is None else find_disk(disks.values(), query)
    if query is not None and disk is None:
        return None
    positions = {id_: n for n, id_ in enumerate(disks)}
    shown = [each for each in busy if each.disk == disk.id] if disk else busy
    return [
        _access_json(each, disks.get(each.disk), now)
        for each in sorted(shown, key=lambda each: positions.get(each.disk, len(positions)))
    ]


def _time_of_wake(wake: Wake) -> float:
    return wake.at.mono + wake.at.slept


def _wake_json(wake: Wake, disk: Disk | None, now: Moment) -> WakeJson:
    access = wake.access or Access(wake.disk, Culprit(), level=wake.level)
    return {
        **_accessed_json(access, disk),
        "at": timestamp(wake.at, now),
        "slept_for": None if wake.slept_for is None else round(wake.slept_for, 1),
        "explanation": wake.explanation or None,
    }


def _access_json(access: Access, disk: Disk | None, now: Moment) -> AccessJson:
    time_asleep = now.slept - access.slept
    return {
        **_accessed_json(access, disk),
        "count": access.count,
        "size": access.size or None,
        "since": rfc3339(wall_time_after(access.first_at - now.mono - time_asleep, now)),
        "last": rfc3339(wall_time_after(access.last_at - now.mono - time_asleep, now)),
    }


def _accessed_json(access: Access, disk: Disk | None) -> AccessedJson:
    culprit = access.culprit
    return {
        "disk": access.disk,
        "device": disk.device if disk else None,
        "unit": culprit.unit or None,
        "owner": culprit.owner or None,
        "pid": culprit.pid,
        "comm": culprit.comm or None,
        "path": access.path or None,
        "inode": access.inode or None,
        "op": access.operation or None,
        "how": access.level.value,
        "sure": access.certainty,
        "own": access.own,
    }
