"""The mechanics of a hard drive: a spindle that turns or stands still, a motor that takes its time, a timer.

All platter accesses call :meth:`Drive.use`, which spins the drive up. Power
modes and the standby timer as in ATA8-ACS, 4.18 and 7.18 (IDLE).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_FIVE_SECONDS: Final = range(1, 241)
_HALF_HOURS: Final = range(241, 252)
_ODD: Final = {252: 21 * 60, 253: 8 * 3600, 255: 21 * 60 + 15}
APM_OFF: Final = 0xFF


class Power(StrEnum):
    """Power modes; IDLE is ACTIVE here, as CHECK POWER MODE may tell them apart or not."""

    ACTIVE = "active"
    STANDBY = "standby"
    SLEEP = "sleep"


@dataclass(frozen=True)
class Traits:
    """What kind of a drive it is.

    Attributes:
        serial, model: as IDENTIFY DEVICE gives them; at most 20 and 40 letters.
        size: bytes, whole sectors of 512.
        spin_up: seconds from standby to the first sector.
        heeds_timer: whether the standby timer does anything.
        apm: whether there is Advanced Power Management.
        sat: whether ATA commands reach the drive; some USB bridges pass none.
        epc: whether it reports Extended Power Conditions, and so timers of its own.
        smart_fails: whether SMART reports an imminent failure.
        reallocated: sectors that it has given up.
        pending: sectors that it cannot read.
        crc: transfers that arrived damaged.
        errors: entries that its error log has ever had.
        failed_tests: the number of failed self-tests, at most 21.
        temperature: degrees Celsius.
        write_cache: whether it has one switched on. Without, the kernel sends no SYNCHRONIZE CACHE when the
            server is suspended, when the program that plays the drive is frozen.
        self_test: seconds that a SMART self-test takes.
        image: the file with its initial content, "" = zeros; written data stay in memory.
    """

    serial: str = "WD-WCC4M1067803"
    model: str = "WDC WD20EFRX-68EUZN0"
    size: int = 64 << 20
    spin_up: float = 2.0
    heeds_timer: bool = True
    apm: bool = True
    sat: bool = True
    epc: bool = False
    smart_fails: bool = False
    reallocated: int = 0
    pending: int = 0
    crc: int = 0
    errors: int = 0
    failed_tests: int = 0
    temperature: int = 34
    write_cache: bool = False
    self_test: float = 60.0
    image: str = ""


@dataclass
class Counts:
    """What the drive has done since it was switched on; ``starts`` counts on from its earlier life.

    Attributes:
        starts: spin-ups, SMART's attribute 4 (Start_Stop_Count).
        reads, writes: commands that moved sectors.
        commands: ATA commands that came by pass-through.
        smart_reads: how often its SMART data were asked for.
    """

    starts: int = 100
    reads: int = 0
    writes: int = 0
    commands: int = 0
    smart_reads: int = 0


class Drive:
    """One drive, spinning.

    Args:
        traits: what kind it is.
        clock: monotonic seconds.
        wait: waits for a number of seconds, in which the drive answers no command.
        note: writes one line to the drive's log.
    """

    def __init__(
        self,
        traits: Traits,
        clock: Callable[[], float],
        wait: Callable[[float], None],
        note: Callable[[str], None],
    ) -> None:
        self.traits = traits
        self.counts = Counts()
        self.power = Power.ACTIVE
        self.note = note
        self._clock = clock
        self._wait = wait
        self._used = clock()
        self._forget()

    def _forget(self) -> None:
        """Reset all settings to their defaults, and abort a self-test."""
        self.timer = 0
        self.apm = APM_OFF - 1 if self.traits.apm else APM_OFF
        self._tested_until = 0.0

    def power_up(self) -> None:
        """Switch the power on: the drive spins up, with its default settings."""
        self._forget()
        self.power = Power.STANDBY
        self.use("power-on")

    def use(self, why: str) -> None:
        """Access the platters: a drive in standby spins up first, and logs ``why``."""
        if self.power is not Power.ACTIVE:
            self.note(f"spins up: {why}")
            self._wait(self.traits.spin_up)
            self.counts.starts += 1
            self.power = Power.ACTIVE
            self.note(f"spun up: {why}")
        self._used = self._clock()

    def spin_down(self, why: str, to: Power = Power.STANDBY) -> None:
        """Stop the platters; in SLEEP the drive answers no command until a reset."""
        if self.power is Power.ACTIVE or to is Power.SLEEP:
            self.power = to
            self.note(f"spun down: {why}")

    def set_timer(self, code: int) -> None:
        """Set the standby timer; ``code`` as in the sector count of IDLE, 0 = off."""
        self.timer = code

    def tick(self) -> None:
        """Spin the drive down if the standby timer has expired."""
        seconds = timer_seconds(self.timer)
        if (
            self.power is Power.ACTIVE
            and self.traits.heeds_timer
            and seconds
            and self._clock() - self._used >= seconds
        ):
            self.spin_down("timer")

    def test_itself(self) -> None:
        """Start a self-test, which needs the platters."""
        self.use("self-test")
        self._tested_until = self._clock() + self.traits.self_test

    @property
    def testing(self) -> bool:
        """Whether a self-test runs."""
        return self._clock() < self._tested_until


def timer_seconds(code: int) -> int:
    """Seconds that a standby timer's code means (ATA8-ACS, table 53; hdparm(8), -S); 0 = none."""
    if code in _FIVE_SECONDS:
        return code * 5
    if code in _HALF_HOURS:
        return (code - 240) * 30 * 60
    return _ODD.get(code, 0)
