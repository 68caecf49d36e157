"""The standby timer of a drive as ATA encodes it in the count of IDLE and STANDBY (hdparm(8), -S).

0          no timer
1-240      n x 5 s               5 s to 20 min
241-251    (n - 240) x 30 min    30 min to 5.5 h
252        21 min
253, 254   vendor specific and reserved; powerd never sends them
255        21 min 15 s
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

MAX_TIMER_SECONDS: Final = 19_800
"""5.5 h, the longest time that the encoding holds."""
_UNIT_SECONDS, _MAX_UNITS = 5, 240
_HALF_HOUR_SECONDS: Final = 1800
_SPECIAL_VALUES: Final = ((252, 1260), (255, 1275))


class StandbyTimer(NamedTuple):
    """A count and the seconds that it means; both 0 = no timer."""

    value: int
    seconds: int


def encode_timer(seconds: float) -> StandbyTimer:
    """The shortest timer of at least ``seconds``, MAX_TIMER_SECONDS at most.

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
