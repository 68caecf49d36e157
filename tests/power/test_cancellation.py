"""Who has read an announcement is told that nothing comes of it, once."""

from __future__ import annotations

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
    night = DecisionScenario()
    night.decide(0)
    assert night.decide(540).actions == (WARN,)
    night.action_completed(WARN)
    assert night.decide(550).actions == ()
    return night


def test_the_returning_client_is_named_once() -> None:
    night = announced()
    night.somebody_home = True
    assert night.decide(560).actions == (HOME,)
    night.in_flight = frozenset({HOME})
    assert night.decide(561).actions == ()
    night.in_flight = frozenset()
    night.action_completed(HOME)
    assert night.decide(562).actions == ()
    night.somebody_home = False
    assert night.decide(570).actions == ()


def test_a_terminal_that_cannot_be_written_to_is_not_tried_again() -> None:
    night = announced()
    night.somebody_home = True
    night.decide(560)
    night.action_completed(HOME, ok=False)
    assert night.decide(561).actions == ()


def test_each_announcement_has_its_own() -> None:
    night = announced()
    for at in (560, 1170):
        night.somebody_home = True
        assert night.decide(at).actions == (HOME,)
        night.action_completed(HOME)
        night.somebody_home = False
        night.decide(at + 10)
        assert night.decide(at + 600).actions == (WARN,)
        night.action_completed(WARN)


def test_new_options_that_give_another_time_call_it_off() -> None:
    night = announced()
    night.options = make_options(SUSPEND.replace("10min", "1h"))
    (order,) = night.decide(560).actions
    assert order == CancelWarning(0, "suspend", "sleep rule 1: waits for 1h of idleness")


def test_a_failed_sleep_is_reported_too() -> None:
    night = announced()
    assert night.decide(600).actions == (SLEEP,)
    night.in_flight = frozenset({SLEEP})
    night.somebody_home = True
    assert night.decide(600.5).actions == (), "it may yet go"
    night.in_flight = frozenset()
    night.at += 1
    night.action_completed(SLEEP, ok=False, observed="cancelled by the last check")
    assert night.decide(602).actions == (HOME,)


def test_nothing_is_called_off_that_was_done() -> None:
    night = announced()
    night.decide(600)
    night.at += 1
    night.action_completed(SLEEP)
    night.somebody_home = True
    assert night.decide(602).actions == ()


@pytest.mark.parametrize("how", ["not announced", "long ago", "slept", "leaving", "other"])
def test_an_unannounced_plan_is_cancelled_silently(how: str) -> None:
    night = announced()
    night.somebody_home = True
    at = 560.0
    if how == "not announced":
        night.action_completed(WARN, ok=False)
    elif how == "long ago":
        at = 550 + 60 + ANNOUNCEMENT_VALID_FOR + 1
    elif how == "slept":
        night.slept = 3600.0
    elif how == "leaving":
        night.edit_snapshot = lambda snapshot: changed(
            snapshot, shutdown=ShutdownInProgress(T0 + 559, "sleep")
        )
    else:
        night.outcomes = {Sleep: replace(night.outcomes.pop(type(WARN)), action=SLEEP)}
    assert night.decide(at).actions == ()
