"""Journal entries about the culprits of wakes. The spin-up itself is an entry of the disks."""

from __future__ import annotations

from collections.abc import Iterator

from powerd.attribution.model import Access, AttributionReport, Wake
from powerd.attribution.view.names import MAX_PATH, UNKNOWN, name_culprit
from powerd.core.snapshot import Status
from powerd.disks.model import DiskId
from powerd.disks.state import DisksReport
from powerd.ui.journal import JournalEntry, make_entry
from powerd.ui.layout import cut, format_duration


def wake_events(before: Status | None, after: Status) -> Iterator[JournalEntry]:
    """Wakes whose culprit or path has become known since the decision ``before``, the oldest first."""
    if before is None:
        return
    old = before.decision.part(AttributionReport).wakes
    for disk, wakes in after.decision.part(AttributionReport).wakes.items():
        if wakes == old.get(disk):
            continue
        known = {wake.at for wake in old.get(disk, ()) if wake.access}
        for wake in reversed(wakes):
            if wake.access is None or wake.at in known:
                continue
            if wake.access.path or _name(wake.access) != UNKNOWN:
                yield _wake_entry(wake, wake.access, _device(after, disk))


def _device(status: Status, disk: DiskId) -> str:
    reports = status.decision.part(DisksReport).disks
    return next((report.disk.device for report in reports if report.disk.id == disk), disk)


def _name(access: Access) -> str:
    culprit = access.culprit
    return name_culprit(culprit.unit, culprit.owner, culprit.comm, own=access.own)


def _wake_entry(wake: Wake, access: Access, device: str) -> JournalEntry:
    """``sda was woken by cron.service after 50 min: cron 812, read, /var/spool/cron/crontabs``."""
    culprit, path = access.culprit, cut(access.path, MAX_PATH)
    process = " ".join(filter(None, (culprit.comm, str(culprit.pid or ""))))
    slept = "" if wake.slept_for is None else f" after {format_duration(wake.slept_for)}"
    sure = "" if access.certainty == "certain" else access.certainty
    details = ", ".join(filter(None, (process, access.operation, path, sure, wake.explanation)))
    return make_entry(
        "disk-wake",
        f"{device} was woken by {_name(access)}{slept}" + (f": {details}" if details else ""),
        disk=wake.disk,
        subject=device,
        reason=_name(access),
        unit=culprit.unit,
        process=process,
        path=path,
    )
