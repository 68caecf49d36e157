"""When the server has to be up again, and what it stays up for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from core.snapshot_strategies import BERLIN, T0, moment, timer_facts, timers_in, wake_options
from facts import changed, new_snapshot
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from power.decision_scenario import SLEEP, SUSPEND, WARN, DecisionScenario, reasons, subjects
from rig.examples import examples

from powerd.activity.model import Activity, ActivityFacts, CheckId, CheckResult, CheckState
from powerd.config.load import parse
from powerd.config.options import Options
from powerd.core.actions import Sleep
from powerd.core.snapshot import Snapshot
from powerd.core.time import Moment, Reading, Unavailable, add_seconds
from powerd.power.model import LOGIND, PowerReport, SleepMemory, SystemdTimer
from powerd.power.wake_schedule import (
    MAX_ALARM_DELAY,
    MIN_ALARM_DELAY,
    busy_until,
    current_busy_until,
    next_wake_time,
    wake_remarks,
)

DAY = 86_400.0


def at(text: str, zone: ZoneInfo = BERLIN, **more: float) -> Moment:
    return moment(wall=datetime.fromisoformat(text).replace(tzinfo=zone), **more)


def options(wake: str) -> Options:
    return parse(f"[wake]\n{wake}".encode(), "test")


def up_at(now: Moment, wake: str, *timers: SystemdTimer) -> str | None:
    """The wall clock at which the alarm elapses, and why."""
    found = next_wake_time(new_snapshot(timers=timers), options(wake), now)
    return None if found is None else f"{found.at.wall:%F %T} {found.reason}"


@pytest.mark.parametrize(
    ("wake", "alarm"),
    [
        ("", None),
        ('at = ["06:30"]', "2026-06-02 06:28:00 wake.at 06:30"),
        ('at = ["06:30"]\nbefore = "0s"', "2026-06-02 06:30:00 wake.at 06:30"),
        ('at = ["22:30"]', "2026-06-01 22:28:00 wake.at 22:30"),
        ('at = ["22:00"]', "2026-06-02 21:58:00 wake.at 22:00"),
        ('at = ["Sat,Sun 09:00"]', "2026-06-06 08:58:00 wake.at Sat,Sun 09:00"),
        ('at = ["Mon 22:00"]', "2026-06-08 21:58:00 wake.at Mon 22:00"),
        ('at = ["Sat 09:00", "06:30"]', "2026-06-02 06:28:00 wake.at 06:30"),
        ('at = ["06:30"]\nbefore = "1h"', "2026-06-02 05:30:00 wake.at 06:30"),
        ('at = ["22:00", "22:01"]', "2026-06-01 22:01:00 wake.at 22:01"),
    ],
)
def test_wake_at(wake: str, alarm: str | None) -> None:
    """It is Monday, 22:00; a time that has come is the next day's."""
    assert up_at(at("2026-06-01 22:00"), wake) == alarm


@pytest.mark.parametrize(
    ("evening", "time", "alarm"),
    [
        ("2026-03-28 22:00", "02:30", "2026-03-29 03:00:00 CEST"),  # 02:30 is skipped: from 02:00 it is 03:00
        ("2026-03-28 22:00", "03:30", "2026-03-29 03:30:00 CEST"),
        ("2026-10-24 22:00", "02:30", "2026-10-25 02:30:00 CEST"),  # comes twice: the first counts
        ("2026-10-24 22:00", "03:30", "2026-10-25 03:30:00 CET"),
        ("2026-03-28 22:00", "06:30", "2026-03-29 06:30:00 CEST"),
    ],
)
def test_wake_at_on_days_of_a_dst_change(evening: str, time: str, alarm: str) -> None:
    now = at(evening)
    found = next_wake_time(Snapshot(), options(f'at = ["{time}"]\nbefore = "0s"'), now)
    assert found is not None
    assert f"{found.at.wall:%F %T %Z}" == alarm
    assert found.at.mono - now.mono == found.at.wall.timestamp() - now.wall.timestamp()


