"""A year of decisions in one household, jumping from change to change; no night may be missed or broken."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from policy.worlds import BERLIN, CLIENTS, client

from powerd.config import Options, parse
from powerd.model import LOGIND, Memory, Moment, Outcome, Seen, Sighting, Sleep, Snapshot, Warn
from powerd.policy import decide

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
"""
ROUND, DAY = 300.0, 86400.0


def at_home(true: float) -> bool:
    """Out 08:00 to 16:30 on weekdays; asleep (and the phone silent) from 23:30 to 06:45."""
    at = datetime.fromtimestamp(true, BERLIN)
    hour = at.hour + at.minute / 60
    if not 6.75 <= hour < 23.5:
        return False
    return at.weekday() >= 5 or not 8 <= hour < 16.5


def test_a_year() -> None:
    options: Options = parse(CONFIG, "year")
    begin = datetime(2026, 1, 1, 20, tzinfo=BERLIN).timestamp()
    mono = slept = 0.0
    host = client(1)
    heard = silent_since = 0.0
    outcomes: dict[type, Outcome] = {}
    sleeps: list[tuple[str, datetime]] = []

    def now() -> Moment:
        return Moment(mono, slept, datetime.fromtimestamp(begin + mono + slept, BERLIN))

    memory = Memory.newborn(now())
    decisions = 0
    while mono + slept < 365 * DAY:
        if at_home(begin + mono + slept):
            heard = silent_since = mono
            sighting = Sighting(heard=heard)
        else:
            sighting = Sighting(heard=heard, silent_since=silent_since)
        snapshot = Snapshot(
            {CLIENTS: Seen(mono, ()), LOGIND: Seen(mono, ())},
            {host.id: host},
            {host.id: Seen(mono, sighting)},
            outcomes=dict(outcomes),
        )
        decision = decide(snapshot, memory, options, now())
        memory = decision.memory
        decisions += 1
        assert decision.look_again > mono
        for order in decision.orders:
            outcomes[type(order)] = Outcome(order, mono, ok=True, observed="done", begun=mono)
            if isinstance(order, Sleep):
                assert not at_home(begin + mono + slept), now().wall
                assert isinstance(outcomes[Warn].order, Warn)
                assert mono - outcomes[Warn].at >= 60
                sleeps.append((order.action, now().wall))
                wakes = now().wall.replace(hour=7 if order.action == "suspend" else 16, minute=0, second=0)
                if wakes <= now().wall:
                    wakes = (now().wall + timedelta(days=1)).replace(hour=7, minute=0, second=0)
                slept += wakes.timestamp() - now().wall.timestamp()
        # A round's look is never late; the decision's own wish may come first.
        mono = min(max(decision.look_again, mono + 1), (mono // ROUND + 1) * ROUND)

    kinds = Counter(action for action, _ in sleeps)
    assert kinds["suspend"] == 365
    assert kinds["poweroff"] == sum(
        (datetime(2026, 1, 2, tzinfo=BERLIN) + timedelta(days=n)).weekday() < 5 for n in range(365)
    )
    for action, at in sleeps:
        hour = at.hour + at.minute / 60
        if action == "suspend":
            assert 0 <= hour <= 0.2, (
                at
            )  # gone at 23:30, absent at 23:35, idle for 30 min: 00:05, winter and summer
        else:
            assert 10 <= hour <= 10.2, at
    assert decisions > 50_000
