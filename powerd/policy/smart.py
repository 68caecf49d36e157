"""Which drives are to be checked, or to test themselves, now: when they are awake anyway.

The best moment is just before a drive is told to stand by: it spins, nobody needs it, and what the check asks
for does not count as an access. A drive that nobody tells to stand by is checked when its time has come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from powerd.config import Options
from powerd.model import (
    CheckHealth,
    Disk,
    DiskId,
    DiskOrder,
    DiskReport,
    Finding,
    Moment,
    Order,
    Record,
    SmartReport,
    Snapshot,
    SpinDown,
    Trouble,
)
from powerd.policy.checkups import testing_kind
from powerd.policy.disks import DiskCourse
from powerd.policy.findings import compare
from powerd.policy.smart_turn import PATIENCE, RETRY, Look, due, failed, look_at, paused, sleeps, testing
from powerd.policy.why import Why

AT_ONCE: Final = 8
"""Drives that are checked or begin a test at the same time, unless one group is woken: 100 would take all of
a small machine, and starting them all of its power supply."""
_TALK: Final = frozenset({"ata", "sas", "nvme", "usb"})
"""Transports whose drives tell of their health."""


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
    said = {why.subject: why.text for why in health.reasons if why.keeps_awake}
    return course._replace(
        reports=tuple([_held(report, health, said) for report in course.reports]),
        orders=(*(order for order in course.orders if order.disk not in health.held), *health.orders),
        stirs=(*course.stirs, *(why for why in health.reasons if why.keeps_awake)),
        remarks=(*course.remarks, *(why for why in health.reasons if not why.keeps_awake)),
        look_again=min(course.look_again, health.look_again),
        smart=health.reports,
    )


def _held(report: DiskReport, health: SmartCourse, said: Mapping[str, str]) -> DiskReport:
    """What is shown of a disk that would stand by, but for its health."""
    if report.disk.id not in health.held or not report.spin_down_after:
        return report
    return report._replace(waits=said.get(report.disk.device, "its health is to be read first"))


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
    looks = [look_at(snapshot, report, options, now) for report in known]
    leaving = {order.disk for order in going_down if isinstance(order, SpinDown)}
    must = _overdue_groups(looks, now)
    room = AT_ONCE - sum(bool(look.begun) for look in looks)
    waking: set[str] = set()
    orders: list[DiskOrder] = []
    held: set[DiskId] = set()
    for look in looks:
        name, group = look.disk.id, look.disk.group
        if look.begun or testing(look, now):
            held.add(name)
            continue
        order = due(look, now, leaving=name in leaving, must=name in must)
        if order is None:
            continue
        held.add(name)
        if room > 0 or (name in must and group in waking):
            orders.append(order)
            room -= 1
            waking |= {group} if group is not None and name in must else set()
    waits = [wait for look in looks for wait in _waits(look, now) if wait > 0]
    return SmartCourse(
        tuple(orders),
        frozenset(held),
        tuple(why for look in looks for why in _reasons(look, now)),
        {look.disk.id: _report(look, now) for look in looks},
        now.mono + min(waits, default=float("inf")),
    )


def talks(disk: Disk) -> bool:
    """Whether a disk's health can be asked for at all."""
    return disk.transport in _TALK and not disk.removable and bool(disk.serial)


def _overdue_groups(looks: list[Look], now: Moment) -> frozenset[DiskId]:
    """Drives to be woken: their last check is too old; and the members of their group that are due.

    One whose last check failed is woken on its own account alone, or it would wake the others each time.
    """
    wall = now.wall.timestamp()
    asleep = [
        (look, check)
        for look in looks
        if (check := look.check) is not None
        and wall >= min(check)
        and sleeps(look, now)
        and not paused(look.checked, now)
    ]
    overdue = {look.disk.id for look, check in asleep if wall >= check.must}
    well = [(look, check) for look, check in asleep if look.checked is None or not failed(look.checked)]
    groups = {look.disk.group for look, _ in well if look.disk.id in overdue} - {None}
    along = {look.disk.id for look, check in well if look.disk.group in groups and wall >= check.due}
    return frozenset(overdue | along)


def _reasons(look: Look, now: Moment) -> Iterator[Why]:
    name = look.disk.device
    if any(isinstance(order, CheckHealth) for order in look.begun):
        yield Why(name, "its health is being read")
    elif look.begun:
        yield Why(name, "is told to test itself")
    elif testing(look, now):
        yield Why(name, f"tests itself ({testing_kind(look.record)})")
    if look.checked is not None and failed(look.checked):
        yield Why(name, f"its health cannot be read: {look.checked.observed}", keeps_awake=False)


def _waits(look: Look, now: Moment) -> Iterator[float]:
    """Seconds until something may be due."""
    wall = now.wall.timestamp()
    yield look.report.since.mono + PATIENCE - now.mono
    if look.check is not None:
        yield from (time - wall for time in (look.check.due, look.check.due + PATIENCE, look.check.must))
    if look.test is not None:
        yield from (look.test[0] - wall, look.test[0] + PATIENCE - wall)
    for outcome in (look.checked, look.tested):
        if outcome is not None and (failed(outcome) or outcome.found is Trouble.ASLEEP):
            yield outcome.at + RETRY - now.mono


def _report(look: Look, now: Moment) -> SmartReport:
    next_due = None if look.check is None else datetime.fromtimestamp(look.check.due, now.wall.tzinfo)
    why = look.checked.observed if look.checked is not None and failed(look.checked) else ""
    found = _found(_Same(look.record))
    return SmartReport(look.disk.id, look.record, found, next_due, testing=testing(look, now), why=why)


class _Same:
    """A record by its identity: it stays the same one until the next check, and comparing two costs more."""

    __slots__ = ("record",)

    def __init__(self, record: Record) -> None:
        self.record = record

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.record is other.record

    def __hash__(self) -> int:
        return id(self.record)


@lru_cache(maxsize=1 << 10)
def _found(same: _Same) -> tuple[Finding, ...]:
    record = same.record
    return compare(record.before, record.last, record.samples) if record.last is not None else ()
