"""All disks together: who shares idleness with whom, what is ordered, shown, guarded and remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

from powerd.config import DiskPlan, Options, plan_of
from powerd.config import Disks as DiskOptions
from powerd.model import (
    Activity,
    Blind,
    Disk,
    DiskId,
    DiskMemory,
    DiskOrder,
    DiskReport,
    DiskState,
    Guard,
    Memory,
    Moment,
    Outcome,
    Seen,
    SmartReport,
    Snapshot,
)
from powerd.policy.disks.recall import recall
from powerd.policy.disks.report import remarks, report
from powerd.policy.disks.step import Case, Step, left_alone, step
from powerd.policy.disks.ways import NEVER
from powerd.policy.idle import Why

_FORGOTTEN: Final = 200
"""So many disks that are gone are remembered: whoever unplugs a disk plugs it in again."""
_MOST_GUARDED: Final = 100


class DiskCourse(NamedTuple):
    """What follows for all disks.

    Attributes:
        orders: at most one for each disk.
        reports: one for each disk.
        stirs: what keeps the server awake: work in progress on a disk.
        remarks: which disk waits for what.
        holds: orders to disks are under way, and the server had better not fall asleep meanwhile.
        guards, look_again, look_at_disks, memory, smart: as in Decision and Memory.
    """

    orders: tuple[DiskOrder, ...]
    reports: tuple[DiskReport, ...]
    stirs: tuple[Why, ...]
    remarks: tuple[Why, ...]
    holds: bool
    guards: tuple[Guard, ...]
    look_again: float
    look_at_disks: float
    memory: Mapping[DiskId, DiskMemory]
    smart: Mapping[DiskId, SmartReport] = MappingProxyType({})


class _Company(NamedTuple):
    """What the members of a group share, or a disk that stands alone has to itself.

    Attributes:
        members: those that powerd has to do with.
        after: seconds of idleness that all want, bounces reckoned in.
        idle_since: CLOCK_MONOTONIC of the last I/O to any; None = unknown.
        holds: what goes on in any; None = nothing.
    """

    members: list[Disk]
    after: float
    idle_since: float | None
    holds: str | None


class _Row(NamedTuple):
    case: Case
    step: Step


def course_of_disks(snapshot: Snapshot, memory: Memory, options: Options, now: Moment) -> DiskCourse:
    """Say what to do about each disk; ``memory`` must already know of a resume."""
    plan = planned(options.disks)
    plans = {name: plan(name, disk.model, disk.serial) for name, disk in snapshot.disks.items()}
    remembered = remember(snapshot, memory, now)
    companies = _companies(snapshot, remembered, plans, memory.resumed)
    under_way = {order.disk for order in snapshot.in_flight if isinstance(order, DiskOrder)}
    acts = options.mode == "enforce"
    rows: list[_Row] = []
    for name, disk in snapshot.disks.items():
        own = plans[name]
        company = companies.get(disk.group or name) or _ALONE
        case = Case(
            disk,
            remembered[name],
            own,
            snapshot.activity.get(name),
            company.after if own.spin_down_after else 0.0,
            company.idle_since,
            company.holds,
            name in under_way,
            acts,
            now,
            snapshot.standby_wishes.get(name),
        )
        rows.append(_Row(case, step(case)))
    return DiskCourse(
        orders=tuple(row.step.order for row in rows if row.step.order is not None),
        reports=tuple([report(row.case, row.step) for row in rows]),
        stirs=tuple(dict.fromkeys(_stirs(snapshot))),
        remarks=tuple([why for row in rows for why in remarks(row.case, row.step)]),
        holds=bool(under_way),
        guards=tuple(_guards(companies, remembered, options.disks, under_way)) if acts else (),
        look_again=min((row.step.again for row in rows), default=NEVER),
        look_at_disks=min((row.step.look for row in rows), default=NEVER),
        memory=remembered,
    )


_ALONE: Final = _Company([], 0.0, None, None)


@lru_cache(maxsize=2)
def planned(options: DiskOptions) -> Callable[[DiskId, str, str], DiskPlan]:
    """Each disk's plan, worked out once, by its id, model and serial number."""

    @lru_cache(maxsize=1 << 12)
    def plan(name: DiskId, model: str, serial: str) -> DiskPlan:
        return plan_of(options, name, model, serial)

    return plan


