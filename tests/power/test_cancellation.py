"""Users who have read an announcement get one message that it was cancelled."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from core.snapshot_strategies import T0
from facts import changed
from power.decision_scenario import SLEEP, SUSPEND, WARN, DecisionScenario, make_options

from powerd.core.actions import CancelWarning, Sleep
from powerd.power.model import ShutdownInProgress
from powerd.power.sleep_rules import ANNOUNCEMENT_VALID_FOR

HOME = CancelWarning(0, "suspend", "host1: home, answers ping")


def announced() -> DecisionScenario:
    """Ten seconds after the announcement, and a minute before the sleep."""
    scenario = DecisionScenario()
    scenario.decide(0)
    assert scenario.decide(540).actions == (WARN,)
    scenario.action_completed(WARN)
    assert scenario.decide(550).actions == ()
    return scenario


def test_the_returning_client_is_named_once() -> None:
    scenario = announced()
    scenario.somebody_home = True
    assert scenario.decide(560).actions == (HOME,)
    scenario.in_flight = frozenset({HOME})
    assert scenario.decide(561).actions == ()
    scenario.in_flight = frozenset()
    scenario.action_completed(HOME)
    assert scenario.decide(562).actions == ()
    scenario.somebody_home = False
    assert scenario.decide(570).actions == ()


def test_a_terminal_that_cannot_be_written_to_is_not_tried_again() -> None:
    scenario = announced()
    scenario.somebody_home = True
    scenario.decide(560)
    scenario.action_completed(HOME, ok=False)
    assert scenario.decide(561).actions == ()


def test_each_announcement_has_its_own() -> None:
    scenario = announced()
    for at in (560, 1170):
        scenario.somebody_home = True
        assert scenario.decide(at).actions == (HOME,)
        scenario.action_completed(HOME)
        scenario.somebody_home = False
        scenario.decide(at + 10)
        assert scenario.decide(at + 600).actions == (WARN,)
        scenario.action_completed(WARN)


def test_new_options_that_give_another_time_call_it_off() -> None:
    scenario = announced()
    scenario.options = make_options(SUSPEND.replace("10min", "1h"))
    (action,) = scenario.decide(560).actions
    assert isinstance(action, CancelWarning)
    assert re.match(r"sleep rule 1: .*1h", action.reason)


def test_a_failed_sleep_is_reported_too() -> None:
    scenario = announced()
    assert scenario.decide(600).actions == (SLEEP,)
    scenario.in_flight = frozenset({SLEEP})
    scenario.somebody_home = True
    assert scenario.decide(600.5).actions == (), "it may yet go"
    scenario.in_flight = frozenset()
    scenario.at += 1
    scenario.action_completed(SLEEP, ok=False, observed="cancelled by the last check")
    assert scenario.decide(602).actions == (HOME,)


def test_nothing_is_called_off_that_was_done() -> None:
    scenario = announced()
    scenario.decide(600)
    scenario.at += 1
    scenario.action_completed(SLEEP)
    scenario.somebody_home = True
    assert scenario.decide(602).actions == ()


@pytest.mark.parametrize("how", ["not announced", "long ago", "slept", "leaving", "other"])
def test_an_unannounced_plan_is_cancelled_silently(how: str) -> None:
    scenario = announced()
    scenario.somebody_home = True
    at = 560.0
    if how == "not announced":
        scenario.action_completed(WARN, ok=False)
    elif how == "long ago":
        at = 550 + 60 + ANNOUNCEMENT_VALID_FOR + 1
    elif how == "slept":
        scenario.slept = 3600.0
    elif how == "leaving":
        scenario.edit_snapshot = lambda snapshot: changed(
            snapshot, shutdown=ShutdownInProgress(T0 + 559, "sleep")
        )
    else:
        scenario.results = {Sleep: replace(scenario.results.pop(type(WARN)), action=SLEEP)}
    assert scenario.decide(at).actions == ()
