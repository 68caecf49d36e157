"""What the outcome of an order says about its disk."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from powerd.core.actions import CompletedAction
from powerd.core.time import Moment
from powerd.disks.model import (
    CheckPowerMode,
    DiskActivity,
    FailureCause,
    PowerFeatures,
    PowerMode,
    PowerStatus,
    ReadPowerFeatures,
    SetApmLevel,
    SetStandbyTimer,
    SpinDown,
)
from powerd.disks.policy.limits import (
    HELPER_RETRY_AFTER,
    MAX_ATTEMPTS,
    MAX_UNRESPONSIVE_DOUBLINGS,
    MAX_UNRESPONSIVE_PAUSE,
    NEVER,
    RETRY_AFTER,
    VERIFY_AFTER,
    boottime,
    mark_spun_up,
    moment_at,
    with_state,
)
from powerd.disks.state import DiskMemory, DiskState
from powerd.smart.actions import CheckHealth, StartTest

_STILL_SPINS: Final = "it still spun after it was told to stand by"
_NO_POWER_MODE: Final = "it does not say whether it spins"
_WOKEN_BY_CHECK: Final = "its bridge wakes it at each question"
_MAYBE_SENT: Final = frozenset({FailureCause.GONE, FailureCause.UNRESPONSIVE, FailureCause.FAILED})
"""An order that came to one of these may have reached the drive."""


def apply_result(  # noqa: PLR0911 - one row for each kind of outcome
    memory: DiskMemory, completed_action: CompletedAction, last_io_at: float, now: Moment
) -> DiskMemory:
    """Memory with one outcome taken into account.

    Args:
        memory: before it.
        completed_action: of an order to this disk.
        last_io_at: CLOCK_MONOTONIC of its last I/O; -inf = unknown.
        now: the present moment.
    """
    when = moment_at(now, completed_action.ended_at)
    memory = replace(memory, last_result_at=completed_action.ended_at)
    if not completed_action.ok:
        return _apply_failure(memory, completed_action, when)
    match completed_action.action, completed_action.answer:
        case SpinDown(), None:
            return replace(memory, dry_run_at=completed_action.started_at)
        case SpinDown(method=how), PowerStatus(spin_down_sent=True):
            return _spin_down_accepted(
                replace(memory, spin_down_sent_at=completed_action.started_at, attempted_method=how), when
            )
        case SpinDown() | CheckPowerMode(), PowerStatus(
            mode=power
        ):  # one that slept already was told nothing
            return _apply_power_mode(memory, power, last_io_at, when)
        case SetStandbyTimer() as timer, PowerStatus():
            timer_set_by_us = timer.seconds > 0
            return replace(
                memory,
                standby_timer=timer.seconds,
                timer_set_by_us=timer_set_by_us,
                mode_confirmed_at=completed_action.ended_at,
                paused_until=-NEVER,
            )
        case SetApmLevel() as apm, PowerFeatures() as features:
            return replace(
                memory,
                power_features=features,
                requested_apm=apm.level,
                mode_confirmed_at=completed_action.ended_at,
            )
        case ReadPowerFeatures(), PowerFeatures() as features:
            return replace(
                memory,
                power_features=features,
                features_requested=True,
                mode_confirmed_at=completed_action.ended_at,
            )
        case CheckHealth(may_wake=True), _:
            return _invalidate_power_mode(memory)
        case _:
            return memory


def _spin_down_accepted(memory: DiskMemory, when: Moment) -> DiskMemory:
    """It accepted to stand by, and is to be asked whether it does."""
    memory = replace(
        memory, spin_downs=(*memory.spin_downs, boottime(when)), paused_until=when.mono + VERIFY_AFTER
    )
    return with_state(memory, DiskState.SPINNING_DOWN, when)


def _apply_power_mode(  # noqa: PLR0911 - a ladder: what it was decides what the answer means
    memory: DiskMemory, mode: PowerMode, last_io_at: float, when: Moment
) -> DiskMemory:
    """The drive's own word on its power."""
    before, last = memory, memory.mode_confirmed_at
    checks = before.power_checks + 1 if last >= last_io_at else 1
    memory = replace(memory, mode_confirmed_at=when.mono, paused_until=-NEVER)
    if mode.is_stopped:
        return _confirm_stopped(before, memory, mode, when)
    if mode is PowerMode.SUSPENDED:
        return with_state(memory, DiskState.SUSPENDED, when)
    if (
        mode is PowerMode.UNKNOWN
        and before.state is DiskState.SPINNING_DOWN
        and last_io_at <= before.spin_down_sent_at
    ):
        return _spin_down_failed(memory, DiskState.UNKNOWN, _NO_POWER_MODE, when)
    if mode is PowerMode.UNKNOWN:
        return replace(with_state(memory, DiskState.UNKNOWN, when, _NO_POWER_MODE), power_checks=checks)
    if before.state is DiskState.SPINNING_DOWN or (before.state is DiskState.SLEEPING and last > -NEVER):
        return replace(memory, unexpectedly_active_at=when.mono)
    if before.state.is_stopped:
        return mark_spun_up(
            memory,
            moment_at(when, before.last_passthrough_at) if before.last_passthrough_at > -NEVER else when,
        )
    if before.restore_standby and before.state is DiskState.UNKNOWN:  # woken by the machine's own wake-up
        return replace(mark_spun_up(memory, when, by_use=False), restore_standby=True)
    if before.state is not DiskState.ACTIVE:
        return with_state(memory, DiskState.ACTIVE, when)
    return replace(
        memory, power_checks=checks if memory.standby_timer else 1
    )  # its own timer has had no effect