def test_after_the_first_of_two_comes_the_next_day_s() -> None:
    second = at("2026-10-25 02:10")
    second = replace(second, wall=second.wall.replace(fold=1))
    assert up_at(second, 'at = ["02:30"]\nbefore = "0s"') == "2026-10-26 02:30:00 wake.at 02:30"


def test_a_time_of_no_day_never_comes() -> None:
    rows = options('at = ["06:30"]')
    never = replace(rows.wake.at[0], days=frozenset())
    assert next_wake_time(Snapshot(), replace(rows, wake=replace(rows.wake, at=(never,))), moment()) is None


BACKUP = 'timers = ["backup.timer"]'
IN_AN_HOUR = moment().wall.timestamp() + 3600


def test_a_monotonic_timer_is_not_late_by_the_uptime() -> None:
    """systemd gives a stamp of CLOCK_MONOTONIC, not a distance."""
    found = next_wake_time(
        new_snapshot(timers=(SystemdTimer("backup.timer", mono=T0 + 3600),)), options(BACKUP), moment(T0)
    )
    assert found is not None
    assert found.at.mono == T0 + 3600 - 120
    assert found.at.wall == moment(T0 + 3480).wall


@pytest.mark.parametrize(
    ("timer", "ahead"),
    [
        (SystemdTimer("backup.timer", wall=IN_AN_HOUR), 3480),
        (SystemdTimer("backup.timer", wall=IN_AN_HOUR, mono=T0 + 1800), 1680),
        (SystemdTimer("backup.timer", wall=IN_AN_HOUR, mono=T0 + 1800, pauses_in_sleep=True), 3480),
        (SystemdTimer("backup.timer", mono=T0 + 1800, pauses_in_sleep=True), None),
        (SystemdTimer("backup.timer"), None),
        (SystemdTimer("backup.timer", wall=IN_AN_HOUR - 3600), None),
        (SystemdTimer("backup.timer", wall=IN_AN_HOUR - 7200, mono=T0 - 1), None),
        (SystemdTimer("backup.timer", wall=IN_AN_HOUR - 3540), MIN_ALARM_DELAY),
        (SystemdTimer("backup.timer", wall=IN_AN_HOUR + 90 * DAY), MAX_ALARM_DELAY),
    ],
)
def testtimers_in(timer: SystemdTimer, ahead: float | None) -> None:
    found = next_wake_time(new_snapshot(timers=(timer,)), options(BACKUP), moment())
    assert (None if found is None else found.at.mono - T0) == ahead
    assert found is None or found.reason == "backup.timer"


@pytest.mark.parametrize(
    ("ahead", "alarm_ahead"), [(3600, 3480), (90, MIN_ALARM_DELAY), (0, None), (90 * DAY, MAX_ALARM_DELAY)]
)
def test_an_event_of_a_calendar_wakes_up(ahead: float, alarm_ahead: float | None) -> None:
    event = Activity("Backup", "is planned", keeps_awake=False, wake_at=moment().wall.timestamp() + ahead)
    other = Activity("Film", "is in the calendar", keeps_awake=False)
    result = CheckResult(T0, CheckState.MEASURED, (other, event))
    snapshot = Snapshot().with_parts(ActivityFacts({CheckId("calendar:home"): result}))
    found = next_wake_time(snapshot, options(""), moment())
    assert (None if found is None else found.at.mono - T0) == alarm_ahead
    assert found is None or found.reason == "Backup of calendar:home"


def test_an_event_that_is_near_is_waited_for() -> None:
    event = Activity("Backup", "is in the calendar", keeps_awake=False, wake_at=IN_AN_HOUR - 3540)
    result = CheckResult(T0, CheckState.MEASURED, (event,))
    snapshot = Snapshot().with_parts(ActivityFacts({CheckId("calendar:home"): result}))
    assert busy_until(snapshot, options(""), moment()) is not None


