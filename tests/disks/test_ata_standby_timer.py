"""The standby timer: every second of twelve hours against the table of hdparm(8)."""

from __future__ import annotations

import math
from typing import Final

import pytest

from powerd.disks.ata_standby_timer import MAX_TIMER_SECONDS, StandbyTimer, encode_timer

TABLE: Final = {
    0: 0,
    **{value: value * 5 for value in range(1, 241)},
    **{value: (value - 240) * 1800 for value in range(241, 252)},
    252: 21 * 60,
    255: 21 * 60 + 15,
}
"""The manual page's own words, value by value; what it calls vendor's and reserved is left out."""


def test_every_second_of_twelve_hours() -> None:
    """Never shorter than requested, and no longer than necessary, up to the end of the table."""
    for seconds in range(12 * 3600 + 1):
        value, really = encode_timer(seconds)
        assert TABLE[value] == really
        enough = [length for length in TABLE.values() if length >= seconds and (seconds == 0 or length > 0)]
        assert really == min(enough, default=MAX_TIMER_SECONDS), seconds


@pytest.mark.parametrize(
    ("seconds", "timer"),
    [
        (-1, (0, 0)),
        (0.1, (1, 5)),
        (600, (120, 600)),
        (601, (121, 605)),
        (1200, (240, 1200)),
        (1200.5, (252, 1260)),
        (1261, (255, 1275)),
        (1276, (241, 1800)),
        (3600, (242, 3600)),
        (3601, (243, 5400)),
        (MAX_TIMER_SECONDS, (251, MAX_TIMER_SECONDS)),
        (MAX_TIMER_SECONDS + 1, (251, MAX_TIMER_SECONDS)),
        (math.inf, (251, MAX_TIMER_SECONDS)),
    ],
)
def test_borders(seconds: float, timer: tuple[int, int]) -> None:
    assert encode_timer(seconds) == StandbyTimer(*timer)
