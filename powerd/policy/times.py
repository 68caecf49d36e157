"""Civil time: windows, and adding seconds to a Moment. Aware arithmetic goes through UTC.

Python adds and subtracts datetimes of one zone as if there were no DST (PEP 495), so
``wall + timedelta`` is off by an hour across a DST night; everything here avoids that.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

from powerd.config import Window
from powerd.model import Moment


def later(now: Moment, seconds: float) -> Moment:
    """The Moment ``seconds`` of waking time after ``now``."""
    wall = (now.wall.astimezone(UTC) + timedelta(seconds=seconds)).astimezone(now.wall.tzinfo)
    return Moment(now.mono + seconds, now.slept, wall)


def inside(windows: tuple[Window, ...], wall: datetime) -> bool:
    """Whether local time ``wall`` is in any of ``windows``; no windows = always."""
    minute = wall.hour * 60 + wall.minute
    today, yesterday = wall.weekday(), (wall.weekday() - 1) % 7
    return not windows or any(
        (today in window.days and window.start <= minute < window.end)
        if window.start < window.end
        else (today in window.days and minute >= window.start)
        or (yesterday in window.days and minute < window.end)
        for window in windows
    )


def opens(windows: tuple[Window, ...], now: Moment, after: float) -> float | None:
    """Monotonic time, ``after`` or later, at which the first of ``windows`` is open.

    A start that a DST night skips counts from the first minute that exists. None = not within the
    next eight days, which no window that has a day can be.
    """
    wall = later(now, after - now.mono).wall
    if inside(windows, wall):
        return after
    begin = wall.timestamp()
    starts = [start for start in _starts(windows, wall) if start > begin]
    return after + (min(starts) - begin) if starts else None


def _starts(windows: tuple[Window, ...], wall: datetime) -> Iterator[float]:
    """POSIX times at which windows begin, from yesterday on for nine days; DST may repeat or skip an hour."""
    for ahead in range(-1, 9):
        day = wall.date() + timedelta(days=ahead)
        for window in windows:
            if day.weekday() in window.days:
                at = time(window.start // 60, window.start % 60)
                for fold in (0, 1):
                    yield datetime.combine(day, at.replace(fold=fold), tzinfo=wall.tzinfo).timestamp()
