"""Decides which drives to check or to self-test; it prefers drives that are already spinning.

The best moment is just before a spin-down: the drive is spinning and idle, and the commands of a check do
not count as an access. A drive that powerd does not spin down is checked when the check is due.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

from powerd.config.options import Options
from powerd.core.actions import Action, CompletedAction
from powerd.core.domain import Assessment, Context
from powerd.core.reasons import UndatedReason
from powerd.core.snapshot import Snapshot
from powerd.core.time import Moment, Reading
from powerd.disks.model import Disk, DiskAction, DiskFacts, DiskId, FailureCause, SpinDown
from powerd.disks.state import DiskReport, DisksReport, DiskState
from powerd.smart.actions import CheckHealth, StartTest, TestKind
from powerd.smart.findings import findings_of
from powerd.smart.model import Finding, SmartFacts, SmartRecord, SmartReport, SmartReports
from powerd.smart.schedule import CheckTimes, next_check, next_test, self_test_ends_at, self_test_name

RETRY_AFTER: Final = 3600.0
"""Seconds until a failed check is retried; the drive was awake, so the retry does not wake it."""
IDLE_WAIT: Final = 3600.0
"""Seconds that a due check waits for a spin-down; then a drive that is never idle is checked too."""
_UNTRACKED: Final = frozenset({DiskState.UNSUPPORTED, DiskState.EXCLUDED})
_RECENT_USE: Final = 300.0
"""Seconds after its last I/O in which a drive is assumed to be spinning."""
_TIME_TOLERANCE: Final = 0.001
"""Seconds by which two computed times of one event may differ."""


class SmartContext(NamedTuple):
    """The input of the decision for one drive.

    Attributes:
        disk, report, record: the drive, its state and its history.
        last_check, last_test_start: the last check and the last start of a self-test, with their results.
        running_actions: running checks and starts of self-tests on the drive.
        last_io_at: CLOCK_MONOTONIC of its last I/O; -inf = unknown.
        suspended: the kernel has suspended the drive; unknown for a drive without a spindle.
        next_check_times, next_test_time: when the next check and the next self-test are due.
    """

    disk: Disk
    report: DiskReport
    record: SmartRecord
    last_check: CompletedAction | None
    last_test_start: CompletedAction | None
    running_actions: frozenset[DiskAction]
    last_io_at: float
    suspended: bool
    next_check_times: CheckTimes | None
    next_test_time: tuple[float, TestKind] | None


def smart_context(snapshot: Snapshot, report: DiskReport, options: Options, now: Moment) -> SmartContext:
    """The input for one drive, which must have a record."""
    disk_id: DiskId = report.disk.id
    running_actions = frozenset(
        action
        for action in snapshot.running_actions
        if isinstance(action, CheckHealth | StartTest) and action.disk == disk_id
    )
    reading, record = (
        snapshot.part(DiskFacts).activity.get(disk_id),
        snapshot.part(SmartFacts).smart_history[disk_id],
    )
    activity = reading.value if isinstance(reading, Reading) else None
    return SmartContext(
        report.disk,
        report,
        record,
        snapshot.completed(CheckHealth, disk_id),
        snapshot.completed(StartTest, disk_id),
        running_actions,
        float("-inf") if activity is None else activity.last_io_at,
        report.state is DiskState.SUSPENDED or (activity is not None and activity.runtime_suspended),
        next_check(record, options.smart, now.wall),
        next_test(record, options.smart),
    )


def due_action(
    context: SmartContext, now: Moment, *, spinning_down: bool, may_wake: bool
) -> DiskAction | None:
    """The action for one drive now; ``spinning_down``: its spin-down is decided, ``may_wake``: wake it."""
    if may_wake:
        return CheckHealth(context.disk.id, may_wake=True, device_type=context.record.device_type)
    if not is_awake(context, now) or awaits_retry(context.last_check, now):
        return None
    wall = now.wall.timestamp()
    # A drive in use is checked at its spin-down, or after it has been due and spinning for IDLE_WAIT.
    need_not_wait = spinning_down or not awaits_spindown(context)
    due_until = wall - (0.0 if need_not_wait else IDLE_WAIT)
    if not need_not_wait and now.mono - context.report.since.mono < IDLE_WAIT:
        return None
    if context.next_check_times is not None and due_until >= context.next_check_times.due:
        return CheckHealth(context.disk.id, may_wake=False, device_type=context.record.device_type)
    if (
        context.next_test_time is not None
        and due_until >= context.next_test_time[0]
        and not awaits_retry(context.last_test_start, now)
    ):
        return StartTest(context.disk.id, context.next_test_time[1], context.record.device_type)
    return None


def awaits_spindown(context: SmartContext) -> bool:
    """Whether powerd will spin the drive down when idle; the drive's own timer does so without notice."""
    return context.report.spin_down_at is not None and not context.report.standby_timer


