"""All disks together: who shares idleness with whom, what is ordered, shown, guarded and remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

from powerd.config import DiskPlan, Options, plan_of
from powerd.config import Disks as DiskOptions
from powerd.model import (
    DiskId,
    DiskMemory,
    DiskOrder,
    DiskReport,
    DiskState,
    Guard,
    Memory,
    Moment,
    Outcome,
    SmartReport,
    Snapshot,
)
from powerd.policy.disks.case import Case, Step
from powerd.policy.disks.groups import GroupIdleness, guards, idleness_by_group
from powerd.policy.disks.recall import is_quiet, recall
from powerd.policy.disks.report import remarks, report
from powerd.policy.disks.step import left_alone, step
from powerd.policy.disks.ways import DAY, NEVER, boot
from powerd.policy.why import Why

_MOST_GONE: Final = 200
"""So many disks that are gone are remembered: whoever unplugs a disk plugs it in again."""


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


def course_of_disks(snapshot: Snapshot, memory: Memory, options: Options, now: Moment) -> DiskCourse:
    """Say what to do about each disk; ``memory`` must already know of a resume."""
    plans = _plans(snapshot, options.disks)
    remembered = remember(snapshot, memory, now)
    groups = idleness_by_group(snapshot, remembered, plans, memory.resumed)
    under_way = {order.disk for order in snapshot.in_flight if isinstance(order, DiskOrder)}
    acts = options.mode == "enforce"
    rows: list[tuple[Case, Step]] = []
    for name, disk in snapshot.disks.items():
        shared = groups.get(disk.group or name, _NOBODY)
        plan, alone = plans[name]
        case = Case(
            disk,
            remembered[name],
            plan,
            alone,
            snapshot.activity.get(name),
            shared.after if plan.spin_down_after else 0.0,
            shared.idle_since,
            shared.holds,
            name in under_way,
            acts,
            now,
            snapshot.standby_wishes.get(name),
        )
        rows.append((case, step(case)))
    return DiskCourse(
        orders=tuple([each.order for _, each in rows if each.order is not None]),
        reports=tuple([report(*row) for row in rows]),
        stirs=tuple(dict.fromkeys(_stirs(snapshot))),
        remarks=tuple([why for row in rows for why in remarks(*row)]),
        holds=bool(under_way),
        guards=tuple(guards(groups, remembered, options.disks)) if acts else (),
        look_again=min([each.again for _, each in rows], default=NEVER),
        look_at_disks=min([each.look for _, each in rows], default=NEVER),
        memory=remembered,
    )


_NOBODY: Final = GroupIdleness()


def _plans(snapshot: Snapshot, options: DiskOptions) -> dict[DiskId, tuple[DiskPlan, str | None]]:
    """Of each disk its plan, and why powerd has nothing to do with it; None = it has."""
    plan = planned(options)
    plans: dict[DiskId, tuple[DiskPlan, str | None]] = {}
    for name, disk in snapshot.disks.items():
        its = plan(name, disk.model, disk.serial)
        plans[name] = its, left_alone(disk, its)
    return plans


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
    about = memory.resumed, boot(now) - DAY
    for name, disk in snapshot.disks.items():
        old = remembered.get(name)
        before, look = memory.disk_looks.get(name), snapshot.activity.get(name)
        if old is None:
            old = DiskMemory(DiskState.UNKNOWN, now, disk.seen, memory.resumed)
        elif name not in fresh and not snapshot.roused and is_quiet(old, disk, before, look, about):
            continue
        remembered[name] = recall(
            old,
            disk,
            looks=(before, look),
            outcomes=sorted(fresh.get(name, ()), key=_when),
            roused=snapshot.roused.get(disk.group) if disk.group else None,
            resumed=memory.resumed,
            now=now,
        )
    gone = [name for name in remembered if name not in snapshot.disks]
    for name in gone[:-_MOST_GONE]:
        del remembered[name]
    return remembered


def _when(outcome: Outcome) -> float:
    return outcome.at


def _stirs(snapshot: Snapshot) -> Iterator[Why]:
    """Work in progress, for which the server stays awake; said once for a group."""
    for disk in snapshot.disks.values():
        if disk.busy:
            yield Why(disk.group or disk.id, disk.busy)
