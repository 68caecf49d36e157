"""The storm guard: wake-ups in vain, what they lead to, and what ends it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from policy.night import SUSPEND, Night, also, reasons
from policy.worlds import T0

from powerd.model import Cause, Decision, Inhibitor, KeyPress, Waking
from powerd.policy.unrest import PAUSE_MOST

RESTLESS = SUSPEND.replace('after_start = "0s"', 'after_start = "0s"\nafter_resume = "5min"')


class Restless(Night):
    """A server that sleeps for a minute, is up for a while, and sleeps again."""

    def __init__(self) -> None:
        super().__init__(RESTLESS)
        self.decide(0)

    def wake(self, cause: Cause | None = Cause.NETWORK, *, slept: float = 60.0) -> Decision:
        """It is woken; what by is told a moment later."""
        self.slept += slept
        self.decide(self.at - T0 + 1)
        if cause is not None:
            waking = Waking(self.at + 0.5, cause)
            self.twist = lambda snapshot: replace(snapshot, waking=waking)
        return self.decide(self.at - T0 + 1)

    def stay(self, seconds: float = 600.0) -> Decision:
        """So long it is up, with nobody there."""
        return self.decide(self.at - T0 + seconds)


def storms(decision: Decision) -> list[str]:
    return [reason for reason in reasons(decision) if "nobody was there" in reason]


def test_the_fourth_time_it_stays_up_for_an_hour() -> None:
    night = Restless()
    for _ in range(3):
        night.wake()
        assert storms(night.stay()) == []
    fourth = night.wake()
    until = night.at - 1 + 3600
    assert fourth.orders == ()
    found = night.stay()
    said = "sleep rule 1: stays up for 1h: woken 3 times within 1h by the network, and nobody was there"
    assert storms(found) == [said]
    assert found.plan is not None
    assert found.plan.at.mono == pytest.approx(until)
    assert found.phase == "idle"
    last = night.decide(until - T0 + 1)
    assert storms(last) == []
    assert [type(order).__name__ for order in last.orders] == ["Warn"]


@pytest.mark.parametrize(
    ("causes", "by"),
    [
        ([Cause.NETWORK] * 3, " by the network"),
        ([Cause.BUTTON] * 3, " by a button"),
        ([Cause.UNKNOWN] * 3, " by something unknown"),
        ([None] * 3, " by something unknown"),
        ([Cause.NETWORK, Cause.UNKNOWN, Cause.NETWORK], ""),
    ],
)
def test_it_says_by_what(causes: list[Cause | None], by: str) -> None:
    night = Restless()
    for cause in causes:
        night.wake(cause)
        night.stay()
    night.wake()
    text = f"stays up for 1h: woken 3 times within 1h{by}, and nobody was there"
    assert storms(night.stay()) == [f"sleep rule 1: {text}"]


def test_a_cause_counts_for_its_own_wake_up_alone() -> None:
    """The word on the first is still on the board when the second has not been told of yet."""
    night = Restless()
    night.wake(Cause.ALARM)
    night.stay()
    for _ in range(3):
        night.wake(None)
        night.stay()
    assert storms(night.stay()) == []
    night.wake(None)
    assert len(storms(night.stay())) == 1


def test_an_alarm_is_no_wake_up_in_vain() -> None:
    night = Restless()
    for _ in range(8):
        night.wake(Cause.ALARM)
        assert storms(night.stay()) == []


def test_wake_ups_that_lie_farther_apart_are_no_storm() -> None:
    night = Restless()
    for _ in range(8):
        night.wake(slept=1500.0)
        assert storms(night.stay(600)) == []


def test_a_long_sleep_after_them_is_the_end_of_it() -> None:
    night = Restless()
    for _ in range(3):
        night.wake()
        night.stay()
    night.wake(slept=8 * 3600.0)
    assert storms(night.stay()) == []


@pytest.mark.parametrize("who", ["client", "lock", "keys"])
def test_somebody_who_was_there_makes_it_no_wake_up_in_vain(who: str) -> None:
    night = Restless()
    for n in range(4):
        night.wake()
        if n == 1:
            before = night.twist
            night.somebody = who == "client"
            lock = Inhibitor(frozenset({"sleep"}), "backup", "", "block", 0, 7)
            press = KeyPress(night.at + 1, "anna on tty1")
            if who == "lock":
                night.twist = also(before, inhibitors=(lock,))
            elif who == "keys":  # seen a good while later
                night.at += 100
                night.twist = also(before, key_press=press)
            night.decide()
            night.somebody, night.twist = False, before
        night.stay()
    assert storms(night.stay()) == []


def test_a_key_press_from_before_the_sleep_is_nobody_s_visit() -> None:
    night = Restless()
    press = KeyPress(T0 - 100, "anna on tty1")
    for _ in range(4):
        night.wake()
        night.twist = also(night.twist, key_press=press)
        night.stay()
    assert len(storms(night.stay())) == 1


def test_it_stays_up_longer_each_time_and_eight_hours_at_most() -> None:
    night = Restless()
    pauses = []
    for _ in range(5):
        for _ in range(3):
            night.wake()
            night.stay()
        night.wake()
        pauses.append(night.memory.unrest.pause)
        night.stay(night.memory.unrest.pause)
    assert pauses == [3600, 7200, 14400, PAUSE_MOST, PAUSE_MOST]


def test_who_comes_ends_it_and_the_next_storm_is_the_first_again() -> None:
    night = Restless()
    for _ in range(2):
        for _ in range(3):
            night.wake()
            night.stay()
        night.wake()
        assert len(storms(night.stay())) == 1
        assert night.memory.unrest.pause == 3600
        night.somebody = True
        night.decide()
        night.somebody = False
        assert storms(night.stay()) == []


def test_what_nobody_can_tell_is_no_visit() -> None:
    """After each wake-up every source is unknown for a moment; that is nobody's coming."""
    night = Restless()
    night.wake()
    decision = night.decide()
    assert any(reason.keeps_awake for reason in decision.reasons)
    assert not decision.memory.unrest.needed
