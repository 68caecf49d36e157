"""What is remembered of one disk, brought up to date from facts alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from powerd.core.actions import CompletedAction
from powerd.core.time import Moment, Reading, Unavailable
from powerd.disks.model import Disk, DiskActivity, GroupSpinUp
from powerd.disks.policy.limits import (
    DISAPPEARANCE_WINDOW,
    NEVER,
    RECHECK_FIRST,
    drop_expired,
    has_expired,
    mark_spun_up,
    moment_at,
    with_state,
)
from powerd.disks.policy.results import apply_result, resolve_unexpected_activity
from powerd.disks.state import DiskMemory, DiskState

ActivityReading = Reading[DiskActivity] | Unavailable | None

_DISAPPEARED: Final = "it vanished when it was told to stand by"


def update_disk(  # noqa: PLR0913 - each kind of fact that there is about a disk
    memory: DiskMemory,
    disk: Disk,
    *,
    readings: tuple[ActivityReading, ActivityReading],
    completed_actions: Sequence[CompletedAction],
    group_spin_up: GroupSpinUp | None,
    resumed_at: float | None,
    now: Moment,
) -> DiskMemory:
    """The disk's memory after everything that has come to be known since the last decision.

    Args:
        memory: of the last decision.
        disk: which.
        readings: at its counters: the last decision's, and the latest.
        completed_actions: of orders to it that the last decision did not know, in their order.
        group_spin_up: the last time that its group was woken as a whole.
        resumed_at: CLOCK_MONOTONIC of the machine's last wake-up.
        now: the present moment.
    """
    before, reading = readings
    last_io_at = reading.value.last_io_at if isinstance(reading, Reading) else -NEVER
    epoch_start = max(disk.attached_at, -NEVER if resumed_at is None else resumed_at)  # of this epoch
    memory = drop_expired(memory, now)
    for completed_action in completed_actions:
        if completed_action.ended_at < epoch_start:
            memory = apply_result(memory, completed_action, last_io_at, now)
    if resumed_at != memory.resumed_at:
        memory = _after_resume(memory, resumed_at, now)
    if disk.attached_at != memory.attached_at:
        memory = _after_attach(memory, disk.attached_at, now)
    for completed_action in completed_actions:
        if completed_action.ended_at >= epoch_start:
            memory = apply_result(memory, completed_action, last_io_at, now)
    if disk.transport == "usb" and not memory.excluded_reason and _disappeared(memory, resumed_at):
        memory = _mark_unknown(replace(memory, excluded_reason=_DISAPPEARED), now)
    if group_spin_up is not None and group_spin_up.at > memory.mode_confirmed_at and memory.state.is_stopped:
        memory = _apply_group_spin_up(memory, disk, group_spin_up, now)
    if reading is None or reading is before:
        return memory
    return (
        _apply_activity(memory, before, reading, epoch_start, now)
        if isinstance(reading, Reading)
        else _apply_unavailable(memory, now)
    )


def is_unchanged(
    memory: DiskMemory,
    disk: Disk,
    before: ActivityReading,
    reading: ActivityReading,
    epoch: tuple[float | None, float],
) -> bool:
    """Whether recall() has nothing to do, short of an outcome: most disks, most of the time.

    ``about`` is when the machine last woke up, and the CLOCK_BOOTTIME of 24 hours ago.
    """
    resumed_at, start = epoch
    return (
        isinstance(reading, Reading)
        and isinstance(before, Reading)
        and (activity := reading.value).last_io_at <= before.value.last_io_at
        and not activity.runtime_suspended
        and memory.state is not DiskState.SUSPENDED
        and memory.unexpectedly_active_at == -NEVER
        and not memory.restore_standby
        and not (activity.last_passthrough_at > memory.mode_confirmed_at and memory.state.is_stopped)
        and memory.resumed_at == resumed_at
        and memory.attached_at == disk.attached_at
        and not has_expired(memory, start)
    )


def _after_resume(memory: DiskMemory, resumed_at: float | None, now: Moment) -> DiskMemory:
    """The machine has slept: drives have lost their settings, and most have been woken with it."""
    was_stopped = memory.state in {DiskState.STANDBY, DiskState.SLEEPING, DiskState.SPINNING_DOWN}
    memory = replace(
        _forget_settings(memory), resumed_at=resumed_at, restore_standby=was_stopped or memory.restore_standby
    )
    return (
        memory
        if memory.state in {DiskState.UNRESPONSIVE, DiskState.UNSUPPORTED}
        else _mark_unknown(memory, now)
    )


def _after_attach(memory: DiskMemory, attached_at: float, now: Moment) -> DiskMemory:
    """Another connection, or the first of this run: what was in vain or hung may work now."""
    timer_set_by_us = memory.timer_set_by_us and memory.attached_at == -NEVER
    memory = replace(
        _forget_settings(memory),
        timer_set_by_us=timer_set_by_us,
        attached_at=attached_at,
        restore_standby=False,
        failed_spin_downs=0,
    )
    return _mark_unknown(memory, now)


def _disappeared(memory: DiskMemory, resumed_at: float | None) -> bool:
    """Whether it has come back soon after it was told to stand by, and not because the machine slept.

    Some bridges let go of a disk that stops, and its filesystems with it.
    """
    sent_at = memory.spin_down_sent_at
    return sent_at < memory.attached_at <= sent_at + DISAPPEARANCE_WINDOW and (
        resumed_at is None or resumed_at < sent_at
    )


def _forget_settings(memory: DiskMemory) -> DiskMemory:
    """Without what a drive forgets with its power."""
    return replace(
        memory,
        mode_confirmed_at=-NEVER,
        paused_until=-NEVER,
        power_features=None,
        features_requested=False,
        standby_timer=None,
        timer_set_by_us=False,
        timer_unsupported=False,
        requested_apm=None,
        setting_error="",
        resume_baseline=None,
        last_passthrough_at=-NEVER,
    )


def _mark_unknown(memory: DiskMemory, now: Moment) -> DiskMemory:
    """To be asked, unless it has been given up."""
    return replace(with_state(memory, DiskState.UNKNOWN, now), mode_confirmed_at=-NEVER)


def reset_failures(memory: DiskMemory) -> DiskMemory:
    """As after a change of the configuration: whatever was given up is tried again."""
    state = DiskState.UNKNOWN if memory.state is DiskState.UNSUPPORTED else memory.state
    mode_confirmed_at = -NEVER if state is not memory.state else memory.mode_confirmed_at
    return replace(
        memory,
        state=state,
        mode_confirmed_at=mode_confirmed_at,
        paused_until=-NEVER,
        power_checks=0,
        failed_spin_downs=0,
        reason="",
        excluded_reason="",
        spin_down_sent_at=-NEVER if memory.excluded_reason else memory.spin_down_sent_at,
        features_requested=False,
        timer_unsupported=False,
        requested_apm=None,
        setting_error="",
        backoff_level=0,
        early_wakes=(),
    )


def _apply_group_spin_up(
    memory: DiskMemory, disk: Disk, group_spin_up: GroupSpinUp, now: Moment
) -> DiskMemory:
    """The helper has woken its group, or seen its first access."""
    if disk.id not in {group_spin_up.first_disk, *group_spin_up.other_disks}:
        return memory
    return replace(mark_spun_up(memory, moment_at(now, group_spin_up.at)), mode_confirmed_at=group_spin_up.at)


def _apply_unavailable(memory: DiskMemory, now: Moment) -> DiskMemory:
    """Its counters say nothing; of one that spun though it was told to stand by, nobody can tell why."""
    return memory if memory.unexpectedly_active_at == -NEVER else with_state(memory, DiskState.ACTIVE, now)


def _apply_activity(  # noqa: PLR0911 - a ladder: each rung is one way to know
    memory: DiskMemory,
    before: ActivityReading,
    reading: Reading[DiskActivity],
    epoch_start: float,
    now: Moment,
) -> DiskMemory:
    """What its counters say of its spindle.

    I/O that was seen between two looks which both came after the drive's last word has woken it. Where the
    word came between them, the I/O may have been before it: then that word counts no more.
    """
    activity = reading.value
    if activity.runtime_suspended:
        return with_state(memory, DiskState.SUSPENDED, now)
    if memory.state is DiskState.SUSPENDED:
        return mark_spun_up(memory, now, by_use=False)
    if memory.unexpectedly_active_at > -NEVER:
        return (
            resolve_unexpected_activity(memory, activity, now)
            if reading.at > memory.unexpectedly_active_at
            else memory
        )
    memory = _apply_passthrough(_apply_resume_baseline(memory, reading), activity, now)
    if isinstance(before, Reading) and activity.last_io_at <= before.value.last_io_at:
        return memory
    floor = max(memory.mode_confirmed_at, epoch_start)
    if activity.last_io_at <= floor or memory.state not in _IO_CHANGES_STATE:
        return memory
    if not isinstance(before, Reading) or before.at < floor:
        return replace(memory, mode_confirmed_at=-NEVER)
    when = moment_at(now, activity.last_io_at)
    if memory.state.is_stopped:
        return mark_spun_up(memory, when)
    return with_state(memory, DiskState.ACTIVE, when)


def _apply_passthrough(memory: DiskMemory, activity: DiskActivity, now: Moment) -> DiskMemory:
    """A command of others may have woken it, so it is to be asked; but not whenever a sensor polls it."""
    due = (
        activity.last_passthrough_at > memory.mode_confirmed_at
        and now.mono - memory.mode_confirmed_at >= RECHECK_FIRST
    )
    return (
        replace(memory, mode_confirmed_at=-NEVER, last_passthrough_at=activity.last_passthrough_at)
        if due and memory.state.is_stopped
        else memory
    )


_IO_CHANGES_STATE = (DiskState.STANDBY, DiskState.SLEEPING, DiskState.UNKNOWN)
"""States in which I/O says something new."""


def _apply_resume_baseline(memory: DiskMemory, reading: Reading[DiskActivity]) -> DiskMemory:
    """A disk that is to be put back, and has been used since the machine woke up, stays up."""
    if not memory.restore_standby or memory.resumed_at is None or reading.at < memory.resumed_at:
        return memory
    if memory.resume_baseline is None:
        return replace(memory, resume_baseline=(reading.at, reading.value.io_count))
    return (
        memory
        if reading.value.io_count == memory.resume_baseline[1]
        else replace(memory, restore_standby=False)
    )
