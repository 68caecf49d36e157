"""Who has read an announcement is told that nothing comes of it, once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from policy.night import SLEEP, SUSPEND, WARN, Night, configured
from policy.worlds import T0

from powerd.model import CallOff, Leaving, Sleep
from powerd.policy.sleep import STANDS

HOME = CallOff(0, "suspend", "host1: home, answers ping")


def announced() -> Night:
    """Ten seconds after the announcement, and a minute before the sleep."""
    night = Night()
    night.decide(0)
    assert night.decide(540).orders == (WARN,)
    night.done(WARN)
    assert night.decide(550).orders == ()
    return night


def test_whoever_comes_is_named_and_it_is_said_once() -> None:
    night = announced()
    night.somebody = True
    assert night.decide(560).orders == (HOME,)
    night.in_flight = frozenset({HOME})
    assert night.decide(561).orders == ()
    night.in_flight = frozenset()
    night.done(HOME)
    assert night.decide(562).orders == ()
    night.somebody = False
    assert night.decide(570).orders == ()


def test_a_terminal_that_cannot_be_written_to_is_not_tried_again() -> None:
    night = announced()
    night.somebody = True
    night.decide(560)
    night.done(HOME, ok=False)
    assert night.decide(561).orders == ()


def test_each_announcement_has_its_own() -> None:
    night = announced()
    for at in (560, 1170):
        night.somebody = True
        assert night.decide(at).orders == (HOME,)
        night.done(HOME)
        night.somebody = False
        night.decide(at + 10)
        assert night.decide(at + 600).orders == (WARN,)
        night.done(WARN)


def test_new_options_that_give_another_time_call_it_off() -> None:
    night = announced()
    night.options = configured(SUSPEND.replace("10min", "1h"))
    (order,) = night.decide(560).orders
    assert order == CallOff(0, "suspend", "sleep rule 1: waits for 1h of idleness")


def test_a_sleep_that_could_not_be_is_told_too() -> None:
    night = announced()
    assert night.decide(600).orders == (SLEEP,)
    night.in_flight = frozenset({SLEEP})
    night.somebody = True
    assert night.decide(600.5).orders == (), "it may yet go"
    night.in_flight = frozenset()
    night.at += 1
    night.done(SLEEP, ok=False, observed="called off at the last moment")
    assert night.decide(602).orders == (HOME,)


def test_nothing_is_called_off_that_was_done() -> None:
    night = announced()
    night.decide(600)
    night.at += 1
    night.done(SLEEP)
    night.somebody = True
    assert night.decide(602).orders == ()


@pytest.mark.parametrize("how", ["not announced", "long ago", "slept", "leaving", "other"])
def test_nothing_is_said_where_nobody_expects_anything(how: str) -> None:
    night = announced()
    night.somebody = True
    at = 560.0
    if how == "not announced":
        night.done(WARN, ok=False)
    elif how == "long ago":
        at = 550 + 60 + STANDS + 1
    elif how == "slept":
        night.slept = 3600.0
    elif how == "leaving":
        night.twist = lambda snapshot: replace(snapshot, leaving=Leaving(T0 + 559, "sleep"))
    else:
        night.outcomes = {Sleep: replace(night.outcomes.pop(type(WARN)), order=SLEEP)}
    assert night.decide(at).orders == ()
