"""The next wake time, and whether a sleep before it would be long enough.

Civil times, events of calendars and systemd's calendar timers use the wall clock, monotonic timers
CLOCK_MONOTONIC: the elapse minus the present value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple, TypeAlias

from powerd.activity.model import ActivityFacts
from powerd.config.options import Options
from powerd.core.actions import WakeTime
from powerd.core.reasons import UndatedReason, day_and_time
from powerd.core.snapshot import Snapshot
from powerd.core.time import Moment, add_seconds, next_occurrence
from powerd.power.model import TimerFacts

MIN_ALARM_DELAY: Final = 60.0
"""Seconds; a nearer alarm could be due before the machine sleeps, and the helper refuses it."""
MAX_ALARM_DELAY: Final = 27 * 86_400.0
"""Seconds. An RTC that counts no months takes an alarm less than a month ahead (drivers/rtc/rtc-cmos.c), and
February has 28 days. For a later wake time the server wakes up in between and sleeps again: otherwise nothing
might ever wake it."""


class ScheduledEvent(NamedTuple):
    """An event for which the server has to be awake, in ``ahead`` seconds."""

    ahead: float
    reason: str


def next_wake_time(snapshot: Snapshot, options: Options, now: Moment) -> WakeTime | None:
    """The wake time of a sleep that begins now; None = no alarm is needed.

    The earliest of ``[wake] at``, the configured timers and the events of calendars, less ``before``, from
    60 s to 27 days ahead.
    powerd's own work is not included: a SMART check, with or without ``smart.max_defer``, waits until the
    server is awake for another reason, because a drive that is off does not wear.
    """
    event = min(_scheduled_events(snapshot, options, now), default=None)
    if event is None:
        return None
    ahead = min(max(event.ahead - options.wake.before, MIN_ALARM_DELAY), MAX_ALARM_DELAY)
    return WakeTime(_moment_in(now, ahead), event.reason)


BusyUntil: TypeAlias = tuple[float, str]
"""The CLOCK_MONOTONIC until which the server does not sleep, and the reason."""


def current_busy_until(
    snapshot: Snapshot, previous: BusyUntil | None, options: Options, now: Moment
) -> BusyUntil | None:
    """The event that is so near that the server stays awake for it.

    Once set (``previous``), it is kept until its time is over, even after the timer has elapsed.
    """
    active = [each for each in (busy_until(snapshot, options, now), previous) if each and each[0] > now.mono]
    return max(active, default=None)


def busy_until(snapshot: Snapshot, options: Options, at: Moment) -> BusyUntil | None:
    """The event for which a server awake at ``at`` stays awake; None = a sleep would be long enough.

    It stays awake after the event as if it had slept, been woken for it, and waited for ``after_resume``.
    """
    before, stay_up_for = options.wake.before, options.awake.after_resume
    min_ahead, grace = before + options.wake.min_sleep, max(stay_up_for - before, 0.0)
    near = [event for event in _scheduled_events(snapshot, options, at, grace) if event.ahead < min_ahead]
    if not near:
        return None
    last = max(near)
    until = at.mono + last.ahead + grace
    return until, f"stays up for {last.reason} at {day_and_time(_moment_in(at, last.ahead), at)}"


def wake_remarks(snapshot: Snapshot, options: Options, now: Moment) -> Iterator[UndatedReason]:
    """A remark with the end of the next sleep."""
    event = min(_scheduled_events(snapshot, options, now), default=None)
    if event is None or event.ahead - options.wake.before < options.wake.min_sleep:
        return
    ahead = event.ahead - options.wake.before
    note = ", with wake-ups between" if ahead > MAX_ALARM_DELAY else ""
    until = f"{day_and_time(_moment_in(now, ahead), now)} at most{note}"
    yield UndatedReason("wake", f"sleeps until {until}, for {event.reason}", blocks_sleep=False)


def _scheduled_events(
    snapshot: Snapshot, options: Options, at: Moment, grace: float = 0.0
) -> Iterator[ScheduledEvent]:
    """The events ahead, or at most ``grace`` seconds in the past."""
    posix = at.wall.timestamp()
    earliest = add_seconds(at, -grace).wall if options.wake.at else at.wall
    for time in options.wake.at:
        elapses_at = next_occurrence(time, earliest)
        if elapses_at is not None:
            yield ScheduledEvent(elapses_at - posix, f"wake.at {time}")
    for timer in snapshot.part(TimerFacts).timers if options.wake.timers else ():
        stamps = [] if timer.wall is None else [timer.wall - posix]
        if timer.mono is not None and not timer.pauses_in_sleep:
            stamps.append(timer.mono - at.mono)
        yield from (ScheduledEvent(ahead, timer.unit) for ahead in stamps if ahead > -grace)
    for check, result in snapshot.part(ActivityFacts).results.items():
        for activity in result.activities:
            ahead = None if activity.wake_at is None else activity.wake_at - posix
            if ahead is not None and ahead > -grace:
                yield ScheduledEvent(ahead, f"{activity.subject} of {check}")


def _moment_in(now: Moment, ahead: float) -> Moment:
    """The time ``ahead`` seconds from now, in whole seconds, so that texts do not change."""
    wall = datetime.fromtimestamp(round(now.wall.timestamp() + ahead), now.wall.tzinfo)
    return replace(add_seconds(now, ahead), wall=wall)
