"""Decides which drives to check or to self-test; it prefers drives that are already spinning.

The best moment is just before a spin-down: the drive is spinning and idle, and the commands of a check do
not count as an access. A drive that powerd does not spin down is checked when the check is due.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from powerd.config.options import Options
from powerd.core.actions import Action
from powerd.core.dataclass import dataclass
from powerd.core.domain import Assessment, Context
from powerd.core.reasons import UndatedReason
from powerd.core.snapshot import Snapshot
from powerd.core.time import Moment
from powerd.disks.model import Disk, DiskAction, DiskId, FailureCause, SpinDown
from powerd.disks.state import DiskReport, DisksReport
from powerd.smart.actions import CheckHealth
from powerd.smart.findings import findings_of_record
from powerd.smart.model import Finding, SmartFacts, SmartRecord, SmartReport, SmartReports
from powerd.smart.policy_drive import (
    ASK_AFTER,
    ASK_AGAIN_AFTER,
    IDLE_WAIT,
    RETRY_AFTER,
    SmartContext,
    attempt_failed,
    awaits_retry,
    due_action,
    is_asleep,
    self_test_running,
    smart_context,
)
from powerd.smart.schedule import self_test_name

MAX_PARALLEL_CHECKS: Final = 8
"""Maximum number of drives in a check or start of a self-test at a time; a woken group may exceed it.

100 drives at once would overload a small machine, and their spin-up its power supply."""
_SMART_TRANSPORTS: Final = frozenset({"ata", "sas", "nvme", "usb"})
"""Transports whose drives report their health."""


@dataclass(frozen=True, slots=True)
class SmartPlan:
    """The decision on the health of all drives.

    Attributes:
        actions: checks and self-tests.
        spindown_blocked: disks that must not be spun down now: an action on their health is due or running,
            or a self-test is running.
        reasons: blockers for running checks and self-tests, remarks for failed checks.
        reports: the health of each drive for the user interfaces.
        reevaluate_at: CLOCK_MONOTONIC at which the next action may be due.
    """

    actions: tuple[DiskAction, ...] = ()
    spindown_blocked: frozenset[DiskId] = frozenset()
    reasons: tuple[UndatedReason, ...] = ()
    reports: Mapping[DiskId, SmartReport] = field(default_factory=lambda: MappingProxyType({}))
    reevaluate_at: float = float("inf")


def assess(context: Context) -> Assessment:
    """The due checks and self-tests, which precede spin-downs; in observe mode only their reports."""
    disks, actions = context.merged.part(DisksReport), context.merged.actions
    if not disks.disks:
        return Assessment(parts=(SmartReports(),))
    health = plan_health(context.snapshot, disks.disks, actions, context.options, context.now)
    if context.options.mode == "observe":
        return Assessment(parts=(SmartReports(health.reports),))
    reason_by_device = {reason.subject: reason.text for reason in health.reasons if reason.blocks_sleep}
    reports = tuple([_with_wait_reason(report, health, reason_by_device) for report in disks.disks])
    return Assessment(
        blockers=tuple([each for each in health.reasons if each.blocks_sleep]),
        remarks=tuple([each for each in health.reasons if not each.blocks_sleep]),
        actions=health.actions,
        parts=(replace(disks, disks=reports), SmartReports(health.reports)),
        withheld=health.spindown_blocked,
        next_decision_at=health.reevaluate_at,
    )


def _with_wait_reason(
    report: DiskReport, health: SmartPlan, reason_by_device: Mapping[str, str]
) -> DiskReport:
    """The report, with the reason if a check or a self-test postpones the spin-down of the disk."""
    if report.disk.id not in health.spindown_blocked or not report.spin_down_after:
        return report
    return report._replace(reason=reason_by_device.get(report.disk.device, "its health check comes first"))


def plan_health(
    snapshot: Snapshot,
    reports: tuple[DiskReport, ...],
    spindown_actions: tuple[Action, ...],
    options: Options,
    now: Moment,
) -> SmartPlan:
    """Decide which checks and self-tests to start.

    Args:
        snapshot: all facts; a drive without a record in SmartFacts is ignored.
        reports: the reports of the disk policy.
        spindown_actions: decided actions; a drive that a SpinDown among them concerns is checked first.
        options: the configuration in force.
        now: the present moment.
    """
    drives = (
        report
        for report in reports
        if has_smart(report.disk) and report.disk.id in snapshot.part(SmartFacts).smart_history
    )
    contexts = [smart_context(snapshot, report, options, now) for report in drives]
    spinning_down = {each.disk for each in spindown_actions if isinstance(each, SpinDown)}
    to_wake = _drives_to_wake(contexts, now)
    free_slots = MAX_PARALLEL_CHECKS - sum(bool(context.running_actions) for context in contexts)
    woken_groups: set[str] = set()
    actions: list[DiskAction] = []
    spindown_blocked: set[DiskId] = set()
    for context in contexts:
        disk_id, group = context.disk.id, context.disk.group
        if context.running_actions or self_test_running(context, now):
            spindown_blocked.add(disk_id)
            continue
        action = due_action(context, now, spinning_down=disk_id in spinning_down, may_wake=disk_id in to_wake)
        if action is None:
            continue
        spindown_blocked.add(disk_id)
        if free_slots > 0 or (disk_id in to_wake and group in woken_groups):
            actions.append(action)
            free_slots -= 1
            woken_groups |= {group} if group is not None and disk_id in to_wake else set()
    delays = [delay for context in contexts for delay in _delays(context, now) if delay > 0]
    return SmartPlan(
        tuple(actions),
        frozenset(spindown_blocked),
        tuple(reason for context in contexts for reason in _reasons(context, now)),
        {context.disk.id: _smart_report(context, now) for context in contexts},
        now.mono + min(delays, default=float("inf")),
    )


def has_smart(disk: Disk) -> bool:
    """Whether a disk's health can be read."""
    return disk.transport in _SMART_TRANSPORTS and not disk.removable and bool(disk.serial)