def test_timers_that_nobody_asks_for_any_more_wake_nobody() -> None:
    assert (
        next_wake_time(
            new_snapshot(timers=(SystemdTimer("backup.timer", wall=IN_AN_HOUR),)), options(""), moment()
        )
        is None
    )


uptimes = st.integers(0, 400 * 86_400).map(float)
laws = settings(max_examples=examples(300), deadline=None)


@laws
@given(wake_options, timer_facts, uptimes)
def test_the_alarm_is_ahead_and_within_reach(
    config: Options, facts: tuple[tuple[float | None, float | None], ...], uptime: float
) -> None:
    now = at("2026-03-27 12:00", mono=uptime)
    found = next_wake_time(new_snapshot(timers=timers_in(facts, now)), config, now)
    if found is not None:
        assert MIN_ALARM_DELAY <= found.at.mono - now.mono <= MAX_ALARM_DELAY
        assert found.at.slept == now.slept
        off = found.at.wall.timestamp() - now.wall.timestamp() - (found.at.mono - now.mono)
        assert abs(off) <= 0.5


@laws
@given(wake_options, timer_facts, timer_facts)
def test_the_earliest_wins(
    config: Options,
    some: tuple[tuple[float | None, float | None], ...],
    more: tuple[tuple[float | None, float | None], ...],
) -> None:
    now = at("2026-10-24 12:00")
    few, all_ = (
        next_wake_time(new_snapshot(timers=timers_in(each, now)), config, now) for each in (some, some + more)
    )
    if few is not None:
        assert all_ is not None
        assert all_.at.mono <= few.at.mono


@laws
@given(wake_options, timer_facts, uptimes)
def test_the_uptime_is_irrelevant(
    config: Options, facts: tuple[tuple[float | None, float | None], ...], uptime: float
) -> None:
    young, old = at("2026-03-27 12:00", mono=0.0), at("2026-03-27 12:00", mono=uptime)
    first, second = (
        next_wake_time(new_snapshot(timers=timers_in(facts, now)), config, now) for now in (young, old)
    )
    if first is None:
        assert second is None
    else:
        assert second is not None
        assert second.at.wall == first.at.wall
        assert second.at.mono - uptime == pytest.approx(first.at.mono, abs=0.001)


@laws
@given(
    st.integers(0, 1439),
    st.integers(0, 400 * 24 * 60),
    st.sampled_from(["Europe/Berlin", "Asia/Kolkata", "UTC"]),
)
def test_a_time_of_day_comes_within_a_day_or_so_and_shows_on_the_clock(
    minute: int, begin: int, zone: str
) -> None:
    wall = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=begin)).astimezone(ZoneInfo(zone))
    time = f"{minute // 60:02d}:{minute % 60:02d}"
    now = moment(wall=wall)
    found = next_wake_time(Snapshot(), options(f'at = ["{time}"]\nbefore = "0s"'), now)
    assert found is not None
    ahead = found.at.mono - now.mono
    assert 0 < ahead <= 25 * 3600
    assume(ahead > MIN_ALARM_DELAY)
    skipped = time.startswith("02") and found.at.wall.strftime("%H:%M") == "03:00"
    assert found.at.wall.strftime("%H:%M") == time or skipped


SOON = SUSPEND + '[wake]\ntimers = ["backup.timer"]\n'


class AlarmScenario(DecisionScenario):
    """A night with a timer that elapses ``at`` seconds after the beginning, and has no elapse after that."""

    def __init__(self, at: float, text: str = SOON) -> None:
        super().__init__(text)
        wall = self.now.wall.timestamp() + at

        def elapses(snapshot: Snapshot) -> Snapshot:
            return changed(snapshot, timers=() if self.now.wall.timestamp() >= wall else self.timers)

        self.timers = (SystemdTimer("backup.timer", wall=wall),)
        self.edit_snapshot = elapses


