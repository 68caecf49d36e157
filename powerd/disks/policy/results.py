"""What follows from the result of an action for its disk."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from powerd.core.actions import CompletedAction
from powerd.core.time import Moment
from powerd.disks.model import (
    CheckPowerMode,
    DiskAction,
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
    MAX_UNRESPONSIVE_DOUBLINGS,
    MAX_UNRESPONSIVE_PAUSE,
    RETRY_AFTER,
    VERIFY_AFTER,
    is_after,
    later_of,
    moment_at,
)
from powerd.disks.policy.transitions import (
    count_spin_down,
    exclude,
    invalidate_power_mode,
    mark_spun_up,
    mark_unknown,
    power_check_refused,
    spin_down_failed,
    with_state,
)
from powerd.disks.state import DiskMemory, DiskState

_STILL_SPINS: Final = "it still spins after the spin-down command"
_NO_POWER_MODE: Final = "it does not report whether it spins"
_STARTED_BY_CHECK: Final = "its USB bridge starts it at each power mode check"
_MAYBE_SENT: Final = frozenset({FailureCause.GONE, FailureCause.UNRESPONSIVE, FailureCause.FAILED})
"""Failures of a command that may have reached the drive."""


def apply_result(  # noqa: PLR0911 - one branch for each kind of result
    memory: DiskMemory, completed: CompletedAction, last_io_at: float | None, now: Moment
) -> DiskMemory:
    """``memory`` with one result taken into account.

    Args:
        memory: before the result.
        completed: an action for this disk, and its result.
        last_io_at: CLOCK_MONOTONIC of the disk's last I/O; None = unknown.
        now: the present moment.
    """
    when = moment_at(now, completed.ended_at)
    memory = replace(memory, last_result_at=completed.ended_at)
    if not completed.ok:
        return _apply_failure(memory, completed, when)
    settings, sent_at = memory.settings, completed.started_at
    match completed.action, completed.answer:
        case SpinDown(), None:
            return replace(memory, spin_down=replace(memory.spin_down, dry_run_at=sent_at))
        case SpinDown(method=method), PowerStatus(spin_down_sent=True):
            # a power mode check after VERIFY_AFTER confirms that the drive stopped
            attempts = replace(memory.spin_down, sent_at=sent_at, method=method)
            memory = replace(memory, spin_down=attempts, paused_until=when.mono + VERIFY_AFTER)
            return with_state(count_spin_down(memory, when), DiskState.SPINNING_DOWN, when)
        case SpinDown() | CheckPowerMode(), PowerStatus(mode=mode):  # a stopped drive got no command
            return _apply_power_mode(memory, mode, last_io_at, when)
        case SetStandbyTimer(seconds=seconds), PowerStatus():
            settings = replace(settings, standby_timer=seconds, timer_set_by_us=seconds > 0)
            memory = replace(memory, paused_until=None)
        case SetApmLevel(level=level), PowerFeatures() as features:
            settings = replace(settings, features=features, requested_apm=level)
        case ReadPowerFeatures(), PowerFeatures() as features:
            settings = replace(settings, features=features, features_requested=True)
        case DiskAction(may_wake=True), _:
            return invalidate_power_mode(memory)
        case _:
            return memory
    return replace(memory, settings=settings, mode_confirmed_at=completed.ended_at)


def _apply_power_mode(  # noqa: PLR0911 - the state before decides what the answer means
    memory: DiskMemory, mode: PowerMode, last_io_at: float | None, when: Moment
) -> DiskMemory:
    """The drive has reported its power mode."""
    before, confirmed_at = memory, memory.mode_confirmed_at
    checks = 1 if is_after(last_io_at, confirmed_at) else before.power_checks + 1
    memory = replace(memory, mode_confirmed_at=when.mono, paused_until=None)
    if mode.is_stopped:
        return _apply_stopped(before, memory, mode, when)
    if mode is PowerMode.SUSPENDED:
        return with_state(memory, DiskState.SUSPENDED, when)
    spinning_down = before.state is DiskState.SPINNING_DOWN
    if mode is PowerMode.UNKNOWN and spinning_down and not is_after(last_io_at, before.spin_down.sent_at):
        return spin_down_failed(memory, DiskState.UNKNOWN, _NO_POWER_MODE, when)
    if mode is PowerMode.UNKNOWN:
        return replace(with_state(memory, DiskState.UNKNOWN, when, _NO_POWER_MODE), power_checks=checks)
    if spinning_down or (before.state is DiskState.SLEEPING and confirmed_at is not None):
        return replace(memory, unexpectedly_active_at=when.mono)
    if before.state.is_stopped:
        started_at = before.last_passthrough_at
        return mark_spun_up(memory, when if started_at is None else moment_at(when, started_at))
    if before.restore is not None and before.state is DiskState.UNKNOWN:  # the resume started the drive
        return replace(mark_spun_up(memory, when, by_use=False), restore=before.restore)
    if before.state is not DiskState.ACTIVE:
        return with_state(memory, DiskState.ACTIVE, when)
    return replace(memory, power_checks=checks if memory.settings.standby_timer else 1)


def _apply_stopped(before: DiskMemory, memory: DiskMemory, mode: PowerMode, when: Moment) -> DiskMemory:
    """The drive reports that it is stopped: by command, by its own timer, or since an unknown time."""
    attempts = replace(memory.spin_down, failures=0)
    if before.state is DiskState.SPINNING_DOWN:
        attempts = replace(attempts, verified_method=attempts.method)
    elif before.state is DiskState.ACTIVE:
        memory = count_spin_down(memory, when)
    memory = replace(memory, spin_down=attempts, restore=None, last_passthrough_at=None)
    state = DiskState.SLEEPING if mode is PowerMode.SLEEPING else DiskState.STANDBY
    if state is before.state:
        return replace(memory, power_checks=1)
    since = before.since if before.state is DiskState.SPINNING_DOWN else when
    paused_until = when.mono + VERIFY_AFTER if state is DiskState.SLEEPING else None
    return replace(with_state(memory, state, since), paused_until=paused_until)


def resolve_unexpected_activity(memory: DiskMemory, activity: DiskActivity, now: Moment) -> DiskMemory:
    """Finds out why a drive spins that should be stopped, from the first reading after its report.

    The reading before may be a whole poll interval old, so an access since then excuses the drive. A command
    of another program excuses it as well, unless no method is verified yet: some programs poll more often
    than powerd checks.

    Args:
        memory: with ``unexpectedly_active_at``.
        activity: of that reading.
        now: the present moment.
    """
    spinning_down = memory.state is DiskState.SPINNING_DOWN
    used_at = activity.last_io_at
    if not spinning_down or memory.spin_down.verified_method is not None:
        used_at = later_of(used_at, activity.last_passthrough_at)
    if is_after(used_at, memory.spin_down.sent_at if spinning_down else memory.since.mono):
        return mark_spun_up(memory, moment_at(now, used_at))
    if spinning_down:
        return spin_down_failed(memory, DiskState.ACTIVE, _STILL_SPINS, now)
    return exclude(memory, _STARTED_BY_CHECK, now)


def _apply_failure(  # noqa: PLR0911 - one branch for each cause
    memory: DiskMemory, completed: CompletedAction, when: Moment
) -> DiskMemory:
    """An action failed."""
    action, cause, message = completed.action, completed.answer, completed.message
    if memory.excluded_reason or memory.state is DiskState.UNSUPPORTED:
        return memory
    if isinstance(action, SpinDown) and cause in _MAYBE_SENT:
        memory = replace(memory, spin_down=replace(memory.spin_down, sent_at=completed.started_at))
    match cause:
        case FailureCause.UNRESPONSIVE:
            return _count_timeout(with_state(memory, DiskState.UNRESPONSIVE, when, message), when)
        case FailureCause.HELPER_UNAVAILABLE if isinstance(action, DiskAction) and action.has_own_tool:
            return memory  # smartctl may be missing while hdparm is installed
        case FailureCause.HELPER_UNAVAILABLE | FailureCause.GONE:
            return replace(memory, paused_until=when.mono + HELPER_RETRY_AFTER, reason=message)
        case FailureCause.BUSY:
            return replace(memory, paused_until=when.mono + RETRY_AFTER, reason=message)
        case FailureCause.IN_STANDBY:  # the helper refused a command that would have started the drive
            known = memory.state.is_stopped or memory.state is DiskState.SPINNING_DOWN
            return memory if known else mark_unknown(memory, when)
        case _:
            return _apply_refusal(memory, completed, when)


def _apply_refusal(memory: DiskMemory, completed: CompletedAction, when: Moment) -> DiskMemory:
    """The drive or its tool refused the command."""
    settings, message = memory.settings, completed.message
    match completed.action:
        case SpinDown():
            return spin_down_failed(memory, memory.state, message, when)
        case CheckPowerMode():
            return power_check_refused(memory, message, when)
        case SetStandbyTimer():
            settings = replace(settings, timer_unsupported=True, error=message)
        case SetApmLevel(level=level):
            settings = replace(settings, requested_apm=level, error=message)
        case ReadPowerFeatures():
            settings = replace(settings, features_requested=True)
        case DiskAction(may_wake=True):
            return invalidate_power_mode(memory)
    return replace(memory, settings=settings)


def _count_timeout(memory: DiskMemory, when: Moment) -> DiskMemory:
    """One more request without an answer; the pause before the next check doubles up to its maximum."""
    checks = min(memory.power_checks + 1, MAX_UNRESPONSIVE_DOUBLINGS)
    pause = min(MAX_UNRESPONSIVE_PAUSE, RETRY_AFTER * 2 ** (checks - 1))
    return replace(memory, power_checks=checks, paused_until=when.mono + pause)
