from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from core.snapshot_strategies import T0, home, idle_memory, make_snapshot, moment, silent
from facts import changed, decide
from power.decision_scenario import DecisionScenario, reasons

from powerd.config.options import Options
from powerd.core.snapshot import Memory, Snapshot
from powerd.core.time import Moment
from powerd.power.model import SleepMemory, WakeEvent, WakeupCause
from powerd.presence.model import PresenceMemory

OPTIONS = Options()


def test_a_new_daemon_is_starting_until_its_first_poll() -> None:
    first = decide(Snapshot(), Memory.initial(moment()), OPTIONS, moment())
    assert (first.phase, first.actions, first.planned_sleep) == ("starting", (), None)
    assert [reason.subject for reason in first.reasons if reason.blocks_sleep] == [
        "clients",
        "activity",
        "logind",
    ]
    now = moment(T0 + 1)
    second = decide(make_snapshot({1: home(now.mono)}, at=now.mono), first.memory, OPTIONS, now)
    assert second.phase == "awake"


def test_a_reason_keeps_its_date_and_a_new_one_has_its_own() -> None:
    scenario = DecisionScenario()
    scenario.somebody_home = True
    first = scenario.decide(0)
    again = scenario.decide(60)
    assert again.reasons[0] == first.reasons[0]
    scenario.somebody_home = False
    assert scenario.decide(120).reasons[0].since.mono == T0 + 120


def test_idleness_starts_when_the_last_blocker_ends_and_does_not_restart() -> None:
    scenario = DecisionScenario()
    scenario.somebody_home = True
    assert scenario.decide(0).memory.part(SleepMemory).idle_since is None
    scenario.somebody_home = False
    assert scenario.decide(60).memory.part(SleepMemory).idle_since == T0 + 60
    assert scenario.decide(120).memory.part(SleepMemory).idle_since == T0 + 60
    scenario.somebody_home = True
    assert scenario.decide(180).memory.part(SleepMemory).idle_since is None


def test_time_asleep_is_no_idleness() -> None:
    scenario = DecisionScenario()
    scenario.decide(0)
    scenario.slept = 8 * 3600.0
    woken = scenario.decide(60)
    assert woken.memory.resumed_at == T0 + 60
    assert woken.memory.part(SleepMemory).idle_since is None
    assert not woken.actions
    assert reasons(woken)[0].startswith("host1: may be home"), "no silence outlasts a sleep"


@pytest.mark.parametrize(("jitter", "resumed"), [(0.002, False), (-0.002, False), (0.02, True), (0.5, True)])
def test_clocks_read_one_after_the_other_differ_a_little(jitter: float, *, resumed: bool) -> None:
    scenario = DecisionScenario()
    scenario.decide(0)
    scenario.slept = jitter
    assert (scenario.decide(60).memory.resumed_at is not None) is resumed


def test_a_sleep_of_which_the_clocks_show_nothing_is_reported() -> None:
    scenario = DecisionScenario()
    scenario.decide(0)
    waking = WakeEvent(scenario.at, WakeupCause.BUTTON, clock_advanced=False)
    scenario.edit_snapshot = lambda snapshot: changed(snapshot, wake_event=waking)
    assert scenario.decide(60).memory.resumed_at == scenario.at
    first = scenario.at
    assert scenario.decide(120).memory.resumed_at == first, "once"
    scenario.edit_snapshot = lambda snapshot: changed(
        snapshot, wake_event=replace(waking, at=scenario.at, clock_advanced=True)
    )
    assert scenario.decide(180).memory.resumed_at == first, "the others are seen by the clocks alone"


@pytest.mark.parametrize(
    ("off", "passed", "stepped"),
    [(1.9, 60, False), (2.2, 60, True), (-2.2, 60, True), (9.0, 7200, False), (9.5, 7200, True)],
)
def test_which_wall_clock_was_set_and_which_only_drifts(off: float, passed: float, *, stepped: bool) -> None:
    now = moment(T0 + passed)
    now = replace(now, wall=now.wall + timedelta(seconds=off))
    memory = decide(Snapshot(), Memory.initial(moment()), OPTIONS, now).memory
    assert (memory.clock_stepped_at is not None) is stepped


def test_a_sleep_is_no_step_of_the_wall_clock() -> None:
    now = moment(T0 + 10, slept=8 * 3600.0)
    memory = decide(Snapshot(), Memory.initial(moment()), OPTIONS, now).memory
    assert (memory.resumed_at, memory.clock_stepped_at) == (T0 + 10, None)


def test_a_change_to_summer_time_is_no_step() -> None:
    """The wall clock's reading jumps by an hour, and time goes on."""
    before = moment(wall=moment().wall.replace(year=2026, month=3, day=29, hour=1, minute=59))
    after = Moment(T0 + 60, 0.0, before.wall.replace(hour=3, minute=0))
    assert decide(Snapshot(), Memory.initial(before), OPTIONS, after).memory.clock_stepped_at is None


def test_memory_of_clients_is_of_the_last_decision_only() -> None:
    now = moment()
    both = decide(make_snapshot({1: home(T0), 2: home(T0)}, at=T0), Memory.initial(now), OPTIONS, now)
    one = decide(make_snapshot({1: home(T0)}, at=T0), both.memory, OPTIONS, now)
    assert len(both.memory.part(PresenceMemory).client_statuses) == 2
    assert len(one.memory.part(PresenceMemory).client_statuses) == 1
    assert set(one.memory.reasons_since) == {(reason.subject, reason.text) for reason in one.reasons}


def test_while_somebody_is_home_it_need_not_be_asked_again() -> None:
    now = moment()
    decision = decide(make_snapshot({1: home(T0)}, at=T0), Memory.initial(now), OPTIONS, now)
    assert decision.next_decision_at == float("inf")
    assert not decision.needs_fresh_readings


def test_idle_without_rules_is_idle_for_ever() -> None:
    now = moment()
    decision = decide(make_snapshot({1: silent(T0, T0 - 9999)}, at=T0), idle_memory(now, 99999), OPTIONS, now)
    assert (decision.phase, decision.actions, decision.planned_sleep) == ("idle", (), None)
