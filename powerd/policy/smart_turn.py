"""One drive's turn: whether it is awake, what its last checks came to, and what it is due for."""

from __future__ import annotations

from typing import Final, NamedTuple

from powerd.config import Options
from powerd.model import (
    CheckHealth,
    CompletedAction,
    Disk,
    DiskAction,
    DiskId,
    DiskReport,
    DiskState,
    FailureCause,
    Moment,
    Reading,
    SmartRecord,
    Snapshot,
    StartTest,
    TestKind,
)
from powerd.policy.checkups import CheckTimes, next_check, next_test, self_test_ends_at

RETRY_AFTER: Final = 3600.0
"""Seconds until a check that failed is tried again; the drive was awake, so that wakes nothing."""
IDLE_WAIT: Final = 3600.0
"""A due check waits so long for the drive to be told to stand by; one that is never idle is checked then."""
_UNTRACKED: Final = frozenset({DiskState.UNSUPPORTED, DiskState.EXCLUDED})
_RECENT_USE: Final = 300.0
"""A drive that was used within so many seconds spins."""
_TIME_TOLERANCE: Final = 0.001
"""Times of one event differ by less where they are reckoned from one another, seconds."""


class SmartContext(NamedTuple):
    """All that a drive's turn is decided from.

    Attributes:
        disk, report, record: what it is, does, and has said so far.
        checked, tested: what the last check, and the last order to test itself, came to.
        begun: orders about its health that are under way.
        moved: CLOCK_MONOTONIC of its last I/O; -inf = unknown.
        suspended: by the kernel, as far as anybody looks: not at what has no spindle.
        check, test: when the next ones are due, as in checkups.
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
    """The facts of one drive, which must have a record."""
    disk_id: DiskId = report.disk.id
    running_actions = frozenset(
        action
        for action in snapshot.running_actions
        if isinstance(action, CheckHealth | StartTest) and action.disk == disk_id
    )
    reading, record = snapshot.activity.get(disk_id), snapshot.smart_history[disk_id]
    activity = reading.value if isinstance(reading, Reading) else None
    return SmartContext(
        report.disk,
        report,
        record,
        snapshot.completed_disk_actions.get((CheckHealth, disk_id)),
        snapshot.completed_disk_actions.get((StartTest, disk_id)),
        running_actions,
        float("-inf") if activity is None else activity.last_io_at,
        report.state is DiskState.SUSPENDED or (activity is not None and activity.runtime_suspended),
        next_check(record, options.smart, now.wall),
        next_test(record, options.smart),
    )


def due_action(
    context: SmartContext, now: Moment, *, spinning_down: bool, may_wake: bool
) -> DiskAction | None:
    """What is to be ordered of one drive now.

    Args:
        look: the drive.
        now: the present moment.
        leaving: it is about to be told to stand by.
        must: it may be woken.
    """
    if may_wake:
        return CheckHealth(context.disk.id, may_wake=True, device_type=context.record.device_type)
    if not is_awake(context, now) or awaits_retry(context.last_check, now):
        return None
    wall = now.wall.timestamp()
    # One that spins but is in use is waited for: until it leaves, or for so long since both are true.
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
    """Whether powerd will tell it to stand by when nobody needs it; its own timer gives no such notice."""
    return context.report.spin_down_at is not None and not context.report.standby_timer


def is_awake(context: SmartContext, now: Moment) -> bool:
    """Whether the drive spins, or has nothing that could.

    Of one that powerd leaves alone nobody knows whether it spins, and even the question wakes some behind a
    bridge. So it is believed to when it has just been used.
    """
    if context.suspended or _last_found_asleep(context, now):
        return False
    if context.disk.rotational is False:
        return True
    if context.report.state in _UNTRACKED:
        return now.mono - context.last_io_at <= _RECENT_USE
    return context.report.state is DiskState.ACTIVE


def is_asleep(context: SmartContext, now: Moment) -> bool:
    """Whether only an order that wakes it will get its health; the kernel's own sleep is left to the kernel.

    So it is, too, where for long nothing has told whether it spins.
    """
    state = context.report.state
    if context.suspended or context.disk.rotational is False:
        return False
    if state in _UNTRACKED:
        return not is_awake(context, now)
    unreported = state is DiskState.UNKNOWN and now.mono - context.report.since.mono >= IDLE_WAIT
    return state.is_stopped or unreported or _last_found_asleep(context, now)


def awaits_retry(completed: CompletedAction | None, now: Moment) -> bool:
    """Whether the last attempt failed so lately that another would be too soon."""
    return completed is not None and attempt_failed(completed) and now.mono < completed.ended_at + RETRY_AFTER


def attempt_failed(completed: CompletedAction) -> bool:
    """Whether an attempt came to nothing; one that found the drive asleep is no failure."""
    return (not completed.ok or completed.answer is None) and completed.answer is not FailureCause.IN_STANDBY


def self_test_running(context: SmartContext, now: Moment) -> bool:
    """Whether a self-test runs, as far as is known."""
    until = self_test_ends_at(context.record)
    return until is not None and now.wall.timestamp() < until


def _last_found_asleep(context: SmartContext, now: Moment) -> bool:
    """Whether it slept when it was last asked, and neither its counters nor its word have told more since.

    Of one without a spindle nothing tells more: the kernel had suspended it, and may have woken it by now. To
    ask again costs a look into sysfs.
    """
    latest = max(
        filter(None, (context.last_check, context.last_test_start)),
        key=lambda outcome: outcome.ended_at,
        default=None,
    )
    if latest is None or latest.answer is not FailureCause.IN_STANDBY:
        return False
    if context.disk.rotational is False:
        return now.mono < latest.ended_at + RETRY_AFTER
    return max(context.last_io_at, context.report.since.mono) <= latest.ended_at + _TIME_TOLERANCE
