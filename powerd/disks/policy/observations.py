"""Updates the memory of one disk from facts: readings of its counters, results, resume and hotplug."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from powerd.core.actions import CompletedAction
from powerd.core.time import Moment, Reading, Unavailable
from powerd.disks.model import Disk, DiskActivity, GroupSpinUp
from powerd.disks.policy.limits import (
    BASELINE_WITHIN,
    DISAPPEARANCE_WINDOW,
    RECHECK_FIRST,
    is_after,
    later_of,
    moment_at,
)
from powerd.disks.policy.results import apply_result, resolve_unexpected_activity
from powerd.disks.policy.transitions import (
    drop_expired,
    has_expired,
    mark_spun_up,
    mark_unknown,
    with_state,
)
from powerd.disks.state import DiskMemory, DiskState, DriveSettings, RestoreStandby

ActivityReading = Reading[DiskActivity] | Unavailable | None

_DISAPPEARED: Final = "it disappeared from the bus after the spin-down command"


def update_disk(  # noqa: PLR0913 - one parameter for each kind of fact
    memory: DiskMemory,
    disk: Disk,
    *,
    readings: tuple[ActivityReading, ActivityReading],
    completed_actions: Sequence[CompletedAction],
    group_spin_up: Reading[GroupSpinUp] | None,
    resumed_at: float | None,
    now: Moment,
) -> DiskMemory:
    """The disk's record with every fact that is new since the last decision.

    Args:
        memory: as of the last decision.
        disk: the disk.
        readings: of its counters: as of the last decision, and the latest.
        completed_actions: those that the last decision did not know, oldest first.
        group_spin_up: the last time that the helper started all disks of its group.
        resumed_at: CLOCK_MONOTONIC of the server's last resume.
        now: the present moment.
    """
    before, reading = readings
    last_io_at = reading.value.last_io_at if isinstance(reading, Reading) else None
    epoch_start = later_of(disk.attached_at, resumed_at)  # the drive's last power loss
    earlier = [completed for completed in completed_actions if completed.ended_at < epoch_start]
    memory = drop_expired(memory, now)
    for completed in earlier:
        memory = apply_result(memory, completed, last_io_at, now)
    if resumed_at != memory.resumed_at:
        memory = _after_resume(memory, resumed_at, now)
    if disk.attached_at != memory.attached_at:
        memory = _after_attach(memory, disk.attached_at, now)
    for completed in completed_actions[len(earlier) :]:
        memory = apply_result(memory, completed, last_io_at, now)
    if disk.transport == "usb" and not memory.excluded_reason and _disappeared(memory, resumed_at):
        memory = mark_unknown(replace(memory, excluded_reason=_DISAPPEARED), now)
    if group_spin_up is not None:
        memory = _apply_group_spin_up(memory, disk, group_spin_up, now)
    if reading is None or reading is before:
        return memory
    if isinstance(reading, Reading):
        return _apply_activity(memory, before, reading, epoch_start, now)
    # Without counters there is no way to tell why a drive spins that should be stopped.
    unexplained = memory.unexpectedly_active_at is not None
    return with_state(memory, DiskState.ACTIVE, now) if unexplained else memory


def is_unchanged(  # noqa: PLR0913 - all facts of update_disk() but the results
    memory: DiskMemory,
    disk: Disk,
    before: ActivityReading,
    reading: ActivityReading,
    *,
    resumed_at: float | None,
    day_start: float,
) -> bool:
    """Whether update_disk() has nothing to do if no action has completed: most disks at most decisions.

    Args:
        memory: as of the last decision.
        disk: the disk.
        before: the reading of its counters as of the last decision.
        reading: the latest one.
        resumed_at: CLOCK_MONOTONIC of the server's last resume.
        day_start: CLOCK_BOOTTIME of 24 hours ago.
    """
    return (
        isinstance(reading, Reading)
        and isinstance(before, Reading)
        and (activity := reading.value).last_io_at <= before.value.last_io_at
        and not activity.runtime_suspended
        and memory.state is not DiskState.SUSPENDED
        and memory.unexpectedly_active_at is None
        and memory.restore is None
        and not (memory.state.is_stopped and is_after(activity.last_passthrough_at, memory.mode_confirmed_at))
        and memory.resumed_at == resumed_at
        and memory.attached_at == disk.attached_at
        and not has_expired(memory.cycles, day_start)
    )


def _after_resume(memory: DiskMemory, resumed_at: float | None, now: Moment) -> DiskMemory:
    """The server has slept: the drives have lost their settings, and the resume has started most of them."""
    returns = memory.restore is not None or memory.state.stops_on_command
    memory = replace(
        _after_power_loss(memory), resumed_at=resumed_at, restore=RestoreStandby() if returns else None
    )
    return memory if memory.state.survives_resume else mark_unknown(memory, now)


def _after_attach(memory: DiskMemory, attached_at: float, now: Moment) -> DiskMemory:
    """The drive was attached again, or is seen for the first time by this process: failures are void."""
    timer_set_by_us = memory.settings.timer_set_by_us and memory.attached_at is None
    memory = replace(
        _after_power_loss(memory),
        settings=DriveSettings(timer_set_by_us=timer_set_by_us),
        attached_at=attached_at,
        spin_down=replace(memory.spin_down, failures=0),
    )
    return mark_unknown(memory, now)


def _after_power_loss(memory: DiskMemory) -> DiskMemory:
    """``memory`` without everything that ends with the drive's power."""
    return replace(
        memory,
        mode_confirmed_at=None,
        paused_until=None,
        last_passthrough_at=None,
        settings=DriveSettings(),
        restore=None,
    )


