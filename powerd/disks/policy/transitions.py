"""The changes of a disk's state, and what a failed or early ended spin-down leads to.

A spin-down fails when the drive refuses the command, still spins at the power mode check, or does not
report its power mode. Each failure pauses the disk for RETRY_AFTER. The first two attempts use the
likeliest method, the third one uses the other method. After the third failure in a row the disk is
UNSUPPORTED, and the journal has a warning (`view/events.py`): powerd sends it nothing more until it is
attached again, the configuration is reloaded, or powerd starts again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from powerd.core.time import Moment
from powerd.disks.model import Disk, SpinDownMethod
from powerd.disks.policy.limits import (
    DAY,
    EARLY_SPIN_UP_WITHIN,
    EARLY_SPIN_UPS_PER_BACKOFF,
    MAX_BACKOFF_LEVEL,
    RETRY_AFTER,
    boottime,
)
from powerd.disks.state import DiskMemory, DiskState, SpinCycles, SpinDownAttempts

MAX_FAILED_SPIN_DOWNS: Final = 3
"""Failed spin-downs in a row that make a disk UNSUPPORTED."""
MAX_REFUSED_CHECKS: Final = 3
"""Refused power mode checks in a row that make a disk UNSUPPORTED. The pause after each is twice as long."""
CANNOT_SPIN_DOWN: Final = "cannot be spun down: "
"""Begins the reason that is shown of an UNSUPPORTED disk."""


def with_state(memory: DiskMemory, state: DiskState, since: Moment, reason: str = "") -> DiskMemory:
    """``memory`` in ``state`` since then; a state that it is already in keeps its start.

    A disk that powerd has given up stays UNSUPPORTED with its reason; only the kernel may suspend it.
    """
    if memory.excluded_reason or memory.spin_down.failures >= MAX_FAILED_SPIN_DOWNS:
        reason = reason if state is DiskState.UNSUPPORTED else memory.excluded_reason or memory.reason
        state = DiskState.SUSPENDED if state is DiskState.SUSPENDED else DiskState.UNSUPPORTED
    if state is memory.state:
        return memory if reason == memory.reason else replace(memory, reason=reason)
    return replace(
        memory, state=state, since=since, reason=reason, power_checks=0, unexpectedly_active_at=None
    )


def mark_unknown(memory: DiskMemory, now: Moment) -> DiskMemory:
    """``memory`` in UNKNOWN, to be checked next, unless powerd has given the disk up."""
    return replace(with_state(memory, DiskState.UNKNOWN, now), mode_confirmed_at=None)


def invalidate_power_mode(memory: DiskMemory) -> DiskMemory:
    """The drive's last report no longer counts, because a command may have started the stopped drive."""
    return replace(memory, mode_confirmed_at=None) if memory.state.is_stopped else memory


def choose_method(disk: Disk, attempts: SpinDownAttempts) -> SpinDownMethod:
    """The method of the next spin-down: the likeliest one twice, then the other.

    SAS drives understand no ATA command, so for them it is always START STOP UNIT.
    """
    supports_ata = disk.transport in {"ata", "usb"}
    likeliest: SpinDownMethod = attempts.verified_method or ("ata" if supports_ata else "scsi")
    if attempts.failures < MAX_FAILED_SPIN_DOWNS - 1:
        return likeliest
    return "ata" if likeliest == "scsi" and supports_ata else "scsi"


def spin_down_failed(memory: DiskMemory, state: DiskState, reason: str, when: Moment) -> DiskMemory:
    """Counts a failed spin-down; the state is ``state``, unless the disk is given up because of it."""
    memory = replace(
        memory,
        spin_down=replace(memory.spin_down, failures=memory.spin_down.failures + 1),
        paused_until=when.mono + RETRY_AFTER,
        reason=reason,
    )
    return with_state(memory, state, when, reason)


def power_check_refused(memory: DiskMemory, message: str, when: Moment) -> DiskMemory:
    """Counts a refused power mode check; the disk is given up after MAX_REFUSED_CHECKS of them."""
    checks = memory.power_checks + 1
    state = DiskState.UNSUPPORTED if checks >= MAX_REFUSED_CHECKS else memory.state
    memory = with_state(memory, state, when, message)
    pause = RETRY_AFTER * 2 ** min(checks, MAX_REFUSED_CHECKS)
    return replace(memory, power_checks=checks, paused_until=when.mono + pause)


