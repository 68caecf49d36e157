"""On the way down: who is named for it, and that nothing is ordered meanwhile."""

from __future__ import annotations

from dataclasses import replace

import pytest
from policy.night import GOING, SLEEP, Night, reasons
from policy.worlds import T0

from powerd.model import Leaving, Outcome, Sleep
from powerd.policy.leaving import BELIEVED
from powerd.policy.sleep import CLOSE_LOOK


class Departing(Night):
    """A night in which logind has said at ``at`` that the server goes down."""

    def __init__(self, what: str = "sleep", at: float = 700.0) -> None:
        super().__init__()
        self.decide(0)
        self.leaving: Leaving | None = Leaving(T0 + at, what)
        self.twist = lambda snapshot: replace(snapshot, leaving=self.leaving)


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("sleep", "somebody else puts the server to sleep"),
        ("shutdown", "somebody else shuts the server down"),
    ],
)
def test_somebody_else_sends_it_down(what: str, text: str) -> None:
    night = Departing(what)
    decision = night.decide(700)
    assert (decision.phase, decision.orders, decision.plan) == ("going-down", (), None)
    assert reasons(decision) == [f"sleep: {text}"]
    assert decision.look_again == T0 + 700 + CLOSE_LOOK


def test_it_is_on_its_way_whoever_is_home() -> None:
    night = Departing()
    night.somebody = True
    decision = night.decide(700)
    assert decision.phase == "going-down"
    assert reasons(decision) == [
        "sleep: somebody else puts the server to sleep",
        "host1: home, answers ping",
    ]
    assert decision.memory.idle_since is None


def test_by_our_own_order_that_is_under_way() -> None:
    night = Departing()
    night.in_flight = frozenset({SLEEP})
    assert reasons(night.decide(700)) == [f"sleep: {GOING}"]


def test_somebody_who_comes_while_our_own_order_is_under_way_is_not_said_to_be_away() -> None:
    night = Departing()
    night.in_flight = frozenset({SLEEP})
    night.somebody = True
    assert reasons(night.decide(700))[0] == "sleep: about to suspend by sleep rule 1"


@pytest.mark.parametrize(
    ("begun", "at", "ok", "ours"),
    [
        (699.0, 699.9, True, True),
        (699.0, 700.5, True, True),  # logind's signal came before its answer
        (690.0, 641.0, True, True),
        (630.0, 639.0, True, False),  # long ago
        (699.0, 699.9, False, False),  # refused
        (701.0, 702.0, True, False),  # begun after that
    ],
)
def test_by_our_own_order_that_was_accepted_just_now(
    *, begun: float, at: float, ok: bool, ours: bool
) -> None:
    night = Departing()
    night.outcomes[Sleep] = Outcome(SLEEP, T0 + at, ok, "accepted", T0 + begun)
    said = GOING if ours else "somebody else puts the server to sleep"
    assert reasons(night.decide(703))[0] == f"sleep: {said}"


def test_last_night_s_order_is_not_this_one_s_cause() -> None:
    """Asleep CLOCK_MONOTONIC stands still: our order of eight hours ago was given seconds ago."""
    night = Departing(at=720.0)
    night.outcomes[Sleep] = Outcome(SLEEP, T0 + 700.1, ok=True, observed="accepted", begun=T0 + 700)
    night.slept = 8 * 3600.0
    night.decide(701)
    assert reasons(night.decide(721))[0] == "sleep: somebody else puts the server to sleep"


def test_a_wake_up_ends_it_though_nobody_has_said_so() -> None:
    night = Departing()
    night.decide(700)
    night.slept = 60.0
    assert night.decide(701).phase == "awake"


def test_a_way_down_that_leads_nowhere_is_not_believed_in_for_ever() -> None:
    night = Departing(at=0.0)
    assert night.decide(BELIEVED).phase == "going-down"
    assert night.decide(BELIEVED + 1).phase == "warning"


def test_idleness_goes_on_while_it_does_not_go_after_all() -> None:
    night = Departing()
    night.decide(700)
    night.leaving = None
    decision = night.decide(701)
    assert decision.memory.idle_since == T0
    assert decision.phase == "warning"
