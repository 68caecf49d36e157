"""When the systemd timers elapse that the server is to be up for, as ``[wake] timers`` names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from powerd.board import PollResult
from powerd.clock import Clock
from powerd.config import Options
from powerd.model import POLL_INTERVALS, TIMERS, Moment, Reading, SystemdTimer
from powerd.sources.runner import PollDepth

_MIN_INTERVAL: Final = 60.0
"""Seconds between two looks, however often a timer elapses, and after a look that failed."""
_NEXT_ELAPSE_DELAY: Final = 1.0
"""Seconds after a timer's elapse systemd has its next one."""


class SystemdEyes(Protocol):
    """What has to be seen; see host/eyes.py."""

    async def list_timers(self, units: Sequence[str]) -> tuple[SystemdTimer, ...]:
        """When these systemd timers elapse next."""
        ...


class SystemdTimerSource:
    """The source "timers".

    Args:
        eyes: the host.
        clock: for the time of each look.
        options: which timers; may be replaced on reload.
    """

    name = TIMERS

    def __init__(self, eyes: SystemdEyes, clock: Clock, options: Options) -> None:
        self._eyes = eyes
        self._clock = clock
        self._poll_interval = _MIN_INTERVAL
        self.options = options

    @property
    def poll_interval(self) -> float:
        """Seconds between the starts of two looks: no later than the next elapse, which brings another."""
        return self._poll_interval

    async def poll(self, depth: PollDepth) -> PollResult:
        """Ask systemd for each timer's next elapse.

        Raises:
            HostError: systemd does not say, or knows no timer of that name.
        """
        del depth
        self._poll_interval = _MIN_INTERVAL
        now = self._clock.now()
        units = self.options.wake.timers
        timers = await self._eyes.list_timers(units) if units else ()
        ahead = [
            left + _NEXT_ELAPSE_DELAY
            for timer in timers
            for left in _seconds_to_elapses(timer, now)
            if left > 0
        ]
        self._poll_interval = max(min([*ahead, POLL_INTERVALS[TIMERS]]), _MIN_INTERVAL)
        return PollResult(Reading(now.mono, tuple(_timer_warnings(timers))), timers=timers)


def _seconds_to_elapses(timer: SystemdTimer, now: Moment) -> list[float]:
    """Seconds to each of its elapses."""
    wall = [] if timer.wall is None else [timer.wall - now.wall.timestamp()]
    return wall if timer.mono is None else [*wall, timer.mono - now.mono]


def _timer_warnings(timers: tuple[SystemdTimer, ...]) -> list[str]:
    return [
        f"{timer.unit} does not come nearer while the server sleeps, so it is not woken for it; "
        "give it OnCalendar="
        for timer in timers
        if timer.pauses_in_sleep and timer.mono is not None
    ]
