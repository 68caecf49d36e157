"""Moments, readings of sensors, and civil time: time windows and weekly times.

Python adds and subtracts datetimes of one time zone as if there were no DST (PEP 495), so
``wall + timedelta`` is wrong by an hour across a change to or from DST. The functions here calculate in UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Final, Generic, TypeVar

from powerd.config.values import TimeWindow, WeeklyTime
from powerd.core.dataclass import dataclass

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Moment:
    """One reading of the kernel's clocks.

    Attributes:
        mono: CLOCK_MONOTONIC, seconds; stops while the machine sleeps.
        slept: CLOCK_BOOTTIME - CLOCK_MONOTONIC, seconds; grows by exactly the time asleep.
        wall: the civil time, timezone-aware; may step at any time.
    """

    mono: float
    slept: float
    wall: datetime


@dataclass(frozen=True, slots=True)
class Reading(Generic[T_co]):
    """A reading of a sensor: ``value`` was true at CLOCK_MONOTONIC ``at``."""

    at: float
    value: T_co


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A sensor that has no reading; ``reason`` is one sentence with what, where and the remedy."""

    at: float
    reason: str


CLOCK_STEP_TOLERANCE: Final = 2.0
"""Seconds; a wall clock that is off by more was set, and not slewed by NTP."""
MIN_SLEEP: Final = 0.01
"""Seconds; no real sleep is this short, and clock.py reads BOOTTIME and MONOTONIC within a millisecond."""
CLOCK_SETTLE_TIME: Final = 600.0
"""Seconds after the boot from which a plausible wall clock is believed although it is not synchronised.

A server without NTP has a real-time clock, and NTP needs less time. Of the NTP clients only systemd-timesyncd
reports that it has set the clock.
"""
_EARLIEST_PLAUSIBLE: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""A clock without a battery starts in 1970, or at the time of a file of the distribution."""


def is_clock_believable(now: Moment, *, synchronised: bool) -> bool:
    """Whether the wall clock may be believed: it is synchronised, or plausible and the boot is long ago."""
    return synchronised or (is_clock_plausible(now) and now.mono + now.slept >= CLOCK_SETTLE_TIME)


def is_clock_plausible(now: Moment) -> bool:
    """Whether the wall clock may be right."""
    return now.wall >= _EARLIEST_PLAUSIBLE


def add_seconds(now: Moment, seconds: float) -> Moment:
    """The Moment that is ``seconds`` after ``now`` if the server does not sleep in between."""
    wall = (now.wall.astimezone(UTC) + timedelta(seconds=seconds)).astimezone(now.wall.tzinfo)
    return Moment(now.mono + seconds, now.slept, wall)


def timestamp(moment: Moment, now: Moment) -> str:
    """The wall clock time of ``moment``, by the present setting of the wall clock.

    If the wall clock has been set since then, the time is computed from the monotonic clock. A board without
    a battery starts in 1970 and gets the time from the network.
    """
    seconds_ago = (now.mono + now.slept) - (moment.mono + moment.slept)
    adjusted = now.wall.astimezone(UTC) - timedelta(seconds=seconds_ago)
    if abs((adjusted - moment.wall.astimezone(UTC)).total_seconds()) <= CLOCK_STEP_TOLERANCE:
        return rfc3339(moment.wall)
    return rfc3339(adjusted.astimezone(now.wall.tzinfo))


def wall_time_after(seconds: float, now: Moment) -> datetime:
    """The wall clock time in ``seconds`` from now."""
    return add_seconds(now, seconds).wall


def rfc3339(wall: datetime) -> str:
    """A time as the API has it: RFC 3339 with offset, to whole seconds."""
    return wall.isoformat(timespec="seconds")


def is_in_windows(windows: tuple[TimeWindow, ...], local_time: datetime) -> bool:
    """Whether ``local_time`` is in one of ``windows``; without windows always."""
    minute = local_time.hour * 60 + local_time.minute
    today, yesterday = local_time.weekday(), (local_time.weekday() - 1) % 7
    return not windows or any(
        (today in window.days and window.start <= minute < window.end)
        if window.start < window.end
        else (today in window.days and minute >= window.start)
        or (yesterday in window.days and minute < window.end)
        for window in windows
    )


def next_opening(windows: tuple[TimeWindow, ...], now: Moment, after: float) -> float | None:
    """The CLOCK_MONOTONIC time, ``after`` or later, at which the first of ``windows`` is open.

    A window that starts in an hour skipped by DST opens at the first minute after the gap. None = no window
    opens within eight days, because none has a day.
    """
    wall = add_seconds(now, after - now.mono).wall
    if is_in_windows(windows, wall):
        return after
    earliest = wall.timestamp()
    starts = [start for start in _window_starts(windows, wall) if start > earliest]
    return after + (min(starts) - earliest) if starts else None


def next_occurrence(time_: WeeklyTime, wall: datetime) -> float | None:
    """The POSIX time of the next occurrence after ``wall``; None = the weekly time has no day.

    A time skipped by DST occurs at the first minute after the gap; of a repeated time the first counts.
    """
    now = wall.timestamp()
    return next(
        (
            occurrence
            for occurrence in _weekly_occurrences(time_, wall.date(), wall.tzinfo)
            if occurrence > now
        ),
        None,
    )


@lru_cache(maxsize=64)  # one entry for each day and weekly time
def _weekly_occurrences(time_: WeeklyTime, first: date, zone: tzinfo | None) -> tuple[float, ...]:
    """The POSIX times of a weekly time in the nine days from ``first``."""
    at = time(time_.minute // 60, time_.minute % 60)
    days = (first + timedelta(days=ahead) for ahead in range(9))
    return tuple(next(_posix_times(day, at, zone)) for day in days if day.weekday() in time_.days)


def _window_starts(windows: tuple[TimeWindow, ...], wall: datetime) -> Iterator[float]:
    """The POSIX times at which windows start, in ten days from yesterday; DST may repeat or skip an hour."""
    for ahead in range(-1, 9):
        day = wall.date() + timedelta(days=ahead)
        for window in windows:
            if day.weekday() in window.days:
                yield from _posix_times(day, time(window.start // 60, window.start % 60), wall.tzinfo)


def _posix_times(day: date, at: time, zone: tzinfo | None) -> Iterator[float]:
    """The POSIX times of a local time: two if DST repeats it, the end of the gap if DST skips it."""
    first, second = (datetime.combine(day, at.replace(fold=fold), tzinfo=zone).timestamp() for fold in (0, 1))
    if first <= second:
        yield from (first, second)
        return
    # PEP 495: fold 0 of a skipped time lies after the gap, fold 1 before it.
    before, after = second, first
    while after - before > 1:
        middle = (before + after) // 2
        if _utc_offset(middle, zone) == _utc_offset(before, zone):
            before = middle
        else:
            after = middle
    yield after


def _utc_offset(posix: float, zone: tzinfo | None) -> timedelta | None:
    return datetime.fromtimestamp(posix, zone).utcoffset()
