"""When the server has to be up again, and whether it is worth going to sleep before.

Civil times and systemd's calendar timers count on the wall clock, its monotonic timers on CLOCK_MONOTONIC:
the stamp less *now's*, however long the server has been up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple, TypeAlias

from powerd.config import Options
from powerd.model import Moment, Snapshot, Wake
from powerd.policy.times import later, next_time
from powerd.policy.why import Why, day_and_time

SOONEST: Final = 60.0
"""Seconds; a nearer alarm could go off while the machine is falling asleep, and the helper refuses it."""
FARTHEST: Final = 27 * 86_400.0
"""Seconds. An RTC that counts no months takes an alarm less than a month ahead (drivers/rtc/rtc-cmos.c), and
February has 28 days. For what is farther off the server wakes up in between, and goes to sleep again: not to
be up for it would be worse, as nothing else may ever wake the server."""


class Event(NamedTuple):
    """Something that the server is to be up for, ``ahead`` seconds from the moment that was asked about."""

    ahead: float
    because: str


def next_wake(snapshot: Snapshot, options: Options, now: Moment) -> Wake | None:
    """When an alarm has to bring the server back should it fall asleep now; None = nothing asks for that.

    The earliest of ``[wake] at`` and the timers asked for, less ``before``, and from 60 s to 27 days ahead.
    No duty of powerd's own is among them: a check of a drive's health, ``smart.max_defer`` or not, waits
    until the server is up for something else, for a drive that is off does not wear.
    """
    event = min(_events(snapshot, options, now), default=None)
    if event is None:
        return None
    ahead = min(max(event.ahead - options.wake.before, SOONEST), FARTHEST)
    return Wake(_in(now, ahead), event.because)


Duty: TypeAlias = tuple[float, str]
"""The CLOCK_MONOTONIC until which the server does not go to sleep, and why."""


def on_duty(snapshot: Snapshot, before: Duty | None, options: Options, now: Moment) -> Duty | None:
    """What is so near that the server stays up for it.

    Once it has become so, ``before``, it stands until its time is over, though the timer has elapsed and is
    heard of no more.
    """
    lasting = [each for each in (duty(snapshot, options, now), before) if each and each[0] > now.mono]
    return max(lasting, default=None)


def duty(snapshot: Snapshot, options: Options, at: Moment) -> Duty | None:
    """What a server that is up at ``at`` stays up for; None = a sleep from then on would be long enough.

    As long after the event as if it had been asleep, woken for it, and kept awake by ``after_resume``.
    """
    before, stays = options.wake.before, options.awake.after_resume
    least, past = before + options.wake.min_sleep, max(stays - before, 0.0)
    near = [event for event in _events(snapshot, options, at, past) if event.ahead < least]
    if not near:
        return None
    last = max(near)
    until = at.mono + last.ahead + past
    return until, f"stays up for {last.because} at {day_and_time(_in(at, last.ahead), at)}"


def announced(snapshot: Snapshot, options: Options, now: Moment) -> Iterator[Why]:
    """When a sleep would end, for people."""
    event = min(_events(snapshot, options, now), default=None)
    if event is None or event.ahead - options.wake.before < options.wake.min_sleep:
        return
    ahead = event.ahead - options.wake.before
    between = ", with wake-ups between" if ahead > FARTHEST else ""
    until = f"{day_and_time(_in(now, ahead), now)} at most{between}"
    yield Why("wake", f"sleeps until {until}, for {event.because}", keeps_awake=False)


def _events(snapshot: Snapshot, options: Options, at: Moment, past: float = 0.0) -> Iterator[Event]:
    """All that is ahead, or ``past`` for no longer than so many seconds."""
    posix, begin = at.wall.timestamp(), later(at, -past).wall
    for time in options.wake.at:
        when = next_time(time, begin)
        if when is not None:
            yield Event(when - posix, f"wake.at {time}")
    for timer in snapshot.timers if options.wake.timers else ():
        stamps = [] if timer.wall is None else [timer.wall - posix]
        if timer.mono is not None and not timer.pauses:
            stamps.append(timer.mono - at.mono)
        yield from (Event(ahead, timer.unit) for ahead in stamps if ahead > -past)


def _in(now: Moment, ahead: float) -> Moment:
    """The moment so many seconds from now, to a whole second of the wall clock: a text must not flicker."""
    wall = datetime.fromtimestamp(round(now.wall.timestamp() + ahead), now.wall.tzinfo)
    return replace(later(now, ahead), wall=wall)
