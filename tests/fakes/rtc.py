"""An RTC that answers as the kernel's does: drivers/rtc/sysfs.c and the RTC core, in a few lines."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field

EPOCH = 1_763_700_000


@dataclass
class FakeRtc:
    """Speaks through ``since_epoch`` and ``wakealarm``; the time passes by ``lag`` seconds per access.

    Attributes:
        now: its time.
        alarm: the one that stands.
        max_ahead: seconds ahead that the chip can hold; more is EINVAL.
        lag: seconds that each access takes.
        drops_alarm: takes an alarm and keeps none, as some firmware does.
        skew: seconds by which the chip misses what it was asked for.
        rival_alarm: an alarm that another program sets as soon as none stands.
        access_errno: the errno of any access from the ``after``-th on.
        log: what was written.
    """

    now: int = EPOCH
    alarm: int | None = None
    max_ahead: int = 31 * 86_400
    lag: int = 0
    drops_alarm: bool = False
    skew: int = 0
    rival_alarm: int | None = None
    access_errno: int | None = None
    fails_after: int = 0
    name: str = "rtc0"
    log: list[str] = field(default_factory=list)

    def read(self, attribute: str) -> str:
        self._access()
        if attribute == "since_epoch":
            return str(self.now)
        assert attribute == "wakealarm"
        return "" if self.alarm is None else str(self.alarm)

    def write(self, attribute: str, text: str) -> None:
        self._access()
        assert attribute == "wakealarm"
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
            self.alarm = None  # it has gone off


def _fail(code: int) -> None:
    raise OSError(code, os.strerror(code))
