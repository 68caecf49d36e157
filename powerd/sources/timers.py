"""When the systemd timers elapse that the server is to be up for, as ``[wake] timers`` names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from powerd.board import Facts
from powerd.clock import Clock
from powerd.config import Options
from powerd.model import RHYTHM, TIMERS, Moment, Seen, Timer
from powerd.sources.runner import Extent

_LEAST: Final = 60.0
"""Seconds between two looks, however often a timer elapses, and after a look that failed."""
_AFTER: Final = 1.0
"""Seconds after a timer's elapse systemd has its next one."""


class Eyes(Protocol):
    """What has to be seen; see host/eyes.py."""

    async def timers(self, units: Sequence[str]) -> tuple[Timer, ...]:
        """When these systemd timers elapse next."""
        ...


class Timers:
    """The source "timers".

    Args:
        eyes: the host.
        clock: for the time of each look.
        options: which timers; may be replaced on reload.
    """

    name = TIMERS

    def __init__(self, eyes: Eyes, clock: Clock, options: Options) -> None:
        self._eyes = eyes
        self._clock = clock
        self._every = _LEAST
        self.options = options

    @property
    def every(self) -> float:
        """Seconds between the starts of two looks: no later than the next elapse, which brings another."""
        return self._every

    async def look(self, extent: Extent) -> Facts:
        """Ask systemd for each timer's next elapse.

        Raises:
            HostError: systemd does not say, or knows no timer of that name.
        """
        del extent
        self._every = _LEAST
        now = self._clock.now()
        units = self.options.wake.timers
        timers = await self._eyes.timers(units) if units else ()
        ahead = [left + _AFTER for timer in timers for left in _left(timer, now) if left > 0]
        self._every = max(min([*ahead, RHYTHM[TIMERS]]), _LEAST)
        return Facts(Seen(now.mono, tuple(_warnings(timers))), timers=timers)


def _left(timer: Timer, now: Moment) -> list[float]:
    """Seconds to each of its elapses."""
    wall = [] if timer.wall is None else [timer.wall - now.wall.timestamp()]
    return wall if timer.mono is None else [*wall, timer.mono - now.mono]


def _warnings(timers: tuple[Timer, ...]) -> list[str]:
    return [
        f"{timer.unit} does not come nearer while the server sleeps, so it is not woken for it; "
        "give it OnCalendar="
        for timer in timers
        if timer.pauses and timer.mono is not None
    ]