def test_what_is_due_too_soon_is_waited_for() -> None:
    """22:10 idle, 22:15 backup: neither a sleep of three minutes before nor one as soon as it has begun."""
    scenario = AlarmScenario(900)
    first = scenario.decide(0)
    stays_up = "stays up for backup.timer at Mon 22:15"
    waits = f"sleep rule 1: {stays_up}"
    assert reasons(first)[0] == waits
    assert "Mon 22:13" in reasons(first)[1]
    assert subjects(first) == ["sleep rule 1", "wake"]
    assert first.planned_sleep is not None
    assert first.planned_sleep.at.mono == T0 + 900 - 120 + 600, "as if it had been woken for it: after_resume"
    assert scenario.decide(600).actions == ()
    assert scenario.decide(899).memory.part(SleepMemory).busy_until == (
        T0 + 1380,
        stays_up,
    )
    after = scenario.decide(901)
    assert reasons(after) == [waits], "the timer has no elapse any longer"
    assert scenario.decide(1319).actions == ()
    assert scenario.decide(1320).actions == (WARN,)
    scenario.action_completed(WARN)
    assert scenario.decide(1380).actions == (SLEEP,)
    assert scenario.decide(1381).memory.part(SleepMemory).busy_until is None


def test_what_is_due_late_enough_is_slept_before() -> None:
    scenario = AlarmScenario(600 + 120 + 300)
    scenario.decide(0)
    scenario.decide(540)
    scenario.action_completed(WARN)
    (action,) = scenario.decide(600).actions
    assert isinstance(action, Sleep)
    assert action.wake_time is not None
    assert action.wake_time.at.mono == T0 + 900


def test_a_shorter_sleep_may_be_asked_for() -> None:
    scenario = AlarmScenario(600 + 70, SOON + 'before = "0s"\nmin_sleep = "1min"\n')
    scenario.decide(0)
    scenario.decide(540)
    scenario.action_completed(WARN)
    assert scenario.decide(600).actions == (SLEEP,)


def test_times_that_follow_too_closely_on_each_other_are_all_waited_for() -> None:
    now = at("2026-06-01 06:20")
    config = options('at = ["06:30", "06:40", "07:30"]')
    found = busy_until(Snapshot(), config, add_seconds(now, 600 - 60))
    assert found is not None
    assert (found[0], "wake.at 06:30" in found[1]) == (T0 + 600 - 120 + 600, True)
    scenario = DecisionScenario(SUSPEND + '[wake]\nat = ["06:30", "06:40", "07:30"]', wall=now.wall)
    plan = scenario.decide(0).planned_sleep
    assert plan is not None
    assert plan.at.wall == at("2026-06-01 06:48").wall


@pytest.mark.long
def test_a_server_that_is_always_needed_never_sleeps_and_reports_why() -> None:
    times = ", ".join(f'"{n // 60:02d}:{n % 60:02d}"' for n in range(0, 1440, 6))
    scenario = DecisionScenario(SUSPEND + f"[wake]\nat = [{times}]\n")
    for at_ in range(0, 7200, 1800):
        decision = scenario.decide(at_)
        assert decision.actions == ()
        assert "stays up for wake.at" in decision.reasons[0].text


def test_a_duty_ends_with_a_sleep() -> None:
    """A user puts the server to sleep nevertheless: what kept it up is over afterwards, or is found again."""
    scenario = AlarmScenario(900)
    assert scenario.decide(700).memory.part(SleepMemory).busy_until is not None
    scenario.slept = 8 * 3600.0
    assert scenario.decide(701).memory.part(SleepMemory).busy_until is None


