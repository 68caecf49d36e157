"""The clock of a simulated server: it follows the running event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Final

from powerd.core.time import Moment

BEGIN: Final = 1_780_000_000.0
"""POSIX time at loop time 0, unless a scenario sets another one."""


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


@dataclass(slots=True)
class SimulatedClock:
    """The loop's time is CLOCK_MONOTONIC.

    Attributes:
        slept: seconds asleep so far.
        step: error of the wall clock, seconds.
        started_at: true time at loop time 0, POSIX seconds.
        zone: the zone of the wall clock.
        mono: CLOCK_MONOTONIC, seconds.
    """

    slept: float = 0.0
    step: float = 0.0
    started_at: float = BEGIN
    zone: tzinfo = UTC
    mono: Callable[[], float] = field(default=_loop_time)
    _last: Moment | None = None
    _last_setting: tuple[object, ...] = ()

    def now(self) -> Moment:
        """As KernelClock.now(); the same Moment for as long as time stands still."""
        mono = self.mono()
        setting = (mono, self.slept, self.step, self.zone)
        if self._last is None or self._last_setting != setting:
            self._last_setting = setting
            posix = self.started_at + mono + self.slept + self.step
            self._last = Moment(mono, self.slept, datetime.fromtimestamp(posix, self.zone))
        return self._last

    def true_time(self) -> float:
        """POSIX seconds of a perfect clock, as the RTC shows them."""
        return self.started_at + self.mono() + self.slept


@dataclass(slots=True)
class StoppedClock:
    """A clock that stands still."""

    def now(self) -> Moment:
        """Always the same."""
        return Moment(0.0, 0.0, datetime.fromtimestamp(BEGIN, UTC))
