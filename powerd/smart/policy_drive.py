"""Decides for one drive whether it is checked or self-tested now.

The best moment is just before a spin-down: the drive is spinning and idle, and the commands of a check do
not count as an access. A drive that powerd does not spin down is checked when the check is due.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from powerd.config.options import Options
from powerd.core.actions import CompletedAction
from powerd.core.snapshot import Snapshot
from powerd.core.time import Moment, Reading
from powerd.disks.model import Disk, DiskAction, DiskFacts, DiskId, FailureCause, PowerStatus
from powerd.disks.state import DiskReport, DiskState
from powerd.smart.actions import CheckHealth, HealthReading, StartTest, TestKind
from powerd.smart.model import SmartFacts, SmartRecord
from powerd.smart.schedule import CheckTimes, next_check, next_test, self_test_ends_at

RETRY_AFTER: Final = 3600.0
"""Seconds until a failed check is retried; the drive was awake, so the retry does not wake it."""
IDLE_WAIT: Final = 3600.0
"""Seconds that a due check waits for a spin-down; then a drive that is never idle is checked too."""
_UNTRACKED: Final = frozenset({DiskState.UNSUPPORTED, DiskState.EXCLUDED})
_RECENT_USE: Final = 300.0
"""Seconds after its last I/O in which a drive is assumed to be spinning."""
ASK_AFTER: Final = 300.0
"""Seconds of unknown power mode after which a due check queries it; powerd's own policy does so at once."""
ASK_AGAIN_AFTER: Final = 86400.0
"""Seconds until the power mode is queried again after a failed attempt: the drive may not report it."""
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
    """Whether a check wakes no drive: it spins, has no spindle, or its power mode can be queried.

    The helper reads the power mode first, which wakes no drive in standby, and leaves such a drive alone. So
    the power mode of a drive that powerd does not track is queried when its check is due (_can_be_asked).
    Behind some USB bridges the query itself wakes the drive; such a drive is assumed to be spinning if it was
    used recently.
    """
    if context.suspended or _last_found_asleep(context, now):
        return False
    if context.disk.rotational is False or context.report.state is DiskState.ACTIVE:
        return True
    return _can_be_asked(context, now) or (
        context.report.state in _UNTRACKED and _recently_used(context, now)
    )


def is_asleep(context: SmartContext, now: Moment) -> bool:
    """Whether a check has to wake the drive; False for a suspended drive, which is left to the kernel.

    True also if the power mode has been unknown for IDLE_WAIT, or an unmanaged drive was not used recently.
    """
    state = context.report.state
    if context.suspended or context.disk.rotational is False:
        return False
    found_asleep = _last_found_asleep(context, now)
    if state in _UNTRACKED:
        return found_asleep or not _recently_used(context, now)
    unreported = state is DiskState.UNKNOWN and now.mono - context.report.since.mono >= IDLE_WAIT
    return state.is_stopped or unreported or found_asleep


def _can_be_asked(context: SmartContext, now: Moment) -> bool:
    """Whether the power mode is unknown, and can be queried without waking the drive.

    A drive that powerd has given up (UNSUPPORTED) may be one that the query starts, as behind USB bridges. A
    state that has just become unknown is queried by the disk policy. Any other such drive is left alone, and
    its owner may put it into Sleep, where any command starts it, because the kernel resets the drive
    (libata-core.c, ATA_DFLAG_SLEEPING). So unless the latest attempt found it spinning, it is queried again
    only if there is a sign of use.
    """
    latest, state = _latest_attempt(context), context.report.state
    unknown = state is DiskState.EXCLUDED or (
        state is DiskState.UNKNOWN and now.mono - context.report.since.mono >= ASK_AFTER
    )
    if context.disk.transport == "usb" or not unknown:
        return False
    if latest is None or isinstance(latest.answer, HealthReading | PowerStatus):
        return True
    refused = attempt_failed(latest) and now.mono < latest.ended_at + ASK_AGAIN_AFTER
    return not refused and _used_since(context, latest)


def _latest_attempt(context: SmartContext) -> CompletedAction | None:
    return max(
        filter(None, (context.last_check, context.last_test_start)),
        key=lambda result: result.ended_at,
        default=None,
    )


def _used_since(context: SmartContext, attempt: CompletedAction) -> bool:
    return max(context.last_io_at, context.report.since.mono) > attempt.ended_at + _TIME_TOLERANCE


def _recently_used(context: SmartContext, now: Moment) -> bool:
    return now.mono - context.last_io_at <= _RECENT_USE


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

    A drive without a spindle gives no such sign; it is tried again after RETRY_AFTER, which reads sysfs only.
    """
    latest = _latest_attempt(context)
    if latest is None or latest.answer is not FailureCause.IN_STANDBY:
        return False
    if context.disk.rotational is False:
        return now.mono < latest.ended_at + RETRY_AFTER
    return not _used_since(context, latest)