def _confirm_stopped(before: DiskMemory, memory: DiskMemory, mode: PowerMode, when: Moment) -> DiskMemory:
    """It stands by: told to, by its own timer, or since nobody knows when."""
    memory = replace(memory, restore_standby=False, failed_spin_downs=0, last_passthrough_at=-NEVER)
    if before.state is DiskState.SPINNING_DOWN:
        memory = replace(memory, verified_method=before.attempted_method)
    elif before.state is DiskState.ACTIVE:
        memory = replace(memory, spin_downs=(*memory.spin_downs, boottime(when)))
    state = DiskState.SLEEPING if mode is PowerMode.SLEEPING else DiskState.STANDBY
    if state is before.state:
        return replace(memory, power_checks=1)
    since = before.since if before.state is DiskState.SPINNING_DOWN else when
    paused_until = when.mono + VERIFY_AFTER if state is DiskState.SLEEPING else -NEVER
    return replace(with_state(memory, state, since), paused_until=paused_until)


def resolve_unexpected_activity(memory: DiskMemory, activity: DiskActivity, now: Moment) -> DiskMemory:
    """One that spun though it should have stood still, by a look that came after it had said so.

    The look before that may be a whole round old: an access since then is no fault of the drive's. Nor is a
    command of others, but where no way is known to work: some poll oftener than a drive is asked.

    Args:
        memory: with ``spun``.
        activity: by that look.
        now: the present moment.
    """
    spinning_down = memory.state is DiskState.SPINNING_DOWN
    excused = not spinning_down or memory.verified_method is not None
    used_at = max(activity.last_io_at, activity.last_passthrough_at) if excused else activity.last_io_at
    if used_at > (memory.spin_down_sent_at if spinning_down else memory.since.mono):
        return mark_spun_up(memory, moment_at(now, used_at))
    if spinning_down:
        return _spin_down_failed(memory, DiskState.ACTIVE, _STILL_SPINS, now)
    return replace(
        with_state(memory, DiskState.UNSUPPORTED, now, _WOKEN_BY_CHECK), excluded_reason=_WOKEN_BY_CHECK
    )


