"""When something was true, and what a sensor says of it.

Civil time: windows, and adding seconds to a Moment. Aware arithmetic goes through UTC.

Python adds and subtracts datetimes of one zone as if there were no DST (PEP 495), so
``wall + timedelta`` is off by an hour across a DST night; everything here avoids that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Generic, TypeVar

from powerd.config.values import TimeWindow, WeeklyTime

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Moment:
    """One reading of the kernel's clocks.

    Attributes:
        mono: CLOCK_MONOTONIC, seconds; stands still while the machine sleeps.
        slept: CLOCK_BOOTTIME - CLOCK_MONOTONIC, seconds; grows by exactly the time asleep.
        wall: the civil time, aware; may step at any time.
    """

    mono: float
    slept: float
    wall: datetime


@dataclass(frozen=True, slots=True)
class Reading(Generic[T_co]):
    """A sensor's word: ``value`` was true at ``at``."""

    at: float
    value: T_co


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A sensor that cannot say, and why: one sentence with what, where and the remedy."""

    at: float
    reason: str


def add_seconds(now: Moment, seconds: float) -> Moment:
    """The Moment ``seconds`` of waking time after ``now``."""
    wall = (now.wall.astimezone(UTC) + timedelta(seconds=seconds)).astimezone(now.wall.tzinfo)
    return Moment(now.mono + seconds, now.slept, wall)


def is_in_windows(windows: tuple[TimeWindow, ...], local_time: datetime) -> bool:
    """Whether local time ``wall`` is in any of ``windows``; no windows = always."""
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
    """Monotonic time, ``after`` or later, at which the first of ``windows`` is open.

    A start that a DST night skips counts from the first minute that exists. None = not within the
    next eight days, which no window that has a day can be.
    """
    wall = add_seconds(now, after - now.mono).wall
    if is_in_windows(windows, wall):
        return after
    earliest = wall.timestamp()
    starts = [start for start in _window_starts(windows, wall) if start > earliest]
    return after + (min(starts) - earliest) if starts else None


def next_occurrence(time_: WeeklyTime, wall: datetime) -> float | None:
    """POSIX time of the next such time of day after ``wall``; None = it has no day.

    One that a DST night skips is the first minute that exists; of one that comes twice the first counts.
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


@lru_cache(maxsize=64)  # each day has its own
def _weekly_occurrences(time_: WeeklyTime, first: date, zone: tzinfo | None) -> tuple[float, ...]:
    """POSIX times of a time of day on each of its days, from ``first`` on for nine days."""
    at = time(time_.minute // 60, time_.minute % 60)
    days = (first + timedelta(days=ahead) for ahead in range(9))
    return tuple(next(_posix_times(day, at, zone)) for day in days if day.weekday() in time_.days)


def _window_starts(windows: tuple[TimeWindow, ...], wall: datetime) -> Iterator[float]:
    """POSIX times at which windows begin, from yesterday on for nine days; DST may repeat or skip an hour."""
    for ahead in range(-1, 9):
        day = wall.date() + timedelta(days=ahead)
        for window in windows:
            if day.weekday() in window.days:
                yield from _posix_times(day, time(window.start // 60, window.start % 60), wall.tzinfo)


def _posix_times(day: date, at: time, zone: tzinfo | None) -> Iterator[float]:
    """POSIX times of a local time: two where clocks go back, the moment of the change where it is skipped."""
    first, second = (datetime.combine(day, at.replace(fold=fold), tzinfo=zone).timestamp() for fold in (0, 1))
    if first <= second:
        yield from (first, second)
        return
    before, after = (
        second,
        first,
    )  # PEP 495: of a skipped time, fold 0 lies after the gap, and fold 1 before it
    while after - before > 1:
        middle = (before + after) // 2
        if _utc_offset(middle, zone) == _utc_offset(before, zone):
            before = middle
        else:
            after = middle
    yield after


def _utc_offset(posix: float, zone: tzinfo | None) -> timedelta | None:
    return datetime.fromtimestamp(posix, zone).utcoffset()
