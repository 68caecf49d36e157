"""Which drives are to be checked, or to test themselves, now: when they are awake anyway.

The best moment is just before a drive is told to stand by: it spins, nobody needs it, and what the check asks
for does not count as an access. A drive that nobody tells to stand by is checked when its time has come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final, NamedTuple

from powerd.config import Options
from powerd.model import (
    CheckHealth,
    Disk,
    DiskId,
    DiskOrder,
    DiskReport,
    DiskState,
    Moment,
    Order,
    Outcome,
    Record,
    SmartReport,
    Snapshot,
    SpinDown,
    StartTest,
    Trouble,
)
from powerd.policy.checkups import Checkup, next_check, next_test, testing_until
from powerd.policy.disks import DiskCourse
from powerd.policy.findings import compare
from powerd.policy.why import Why

RETRY: Final = 3600.0
"""Seconds until a check that failed is tried again; the drive was awake, so that wakes nothing."""
_PATIENCE: Final = 3600.0
"""A due check waits so long for the drive to be told to stand by; one that is never idle is checked then."""
_TALK: Final = frozenset({"ata", "sas", "nvme", "usb"})
"""Transports whose drives tell of their health."""


class Look(NamedTuple):
    """All that a drive's turn is decided from."""

    disk: Disk
    report: DiskReport
    record: Record
    checked: Outcome | None
    tested: Outcome | None
    begun: frozenset[DiskOrder]


@dataclass(frozen=True, slots=True)
class SmartCourse:
    """What is to be done about health.

    Attributes:
        orders: checks and self-tests.
        held: disks that may not be told to stand by now: they are checked first, or test themselves.
        reasons: self-tests and checks under way keep the server awake; what cannot be checked is a remark.
        reports: for the faces.
        look_again: CLOCK_MONOTONIC at which something is due.
    """

    orders: tuple[DiskOrder, ...] = ()
    held: frozenset[DiskId] = frozenset()
    reasons: tuple[Why, ...] = ()
    reports: Mapping[DiskId, SmartReport] = field(default_factory=lambda: MappingProxyType({}))
    look_again: float = float("inf")


def with_health(course: DiskCourse, snapshot: Snapshot, options: Options, now: Moment) -> DiskCourse:
    """The course with checks and self-tests in it, before which no drive is told to stand by.

    In observe mode drives are not touched, so nothing is ordered.
    """
    health = health_course(snapshot, course.reports, course.orders, options, now)
    if options.mode == "observe":
        return course._replace(smart=health.reports)
    return course._replace(
        orders=(*(order for order in course.orders if order.disk not in health.held), *health.orders),
        stirs=(*course.stirs, *(why for why in health.reasons if why.keeps_awake)),
        remarks=(*course.remarks, *(why for why in health.reasons if not why.keeps_awake)),
        look_again=min(course.look_again, health.look_again),
        smart=health.reports,
    )


def health_course(
    snapshot: Snapshot,
    reports: tuple[DiskReport, ...],
    going_down: tuple[Order, ...],
    options: Options,
    now: Moment,
) -> SmartCourse:
    """Say which checks and self-tests to begin.

    Args:
        snapshot: its records are of the drives that have one.
        reports: what policy makes of each disk.
        going_down: orders about to be given; a SpinDown among them is a drive's last chance for now.
        options: the configuration in force.
        now: the present moment.
    """
    known = (report for report in reports if talks(report.disk) and report.disk.id in snapshot.records)
    looks = [_look(snapshot, report) for report in known]
    leaving = {order.disk for order in going_down if isinstance(order, SpinDown)}
    must = _overdue_groups(looks, options, now)
    orders: list[DiskOrder] = []
    held: set[DiskId] = set()
    whys: list[Why] = []
    waits: list[float] = []
    for look in looks:
        whys += _reasons(look, now)
        if look.begun or _testing(look, now):
            held.add(look.disk.id)
            continue
        order = _due(look, options, now, leaving=look.disk.id in leaving, must=look.disk.id in must)
        if order is not None:
            orders.append(order)
            held.add(look.disk.id)
        waits += _waits(look, options, now)
    shown = {look.disk.id: _report(look, options, now) for look in looks}
    ahead = min((wait for wait in waits if wait > 0), default=float("inf"))
    return SmartCourse(tuple(orders), frozenset(held), tuple(whys), shown, now.mono + ahead)


def talks(disk: Disk) -> bool:
    """Whether a disk's health can be asked for at all."""
    return disk.transport in _TALK and not disk.removable and bool(disk.serial)


def _look(snapshot: Snapshot, report: DiskReport) -> Look:
    name = report.disk.id
    begun = frozenset(
        order
        for order in snapshot.in_flight
        if isinstance(order, CheckHealth | StartTest) and order.disk == name
    )
    return Look(
        report.disk,
        report,
        snapshot.records[name],
        snapshot.disk_outcomes.get((CheckHealth, name)),
        snapshot.disk_outcomes.get((StartTest, name)),
        begun,
    )


