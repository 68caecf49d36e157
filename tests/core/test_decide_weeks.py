"""Weeks of decisions in one household, jumping from change to change; no night may be missed or broken.

The weeks contain both changes of daylight saving time; the rest of a year repeats them.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta

import pytest
from core.snapshot_strategies import BERLIN, CLIENTS, client
from facts import decide, new_snapshot
from simulation.household import sundays_at_four

from powerd.activity.model import ACTIVITY
from powerd.config.load import parse
from powerd.config.options import Options
from powerd.core.actions import CompletedAction, Sleep, WarnUsers
from powerd.core.snapshot import Memory
from powerd.core.time import Moment, Reading
from powerd.power.model import LOGIND, TIMERS, SystemdTimer
from powerd.presence.model import Observation

CONFIG = b"""
mode = "enforce"
[clients]
every = "5min"
[[sleep]]
action = "suspend"
during = ["23:00-07:00"]
idle_for = "30min"
[[sleep]]
action = "poweroff"
during = ["Mon-Fri 09:00-15:00"]
idle_for = "2h"
[wake]
at = ["07:02", "Mon-Fri 16:02"]
timers = ["backup.timer"]
"""
ROUND, DAY = 300.0, 86400.0
DAYS = 35


def at_home(true: float) -> bool:
    """Out 08:00 to 16:30 on weekdays; asleep (and the phone silent) from 23:30 to 06:45."""
    at = datetime.fromtimestamp(true, BERLIN)
    hour = at.hour + at.minute / 60
    if not 6.75 <= hour < 23.5:
        return False
    return at.weekday() >= 5 or not 8 <= hour < 16.5


@pytest.mark.long
@pytest.mark.parametrize("first", [date(2026, 3, 12), date(2026, 10, 8)])
def test_every_night_of_five_weeks(first: date) -> None:
    options: Options = parse(CONFIG, "weeks")
    begin = datetime(first.year, first.month, first.day, 20, tzinfo=BERLIN).timestamp()
    mono = slept = 0.0
    host = client(1)
    events = silent_since = 0.0
    results: dict[type, CompletedAction] = {}
    sleeps: list[tuple[str, datetime]] = []
    asleep: list[tuple[float, float]] = []

    def now() -> Moment:
        return Moment(mono, slept, datetime.fromtimestamp(begin + mono + slept, BERLIN))

    memory = Memory.initial(now())
    decisions = 0
    while mono + slept < DAYS * DAY:
        if at_home(begin + mono + slept):
            events = silent_since = mono
            observation = Observation(last_seen=events)
        else:
            observation = Observation(last_seen=events, silent_since=silent_since)
        snapshot = new_snapshot(
            sources=dict.fromkeys((CLIENTS, ACTIVITY, LOGIND, TIMERS), Reading(mono, ())),
            clients={host.id: host},
            observations={host.id: Reading(mono, observation)},
            completed_actions=dict(results),
            timers=(SystemdTimer("backup.timer", wall=sundays_at_four(begin + mono + slept)),),
        )
        decision = decide(snapshot, memory, options, now())
        memory = decision.memory
        decisions += 1
        assert decision.next_decision_at > mono
        for action in decision.actions:
            results[type(action)] = CompletedAction(action, mono, ok=True, message="done", started_at=mono)
            if isinstance(action, Sleep):
                assert not at_home(begin + mono + slept), now().wall
                assert isinstance(results[WarnUsers].action, WarnUsers)
                assert mono - results[WarnUsers].ended_at >= 60
                sleeps.append((action.sleep_action, now().wall))
                assert action.wake_time is not None
                fell = begin + mono + slept
                slept += action.wake_time.at.mono - mono  # and the alarm it is that wakes the server
                asleep.append((fell, begin + mono + slept))
        # A round's look is never late; the decision's own wish may come first.
        mono = min(max(decision.next_decision_at, mono + 1), (mono // ROUND + 1) * ROUND)

    check(sleeps, asleep, begin)
    assert decisions > 130 * DAYS


def check(sleeps: list[tuple[str, datetime]], asleep: list[tuple[float, float]], begin: float) -> None:
    """Each day its sleeps, at their hours; and up, by the alarm, for all that it had to be up for."""
    kinds = Counter(action for action, _ in sleeps)
    dates = [datetime.fromtimestamp(begin, BERLIN) + timedelta(days=n + 1) for n in range(DAYS)]
    backups = sum(each.weekday() == 6 for each in dates)
    assert kinds["suspend"] == DAYS + backups, "after a backup it goes to sleep again"
    assert kinds["poweroff"] == sum(each.weekday() < 5 for each in dates)
    for action, at in sleeps:
        hour = at.hour + at.minute / 60
        if action == "suspend" and at.weekday() == 6 and hour > 1:
            assert 4.7 <= hour <= 4.85, at  # up at 03:58, absent after three rounds, idle for 30 min
        elif action == "suspend":
            # gone at 23:30, absent after three rounds, idle for 30 min: 00:10, winter and summer
            assert 0.1 <= hour <= 0.3, at
        else:
            assert 10.1 <= hour <= 10.3, at
    woken = Counter(f"{datetime.fromtimestamp(until, BERLIN):%H:%M:%S}" for _, until in asleep)
    assert set(woken) == {"03:58:00", "07:00:00", "16:00:00"}, "to the second, on every DST night too"
    assert woken["03:58:00"] == backups
    wanted = begin
    while (wanted := sundays_at_four(wanted)) < begin + DAYS * DAY:
        assert not any(fell < wanted + 480 and wanted < until for fell, until in asleep)
