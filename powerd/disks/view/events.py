"""Journal entries of disks: each spin-down, each spin-up, and problems."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from powerd.core.actions import CompletedAction
from powerd.core.snapshot import Status
from powerd.disks.model import DiskId, SpinDown
from powerd.disks.state import DiskReport, DisksReport, DiskState
from powerd.ui.journal import INFO, NOTICE, WARNING, EventName, JournalEntry, make_entry
from powerd.ui.layout import format_duration

_STOPPED_TEXT: Final = {
    DiskState.STANDBY: "has spun down",
    DiskState.SLEEPING: "is in sleep mode",
    DiskState.SUSPENDED: "has been suspended by the kernel",
}
_SPINNING_STATES: Final = frozenset({DiskState.ACTIVE, DiskState.SPINNING_DOWN})
_RESPONSIVE_STATES: Final = frozenset({DiskState.ACTIVE, DiskState.STANDBY, DiskState.SLEEPING})
_PROBLEM_STATES: Final = frozenset({DiskState.UNRESPONSIVE, DiskState.UNSUPPORTED})


def disk_events(before: Status | None, after: Status) -> Iterator[JournalEntry]:
    """Changes of disks since the decision ``before``. The first decision after a start has none."""
    if before is None:
        return
    old = {report.disk.id: report for report in before.decision.part(DisksReport).disks}
    for report in after.decision.part(DisksReport).disks:
        was = old.get(report.disk.id)
        if was is not None:
            yield from _state_events(was, report)
    yield from _dry_run_events(before, after)


def label(report: DiskReport) -> str:
    """Device name and model: ``sda (WDC WD20EFRX-68EUZN0)``."""
    disk = report.disk
    return f"{disk.device} ({disk.model})" if disk.model else disk.device


def _state_events(previous: DiskReport, report: DiskReport) -> Iterator[JournalEntry]:
    """Changes of one disk. A disk that spun up and down between two decisions has two entries."""
    name = label(report)
    if report.last_spin_up is not None and report.last_spin_up != previous.last_spin_up:
        duration_text = ""
        if previous.state in _STOPPED_TEXT:
            slept = (report.last_spin_up.mono + report.last_spin_up.slept) - (
                previous.since.mono + previous.since.slept
            )
            duration_text = f" after {format_duration(slept)}"
        yield _disk_event(report, "spin-up", f"{name} has spun up{duration_text}")
    if report.state is previous.state:
        return
    if report.state in _STOPPED_TEXT and (
        previous.state in _SPINNING_STATES or report.last_spin_up != previous.last_spin_up
    ):
        yield _disk_event(report, "spin-down", f"{name} {_STOPPED_TEXT[report.state]}{_idle_text(report)}")
    if report.state in _PROBLEM_STATES:
        yield _disk_event(report, "disk", f"{name} {report.reason or 'does not answer'}", WARNING)
    elif previous.state is DiskState.UNRESPONSIVE and report.state in _RESPONSIVE_STATES:
        yield _disk_event(report, "disk", f"{name} answers again", NOTICE)


def _idle_text(report: DiskReport) -> str:
    """How long the disk had been idle when it spun down."""
    idle = 0.0 if report.idle_since is None else report.since.mono - report.idle_since
    return f": unused for {format_duration(idle)}" if idle > 0 else ""


def _dry_run_events(before: Status, after: Status) -> Iterator[JournalEntry]:
    """Spin-downs that observe mode has not executed."""
    if after.mode != "observe":
        return
    old, new = _spin_downs(before), _spin_downs(after)
    for report in after.decision.part(DisksReport).disks:
        completed_action = new.get(report.disk.id)
        if completed_action is not None and completed_action != old.get(report.disk.id):
            yield _disk_event(report, "spin-down", f"{label(report)} would have been spun down")


def _spin_downs(status: Status) -> dict[DiskId, CompletedAction]:
    results = status.snapshot.completed_actions.values()
    return {each.action.disk: each for each in results if isinstance(each.action, SpinDown) and each.ok}


def _disk_event(report: DiskReport, event: EventName, message: str, priority: int = INFO) -> JournalEntry:
    return make_entry(event, message, priority, disk=report.disk.id, subject=report.disk.device)