def exclude(memory: DiskMemory, reason: str, now: Moment) -> DiskMemory:
    """Gives the disk up at once, for a reason that a new attempt would only find again."""
    return replace(with_state(memory, DiskState.UNSUPPORTED, now, reason), excluded_reason=reason)


def reset_failures(memory: DiskMemory) -> DiskMemory:
    """After a reload of the configuration: everything that powerd has given up is tried again."""
    unsupported = memory.state is DiskState.UNSUPPORTED
    sent_at = None if memory.excluded_reason else memory.spin_down.sent_at
    return replace(
        memory,
        state=DiskState.UNKNOWN if unsupported else memory.state,
        mode_confirmed_at=None if unsupported else memory.mode_confirmed_at,
        paused_until=None,
        power_checks=0,
        reason="",
        excluded_reason="",
        spin_down=replace(memory.spin_down, failures=0, sent_at=sent_at),
        settings=replace(
            memory.settings, features_requested=False, timer_unsupported=False, requested_apm=None, error=""
        ),
        cycles=replace(memory.cycles, backoff_level=0, early_spin_ups=()),
    )


def mark_spun_up(memory: DiskMemory, when: Moment, *, by_use: bool = True) -> DiskMemory:
    """``memory`` of a stopped disk that spins again.

    Args:
        memory: of the stopped disk.
        when: the spin-up.
        by_use: an access caused it, which makes it an early one within EARLY_SPIN_UP_WITHIN of the spin-down.
    """
    cycles = replace(memory.cycles, spin_ups=(*memory.cycles.spin_ups, boottime(when)), last_spin_up=when)
    if by_use and when.mono - memory.since.mono < EARLY_SPIN_UP_WITHIN:
        cycles = _count_early_spin_up(cycles, when)
    return with_state(replace(memory, cycles=cycles, restore=None), DiskState.ACTIVE, when)


def count_spin_down(memory: DiskMemory, when: Moment) -> DiskMemory:
    """``memory`` with one more spin-down."""
    cycles = memory.cycles
    return replace(memory, cycles=replace(cycles, spin_downs=(*cycles.spin_downs, boottime(when))))


def _count_early_spin_up(cycles: SpinCycles, when: Moment) -> SpinCycles:
    """One more early spin-up; EARLY_SPIN_UPS_PER_BACKOFF of them raise the backoff level by one."""
    early_spin_ups = (*cycles.early_spin_ups, boottime(when))
    if len(early_spin_ups) < EARLY_SPIN_UPS_PER_BACKOFF:
        return replace(cycles, early_spin_ups=early_spin_ups)
    return replace(
        cycles,
        early_spin_ups=(),
        backoff_level=min(cycles.backoff_level + 1, MAX_BACKOFF_LEVEL),
        backoff_changed_at=boottime(when),
    )


def has_expired(cycles: SpinCycles, start: float) -> bool:
    """Whether anything in ``cycles`` is from before ``start``, CLOCK_BOOTTIME."""
    downs, ups, early_ups = cycles.spin_downs, cycles.spin_ups, cycles.early_spin_ups
    return bool(
        (downs and downs[0] <= start)
        or (ups and ups[0] <= start)
        or (early_ups and early_ups[0] <= start)
        or (cycles.backoff_level and cycles.backoff_changed_at <= start)
    )


def drop_expired(memory: DiskMemory, now: Moment) -> DiskMemory:
    """Removes what is older than 24 hours; a day without a change of the backoff lowers it by one level."""
    start, cycles = boottime(now) - DAY, memory.cycles
    if not has_expired(cycles, start):
        return memory
    spin_downs, spin_ups, early_spin_ups = (
        tuple(time for time in times if time > start)
        for times in (cycles.spin_downs, cycles.spin_ups, cycles.early_spin_ups)
    )
    cycles = replace(cycles, spin_downs=spin_downs, spin_ups=spin_ups, early_spin_ups=early_spin_ups)
    if cycles.backoff_level and cycles.backoff_changed_at <= start:
        cycles = replace(cycles, backoff_level=cycles.backoff_level - 1, backoff_changed_at=boottime(now))
    return replace(memory, cycles=cycles)
