from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from core.snapshot_strategies import BERLIN, windows
from hypothesis import given
from hypothesis import strategies as st

from powerd.config.values import TimeWindow, parse_window
from powerd.core.time import Moment, add_seconds, is_clock_believable, is_in_windows, next_opening

LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
ZONES = [BERLIN, LORD_HOWE, ZoneInfo("America/St_Johns"), ZoneInfo("UTC")]


def at(text: str, zone: ZoneInfo = BERLIN) -> Moment:
    """A moment at a local time; ``text`` may end in ``+01:00`` to tell two apart."""
    wall = datetime.fromisoformat(text)
    wall = wall.replace(tzinfo=zone) if wall.tzinfo is None else wall.astimezone(zone)
    return Moment(1000.0, 0.0, wall)


def opening(window: str, now: Moment, after: float = 0.0) -> str:
    """When the window opens, in local time with its offset."""
    seconds = next_opening((parse_window(window),), now, now.mono + after)
    assert seconds is not None
    return add_seconds(now, seconds - now.mono).wall.isoformat(timespec="minutes")


@pytest.mark.parametrize(
    ("window", "wall", "expected"),
    [
        ("00:00-08:00", "2026-06-01 00:00", True),
        ("00:00-08:00", "2026-06-01 07:59:59", True),
        ("00:00-08:00", "2026-06-01 08:00", False),
        ("22:00-06:00", "2026-06-01 21:59", False),
        ("22:00-06:00", "2026-06-01 22:00", True),
        ("22:00-06:00", "2026-06-01 05:59", True),
        ("22:00-06:00", "2026-06-01 06:00", False),
        ("Mon 22:00-06:00", "2026-06-01 23:00", True),  # a Monday
        ("Mon 22:00-06:00", "2026-06-02 05:00", True),  # the night that began on it
        ("Mon 22:00-06:00", "2026-06-01 05:00", False),  # the night that began on Sunday
        ("Sun 22:00-06:00", "2026-06-01 05:00", True),
        ("Sat,Sun 09:00-12:00", "2026-06-01 10:00", False),
        ("Mon 09:00-12:00", "2026-06-01 10:00", True),
        ("20:00-24:00", "2026-06-01 23:59", True),
        ("20:00-24:00", "2026-06-02 00:00", False),
    ],
)
def test_what_is_inside_a_window(window: str, wall: str, *, expected: bool) -> None:
    assert is_in_windows((parse_window(window),), datetime.fromisoformat(wall)) is expected


def test_no_windows_are_always() -> None:
    now = at("2026-06-01 12:00")
    assert is_in_windows((), now.wall)
    assert next_opening((), now, now.mono + 5) == now.mono + 5


@pytest.mark.parametrize(
    ("window", "now", "expected"),
    [
        ("02:00-08:00", "2026-06-01 03:00", "2026-06-01T03:00+02:00"),
        ("02:00-08:00", "2026-06-01 12:00", "2026-06-02T02:00+02:00"),
        ("Mon 02:00-08:00", "2026-06-01 12:00", "2026-06-08T02:00+02:00"),
        ("Mon 23:00-02:00", "2026-06-02 03:00", "2026-06-08T23:00+02:00"),
        ("Sat 02:00-08:00", "2026-06-01 03:00", "2026-06-06T02:00+02:00"),
        # 2026-03-29, 02:00 -> 03:00: 02:30 is skipped, and the first minute after it that exists is 03:00
        ("02:30-07:00", "2026-03-29 01:00", "2026-03-29T03:00+02:00"),
        ("02:00-07:00", "2026-03-29 01:00", "2026-03-29T03:00+02:00"),
        ("03:00-07:00", "2026-03-29 01:00", "2026-03-29T03:00+02:00"),
        # 2026-10-25, 03:00 -> 02:00: 02:30 is there twice, and the window opens twice
        ("02:30-02:45", "2026-10-25 01:00", "2026-10-25T02:30+02:00"),
        ("02:30-02:45", "2026-10-25T02:50+02:00", "2026-10-25T02:30+01:00"),
    ],
)
def test_when_a_window_opens(window: str, now: str, expected: str) -> None:
    assert opening(window, at(now)) == expected


def test_a_zone_may_skip_half_an_hour() -> None:
    """Lord Howe Island: 02:00 -> 02:30 on 2026-10-04."""
    now = at("2026-10-04 01:00", LORD_HOWE)
    assert opening("02:10-06:00", now) == "2026-10-04T02:30+11:00"


def test_a_window_is_sought_from_the_time_asked_for() -> None:
    assert opening("02:00-08:00", at("2026-06-01 01:00"), after=10 * 3600) == "2026-06-02T02:00+02:00"


def test_a_window_without_days_never_opens() -> None:
    now = at("2026-06-01 12:00")
    assert next_opening((TimeWindow(frozenset(), 0, 60),), now, now.mono) is None


@given(
    st.lists(windows, min_size=1, max_size=2).map(tuple),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis makes them aware
    st.sampled_from(ZONES),
)
def test_it_is_open_when_it_opens(rows: tuple[TimeWindow, ...], wall: datetime, zone: ZoneInfo) -> None:
    """Never a moment at which it is shut; one that DST skips altogether is the one exception."""
    now = Moment(0.0, 0.0, wall.astimezone(zone))
    seconds = next_opening(rows, now, now.mono)
    assert seconds is not None
    assert seconds >= 0
    opened = add_seconds(now, seconds).wall
    skips = min(row.end - row.start for row in rows) in range(61)
    assert is_in_windows(rows, opened) or skips


def test_seconds_are_real_seconds_across_a_change_of_the_clocks() -> None:
    now = at("2026-03-29 01:30")
    then = add_seconds(now, 3600.0)
    assert then.wall.isoformat() == "2026-03-29T03:30:00+02:00"
    assert (then.mono, then.slept) == (4600.0, 0.0)


@pytest.mark.parametrize(
    ("year", "uptime", "believable"),
    [(2026, 599.0, False), (2026, 600.0, True), (2040, 600.0, True), (2025, 6e6, False), (1970, 6e6, False)],
)
def test_when_a_clock_that_is_not_synchronised_is_believable(
    year: int, uptime: float, *, believable: bool
) -> None:
    now = Moment(uptime - 100, 100.0, datetime(year, 6, 1, tzinfo=UTC))
    assert is_clock_believable(now, synchronised=False) is believable
    assert is_clock_believable(now, synchronised=True)
