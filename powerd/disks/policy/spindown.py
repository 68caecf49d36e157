"""A spinning disk on its way down: when, by which way, and what it waits for."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from powerd.config.values import format_duration
from powerd.core.time import Reading
from powerd.disks.model import CheckPowerMode, DiskActivity, SpinDown
from powerd.disks.policy.context import DiskContext, NextAction
from powerd.disks.policy.limits import (
    DAY,
    MAX_ATTEMPTS,
    MAX_READING_AGE,
    NEVER,
    REQUEST_LIFETIME,
    RESTORE_STANDBY_AFTER,
    RETRY_AFTER,
    boottime,
    choose_method,
)
from powerd.disks.state import DiskState

_TIMER_GRACE: Final = 30.0
"""So long after its time a drive's own timer has surely run out, or a twentieth of it if that is longer."""
_DISABLED: Final = 'spin_down_after = "0s" leaves it alone'


def plan_spin_down(context: DiskContext, reading: Reading[DiskActivity]) -> NextAction:  # noqa: PLR0911 - a ladder, as step()
    """A spinning disk on its way down: by its own timer, on command, or both."""
    restore_at = _restore_due(context, reading) if context.memory.restore_standby else None
    requested_at = (
        None
        if context.standby_requested_at is None
        else _pending_request(context, reading, context.standby_requested_at)
    )
    if context.spin_down_after == 0 and requested_at is None:
        return NextAction(_DISABLED)
    if context.busy_reason is not None:
        return NextAction(context.busy_reason)
    if limit_reached(context):
        oldest = context.memory.spin_downs[-context.plan.max_spin_downs_per_day] + DAY - boottime(context.now)
        reason = (
            f"has been spun down {context.plan.max_spin_downs_per_day} times in 24 hours, as often "
            "as it may be"
        )
        return NextAction(reason, decide_again_at=context.now.mono + oldest)
    if requested_at is not None:
        return _by_command(context, reading, requested_at, "is to stand by, as somebody wished")
    if restore_at is not None:
        return _by_command(context, reading, restore_at, "is put back to sleep after the wake-up")
    if context.idle_since is None:
        return NextAction("the activity of its group is unknown")
    reason = _idle_reason(context.spin_down_after)
    if context.plan.method != "command" and context.memory.standby_timer and context.enforcing:
        return _by_own_timer(context, reading, context.idle_since, reason)
    if context.plan.method == "timer" and context.enforcing:
        return NextAction(f"its own timer cannot be set: {context.memory.setting_error}")
    return _by_command(context, reading, context.idle_since + context.spin_down_after, reason)


@lru_cache(maxsize=64)
def _idle_reason(after: float) -> str:
    return f"waits for {format_duration(after)} of idleness"


def _by_own_timer(
    context: DiskContext, reading: Reading[DiskActivity], idle_since: float, reason: str
) -> NextAction:
    """Its own timer runs; once that must have run out, it is asked.

    One that ignores it is asked twice more, a whole timer later each, or with method "both" commanded. An
    access between the timer's end and the question leaves a stop and a start uncounted: nobody tells of them.
    """
    memory = context.memory
    timer_seconds = memory.standby_timer or 0
    checks = memory.power_checks if memory.mode_confirmed_at >= reading.value.last_io_at else 0
    if checks and context.plan.method == "both" and memory.mode_confirmed_at >= idle_since + timer_seconds:
        return _by_command(
            context, reading, idle_since + context.spin_down_after, "has ignored its own timer"
        )
    if checks >= MAX_ATTEMPTS and memory.state is DiskState.UNKNOWN:
        return NextAction(
            f"may stand by on its own timer of {format_duration(timer_seconds)}: {memory.reason}"
        )
    if checks >= MAX_ATTEMPTS:
        return NextAction(f'ignores its own timer of {format_duration(timer_seconds)}; take method = "both"')
    due = max(idle_since + timer_seconds, memory.mode_confirmed_at + timer_seconds if checks else 0.0) + max(
        _TIMER_GRACE, timer_seconds / 20
    )
    if context.now.mono >= due:
        return NextAction(
            "it is asked whether its timer has run out", CheckPowerMode(context.disk.id), spin_down_at=due
        )
    return NextAction(reason, spin_down_at=due, decide_again_at=due)


def _by_command(context: DiskContext, reading: Reading[DiskActivity], due: float, reason: str) -> NextAction:
    """Told to stand by once a fresh look has found it idle until ``due``."""
    memory, now = context.memory, context.now
    if not context.enforcing and memory.dry_run_at >= reading.value.last_io_at:
        return NextAction("would have been told to stand by, were this not observe mode")
    if reading.at < due or now.mono - reading.at > MAX_READING_AGE:
        poll_at = due if due > reading.at else now.mono
        return NextAction(reason, None, max(due, now.mono), NEVER, poll_at)
    if reading.value.in_flight:
        return NextAction("it has I/O under way", poll_at=now.mono + RETRY_AFTER)
    method = choose_method(context.disk, memory.verified_method, memory.failed_spin_downs)
    return NextAction("is told to stand by", SpinDown(context.disk.id, method), spin_down_at=now.mono)


def _pending_request(
    context: DiskContext, reading: Reading[DiskActivity], requested_at: float
) -> float | None:
    """When a person wished it to stand by; None = it, or one of its group, has been used or told since."""
    memory = context.memory
    if (
        max(reading.value.last_io_at, context.idle_since or 0.0) > requested_at
        or context.now.mono - requested_at > REQUEST_LIFETIME
    ):
        return None
    return None if memory.spin_down_sent_at >= requested_at and not memory.failed_spin_downs else requested_at


def _restore_due(context: DiskContext, reading: Reading[DiskActivity]) -> float | None:
    """When a disk that slept before the machine did may go back to sleep; None = it has no claim to."""
    memory = context.memory
    if memory.resume_baseline is None or memory.mode_confirmed_at == -NEVER or context.idle_since is None:
        return None
    untouched = (
        reading.value.io_count == memory.resume_baseline[1]
        and context.idle_since <= memory.resume_baseline[0]
    )  # nor was its group
    return memory.resume_baseline[0] + RESTORE_STANDBY_AFTER if untouched else None


def limit_reached(context: DiskContext) -> bool:
    """Whether it has been spun down as often as it may be in 24 hours."""
    return len(context.memory.spin_downs) >= context.plan.max_spin_downs_per_day
