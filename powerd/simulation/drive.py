"""A simulated hard disk: it executes, ignores or refuses actions, and records what happens."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

from powerd.core.actions import ActionResult
from powerd.disks.model import (
    CheckPowerMode,
    Disk,
    DiskAction,
    DiskId,
    FailureCause,
    PowerFeatures,
    PowerMode,
    PowerStatus,
    ReadPowerFeatures,
    SetApmLevel,
    SetStandbyTimer,
    SpinDown,
)
from powerd.smart.actions import CheckHealth, HealthReading, StartTest
from powerd.smart.model import Health

REFUSED_APM_LEVEL: Final = 254
"""No simulated drive accepts this APM level."""


@dataclass(slots=True)
class DriveSimulator:
    """A drive.

    Attributes:
        disk: the drive in the inventory.
        spins: whether it is spinning.
        ignored_methods: spin-down methods that it accepts and ignores.
        refused_methods: spin-down methods that it refuses.
        bridge: "sleeps" = its bridge reports SLEEP for standby; "wakes" = and wakes it at each query.
        drive: its power features.
        error: the result of every action; None = actions succeed.
        health: its health.
        check_error: the result of every health check; None = checks succeed.
        hides_power_mode: it does not report whether it spins.
        hides_settings: it does not report its power features.
        ignores_timer: its standby timer never elapses.
        self_standby_after: seconds of idleness after which it stops whatever its timer; 0 = it does not.
        timer: its standby timer in seconds; 0 = off.
        ios, flying: completed I/O requests, and those in flight.
        suspended: the kernel has suspended it.
        counters_error: why its counters cannot be read; empty = they can.
        last_used_at: the time of the last access or command.
        power_reply: its reply to CHECK POWER MODE; None = the truth.
        commands: number of commands that are not I/O.
        log: (seconds since the beginning, what happened).
    """

    disk: Disk
    spins: bool = True
    ignored_methods: frozenset[str] = frozenset()
    refused_methods: frozenset[str] = frozenset()
    hides_power_mode: bool = False
    ignores_timer: bool = False
    bridge: str = ""
    drive: PowerFeatures = field(default=PowerFeatures(apm=254, apm_supported=True))
    error: tuple[FailureCause, str] | None = None
    health: Health = field(default=Health(checked_at=0, protocol="ata", passed=True))
    check_error: tuple[FailureCause, str] | None = None
    self_standby_after: int = 0
    timer: int = 0
    ios: int = 1
    flying: int = 0
    suspended: bool = False
    counters_error: str = ""
    hides_settings: bool = False
    last_used_at: float = 0.0
    power_reply: PowerMode | None = None
    commands: int = 0
    log: list[tuple[float, str]] = field(default_factory=list)

    def times_of(self, what: str) -> list[float]:
        """When ``what`` happened."""
        return [at for at, each in self.log if each == what]

    def access(self, at: float) -> None:
        """A read or a write."""
        self.run_timers(at)
        self.ios += 1
        self.last_used_at = at
        self._spin_up(at)

    def passthrough_command(self, at: float) -> None:
        """A command of another program that is not I/O and needs the platters: ``hdparm --read-sector``."""
        self.run_timers(at)
        self.commands += 1
        self.last_used_at = at
        self._spin_up(at)

    def check_power_mode(self, at: float) -> None:
        """CHECK POWER MODE of another program: ``hdparm -C``."""
        self.run_timers(at)
        self.commands += 1

    def replug(self, at: float, mono: float) -> None:
        """It is pulled and plugged in again: it has lost its power and its settings."""
        self.run_timers(at)
        self.disk = replace(self.disk, attached_at=mono)
        self.timer = 0
        self.last_used_at = at
        self._spin_up(at)

    def run_timers(self, at: float) -> None:
        """Stop if one of its timers has elapsed."""
        timer = 0 if self.ignores_timer else self.timer
        for after, what in ((timer, "timer"), (self.self_standby_after, "nap")):
            if after and self.spins and at >= self.last_used_at + after:
                self.spins = False
                self.log.append((self.last_used_at + after, what))

    def _spin_up(self, at: float) -> None:
        if not self.spins:
            self.spins = True
            self.last_used_at = at
            self.log.append((at, "up"))

    def execute(self, action: DiskAction, at: float) -> ActionResult:  # noqa: C901, PLR0911 - one row for each action
        """Execute an action of powerd."""
        self.run_timers(at)
        self.commands += 1
        if self.suspended:
            raise AssertionError("a command to a disk that the kernel has suspended")
        if self.error:
            self.log.append((at, "troubled"))
            return ActionResult(False, self.error[1], self.error[0])
        match action:
            case CheckPowerMode():
                self.log.append((at, "ask"))
                return ActionResult(True, "asked", PowerStatus(self._power(at)))
            case SpinDown(method=how):
                return self._spin_down(how, at)
            case CheckHealth(may_wake=wake) if self.check_error is not None and (wake or self.spins):
                if wake and self.check_error[0] is not FailureCause.BUSY:
                    self._spin_up(at)
                return ActionResult(False, self.check_error[1], self.check_error[0])
            case CheckHealth(may_wake=True):
                self._spin_up(at)
                self.log.append((at, "health"))
                return ActionResult(True, "read its health", HealthReading(self.health, "sat"))
            case _ if not self.spins:
                # before these two the helper queries the power mode, and then sends nothing else
                asked = isinstance(action, CheckHealth | StartTest)
                self.log.append((at, "asked in standby" if asked else "WOKEN BY AN ORDER"))
                return ActionResult(False, "it is in sleep mode", FailureCause.IN_STANDBY)
            case CheckHealth():
                self.log.append((at, "health"))
                return ActionResult(True, "read its health", HealthReading(self.health, "sat"))
            case StartTest(test=test):
                self.log.append((at, test))
                return ActionResult(True, "begun", PowerStatus(self._power(at)))
            case SetStandbyTimer() | SetApmLevel() | ReadPowerFeatures():
                return self._set(action, at)
            case _:
                raise TypeError(action)

    def _spin_down(self, method: str, at: float) -> ActionResult:
        power = self._power(at)
        if power.is_stopped or power is PowerMode.SUSPENDED:
            self.log.append((at, "rests"))
            return ActionResult(True, "it rests", PowerStatus(power))
        self.log.append((at, method))
        if method in self.refused_methods:
            return ActionResult(False, f"{method} refused", FailureCause.FAILED)
        self.spins = self.spins and method in self.ignored_methods
        return ActionResult(True, "told", PowerStatus(PowerMode.STANDBY, spin_down_sent=True))

    def _set(self, action: SetStandbyTimer | SetApmLevel | ReadPowerFeatures, at: float) -> ActionResult:
        match action:
            case SetStandbyTimer(seconds=seconds):
                self.log.append((at, f"timer {seconds}"))
                if "timer" in self.refused_methods:
                    return ActionResult(False, "no timer", FailureCause.FAILED)
                self.timer, self.last_used_at = seconds, at
                return ActionResult(True, "set", PowerStatus(PowerMode.ACTIVE))
            case SetApmLevel(level=level):
                self.log.append((at, f"apm {level}"))
                if level == REFUSED_APM_LEVEL:
                    return ActionResult(False, f"refused: {level}", FailureCause.FAILED)
                self.drive = replace(self.drive, apm=level)
                return ActionResult(True, "set", self.drive)
            case ReadPowerFeatures():
                self.log.append((at, "read"))
                if self.hides_settings:
                    return ActionResult(False, "no ATA disk", FailureCause.FAILED)
                return ActionResult(True, "read", self.drive)

    def _power(self, at: float) -> PowerMode:
        if self.power_reply:
            return self.power_reply
        if self.hides_power_mode:
            return PowerMode.UNKNOWN
        if self.spins:
            return PowerMode.ACTIVE
        if self.bridge == "wakes":
            self.log.append((at, "woken by a question"))
            self._spin_up(at)
        return PowerMode.SLEEPING if self.bridge else PowerMode.STANDBY


def disk(n: int, **about: Any) -> Disk:  # noqa: ANN401 - any field of a Disk
    """The ``n``th disk of a server."""
    return Disk(
        DiskId(f"ata-WDC_WD40EFRX_{n}"), f"sd{chr(97 + n)}", f"8:{16 * n}", "WDC WD40EFRX", f"S{n}", **about
    )
