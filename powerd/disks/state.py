"""The policy's record of each disk: its state, what the drive reported, and what is shown of it.

The states and the events that lead from one to another (``powerd/disks/policy/`` holds the rules):

    UNKNOWN         start, hotplug, resume; the drive does not report its power mode
    ACTIVE          the drive reports that it spins, or others did I/O
    SPINNING_DOWN   the drive accepted a spin-down command; the next power mode check confirms it or not
    STANDBY         the drive reports standby
    SLEEPING        the drive, or its USB bridge, reports sleep
    SUSPENDED       the kernel has suspended the device (runtime power management)
    UNRESPONSIVE    a request to the drive missed its deadline
    UNSUPPORTED     three spin-downs or power mode checks in a row failed, or a check starts the drive
    EXCLUDED        shown of a disk that powerd does not manage; no DiskMemory is ever in it
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import NamedTuple, Self

from powerd.core.dataclass import dataclass
from powerd.core.time import Moment, Reading, Unavailable
from powerd.disks.model import Disk, DiskActivity, DiskId, GroupWatch, PowerFeatures, SpinDownMethod


class DiskState(enum.StrEnum):
    """The states of a disk in the policy, with the traits of each.

    Attributes:
        is_stopped: the drive does not spin.
        stops_on_command: the drive is stopped, or about to be, and an access starts it again. The first
            access to a group starts its members in such a state, and after a resume they return to standby.
        io_starts: I/O that others did since the last report of the drive means that the drive spins.
        needs_answer: only an answer of the drive ends the state, so powerd checks the power mode.
        survives_resume: a resume of the server does not make the state unknown.
        tolerates_writes: the drive is neither stopped nor about to be stopped by powerd.
        can_spin_down: a person may request a spin-down.
    """

    is_stopped: bool
    stops_on_command: bool
    io_starts: bool
    needs_answer: bool
    survives_resume: bool
    tolerates_writes: bool
    can_spin_down: bool

    def __new__(cls, value: str, traits: str = "") -> Self:
        """A state with its traits: one column each, ``x`` for yes and ``-`` for no."""
        state = str.__new__(cls, value)
        state._value_ = value
        columns = [column == "x" for column in traits.split()]
        state.is_stopped, state.stops_on_command, state.io_starts, state.needs_answer = columns[:4]
        state.survives_resume, state.tolerates_writes, state.can_spin_down = columns[4:]
        return state

    # columns:                       stopped  io_starts  survives_resume  can_spin_down
    #                                   stops_on_command  needs_answer  tolerates_writes
    UNKNOWN = "unknown", "              -   -   x   -   -   -   x"
    ACTIVE = "active", "                -   -   -   -   -   x   x"
    SPINNING_DOWN = "spinning-down", "  -   x   -   x   -   -   x"
    STANDBY = "standby", "              x   x   x   -   -   -   x"
    SLEEPING = "sleeping", "            x   x   x   -   -   -   x"
    SUSPENDED = "suspended", "          x   -   -   -   -   -   -"
    UNRESPONSIVE = "hung", "            -   -   -   x   x   -   -"
    UNSUPPORTED = "unsupported", "      -   -   -   -   x   x   -"
    EXCLUDED = "excluded", "            -   -   -   -   -   x   -"


@dataclass(frozen=True, slots=True)
class SpinDownAttempts:
    """The spin-down commands to one disk. Times are CLOCK_MONOTONIC.

    Attributes:
        sent_at: start of the last command that may have reached the drive; None = there was none.
        method: of that command.
        failures: failed spin-downs in a row; MAX_FAILED_SPIN_DOWNS of them make the disk UNSUPPORTED.
        verified_method: the method after which the drive reported that it stopped; None = no method yet.
        dry_run_at: start of the last spin-down that mode "observe" only announced; None = there was none.
    """

    sent_at: float | None = None
    method: SpinDownMethod = "ata"
    failures: int = 0
    verified_method: SpinDownMethod | None = None
    dry_run_at: float | None = None


@dataclass(frozen=True, slots=True)
class DriveSettings:
    """The power settings in the drive, which it loses with its power: at a resume and at hotplug.

    Attributes:
        features: as the drive reported them; None = unknown.
        features_requested: powerd has tried to read them.
        standby_timer: seconds of the drive's own timer; 0 = off, None = powerd has not set it.
        timer_set_by_us: a timer runs that this or an earlier process of powerd has set.
        timer_unsupported: the drive refused the timer.
        requested_apm: the APM level that powerd requested; None = none.
        error: message of the last refusal; "" = none.
    """

    features: PowerFeatures | None = None
    features_requested: bool = False
    standby_timer: int | None = None
    timer_set_by_us: bool = False
    timer_unsupported: bool = False
    requested_apm: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class SpinCycles:
    """The starts and stops of one disk within the last 24 hours. Times are CLOCK_BOOTTIME, oldest first.

    Attributes:
        spin_downs, spin_ups: of the drive, by command or by its own timer.
        early_spin_ups: accesses within EARLY_SPIN_UP_WITHIN of a spin-down.
        backoff_level: how many times early spin-ups have doubled spin_down_after.
        backoff_changed_at: the last change of that.
        last_spin_up: None = unknown.
    """

    spin_downs: tuple[float, ...] = ()
    spin_ups: tuple[float, ...] = ()
    early_spin_ups: tuple[float, ...] = ()
    backoff_level: int = 0
    backoff_changed_at: float = 0.0
    last_spin_up: Moment | None = None


@dataclass(frozen=True, slots=True)
class RestoreStandby:
    """A disk was stopped when the server went to sleep, and returns to standby unless it is used.

    Attributes:
        baseline: the first reading of its counters after the resume; None = there is none yet.
    """

    baseline: Reading[DiskActivity] | None = None


@dataclass(frozen=True, slots=True)
class DiskMemory:
    """What the policy remembers of one disk between decisions. Times are CLOCK_MONOTONIC.

    Attributes:
        state: as of the last decision.
        since: start of the state.
        attached_at: Disk.attached_at of the drive that the record is about; a different one means hotplug.
            None = the record comes from the state file.
        resumed_at: Memory.resumed_at that the record takes into account; a different one means a resume.
        last_result_at: end of the latest completed action that the record takes into account.
        mode_confirmed_at: the drive's last report of its power mode; None = none since start, resume,
            hotplug, or a command of another program that may have started the drive.
        unexpectedly_active_at: the drive reported that it spins in a state in which it should be stopped;
            the next reading of its counters shows whether an access started it. None = it has not.
        last_passthrough_at: a SCSI or ATA command of another program that may have started the stopped
            drive; None = none since the drive last reported that it is stopped.
        paused_until: powerd sends nothing before this time; None = no pause.
        power_checks: power mode checks since the last I/O, or unanswered ones in a row.
        reason: one clause, why the state holds or why the last action failed; "" = none.
        excluded_reason: why powerd sends it no command again, also after hotplug and restart; "" = powerd
            does. Only a reload of the configuration clears it.
        spin_down, settings, cycles: see their classes.
        restore: None = the disk does not return to standby by itself.
    """

    state: DiskState
    since: Moment
    attached_at: float | None = 0.0
    resumed_at: float | None = None
    last_result_at: float | None = None
    mode_confirmed_at: float | None = None
    unexpectedly_active_at: float | None = None
    last_passthrough_at: float | None = None
    paused_until: float | None = None
    power_checks: int = 0
    reason: str = ""
    excluded_reason: str = ""
    spin_down: SpinDownAttempts = field(default_factory=SpinDownAttempts)
    settings: DriveSettings = field(default_factory=DriveSettings)
    cycles: SpinCycles = field(default_factory=SpinCycles)
    restore: RestoreStandby | None = None


class DiskReport(NamedTuple):
    """One disk as users see it. A NamedTuple, because a frozen dataclass of this size takes 3 us to build.

    Attributes:
        disk: the disk.
        state, since: its state and the start of that state.
        method: as configured: command, timer or both.
        spin_down_after: seconds of idleness before it spins down, backoff included; 0 = never.
        idle_since: CLOCK_MONOTONIC, of the disk and its whole group; None = unknown.
        spin_down_at: CLOCK_MONOTONIC at which it spins down if it stays idle; None = not foreseeable.
        reason: one clause: what it waits for, or why powerd does not manage it; "" = none.
        spin_ups, spin_downs: within the last 24 hours.
        verified_method: the method that verifiably stopped it; None = none yet.
        standby_timer: seconds of the drive's own timer; None = powerd has not set it.
        apm: its APM level as the drive reported it since hotplug or resume, else as udev read it (see Disk);
            None = unknown, off or not supported.
        last_spin_up: None = unknown.
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


@dataclass(frozen=True, slots=True)
class DisksMemory:
    """The memory of the disk policy.

    Attributes:
        disks: the memory of each disk, also of one that is detached.
        last_activity: the counters of each disk at the last decision.
    """

    disks: Mapping[DiskId, DiskMemory] = field(default_factory=lambda: MappingProxyType({}))
    last_activity: Mapping[DiskId, Reading[DiskActivity] | Unavailable] = field(
        default_factory=lambda: MappingProxyType({})
    )


@dataclass(frozen=True, slots=True)
class DisksReport:
    """What the disk policy reports.

    Attributes:
        disks: one report per disk, in the order of the snapshot.
        watched_groups: groups to be watched until another decision says otherwise.
        next_disk_poll_at: CLOCK_MONOTONIC by which new counters are needed; inf = at the poll interval.
    """

    disks: tuple[DiskReport, ...] = ()
    watched_groups: tuple[GroupWatch, ...] = ()
    next_disk_poll_at: float = float("inf")
