"""What disks do that is worth a line in the journal: each spin-down, each spin-up, and trouble. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from powerd.faces.journal import INFO, NOTICE, WARNING, Entry, Event, entry
from powerd.faces.words import span
from powerd.model import DiskId, DiskReport, DiskState, Outcome, SpinDown, Status

_ASLEEP: Final = {
    DiskState.STANDBY: "stands by",
    DiskState.SLEEPING: "sleeps",
    DiskState.SUSPENDED: "is suspended",
}
_SPINNING: Final = frozenset({DiskState.ACTIVE, DiskState.SETTLING})
_ANSWERS: Final = frozenset({DiskState.ACTIVE, DiskState.STANDBY, DiskState.SLEEPING})
_TROUBLE: Final = {DiskState.HUNG: "does not answer", DiskState.UNSUPPORTED: "cannot be made to stand by"}


def told(before: Status | None, after: Status) -> Iterator[Entry]:
    """What is new of disks since the decision ``before``; what they did when powerd started is none."""
    if before is None:
        return
    old = {report.disk.id: report for report in before.decision.disks}
    for report in after.decision.disks:
        was = old.get(report.disk.id)
        if was is not None:
            yield from _turns(was, report)
    yield from _would(before, after)


def label(report: DiskReport) -> str:
    """What a person calls it: ``sda (WDC WD20EFRX-68EUZN0)``."""
    disk = report.disk
    return f"{disk.device} ({disk.model})" if disk.model else disk.device


def _turns(was: DiskReport, now: DiskReport) -> Iterator[Entry]:
    """What became of one disk between two decisions; asleep again after a short wake-up is two lines."""
    name = label(now)
    if now.last_wake is not None and now.last_wake != was.last_wake:
        after = ""
        if was.state in _ASLEEP:
            slept = (now.last_wake.mono + now.last_wake.slept) - (was.since.mono + was.since.slept)
            after = f" after {span(slept)}"
        yield _news(now, "spin-up", f"{name} spins again{after}")
    if now.state is was.state:
        return
    if now.state in _ASLEEP and (was.state in _SPINNING or now.last_wake != was.last_wake):
        yield _news(now, "spin-down", f"{name} {_ASLEEP[now.state]}{_idle(now)}")
    if now.state in _TROUBLE:
        yield _news(now, "disk", f"{name} {now.waits or _TROUBLE[now.state]}", WARNING)
    elif was.state is DiskState.HUNG and now.state in _ANSWERS:
        yield _news(now, "disk", f"{name} answers again", NOTICE)


def _idle(now: DiskReport) -> str:
    """For how long nobody had used it by then."""
    idle = 0.0 if now.idle_since is None else now.since.mono - now.idle_since
    return f": unused for {span(idle)}" if idle > 0 else ""


def _would(before: Status, after: Status) -> Iterator[Entry]:
    """Spin-downs that observe mode only speaks of."""
    if after.mode != "observe":
        return
    old, new = _orders(before), _orders(after)
    for report in after.decision.disks:
        outcome = new.get(report.disk.id)
        if outcome is not None and outcome != old.get(report.disk.id):
            yield _news(report, "spin-down", f"{label(report)} would have been told to stand by")


def _orders(status: Status) -> dict[DiskId, Outcome]:
    outcomes = status.snapshot.disk_outcomes.items()
    return {disk: outcome for (kind, disk), outcome in outcomes if kind is SpinDown and outcome.ok}


def _news(report: DiskReport, event: Event, message: str, priority: int = INFO) -> Entry:
    return entry(event, message, priority, disk=report.disk.id, subject=report.disk.device)
