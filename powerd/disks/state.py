"""What policy makes of disks, and what it has to remember of each."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple

from powerd.core.time import Moment
from powerd.disks.model import Disk, PowerFeatures, SpinDownMethod


class DiskState(enum.StrEnum):
    """What a disk is doing, as far as policy believes it."""

    UNKNOWN = "unknown"
    """Neither the drive nor its counters have said."""
    ACTIVE = "active"
    SPINNING_DOWN = "spinning-down"
    """Told to stand by; the drive has yet to confirm it."""
    STANDBY = "standby"
    SLEEPING = "sleeping"
    """So says the drive, or the bridge before it; only an access wakes it."""
    SUSPENDED = "suspended"
    """By the kernel, which owns it."""
    UNRESPONSIVE = "hung"
    """It does not answer, and is left alone but for a question now and then."""
    UNSUPPORTED = "unsupported"
    """It cannot be made to stand by, or cannot be asked."""
    EXCLUDED = "excluded"

    @property
    def is_stopped(self) -> bool:
        """Whether its spindle stands, as powerd believes it."""
        return self in (DiskState.STANDBY, DiskState.SLEEPING, DiskState.SUSPENDED)


@dataclass(frozen=True, slots=True)
class DiskMemory:
    """What is remembered of one disk. Times are CLOCK_MONOTONIC where nothing else is said.

    Attributes:
        state: the belief of the last decision.
        since: when it began.
        attached_at: of the Disk; another one = it has been plugged in again; -inf = known from an earlier
            run only.
        resumed_at: of the Memory; another one = the machine has slept.
        last_result_at: the latest outcome taken into account; -inf = none.
        mode_confirmed_at: when the drive last told its power; -inf = not since start, resume or hotplug,
            or since a
            command that may have woken it.
        unexpectedly_active_at: when it said that it spins though it should stand still; -inf = it has not.
            Only a look at its
            counters that comes later can tell whether an access had woken it.
        spin_down_sent_at: when the last spin-down was begun that may have stopped it; -inf = never.
        dry_run_at: when the last one was begun that observe mode only speaks of; -inf = never.
        attempted_method: by which that was.
        last_passthrough_at: when a command of others that is no I/O woke it, or may have, and it has yet
            to say; -inf =
            none since it last stood still.
        paused_until: no order before this time.
        power_checks: questions since the disk last moved, or questions in vain, in a row.
        failed_spin_downs: spin-downs in vain, in a row; after the last way, it is unsupported.
        verified_method: the way by which it has verifiably gone down.
        reason: the sentence behind the state, or behind the last refusal; "" = none.
        excluded_reason: why it is never asked nor told again, over hotplug and restarts too; "" = it is.
        power_features: what it can do; None = unknown. It is void after a resume or hotplug, when drives
            lose their
            settings, and so are read, timer, ours, timerless and level.
        features_requested: whether reading that was tried.
        standby_timer: seconds that its own timer really has; None = not set.
        timer_set_by_us: a timer runs in it that powerd has set, this run of it or an earlier one.
        timer_unsupported: its own timer cannot be set.
        requested_apm: the APM level that was ordered; None = none.
        setting_error: what was said when the last of these was refused; "" = none was.
        restore_standby: it stood still when the machine fell asleep, and is to be put back.
        resume_baseline: (time, ios) of the first look after that wake-up.
        spin_downs, spin_ups, early_wakes: CLOCK_BOOTTIME of those of the last 24 hours, oldest first.
        backoff_level: how often its time has been doubled, for bounces.
        backoff_changed_at: CLOCK_BOOTTIME at which that last changed.
        last_spin_up: the last spin-up; None = none known of.
    """

    state: DiskState
    since: Moment
    attached_at: float = 0.0
    resumed_at: float | None = None
    last_result_at: float = float("-inf")
    mode_confirmed_at: float = float("-inf")
    unexpectedly_active_at: float = float("-inf")
    spin_down_sent_at: float = float("-inf")
    dry_run_at: float = float("-inf")
    attempted_method: SpinDownMethod = "ata"
    last_passthrough_at: float = float("-inf")
    paused_until: float = float("-inf")
    power_checks: int = 0
    failed_spin_downs: int = 0
    verified_method: SpinDownMethod | None = None
    reason: str = ""
    excluded_reason: str = ""
    power_features: PowerFeatures | None = None
    features_requested: bool = False
    standby_timer: int | None = None
    timer_set_by_us: bool = False
    timer_unsupported: bool = False
    requested_apm: int | None = None
    setting_error: str = ""
    restore_standby: bool = False
    resume_baseline: tuple[float, int] | None = None
    spin_downs: tuple[float, ...] = ()
    spin_ups: tuple[float, ...] = ()
    early_wakes: tuple[float, ...] = ()
    backoff_level: int = 0
    backoff_changed_at: float = 0.0
    last_spin_up: Moment | None = None


class DiskReport(NamedTuple):
    """One disk, as people are shown it. A tuple, for a frozen dataclass of its size takes 3 us to be made.

    Attributes:
        disk: which.
        state, since: what it does, and since when.
        method: as configured: command, timer or both.
        spin_down_after: seconds of idleness after which it stands by, bounces reckoned in; 0 = never.
        idle_since: CLOCK_MONOTONIC, of the disk and its whole group; None = unknown.
        spin_down_at: CLOCK_MONOTONIC at which it stands by if nothing stirs; None = not in sight.
        reason: one clause: what it waits for, or why it is left alone; "" = nothing.
        spin_ups, spin_downs: within the last 24 hours.
        verified_method: the way by which it has verifiably gone down; None = none yet.
        standby_timer: seconds that its own timer really has; None = not set by powerd.
        apm: its APM level, as it has told powerd since hotplug or resume, else as it has told udev (see Disk
            for that); None = unknown, off or not supported.
        last_spin_up: the last spin-up; None = none known of.
    """

    disk: Disk
    state: DiskState
    since: Moment
    method: str = "command"
    spin_down_after: float = 0.0
    idle_since: float | None = None
    spin_down_at: float | None = None
    reason: str = ""
    spin_ups: int = 0
    spin_downs: int = 0
    verified_method: SpinDownMethod | None = None
    standby_timer: int | None = None
    apm: int | None = None
    last_spin_up: Moment | None = None
