"""Wake storms: wake-ups without a client, what they lead to, and what ends it."""

from __future__ import annotations

import pytest
from core.snapshot_strategies import T0
from facts import changed
from power.decision_scenario import SUSPEND, DecisionScenario, reasons, with_facts

from powerd.core.snapshot import Decision
from powerd.power.model import Inhibitor, KeyPress, SleepMemory, WakeEvent, WakeupCause
from powerd.power.wake_storm import STAY_UP_MAX

WAKE_STORM = SUSPEND.replace('after_start = "0s"', 'after_start = "0s"\nafter_resume = "5min"')


class WakeStormScenario(DecisionScenario):
    """A server that sleeps for a minute, is up for a while, and sleeps again."""

    def __init__(self) -> None:
        super().__init__(WAKE_STORM)
        self.decide(0)

    def wake(self, cause: WakeupCause | None = WakeupCause.NETWORK, *, seconds: float = 60.0) -> Decision:
        """Wake the server; the cause arrives a moment later."""
        self.slept += seconds
        self.decide(self.at - T0 + 1)
        if cause is not None:
            waking = WakeEvent(self.at + 0.5, cause)
            self.edit_snapshot = lambda snapshot: changed(snapshot, wake_event=waking)
        return self.decide(self.at - T0 + 1)

    def stay_awake(self, seconds: float = 600.0) -> Decision:
        """So long it is up, with nobody there."""
        return self.decide(self.at - T0 + seconds)


def storms(decision: Decision) -> list[str]:
    return [reason for reason in reasons(decision) if "no client was present" in reason]


def test_the_fourth_time_it_stays_up_for_an_hour() -> None:
    scenario = WakeStormScenario()
    for _ in range(3):
        scenario.wake()
        assert storms(scenario.stay_awake()) == []
    fourth = scenario.wake()
    until = scenario.at - 1 + 3600
    assert fourth.actions == ()
    found = scenario.stay_awake()
    text = "sleep rule 1: stays up for 1h: woken 3 times within 1h by the network, and no client was present"
    assert storms(found) == [text]
    assert found.planned_sleep is not None
    assert found.planned_sleep.at.mono == pytest.approx(until)
    assert found.phase == "idle"
    last = scenario.decide(until - T0 + 1)
    assert storms(last) == []
    assert [type(action).__name__ for action in last.actions] == ["WarnUsers"]


@pytest.mark.parametrize(
    ("causes", "by"),
    [
        ([WakeupCause.NETWORK] * 3, " by the network"),
        ([WakeupCause.BUTTON] * 3, " by a button"),
        ([WakeupCause.UNKNOWN] * 3, " by an unknown cause"),
        ([None] * 3, " by an unknown cause"),
        ([WakeupCause.NETWORK, WakeupCause.UNKNOWN, WakeupCause.NETWORK], ""),
    ],
)
def test_the_cause_is_reported(causes: list[WakeupCause | None], by: str) -> None:
    scenario = WakeStormScenario()
    for cause in causes:
        scenario.wake(cause)
        scenario.stay_awake()
    scenario.wake()
    text = f"stays up for 1h: woken 3 times within 1h{by}, and no client was present"
    assert storms(scenario.stay_awake()) == [f"sleep rule 1: {text}"]


def test_a_cause_counts_for_its_own_wake_up_alone() -> None:
    """The event of the first wake-up is still a fact before that of the second arrives."""
    scenario = WakeStormScenario()
    scenario.wake(WakeupCause.ALARM)
    scenario.stay_awake()
    for _ in range(3):
        scenario.wake(None)
        scenario.stay_awake()
    assert storms(scenario.stay_awake()) == []
    scenario.wake(None)
    assert len(storms(scenario.stay_awake())) == 1


def test_an_alarm_is_no_wake_up_for_nobody() -> None:
    scenario = WakeStormScenario()
    for _ in range(8):
        scenario.wake(WakeupCause.ALARM)
        assert storms(scenario.stay_awake()) == []


def test_wake_ups_with_longer_gaps_are_no_wake_storm() -> None:
    scenario = WakeStormScenario()
    for _ in range(8):
        scenario.wake(seconds=1500.0)
        assert storms(scenario.stay_awake(600)) == []


def test_a_long_sleep_after_them_is_the_end_of_it() -> None:
    scenario = WakeStormScenario()
    for _ in range(3):
        scenario.wake()
        scenario.stay_awake()
    scenario.wake(seconds=8 * 3600.0)
    assert storms(scenario.stay_awake()) == []


@pytest.mark.parametrize("who", ["client", "lock", "keys"])
def test_a_present_client_makes_it_no_wake_up_for_nobody(who: str) -> None:
    scenario = WakeStormScenario()
    for n in range(5):
        scenario.wake()
        if n == 1:
            before = scenario.edit_snapshot
            scenario.somebody_home = who == "client"
            lock = Inhibitor(frozenset({"sleep"}), "backup", "", "block", 0, 7)
            press = KeyPress(scenario.at + 1, "anna on tty1")
            if who == "lock":
                scenario.edit_snapshot = with_facts(before, inhibitors=(lock,))
            elif who == "keys":  # seen a good while later
                scenario.at += 100
                scenario.edit_snapshot = with_facts(before, key_press=press)
            scenario.decide()
            scenario.somebody_home, scenario.edit_snapshot = False, before
        scenario.stay_awake()
    assert storms(scenario.stay_awake()) == []


def test_a_key_press_from_before_the_sleep_is_nobody_s_visit() -> None:
    scenario = WakeStormScenario()
    press = KeyPress(T0 - 100, "anna on tty1")
    for _ in range(4):
        scenario.wake()
        scenario.edit_snapshot = with_facts(scenario.edit_snapshot, key_press=press)
        scenario.stay_awake()
    assert len(storms(scenario.stay_awake())) == 1


def test_it_stays_up_longer_each_time_and_eight_hours_at_most() -> None:
    scenario = WakeStormScenario()
    pauses = []
    for _ in range(5):
        for _ in range(3):
            scenario.wake()
            scenario.stay_awake()
        scenario.wake()
        pauses.append(scenario.memory.part(SleepMemory).wake_storm.stay_up_for)
        scenario.stay_awake(scenario.memory.part(SleepMemory).wake_storm.stay_up_for)
    assert pauses == [3600, 7200, 14400, STAY_UP_MAX, STAY_UP_MAX]


def test_a_visitor_ends_it_and_the_next_wake_storm_is_the_first_again() -> None:
    scenario = WakeStormScenario()
    for _ in range(2):
        for _ in range(3):
            scenario.wake()
            scenario.stay_awake()
        scenario.wake()
        assert len(storms(scenario.stay_awake())) == 1
        assert scenario.memory.part(SleepMemory).wake_storm.stay_up_for == 3600
        scenario.somebody_home = True
        scenario.decide()
        scenario.somebody_home = False
        assert storms(scenario.stay_awake()) == []


def test_an_unknown_presence_is_no_visit() -> None:
    """After each wake-up every source is unknown for a moment; that is nobody's coming."""
    scenario = WakeStormScenario()
    scenario.wake()
    decision = scenario.decide()
    assert any(reason.blocks_sleep for reason in decision.reasons)
    assert not decision.memory.part(SleepMemory).wake_storm.needed