def remember(snapshot: Snapshot, memory: Memory, now: Moment) -> Mapping[DiskId, DiskMemory]:
    """Each disk's memory brought up to date; those that are gone are remembered as they were."""
    fresh: dict[DiskId, list[Outcome]] = {}
    for (_, name), outcome in snapshot.disk_outcomes.items():
        known = memory.disks.get(name)
        if known is None or outcome.at > known.heard:
            fresh.setdefault(name, []).append(outcome)
    remembered = dict(memory.disks)
    for name, disk in snapshot.disks.items():
        old = remembered.get(name) or DiskMemory(DiskState.UNKNOWN, now, disk.seen, memory.resumed)
        remembered[name] = recall(
            old,
            disk,
            looks=(memory.disk_looks.get(name), snapshot.activity.get(name)),
            outcomes=sorted(fresh.get(name, ()), key=_when),
            roused=snapshot.roused.get(disk.group) if disk.group else None,
            resumed=memory.resumed,
            now=now,
        )
    gone = [name for name in remembered if name not in snapshot.disks]
    for name in gone[:-_FORGOTTEN]:
        del remembered[name]
    return remembered


def _when(outcome: Outcome) -> float:
    return outcome.at


def _companies(
    snapshot: Snapshot,
    remembered: Mapping[DiskId, DiskMemory],
    plans: Mapping[DiskId, DiskPlan],
    resumed: float | None,
) -> dict[str, _Company]:
    """Who shares idleness with whom, by the group's name, or the disk's own where it has none."""
    groups: dict[str, list[Disk]] = {}
    for name, disk in snapshot.disks.items():
        if left_alone(disk, plans[name]) is None:
            groups.setdefault(disk.group or name, []).append(disk)
    return {
        group: _Company(
            members,
            max([plans[disk.id].spin_down_after * 2 ** remembered[disk.id].stretch for disk in members]),
            _idle_since([snapshot.activity.get(disk.id) for disk in members], resumed),
            next((disk.busy for disk in members if disk.busy), None),
        )
        for group, members in groups.items()
    }


def _idle_since(looks: list[Seen[Activity] | Blind | None], resumed: float | None) -> float | None:
    """The last I/O to any; the machine's own wake-up counts as one. None = of one of them nobody knows."""
    last = -NEVER if resumed is None else resumed
    for look in looks:
        if not isinstance(look, Seen):
            return None
        last = max(last, look.value.moved)
    return last


def _stirs(snapshot: Snapshot) -> Iterator[Why]:
    """Work in progress, for which the server stays awake; said once for a group."""
    for disk in snapshot.disks.values():
        if disk.busy:
            yield Why(disk.group or disk.id, disk.busy)


def _guards(
    companies: Mapping[str, _Company],
    remembered: Mapping[DiskId, DiskMemory],
    options: DiskOptions,
    under_way: set[DiskId],
) -> Iterator[Guard]:
    """Groups of which all members stand still, and whose first access is to wake all of them."""
    if options.wake_group == "never":
        return
    for group, company in companies.items():
        names = tuple(disk.id for disk in company.members)
        if not 1 < len(names) <= _MOST_GUARDED:
            continue
        fits = options.wake_group == "all" or all(disk.array for disk in company.members)
        still = all(remembered[name].state in _STILL and name not in under_way for name in names)
        if fits and still:
            yield Guard(group, names)


_STILL: Final = frozenset({DiskState.STANDBY, DiskState.SLEEPING})