def _drives_to_wake(contexts: list[SmartContext], now: Moment) -> frozenset[DiskId]:
    """Drives to wake: those whose check is overdue, and the members of their groups whose check is due.

    A drive whose last check failed does not wake its group; otherwise each retry would.
    """
    wall = now.wall.timestamp()
    sleeping = [
        (context, check)
        for context in contexts
        if (check := context.next_check_times) is not None
        and wall >= min(check)
        and is_asleep(context, now)
        and not awaits_retry(context.last_check, now)
    ]
    overdue = {context.disk.id for context, check in sleeping if wall >= check.overdue}
    last_check_ok = [
        (context, check)
        for context, check in sleeping
        if context.last_check is None or not attempt_failed(context.last_check)
    ]
    groups = {context.disk.group for context, _ in last_check_ok if context.disk.id in overdue} - {None}
    in_same_group = {each.disk.id for each, _ in last_check_ok if each.disk.group in groups}
    return frozenset(overdue | in_same_group)


def _reasons(context: SmartContext, now: Moment) -> Iterator[UndatedReason]:
    name = context.disk.device
    if any(isinstance(action, CheckHealth) for action in context.running_actions):
        yield UndatedReason(name, "its health is being read")
    elif context.running_actions:
        yield UndatedReason(name, "its self-test is being started")
    elif self_test_running(context, now):
        yield UndatedReason(name, f"tests itself ({self_test_name(context.record)})")
    if context.last_check is not None and attempt_failed(context.last_check):
        yield UndatedReason(
            name, f"its health cannot be read: {context.last_check.message}", blocks_sleep=False
        )


def _delays(context: SmartContext, now: Moment) -> Iterator[float]:
    """Seconds until an action may be due."""
    wall = now.wall.timestamp()
    yield from (context.report.since.mono + wait - now.mono for wait in (ASK_AFTER, IDLE_WAIT))
    if context.next_check_times is not None:
        yield from (
            time - wall
            for time in (
                context.next_check_times.due,
                context.next_check_times.due + IDLE_WAIT,
                context.next_check_times.overdue,
            )
        )
    if context.next_test_time is not None:
        yield from (context.next_test_time[0] - wall, context.next_test_time[0] + IDLE_WAIT - wall)
    for completed in (context.last_check, context.last_test_start):
        if completed is not None and (
            attempt_failed(completed) or completed.answer is FailureCause.IN_STANDBY
        ):
            yield from (completed.ended_at + wait - now.mono for wait in (RETRY_AFTER, ASK_AGAIN_AFTER))


def _smart_report(context: SmartContext, now: Moment) -> SmartReport:
    next_due = (
        None
        if context.next_check_times is None
        else datetime.fromtimestamp(context.next_check_times.due, now.wall.tzinfo)
    )
    check_error = (
        context.last_check.message
        if context.last_check is not None and attempt_failed(context.last_check)
        else ""
    )
    findings, acknowledged = _findings_of(_RecordIdentity(context.record))
    return SmartReport(
        context.disk.id,
        context.record,
        findings,
        next_due,
        testing=self_test_running(context, now),
        check_error=check_error,
        acknowledged=acknowledged,
    )


class _RecordIdentity:
    """Hashes a record by identity: only a check replaces a record, and comparing values costs more."""

    __slots__ = ("record",)

    def __init__(self, record: SmartRecord) -> None:
        self.record = record

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _RecordIdentity) and self.record is other.record

    def __hash__(self) -> int:
        return id(self.record)


@lru_cache(maxsize=1 << 10)
def _findings_of(identity: _RecordIdentity) -> tuple[tuple[Finding, ...], frozenset[str]]:
    return findings_of_record(identity.record)
