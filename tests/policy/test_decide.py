from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from policy.night import Night, reasons
from policy.worlds import T0, home, house, moment, quiet_memory, silent

from powerd.config import Options
from powerd.model import Cause, Memory, Moment, Snapshot, Waking
from powerd.policy import decide

OPTIONS = Options()


def test_a_newborn_daemon_is_starting_until_its_first_look() -> None:
    first = decide(Snapshot(), Memory.newborn(moment()), OPTIONS, moment())
    assert (first.phase, first.orders, first.plan) == ("starting", (), None)
    assert [reason.text for reason in first.reasons if reason.keeps_awake] == ["has not looked yet"] * 2
    now = moment(T0 + 1)
    second = decide(house({1: home(now.mono)}, at=now.mono), first.memory, OPTIONS, now)
    assert second.phase == "awake"


def test_a_reason_keeps_its_date_and_a_new_one_has_its_own() -> None:
    night = Night()
    night.somebody = True
    first = night.decide(0)
    again = night.decide(60)
    assert again.reasons[0] == first.reasons[0]
    night.somebody = False
    assert night.decide(120).reasons[0].since.mono == T0 + 120


def test_idleness_begins_when_the_last_reason_goes_and_is_not_begun_anew() -> None:
    night = Night()
    night.somebody = True
    assert night.decide(0).memory.idle_since is None
    night.somebody = False
    assert night.decide(60).memory.idle_since == T0 + 60
    assert night.decide(120).memory.idle_since == T0 + 60
    night.somebody = True
    assert night.decide(180).memory.idle_since is None


def test_time_asleep_is_no_idleness() -> None:
    night = Night()
    night.decide(0)
    night.slept = 8 * 3600.0
    woken = night.decide(60)
    assert woken.memory.resumed == T0 + 60
    assert woken.memory.idle_since is None
    assert not woken.orders
    assert reasons(woken)[0].startswith("host1: may be home"), "no silence outlasts a sleep"


@pytest.mark.parametrize(("jitter", "resumed"), [(0.002, False), (-0.002, False), (0.02, True), (0.5, True)])
def test_clocks_read_one_after_the_other_differ_a_little(jitter: float, *, resumed: bool) -> None:
    night = Night()
    night.decide(0)
    night.slept = jitter
    assert (night.decide(60).memory.resumed is not None) is resumed


def test_a_sleep_of_which_the_clocks_show_nothing_is_told() -> None:
    night = Night()
    night.decide(0)
    waking = Waking(night.at, Cause.BUTTON, clocked=False)
    night.twist = lambda snapshot: replace(snapshot, waking=waking)
    assert night.decide(60).memory.resumed == night.at
    first = night.at
    assert night.decide(120).memory.resumed == first, "once"
    night.twist = lambda snapshot: replace(snapshot, waking=replace(waking, at=night.at, clocked=True))
    assert night.decide(180).memory.resumed == first, "the others are seen by the clocks alone"


@pytest.mark.parametrize(
    ("off", "passed", "stepped"),
    [(1.9, 60, False), (2.2, 60, True), (-2.2, 60, True), (9.0, 7200, False), (9.5, 7200, True)],
)
def test_which_wall_clock_was_set_and_which_only_drifts(off: float, passed: float, *, stepped: bool) -> None:
    now = moment(T0 + passed)
    now = replace(now, wall=now.wall + timedelta(seconds=off))
    memory = decide(Snapshot(), Memory.newborn(moment()), OPTIONS, now).memory
    assert (memory.stepped is not None) is stepped


def test_a_sleep_is_no_step_of_the_wall_clock() -> None:
    now = moment(T0 + 10, slept=8 * 3600.0)
    memory = decide(Snapshot(), Memory.newborn(moment()), OPTIONS, now).memory
    assert (memory.resumed, memory.stepped) == (T0 + 10, None)


def test_a_change_to_summer_time_is_no_step() -> None:
    """The wall clock's reading jumps by an hour, and time goes on."""
    before = moment(wall=moment().wall.replace(year=2026, month=3, day=29, hour=1, minute=59))
    after = Moment(T0 + 60, 0.0, before.wall.replace(hour=3, minute=0))
    assert decide(Snapshot(), Memory.newborn(before), OPTIONS, after).memory.stepped is None


def test_memory_of_who_was_seen_is_of_the_last_decision_only() -> None:
    now = moment()
    both = decide(house({1: home(T0), 2: home(T0)}, at=T0), Memory.newborn(now), OPTIONS, now)
    one = decide(house({1: home(T0)}, at=T0), both.memory, OPTIONS, now)
    assert len(both.memory.verdicts) == 2
    assert len(one.memory.verdicts) == 1
    assert set(one.memory.since) == {(reason.subject, reason.text) for reason in one.reasons}


def test_while_somebody_is_home_it_need_not_be_asked_again() -> None:
    now = moment()
    decision = decide(house({1: home(T0)}, at=T0), Memory.newborn(now), OPTIONS, now)
    assert decision.look_again == float("inf")
    assert not decision.closely


def test_idle_without_rules_is_idle_for_ever() -> None:
    now = moment()
    decision = decide(house({1: silent(T0, T0 - 9999)}, at=T0), quiet_memory(now, 99999), OPTIONS, now)
    assert (decision.phase, decision.orders, decision.plan) == ("idle", (), None)
