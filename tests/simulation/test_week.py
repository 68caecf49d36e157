"""The daemon in a simulated household for a week; each night is checked."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest
from simulation.household import BERLIN, HOUR, NIGHTLY, SimulationLog, daily, person, simulate, until_hour

from powerd.simulation.world import Household

FAMILY = [
    person("anna-phone", 11, daily(17, 8)),
    person("ben-laptop", 12, daily(18, 23.75)),
    person("tv", 13, daily(20, 22.5), icmp=False),
]


def night_owl(true: float) -> bool:
    """Present on Friday until 02:30."""
    at = datetime.fromtimestamp(true, BERLIN)
    return (at.weekday() == 4 and at.hour >= 20) or (at.weekday() == 5 and at.hour + at.minute / 60 < 2.5)


def nights(log: SimulationLog) -> dict[date, datetime]:
    """The first sleep of each night, by the date of its evening."""
    found: dict[date, datetime] = {}
    for at in log.sleep_times():
        found.setdefault((at - timedelta(hours=12)).date(), at)
    return found


@pytest.mark.long
def test_a_week_of_nightly_sleep() -> None:
    """Ben's laptop leaves at 23:45; that anna's phone is away is known by then."""
    people = [
        person("anna-phone", 11, daily(7.5, 22)),
        person("ben-laptop", 12, daily(18, 23.75)),
        person("tv", 13, daily(20, 22.5), icmp=False),
        person("guest", 14, night_owl),
    ]

    def prepare(household: Household) -> None:
        household.network_wake_at = until_hour(7)

    log = simulate(people, begin="2026-06-01 12:00", days=7, prepare=prepare)
    found = nights(log)
    assert len(found) == 7
    assert {what for _, what in log.household.performed} == {"suspend"}
    assert len(log.sleep_times()) == 7, (
        "one sleep per night: woken at 7, the server stays awake until the clients return"
    )
    for evening, at in found.items():
        gone = datetime(evening.year, evening.month, evening.day, 23, 45, tzinfo=BERLIN)
        if evening.weekday() == 4:
            gone = gone.replace(hour=2, minute=30) + timedelta(days=1)
        earliest = gone + timedelta(minutes=5 + 30)
        assert earliest - timedelta(minutes=1) <= at <= earliest + timedelta(minutes=3), evening
    assert len(log.household.broadcasts) == 7
    assert all(
        55 <= acted - announced <= 130
        for announced, (acted, _) in zip(log.household.broadcasts, log.household.performed, strict=True)
    )


@pytest.mark.long
def test_the_server_never_sleeps_while_a_phone_is_home() -> None:
    log = simulate(FAMILY, begin="2026-06-01 12:00", days=2)
    assert log.household.performed == []
    assert "anna-phone: home, answers ping" in log.reasons()


@pytest.mark.parametrize("hours", [9, -9])
@pytest.mark.long
def test_a_clock_that_is_set_while_somebody_is_home_changes_nothing(hours: int) -> None:
    def step(household: Household) -> None:
        household.clock.step = hours * HOUR

    def back(household: Household) -> None:
        household.clock.step = 0

    def prepare(household: Household) -> None:
        household.network_wake_at = until_hour(7)

    people = [person("anna", 11, daily(7, 23.5))]
    stepped = simulate(
        people, begin="2026-06-01 12:00", days=3, prepare=prepare, events=[(26, step), (32, back)]
    )
    # gone at 23:30, absent after 5 minutes, idle for 30
    assert [at.replace(minute=at.minute // 10, second=0, microsecond=0) for at in stepped.sleep_times()] == [
        datetime(2026, 6, day, tzinfo=BERLIN) for day in (2, 3, 4)
    ]


@pytest.mark.long
@pytest.mark.parametrize("hours", [9, -9])
def test_a_clock_that_is_set_while_nobody_is_home_makes_no_sleep(hours: int) -> None:
    """Away at 15:00 for the whole day; a wrong clock makes it look like the night for half an hour."""

    def step(household: Household) -> None:
        household.clock.step = hours * HOUR

    def back(household: Household) -> None:
        household.clock.step = 0

    log = simulate(
        [person("anna", 11, daily(0, 9))],
        begin="2026-06-01 08:00",
        days=0.6,
        events=[(7, step), (7.4, back)],
    )
    assert log.sleep_times() == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("begin", "eve", "shift"),
    [("2026-03-28 12:00", date(2026, 3, 28), 1), ("2026-10-24 12:00", date(2026, 10, 24), -1)],
)
def test_dst_changes_do_not_change_the_sleep(begin: str, eve: date, shift: int) -> None:
    """Home until the true hour before the clocks change; idleness is real time, not clock-face time."""
    change = datetime(eve.year, eve.month, eve.day, tzinfo=BERLIN) + timedelta(days=1)
    leaves = (change.timestamp()) + 0.75 * HOUR  # 00:45, the clocks change at 02:00 or 03:00

    log = simulate(
        [person("anna", 11, lambda true: true < leaves)],
        begin=begin,
        days=0.9,
        prepare=lambda household: setattr(household, "network_wake_at", until_hour(6.9)),
    )
    slept = [at.timestamp() for at in log.sleep_times()]
    assert slept
    assert leaves + 34 * 60 <= slept[0] <= leaves + 39 * 60
    before, after = (datetime(eve.year, eve.month, eve.day + n, tzinfo=BERLIN) for n in (0, 2))
    assert after.utcoffset() == (before.utcoffset() or timedelta()) + timedelta(hours=shift)


@pytest.mark.long
def test_a_window_in_the_dst_gap_opens_at_an_existing_time() -> None:
    """02:30 does not exist on 2026-03-29: the window from 02:30 on begins at 03:30, an hour after 01:30."""
    config = NIGHTLY.replace(b'"23:00-07:00"', b'"02:30-07:00"')
    log = simulate([person("anna", 11, daily(12, 20))], begin="2026-03-28 21:00", days=0.5, config=config)
    first = log.sleep_times()[0]
    assert first.strftime("%F %H:%M") in {"2026-03-29 03:00", "2026-03-29 03:01", "2026-03-29 03:02"}


@pytest.mark.long
def test_a_cut_cable_does_not_mean_nobody_home() -> None:
    def cut(household: Household) -> None:
        household.link_up = False

    log = simulate([person("anna", 11, daily(0, 24))], begin="2026-06-01 22:00", days=1, events=[(1, cut)])
    assert log.sleep_times() == []
    assert any("eth0: no carrier" in reason for reason in log.reasons())
    assert any("still unknown" in reason for reason in log.reasons())


@pytest.mark.long
def test_a_refused_sleep_is_tried_again_ever_less_often() -> None:
    def prepare(household: Household) -> None:
        household.logind_error = "backup (pid 7) blocks it: nightly backup"

    log = simulate([person("anna", 11, daily(8, 20))], begin="2026-06-01 21:00", days=0.4, prepare=prepare)
    calls = log.household.logind_call_times
    assert log.sleep_times() == []
    assert 5 <= len(calls) <= 14
    gaps = [round(b - a) for a, b in pairwise(calls)]
    assert all(gap >= 60 for gap in gaps)
    assert gaps[-1] > gaps[0]
    assert any(reason.startswith("sleep rule 1:") and "nightly backup" in reason for reason in log.reasons())


@pytest.mark.long
def test_after_a_wake_up_it_stays_up_for_a_while() -> None:
    def prepare(household: Household) -> None:
        household.network_wake_at = lambda asleep: asleep + 60  # a card that wakes the server at once

    log = simulate([person("anna", 11, daily(8, 20))], begin="2026-06-01 22:00", days=0.3, prepare=prepare)
    slept = log.sleep_times()
    assert len(slept) >= 2
    assert all(b - a >= timedelta(minutes=35) for a, b in pairwise(slept))


@pytest.mark.long
def test_observe_mode_reports_once_what_it_would_have_done() -> None:
    log = simulate(
        [person("anna", 11, daily(8, 20))],
        begin="2026-06-01 21:00",
        days=0.4,
        config=NIGHTLY.replace(b"enforce", b"observe"),
    )
    assert log.household.performed == []
    assert log.household.broadcasts == []
    (would,) = (reason for reason in log.reasons() if "would have" in reason)
    assert would.startswith("sleep rule 1:")