def _due(look: Look, options: Options, now: Moment, *, leaving: bool, must: bool) -> DiskOrder | None:
    """What is to be ordered of one drive now."""
    if must:
        return CheckHealth(look.disk.id, wake=True, kind=look.record.kind)
    if not _awake(look.report) or _paused(look.checked, now):
        return None
    wall = now.wall.timestamp()
    check = next_check(look.record, options.smart, now.wall)
    idle = leaving or look.report.spin_down_at is None
    if check is not None and wall >= check.due + (0 if idle else _PATIENCE):
        return CheckHealth(look.disk.id, wake=False, kind=look.record.kind)
    test = next_test(look.record, options.smart)
    if test is not None and wall >= test[0] + (0 if idle else _PATIENCE) and not _paused(look.tested, now):
        return StartTest(look.disk.id, test[1], look.record.kind)
    return None


def _awake(report: DiskReport) -> bool:
    """Whether the drive spins, or has nothing that could."""
    if report.disk.rotational is False:
        return report.state is not DiskState.SUSPENDED
    return report.state in {DiskState.ACTIVE, DiskState.UNSUPPORTED, DiskState.EXCLUDED}


def _overdue_groups(looks: list[Look], options: Options, now: Moment) -> frozenset[DiskId]:
    """Drives to be woken: their last check is too old; and the members of their group that are due."""
    wall = now.wall.timestamp()
    checks = {look.disk.id: next_check(look.record, options.smart, now.wall) for look in looks}

    def old(look: Look, time: float) -> bool:
        return wall >= time and look.report.state.asleep and not _paused(look.checked, now, woken=True)

    overdue = [
        look
        for look in looks
        if (check := checks[look.disk.id]) is not None
        and old(look, check.must)
        and look.report.state is not DiskState.SUSPENDED
    ]
    groups = {look.disk.group for look in overdue} - {None}
    along = [
        look
        for look in looks
        if look.disk.group in groups and (check := checks[look.disk.id]) is not None and old(look, check.due)
    ]
    return frozenset(look.disk.id for look in (*overdue, *along))


def _paused(outcome: Outcome | None, now: Moment, *, woken: bool = False) -> bool:
    """Whether the last attempt failed so lately that another would be too soon.

    One that found the drive asleep was no failure, unless it was to wake it.
    """
    if outcome is None or outcome.ok or (outcome.found is Trouble.ASLEEP and not woken):
        return False
    return now.mono < outcome.at + RETRY


def _testing(look: Look, now: Moment) -> bool:
    until = testing_until(look.record)
    if until is None or now.wall.timestamp() >= until:
        return False
    # A check since then may have found it over, or broken off.
    last = look.record.last
    return last is None or last.at <= max(look.record.tested.values()) or last.testing is not None


def _reasons(look: Look, now: Moment) -> Iterator[Why]:
    name = look.disk.device
    if any(isinstance(order, CheckHealth) for order in look.begun):
        yield Why(name, "its health is being read")
    elif look.begun:
        yield Why(name, "is told to test itself")
    elif _testing(look, now):
        kind = max((at, kind) for kind, at in look.record.tested.items())[1]
        yield Why(name, f"tests itself ({kind} self-test)")
    failed = look.checked
    if failed is not None and not failed.ok and failed.found is not Trouble.ASLEEP:
        yield Why(name, f"its health cannot be read: {failed.observed}", keeps_awake=False)


def _waits(look: Look, options: Options, now: Moment) -> Iterator[float]:
    """Seconds until something may be due."""
    wall = now.wall.timestamp()
    check = next_check(look.record, options.smart, now.wall)
    if check is not None:
        yield from (time - wall for time in (check.due, check.due + _PATIENCE, check.must))
    test = next_test(look.record, options.smart)
    if test is not None:
        yield from (test[0] - wall, test[0] + _PATIENCE - wall)
    for outcome in (look.checked, look.tested):
        if outcome is not None and not outcome.ok:
            yield outcome.at + RETRY - now.mono


def _report(look: Look, options: Options, now: Moment) -> SmartReport:
    record = look.record
    check: Checkup | None = next_check(record, options.smart, now.wall)
    findings = compare(record.before, record.last) if record.last is not None else ()
    due = None if check is None else datetime.fromtimestamp(check.due, now.wall.tzinfo)
    failed = look.checked if look.checked is not None and not look.checked.ok else None
    why = failed.observed if failed is not None and failed.found is not Trouble.ASLEEP else ""
    return SmartReport(look.disk.id, record, findings, due, testing=_testing(look, now), why=why)
