"""A drive with a spindle, played: it obeys, ignores, refuses or hangs, and writes down what happens."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from powerd.model import (
    Answered,
    AskPower,
    Checked,
    CheckHealth,
    Disk,
    DiskId,
    DiskOrder,
    Done,
    Drive,
    Health,
    Power,
    ReadDrive,
    SetApm,
    SetTimer,
    SpinDown,
    StartTest,
    Trouble,
)


@dataclass(slots=True)
class Spindle:
    """A drive.

    Attributes:
        disk: as the inventory shows it.
        spins: whether its spindle turns.
        deaf: ways of standing by that it accepts and ignores.
        refuses: ways that it refuses.
        dumb: it never says whether it spins.
        ignores_timer: its timer never runs out.
        naps: seconds of idleness after which it stops whatever its timer; 0 = it does not.
        bridge: "sleeps" = it says so for standby; "wakes" = and wakes when it is asked.
        drive: what it can do.
        trouble: what every order to it comes to.
        health: what it says of itself.
        ill: what every check of its health comes to.
        answer: what it says when it is asked; None = the truth.
        commands: of all that it was sent, I/O apart.
        log: (seconds since the beginning, what happened).
    """

    disk: Disk
    spins: bool = True
    deaf: frozenset[str] = frozenset()
    refuses: frozenset[str] = frozenset()
    dumb: bool = False
    ignores_timer: bool = False
    bridge: str = ""
    drive: Drive = field(default=Drive(apm=254, apm_supported=True))
    trouble: tuple[Trouble, str] | None = None
    health: Health = field(default=Health(at=0, protocol="ata", passed=True))
    ill: tuple[Trouble, str] | None = None
    naps: int = 0
    timer: int = 0
    ios: int = 1
    flying: int = 0
    suspended: bool = False
    blind: str = ""
    mute_drive: bool = False
    last: float = 0.0
    answer: Power | None = None
    commands: int = 0
    log: list[tuple[float, str]] = field(default_factory=list)

    def of(self, what: str) -> list[float]:
        return [at for at, each in self.log if each == what]

    def access(self, at: float) -> None:
        self.run(at)
        self.ios += 1
        self.last = at
        self._up(at)

    def prod(self, at: float) -> None:
        """Somebody's command that is no I/O, and takes the platters: ``hdparm --read-sector``."""
        self.run(at)
        self.commands += 1
        self.last = at
        self._up(at)

    def poll(self, at: float) -> None:
        """Somebody asks whether it spins: ``hdparm -C``."""
        self.run(at)
        self.commands += 1

    def plug(self, at: float, mono: float) -> None:
        """It is pulled and plugged in again: it has lost its power, and with it what it was set to."""
        self.run(at)
        self.disk = replace(self.disk, seen=mono)
        self.timer = 0
        self.last = at
        self._up(at)

    def run(self, at: float) -> None:
        """Its own timers."""
        timer = 0 if self.ignores_timer else self.timer
        for after, what in ((timer, "timer"), (self.naps, "nap")):
            if after and self.spins and at >= self.last + after:
                self.spins = False
                self.log.append((self.last + after, what))

    def _up(self, at: float) -> None:
        if not self.spins:
            self.spins = True
            self.last = at
            self.log.append((at, "up"))

    def obey(self, order: DiskOrder, at: float) -> Done:  # noqa: PLR0911 - one row for each order
        self.run(at)
        self.commands += 1
        assert not self.suspended, "no command to a disk that the kernel has suspended"
        if self.trouble:
            self.log.append((at, "troubled"))
            return Done(False, self.trouble[1], self.trouble[0])
        match order:
            case AskPower():
                self.log.append((at, "ask"))
                return Done(True, "asked", Answered(self._power(at)))
            case SpinDown(how=how):
                return self._stand_by(how, at)
            case CheckHealth(wake=wake) if self.ill is not None and (wake or self.spins):
                if wake and self.ill[0] is not Trouble.BUSY:
                    self._up(at)
                return Done(False, self.ill[1], self.ill[0])
            case CheckHealth(wake=True):
                self._up(at)
                self.log.append((at, "health"))
                return Done(True, "read its health", Checked(self.health, "sat"))
            case _ if not self.spins:
                self.log.append((at, "WOKEN BY AN ORDER"))
                return Done(False, "it sleeps", Trouble.ASLEEP)
            case CheckHealth():
                self.log.append((at, "health"))
                return Done(True, "read its health", Checked(self.health, "sat"))
            case StartTest(test=test):
                self.log.append((at, test))
                return Done(True, "begun", Answered(self._power(at)))
            case _:
                return self._set(order, at)

    def _stand_by(self, how: str, at: float) -> Done:
        power = self._power(at)
        if power.asleep or power is Power.SUSPENDED:
            self.log.append((at, "rests"))
            return Done(True, "it rests", Answered(power))
        self.log.append((at, how))
        if how in self.refuses:
            return Done(False, f"{how} refused", Trouble.FAILED)
        self.spins = self.spins and how in self.deaf
        return Done(True, "told", Answered(Power.STANDBY, stopped=True))

    def _set(self, order: SetTimer | SetApm | ReadDrive, at: float) -> Done:
        match order:
            case SetTimer(seconds=seconds):
                self.log.append((at, f"timer {seconds}"))
                if "timer" in self.refuses:
                    return Done(False, "no timer", Trouble.FAILED)
                self.timer, self.last = seconds, at
                return Done(True, "set", Answered(Power.ACTIVE))
            case SetApm(level=level):
                self.log.append((at, f"apm {level}"))
                if level > 253:
                    return Done(False, f"refused: {level}", Trouble.FAILED)
                self.drive = replace(self.drive, apm=level)
                return Done(True, "set", self.drive)
            case ReadDrive():
                self.log.append((at, "read"))
                if self.mute_drive:
                    return Done(False, "no ATA disk", Trouble.FAILED)
                return Done(True, "read", self.drive)

    def _power(self, at: float) -> Power:
        if self.answer:
            return self.answer
        if self.dumb:
            return Power.UNKNOWN
        if self.spins:
            return Power.ACTIVE
        if self.bridge == "wakes":
            self.log.append((at, "woken by a question"))
            self._up(at)
        return Power.SLEEPING if self.bridge else Power.STANDBY


def disk(n: int, **about: Any) -> Disk:  # noqa: ANN401 - any field of a Disk
    return Disk(
        DiskId(f"ata-WDC_WD40EFRX_{n}"), f"sd{chr(97 + n)}", f"8:{16 * n}", "WDC WD40EFRX", f"S{n}", **about
    )