def is_awake(context: SmartContext, now: Moment) -> bool:
    """Whether the drive is spinning, or has no spindle.

    The power mode of a drive that powerd does not manage is unknown, and behind some bridges the query itself
    wakes the drive. Such a drive is assumed to be spinning if it was used recently.
    """
    if context.suspended or _last_found_asleep(context, now):
        return False
    if context.disk.rotational is False:
        return True
    if context.report.state in _UNTRACKED:
        return now.mono - context.last_io_at <= _RECENT_USE
    return context.report.state is DiskState.ACTIVE


def is_asleep(context: SmartContext, now: Moment) -> bool:
    """Whether a check has to wake the drive; False for a suspended drive, which is left to the kernel.

    True also if the power mode has been unknown for IDLE_WAIT, or an unmanaged drive was not used recently.
    """
    state = context.report.state
    if context.suspended or context.disk.rotational is False:
        return False
    if state in _UNTRACKED:
        return not is_awake(context, now)
    unreported = state is DiskState.UNKNOWN and now.mono - context.report.since.mono >= IDLE_WAIT
    return state.is_stopped or unreported or _last_found_asleep(context, now)


def awaits_retry(completed: CompletedAction | None, now: Moment) -> bool:
    """Whether the last attempt failed so recently that a retry is too early."""
    return completed is not None and attempt_failed(completed) and now.mono < completed.ended_at + RETRY_AFTER


def attempt_failed(completed: CompletedAction) -> bool:
    """Whether an attempt has failed; finding the drive in standby is not a failure."""
    return (not completed.ok or completed.answer is None) and completed.answer is not FailureCause.IN_STANDBY


def self_test_running(context: SmartContext, now: Moment) -> bool:
    """Whether a self-test is known to be running."""
    until = self_test_ends_at(context.record)
    return until is not None and now.wall.timestamp() < until


def _last_found_asleep(context: SmartContext, now: Moment) -> bool:
    """Whether the drive was in standby at the last attempt, without a later sign of activity.

    A drive without a spindle gives no such sign: it was suspended and may have been resumed, so it is tried
    again after RETRY_AFTER. The attempt reads sysfs only.
    """
    latest = max(
        filter(None, (context.last_check, context.last_test_start)),
        key=lambda result: result.ended_at,
        default=None,
    )
    if latest is None or latest.answer is not FailureCause.IN_STANDBY:
        return False
    if context.disk.rotational is False:
        return now.mono < latest.ended_at + RETRY_AFTER
    return max(context.last_io_at, context.report.since.mono) <= latest.ended_at + _TIME_TOLERANCE


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
    in_same_group = {
        each.disk.id for each, check in last_check_ok if each.disk.group in groups and wall >= check.due
    }
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
    yield context.report.since.mono + IDLE_WAIT - now.mono
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
            yield completed.ended_at + RETRY_AFTER - now.mono


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
    findings = _findings_of(_RecordIdentity(context.record))
    return SmartReport(
        context.disk.id,
        context.record,
        findings,
        next_due,
        testing=self_test_running(context, now),
        check_error=check_error,
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
def _findings_of(identity: _RecordIdentity) -> tuple[Finding, ...]:
    record = identity.record
    return findings_of(record.previous, record.last, record.samples) if record.last is not None else ()
