"""When and how a spinning disk spins down, and what it waits for until then."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from powerd.config.values import format_duration
from powerd.core.time import Reading
from powerd.disks.model import CheckPowerMode, DiskActivity, SpinDown
from powerd.disks.policy.context import DiskContext, NextAction
from powerd.disks.policy.limits import (
    DAY,
    MAX_READING_AGE,
    MAX_TIMER_CHECKS,
    NEVER,
    REQUEST_LIFETIME,
    RESTORE_STANDBY_AFTER,
    RETRY_AFTER,
    boottime,
)
from powerd.disks.policy.transitions import choose_method
from powerd.disks.state import DiskState, RestoreStandby

_TIMER_GRACE: Final = 30.0
"""After this time, or a twentieth of the timer if that is longer, the drive's own timer has expired."""
_DISABLED: Final = 'is never spun down: spin_down_after = "0s"'


def plan_spin_down(context: DiskContext, reading: Reading[DiskActivity]) -> NextAction:  # noqa: PLR0911 - the first rule that applies wins
    """The next action of a spinning disk: by its own timer, by command, or both."""
    memory, configured, now = context.memory, context.configured, context.now
    restore, requested = memory.restore, context.standby_requested_at
    restore_at = None if restore is None else _restore_due(context, reading, restore)
    requested_at = None if requested is None else _pending_request(context, reading, requested)
    if context.spin_down_after == 0 and requested_at is None:
        return NextAction(_DISABLED)
    if context.busy_reason is not None:
        return NextAction(context.busy_reason)
    if limit_reached(context):
        oldest = memory.cycles.spin_downs[-configured.max_spin_downs_per_day] + DAY - boottime(now)
        reason = (
            f"has been spun down {configured.max_spin_downs_per_day} times in 24 hours, its daily maximum"
        )
        return NextAction(reason, decide_again_at=now.mono + oldest)
    if requested_at is not None:
        return _by_command(context, reading, requested_at, "spins down on request")
    if restore_at is not None:
        return _by_command(context, reading, restore_at, "returns to standby after the resume")
    if context.idle_since is None:
        return NextAction("the activity of its group is unknown")
    reason = _idle_reason(context.spin_down_after)
    timer = memory.settings.standby_timer
    if configured.method != "command" and timer and context.enforcing:
        return _by_own_timer(context, reading, context.idle_since, timer)
    if configured.method == "timer" and context.enforcing:
        return NextAction(f"its own timer cannot be set: {memory.settings.error}")
    return _by_command(context, reading, context.idle_since + context.spin_down_after, reason)


@lru_cache(maxsize=64)
def _idle_reason(after: float) -> str:
    return f"waits for {format_duration(after)} of idleness"


def _by_own_timer(
    context: DiskContext, reading: Reading[DiskActivity], idle_since: float, timer: int
) -> NextAction:
    """The drive's own timer runs; powerd checks the power mode after it has expired.

    A drive that ignores its timer is checked twice more, after the length of the timer each, or gets the
    command if the method is "both". An access between the end of the timer and the check leaves one stop and
    one start uncounted, because nothing reports them.
    """
    memory = context.memory
    checked_at = memory.mode_confirmed_at
    checks = 0 if checked_at is None or checked_at < reading.value.last_io_at else memory.power_checks
    ends_at = idle_since + timer
    if checked_at is not None and checks:
        if context.configured.method == "both" and checked_at >= ends_at:
            due = idle_since + context.spin_down_after
            return _by_command(context, reading, due, "has ignored its own timer")
        ends_at = max(ends_at, checked_at + timer)
    if checks >= MAX_TIMER_CHECKS and memory.state is DiskState.UNKNOWN:
        return NextAction(f"may spin down by its own timer of {format_duration(timer)}: {memory.reason}")
    if checks >= MAX_TIMER_CHECKS:
        return NextAction(f'ignores its own timer of {format_duration(timer)}; set method = "both"')
    due = ends_at + max(_TIMER_GRACE, timer / 20)
    if context.now.mono >= due:
        check = CheckPowerMode(context.disk.id)
        return NextAction("powerd checks whether its own timer has stopped it", check, spin_down_at=due)
    return NextAction(_idle_reason(context.spin_down_after), spin_down_at=due, decide_again_at=due)


def _by_command(context: DiskContext, reading: Reading[DiskActivity], due: float, reason: str) -> NextAction:
    """Powerd sends the command as soon as a reading of the counters finds the disk idle until ``due``."""
    memory, now = context.memory, context.now
    dry_run_at = memory.spin_down.dry_run_at
    if not context.enforcing and dry_run_at is not None and dry_run_at >= reading.value.last_io_at:
        return NextAction('would have been spun down, but the mode is "observe"')
    if reading.at < due or now.mono - reading.at > MAX_READING_AGE:
        poll_at = due if due > reading.at else now.mono
        # by position, as in build_report(): what most spinning disks get at most decisions
        return NextAction(reason, None, max(due, now.mono), NEVER, poll_at)
    if reading.value.in_flight:
        return NextAction("has I/O in flight", poll_at=now.mono + RETRY_AFTER)
    spin_down = SpinDown(context.disk.id, choose_method(context.disk, memory.spin_down))
    return NextAction("is being spun down", spin_down, spin_down_at=now.mono)


def _pending_request(
    context: DiskContext, reading: Reading[DiskActivity], requested_at: float
) -> float | None:
    """When a person requested the spin-down; None = the disk was used or spun down since, or it expired."""
    attempts = context.memory.spin_down
    if context.now.mono - requested_at > REQUEST_LIFETIME:
        return None
    if max(reading.value.last_io_at, context.idle_since or 0.0) > requested_at:
        return None
    already_done = attempts.sent_at is not None and attempts.sent_at >= requested_at and not attempts.failures
    return None if already_done else requested_at


def _restore_due(
    context: DiskContext, reading: Reading[DiskActivity], restore: RestoreStandby
) -> float | None:
    """When a disk that was stopped before the server slept returns to standby; None = it does not."""
    baseline = restore.baseline
    if context.memory.mode_confirmed_at is None or context.idle_since is None:
        return None
    if baseline is None or reading.value.io_count != baseline.value.io_count:
        return None
    group_idle = context.idle_since <= baseline.at
    return baseline.at + RESTORE_STANDBY_AFTER if group_idle else None


def limit_reached(context: DiskContext) -> bool:
    """Whether the disk has been spun down max_spin_downs_per_day times in 24 hours."""
    return len(context.memory.cycles.spin_downs) >= context.configured.max_spin_downs_per_day
