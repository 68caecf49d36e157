"""When a rule may act, and what it waits for, tested with decide()."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core.snapshot_strategies import T0
from facts import changed
from power.decision_scenario import SUSPEND, WARN, DecisionScenario, reasons, subjects

from powerd.config.values import parse_window
from powerd.core.snapshot import Memory


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ('[awake]\nafter_start = "1h"\n[[sleep]]\nidle_for = "1min"',
         "waits until powerd has been up for 1h"),
        ('[[sleep]]\nidle_for = "1h"', "waits for 1h of idleness"),
        ('[awake]\nafter_start = "0s"\n[[sleep]]\nidle_for = "1min"\nduring = ["03:00-04:00"]',
         "waits for its window: 03:00-04:00"),
    ],
)  # fmt: skip
def test_it_reports_its_longest_wait(text: str, wait: str) -> None:
    decision = DecisionScenario(text).decide(0)
    assert reasons(decision) == [f"sleep rule 1: {wait}"]
    assert decision.reasons[0].blocks_sleep


def test_after_a_wake_up_it_waits() -> None:
    scenario = DecisionScenario(
        SUSPEND.replace('after_start = "0s"', 'after_start = "0s"\nafter_resume = "1h"')
    )
    scenario.decide(0)
    scenario.slept = 3600.0
    scenario.decide(10)
    decision = scenario.decide(400)
    assert subjects(decision) == ["sleep rule 1"]
    assert "1h after the wake-up" in decision.reasons[0].text
    assert decision.planned_sleep is not None
    assert decision.planned_sleep.at.mono == T0 + 10 + 3600


@pytest.mark.parametrize(
    ("rules", "synchronised", "due"),
    [
        ('idle_for = "5min"\nduring = ["00:00-24:00"]', False, 600),
        ('idle_for = "5min"\nduring = ["00:00-24:00"]', True, 360),
        ('idle_for = "1h"\nduring = ["00:00-24:00"]', False, 3660),
        ('idle_for = "5min"', False, 360),
        ('idle_for = "5min"\n[[sleep]]\nidle_for = "3min"\nduring = ["00:00-24:00"]', False, 360),
        ('idle_for = "5min"\nduring = ["00:00-24:00"]\n[[sleep]]\nidle_for = "3min"', False, 600),
    ],
)
def test_after_the_boot_a_rule_with_windows_waits_for_the_clock_while_idle_time_counts(
    rules: str, due: float, *, synchronised: bool
) -> None:
    scenario = DecisionScenario(f'[awake]\nafter_start = "0s"\n[[sleep]]\n{rules}')
    scenario.edit_snapshot = lambda snapshot: changed(snapshot, clock_synchronised=synchronised)
    scenario.slept = 60.0 - T0
    scenario.memory = Memory.initial(scenario.now)
    planned = scenario.decide(0).planned_sleep
    assert planned is not None
    assert (planned.rule, planned.at.mono + scenario.slept) == (0, due)


@pytest.mark.parametrize("during", ["", 'during = ["00:00-24:00"]\n'])
@pytest.mark.parametrize("hours", [9, -9])
def test_a_clock_that_was_set_is_not_believed_for_a_while(during: str, hours: int) -> None:
    scenario = DecisionScenario(SUSPEND + during)
    scenario.decide(0)
    scenario.decide(590)
    scenario.step = hours * 3600.0
    decision = scenario.decide(600)
    assert decision.actions == ()
    assert subjects(decision) == ["sleep rule 1"]
    assert "waits 10min" in decision.reasons[0].text
    assert scenario.decide(1140).actions == (WARN,)


def test_a_step_does_not_let_a_later_rule_slip_in() -> None:
    """The first rule would only have announced; without it the second, which warns nobody, would act."""
    text = (
        SUSPEND + 'during = ["00:00-24:00"]\n[[sleep]]\naction = "poweroff"\nidle_for = "10min"\nwarn = "0s"'
    )
    scenario = DecisionScenario(text)
    scenario.decide(0)
    scenario.step = 3600.0
    assert scenario.decide(600).actions == ()


def test_a_rule_without_any_day_to_open_leads_nowhere() -> None:
    scenario = DecisionScenario(SUSPEND)
    rule = replace(
        scenario.options.sleep[0], during=(replace(parse_window("01:00-02:00"), days=frozenset()),)
    )
    scenario.options = replace(scenario.options, sleep=(rule,))
    decision = scenario.decide(0)
    assert (decision.planned_sleep, decision.next_decision_at) == (None, float("inf"))


def test_windows_and_wake_ups_push_it_on_in_turn() -> None:
    """22:10 idle; the first window is too short to sleep in before 22:40, which it is up for until 22:48."""
    text = SUSPEND + 'during = ["22:36-22:45", "22:50-23:30"]\n[wake]\nat = ["22:40"]\n'
    plan = DecisionScenario(text).decide(0).planned_sleep
    assert plan is not None
    assert f"{plan.at.wall:%H:%M:%S}" == "22:50:00"


@pytest.mark.long
def test_endless_interaction_of_rules_is_decided_again_later() -> None:
    """Each window opens when the server is wanted: in its time it waits, and nothing is ordered before."""
    hours = range(24)
    windows = ", ".join(f'"{hour:02d}:28-{hour:02d}:38"' for hour in hours)
    times = ", ".join(f'"{hour:02d}:30"' for hour in hours)
    scenario = DecisionScenario(f'{SUSPEND}during = [{windows}]\n[wake]\nat = [{times}]\nbefore = "2min"\n')
    for at in range(0, 8 * 3600, 300):
        decision = scenario.decide(at)
        assert decision.actions == ()
        assert decision.next_decision_at > scenario.at