@pytest.mark.parametrize("ahead", range(0, 3600, 30))
def test_it_stays_up_for_an_event_or_sleeps_until_it(ahead: int) -> None:
    now = moment()
    snapshot = new_snapshot(timers=(SystemdTimer("b.timer", mono=T0 + ahead),))
    stays_up = busy_until(snapshot, options(BACKUP), now) is not None
    is_ahead = ahead > 0
    assert bool(list(wake_remarks(snapshot, options(BACKUP), now))) is (is_ahead and not stays_up)


def test_the_longer_of_two_duties_counts() -> None:
    now = moment()
    assert current_busy_until(Snapshot(), (T0 + 10, "a"), options(""), now) == (T0 + 10, "a")
    assert current_busy_until(Snapshot(), (T0, "over"), options(""), now) is None
    timers = (SystemdTimer("b.timer", mono=T0 + 60),)
    found = (T0 + 540, "stays up for b.timer at Sat 21:01")
    assert current_busy_until(new_snapshot(timers=timers), (T0 + 10, "a"), options(BACKUP), now) == found
    assert current_busy_until(new_snapshot(timers=timers), (T0 + 999, "a"), options(BACKUP), now) == (
        T0 + 999,
        "a",
    )


def test_it_reports_the_wake_time_even_while_blocked() -> None:
    scenario = DecisionScenario(SUSPEND + '[wake]\nat = ["Mon-Fri 06:30", "09:00"]\n')
    text = "wake: sleeps until Tue 06:28 at most, for wake.at Mon-Fri 06:30"
    scenario.somebody_home = True
    for at_ in (0.0, 0.4, 61.7):
        decision = scenario.decide(at_)
        assert reasons(decision)[-1] == text, "it does not flicker"
        assert not decision.reasons[-1].blocks_sleep
        assert decision.part(PowerReport).wake_time is not None
    scenario.somebody_home = False
    assert reasons(scenario.decide(100))[-1] == text


def test_what_is_farther_off_than_an_alarm_reaches_is_slept_towards_in_steps() -> None:
    scenario = DecisionScenario(SOON)
    wall = scenario.now.wall.timestamp() + 60 * DAY
    scenario.edit_snapshot = lambda snapshot: changed(
        snapshot, timers=(SystemdTimer("backup.timer", wall=wall),)
    )
    decision = scenario.decide(0)
    wake_time = decision.part(PowerReport).wake_time
    assert wake_time is not None
    assert wake_time.at.mono == T0 + MAX_ALARM_DELAY
    text = "wake: sleeps until 2026-07-31 21:58 at most, with wake-ups between, for backup.timer"
    assert reasons(decision)[-1] == text


@pytest.mark.parametrize("reading", [Unavailable(T0, "systemd did not answer"), Reading(T0 - 2701, ()), None])
def test_unavailable_timers_keep_the_server_awake(
    reading: Unavailable | Reading[tuple[str, ...]] | None,
) -> None:
    scenario = DecisionScenario(SOON)

    def twist(snapshot: Snapshot) -> Snapshot:
        sources = {name: each for name, each in snapshot.sources.items() if name != "timers"}
        return replace(snapshot, sources=sources if reading is None else {**sources, "timers": reading})  # type: ignore[dict-item] # a SourceId is a str

    scenario.edit_snapshot = twist
    for at_ in (0, 540, 600):
        decision = scenario.decide(at_)
        assert decision.actions == ()
        assert decision.reasons[0].subject == "timers"
    assert LOGIND in twist(Snapshot(sources={LOGIND: Reading(T0, ())})).sources


def test_a_timer_that_has_just_elapsed_is_one_to_be_up_for() -> None:
    """As after a restart of the daemon, which remembers nothing of what it stayed up for."""
    timers = (SystemdTimer("backup.timer", mono=T0 - 60),)
    found = (T0 - 60 + 480, "stays up for backup.timer at Sat 20:59")
    assert busy_until(new_snapshot(timers=timers), options(BACKUP), moment()) == found
    assert busy_until(new_snapshot(timers=timers), options(BACKUP), moment(T0 + 420)) is None
