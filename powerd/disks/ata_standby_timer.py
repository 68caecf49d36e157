"""A drive's standby timer as ATA encodes it in the count of IDLE and STANDBY; hdparm(8), -S, has the table.

    0          no timer
    1-240      n x 5 s               5 s to 20 min
    241-251    (n - 240) x 30 min    30 min to 5.5 h
    252        21 min
    253, 254   vendor's own, reserved: never sent
    255        21 min 15 s

Pure.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

MAX_TIMER_SECONDS: Final = 19_800
"""Seconds: 5.5 h. No drive can be told to wait for longer."""
_UNIT_SECONDS, _MAX_UNITS = 5, 240
_HALF_HOUR_SECONDS: Final = 1800
_SPECIAL_VALUES: Final = ((252, 1260), (255, 1275))


class StandbyTimer(NamedTuple):
    """A count, and the seconds that a drive makes of it; both 0 = no timer."""

    value: int
    seconds: int


def encode_timer(seconds: float) -> StandbyTimer:
    """The shortest timer that runs for no less than ``seconds``; LONGEST where there is none.

    Args:
        seconds: 0 or less = no timer.
    """
    if seconds <= 0:
        return StandbyTimer(0, 0)
    if seconds <= _UNIT_SECONDS * _MAX_UNITS:
        units = math.ceil(seconds / _UNIT_SECONDS)
        return StandbyTimer(units, units * _UNIT_SECONDS)
    for value, special_seconds in _SPECIAL_VALUES:
        if seconds <= special_seconds:
            return StandbyTimer(value, special_seconds)
    half_hours = math.ceil(min(seconds, MAX_TIMER_SECONDS) / _HALF_HOUR_SECONDS)
    return StandbyTimer(_MAX_UNITS + half_hours, half_hours * _HALF_HOUR_SECONDS)
