"""When the server has to be up again, and whether it is worth going to sleep before.

Civil times and systemd's calendar timers count on the wall clock, its monotonic timers on CLOCK_MONOTONIC:
the stamp less *now's*, however long the server has been up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple, TypeAlias

from powerd.config.options import Options
from powerd.core.actions import WakeTime
from powerd.core.reasons import UndatedReason, day_and_time
from powerd.core.snapshot import Snapshot
from powerd.core.time import Moment, add_seconds, next_occurrence
from powerd.power.model import TimerFacts

MIN_ALARM_DELAY: Final = 60.0
"""Seconds; a nearer alarm could go off while the machine is falling asleep, and the helper refuses it."""
MAX_ALARM_DELAY: Final = 27 * 86_400.0
"""Seconds. An RTC that counts no months takes an alarm less than a month ahead (drivers/rtc/rtc-cmos.c), and
February has 28 days. For what is farther off the server wakes up in between, and goes to sleep again: not to
be up for it would be worse, as nothing else may ever wake the server."""


class ScheduledEvent(NamedTuple):
    """Something that the server is to be up for, ``ahead`` seconds from the moment that was asked about."""

    ahead: float
    reason: str


def next_wake_time(snapshot: Snapshot, options: Options, now: Moment) -> WakeTime | None:
    """When an alarm has to bring the server back should it fall asleep now; None = nothing asks for that.

    The earliest of ``[wake] at`` and the timers asked for, less ``before``, and from 60 s to 27 days ahead.
    No duty of powerd's own is among them: a check of a drive's health, ``smart.max_defer`` or not, waits
    until the server is up for something else, for a drive that is off does not wear.
    """
    event = min(_scheduled_events(snapshot, options, now), default=None)
    if event is None:
        return None
    ahead = min(max(event.ahead - options.wake.before, MIN_ALARM_DELAY), MAX_ALARM_DELAY)
    return WakeTime(_moment_in(now, ahead), event.reason)


BusyUntil: TypeAlias = tuple[float, str]
"""The CLOCK_MONOTONIC until which the server does not go to sleep, and why."""


def current_busy_until(
    snapshot: Snapshot, previous: BusyUntil | None, options: Options, now: Moment
) -> BusyUntil | None:
    """What is so near that the server stays up for it.

    Once it has become so, ``before``, it stands until its time is over, though the timer has elapsed and is
    heard of no more.
    """
    active = [each for each in (busy_until(snapshot, options, now), previous) if each and each[0] > now.mono]
    return max(active, default=None)


def busy_until(snapshot: Snapshot, options: Options, at: Moment) -> BusyUntil | None:
    """What a server that is up at ``at`` stays up for; None = a sleep from then on would be long enough.

    As long after the event as if it had been asleep, woken for it, and kept awake by ``after_resume``.
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
    """When a sleep would end, for people."""
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
    """All that is ahead, or ``past`` for no longer than so many seconds."""
    posix, earliest = at.wall.timestamp(), add_seconds(at, -grace).wall
    for time in options.wake.at:
        elapses_at = next_occurrence(time, earliest)
        if elapses_at is not None:
            yield ScheduledEvent(elapses_at - posix, f"wake.at {time}")
    for timer in snapshot.part(TimerFacts).timers if options.wake.timers else ():
        stamps = [] if timer.wall is None else [timer.wall - posix]
        if timer.mono is not None and not timer.pauses_in_sleep:
            stamps.append(timer.mono - at.mono)
        yield from (ScheduledEvent(ahead, timer.unit) for ahead in stamps if ahead > -grace)


def _moment_in(now: Moment, ahead: float) -> Moment:
    """The moment so many seconds from now, to a whole second of the wall clock: a text must not flicker."""
    wall = datetime.fromtimestamp(round(now.wall.timestamp() + ahead), now.wall.tzinfo)
    return replace(add_seconds(now, ahead), wall=wall)