def _disappeared(memory: DiskMemory, resumed_at: float | None) -> bool:
    """Whether the disk was attached again soon after a spin-down command, without a resume in between.

    Some USB bridges detach a disk that stops, and its filesystems with it.
    """
    sent_at, attached_at = memory.spin_down.sent_at, memory.attached_at
    if sent_at is None or attached_at is None or (resumed_at is not None and resumed_at >= sent_at):
        return False
    return sent_at < attached_at <= sent_at + DISAPPEARANCE_WINDOW


def _apply_group_spin_up(
    memory: DiskMemory, disk: Disk, spin_up: Reading[GroupSpinUp], now: Moment
) -> DiskMemory:
    """The helper has started the disk with its group, or has seen the first access to it."""
    if not memory.state.is_stopped or not is_after(spin_up.at, memory.mode_confirmed_at):
        return memory
    if disk.id != spin_up.value.first_disk and disk.id not in spin_up.value.other_disks:
        return memory
    return replace(mark_spun_up(memory, moment_at(now, spin_up.at)), mode_confirmed_at=spin_up.at)


def _apply_activity(  # noqa: PLR0911 - each branch is one way to know
    memory: DiskMemory,
    before: ActivityReading,
    reading: Reading[DiskActivity],
    epoch_start: float,
    now: Moment,
) -> DiskMemory:
    """What the counters tell about the power mode.

    I/O between two readings that are both later than the drive's last report has started the drive. If the
    report came between the two readings, the I/O may have been before it, and the report no longer counts.
    """
    activity = reading.value
    if activity.runtime_suspended:
        return with_state(memory, DiskState.SUSPENDED, now)
    if memory.state is DiskState.SUSPENDED:
        return mark_spun_up(memory, now, by_use=False)
    if memory.unexpectedly_active_at is not None:
        explains = reading.at > memory.unexpectedly_active_at
        return resolve_unexpected_activity(memory, activity, now) if explains else memory
    memory = _apply_passthrough(_apply_baseline(memory, reading), activity, now)
    if isinstance(before, Reading) and activity.last_io_at <= before.value.last_io_at:
        return memory
    known_since = later_of(epoch_start, memory.mode_confirmed_at)
    if activity.last_io_at <= known_since or not memory.state.io_starts:
        return memory
    if not isinstance(before, Reading) or before.at < known_since:
        return replace(memory, mode_confirmed_at=None)
    when = moment_at(now, activity.last_io_at)
    return (
        mark_spun_up(memory, when) if memory.state.is_stopped else with_state(memory, DiskState.ACTIVE, when)
    )


def _apply_passthrough(memory: DiskMemory, activity: DiskActivity, now: Moment) -> DiskMemory:
    """A command of another program may have started the stopped drive, so powerd checks its power mode.

    RECHECK_FIRST is the shortest interval, because some programs send such commands every few seconds.
    """
    confirmed_at = memory.mode_confirmed_at
    if not memory.state.is_stopped or not is_after(activity.last_passthrough_at, confirmed_at):
        return memory
    if confirmed_at is not None and now.mono - confirmed_at < RECHECK_FIRST:
        return memory
    return replace(memory, mode_confirmed_at=None, last_passthrough_at=activity.last_passthrough_at)


def _apply_baseline(memory: DiskMemory, reading: Reading[DiskActivity]) -> DiskMemory:
    """A disk that was used since the resume, or may have been, does not return to standby."""
    if memory.restore is None or memory.resumed_at is None or reading.at < memory.resumed_at:
        return memory
    baseline = memory.restore.baseline
    if baseline is None:
        late = reading.at > memory.resumed_at + BASELINE_WITHIN
        return replace(memory, restore=None if late else RestoreStandby(reading))
    return memory if reading.value.io_count == baseline.value.io_count else replace(memory, restore=None)
