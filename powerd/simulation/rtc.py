"""A simulated RTC with the rules of the kernel's sysfs files (drivers/rtc/sysfs.c)."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from typing import Final

EPOCH: Final = 1_763_700_000


@dataclass
class SimulatedRtc:
    """The files ``since_epoch`` and ``wakealarm`` of one RTC.

    Attributes:
        now: its time, POSIX seconds.
        alarm: the alarm that is set; None = none.
        max_ahead: seconds ahead that the chip can hold; a later alarm is EINVAL.
        lag: seconds that each access takes.
        drops_alarm: it accepts an alarm and stores none, as some firmware does.
        skew: seconds by which the stored alarm differs from the requested one.
        rival_alarm: an alarm that another program sets as soon as none is set.
        wakeup: the text of ``device/power/wakeup``: whether an alarm may wake the machine.
        access_errno: the errno of every access after the first ``fails_after``; None = no error.
        log: what was written.
    """

    now: int = EPOCH
    alarm: int | None = None
    max_ahead: int = 31 * 86_400
    lag: int = 0
    drops_alarm: bool = False
    skew: int = 0
    rival_alarm: int | None = None
    wakeup: str = "enabled"
    access_errno: int | None = None
    fails_after: int = 0
    name: str = "rtc0"
    log: list[str] = field(default_factory=list)

    def read(self, attribute: str) -> str:
        """The text of a file."""
        self._access()
        if attribute == "device/power/wakeup":
            return self.wakeup
        if attribute == "since_epoch":
            return str(self.now)
        return "" if self.alarm is None else str(self.alarm)

    def write(self, attribute: str, text: str) -> None:
        """Write ``wakealarm``."""
        del attribute
        self._access()
        self.log.append(text)
        wanted = int(text) + (self.now if text.startswith("+") else 0)
        if wanted <= self.now:  # the past: no alarm
            self.alarm, self.rival_alarm = self.rival_alarm, None
            return
        if self.alarm is not None:
            _fail(errno.EBUSY)
        if wanted > self.now + self.max_ahead:
            _fail(errno.EINVAL)
        self.alarm = None if self.drops_alarm else wanted + self.skew

    def _access(self) -> None:
        if self.access_errno is not None:
            self.fails_after -= 1
            if self.fails_after < 0:
                _fail(self.access_errno)
        self.now += self.lag
        if self.alarm is not None and self.alarm <= self.now:
            self.alarm = None  # it has elapsed


def _fail(code: int) -> None:
    raise OSError(code, os.strerror(code))