def _spin_down_failed(memory: DiskMemory, state: DiskState, reason: str, when: Moment) -> DiskMemory:
    """One more spin-down in vain: another try, another way, or the end of trying."""
    memory = replace(
        memory, failed_spin_downs=memory.failed_spin_downs + 1, paused_until=when.mono + RETRY_AFTER
    )
    return with_state(
        memory, DiskState.UNSUPPORTED if memory.failed_spin_downs >= MAX_ATTEMPTS else state, when, reason
    )


def _apply_failure(  # noqa: PLR0911 - one row for each kind of trouble
    memory: DiskMemory, completed_action: CompletedAction, when: Moment
) -> DiskMemory:
    """An order that was not carried out, which tells nothing of a disk that has been given up."""
    action, cause, message = completed_action.action, completed_action.answer, completed_action.message
    if memory.excluded_reason or memory.state is DiskState.UNSUPPORTED:
        return memory
    if isinstance(action, SpinDown) and cause in _MAYBE_SENT:
        memory = replace(memory, spin_down_sent_at=completed_action.started_at)
    match cause:
        case FailureCause.UNRESPONSIVE:
            return _count_timeout(with_state(memory, DiskState.UNRESPONSIVE, when, message), when)
        case FailureCause.HELPER_UNAVAILABLE if isinstance(action, CheckHealth | StartTest):
            return memory  # smartctl may be missing, and hdparm there
        case FailureCause.HELPER_UNAVAILABLE | FailureCause.GONE:
            return replace(memory, paused_until=when.mono + HELPER_RETRY_AFTER, reason=message)
        case FailureCause.BUSY:
            return replace(memory, paused_until=when.mono + RETRY_AFTER, reason=message)
        case FailureCause.IN_STANDBY:
            return _found_stopped(memory, when)
        case _:
            return _apply_refusal(memory, completed_action, when)


def _found_stopped(memory: DiskMemory, when: Moment) -> DiskMemory:
    """The order would have woken it: it is to be asked, unless it was known to sleep, or about to."""
    if memory.state.is_stopped or memory.state is DiskState.SPINNING_DOWN:
        return memory
    return with_state(replace(memory, mode_confirmed_at=-NEVER), DiskState.UNKNOWN, when)


def _apply_refusal(  # noqa: PLR0911 - one row for each kind of order
    memory: DiskMemory, completed_action: CompletedAction, when: Moment
) -> DiskMemory:
    """An order that the drive or its tool refused."""
    message = completed_action.message
    match completed_action.action:
        case SpinDown():
            return _spin_down_failed(memory, memory.state, message, when)
        case CheckPowerMode():
            checks = memory.power_checks + 1
            state = DiskState.UNSUPPORTED if checks >= MAX_ATTEMPTS else memory.state
            memory = with_state(memory, state, when, message)
            return replace(
                memory,
                power_checks=checks,
                paused_until=when.mono + RETRY_AFTER * 2 ** min(checks, MAX_ATTEMPTS),
            )
        case SetStandbyTimer():
            return replace(memory, timer_unsupported=True, setting_error=message)
        case SetApmLevel(level=level):
            return replace(memory, requested_apm=level, setting_error=message)
        case ReadPowerFeatures():
            return replace(memory, features_requested=True)
        case CheckHealth(may_wake=True):
            return _invalidate_power_mode(memory)
        case _:  # a check of its health tells nothing of its spindle
            return memory


def _count_timeout(memory: DiskMemory, when: Moment) -> DiskMemory:
    """One more question, or the order before any, that was not answered in time."""
    checks = min(memory.power_checks + 1, MAX_UNRESPONSIVE_DOUBLINGS)
    return replace(
        memory,
        power_checks=checks,
        paused_until=when.mono + min(MAX_UNRESPONSIVE_PAUSE, RETRY_AFTER * 2 ** (checks - 1)),
    )


def _invalidate_power_mode(memory: DiskMemory) -> DiskMemory:
    """Something that its counters do not show may have woken it: it is to be asked."""
    return replace(memory, mode_confirmed_at=-NEVER) if memory.state.is_stopped else memory
