"""Times of the API: RFC 3339 with offset, to whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from powerd.core.time import CLOCK_STEP_TOLERANCE, Moment


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
    return (now.wall.astimezone(UTC) + timedelta(seconds=seconds)).astimezone(now.wall.tzinfo)


def rfc3339(wall: datetime) -> str:
    """A time as the API has it."""
    return wall.isoformat(timespec="seconds")
