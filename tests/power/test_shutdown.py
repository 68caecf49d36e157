"""On the way down: who is named for it, and that nothing is ordered meanwhile."""

from __future__ import annotations

import pytest
from core.snapshot_strategies import T0
from facts import changed
from power.decision_scenario import ABOUT_TO_SUSPEND, SLEEP, DecisionScenario, reasons, subjects

from powerd.core.actions import CompletedAction, Sleep
from powerd.power.model import ShutdownInProgress, SleepMemory
from powerd.power.shutdown import SHUTDOWN_VALID_FOR
from powerd.power.sleep_rules import CLOSE_POLL_INTERVAL


class ShutdownScenario(DecisionScenario):
    """A night in which logind has said at ``at`` that the server goes down."""

    def __init__(self, what: str = "sleep", at: float = 700.0) -> None:
        super().__init__()
        self.decide(0)
        self.leaving: ShutdownInProgress | None = ShutdownInProgress(T0 + at, what)
        self.edit_snapshot = lambda snapshot: changed(snapshot, shutdown=self.leaving)


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("sleep", "another program puts the server to sleep"),
        ("shutdown", "another program shuts the server down"),
    ],
)
def test_somebody_else_sends_it_down(what: str, text: str) -> None:
    scenario = ShutdownScenario(what)
    decision = scenario.decide(700)
    assert (decision.phase, decision.actions, decision.planned_sleep) == ("going-down", (), None)
    assert reasons(decision) == [f"sleep: {text}"]
    assert decision.next_decision_at == T0 + 700 + CLOSE_POLL_INTERVAL


def test_a_shutdown_in_progress_is_independent_of_presence() -> None:
    scenario = ShutdownScenario()
    scenario.somebody_home = True
    decision = scenario.decide(700)
    assert decision.phase == "going-down"
    assert subjects(decision) == ["sleep", "host1"]
    assert "another program" in decision.reasons[0].text
    assert decision.memory.part(SleepMemory).idle_since is None


def test_caused_by_an_own_action_in_flight() -> None:
    scenario = ShutdownScenario()
    scenario.in_flight = frozenset({SLEEP})
    assert reasons(scenario.decide(700)) == [f"sleep: {ABOUT_TO_SUSPEND}"]


def test_a_client_that_returns_during_an_own_action_is_not_reported_absent() -> None:
    scenario = ShutdownScenario()
    scenario.in_flight = frozenset({SLEEP})
    scenario.somebody_home = True
    assert "about to suspend" in reasons(scenario.decide(700))[0]


@pytest.mark.parametrize(
    ("start", "at", "ok", "ours"),
    [
        (699.0, 699.9, True, True),
        (699.0, 700.5, True, True),  # logind's signal came before its answer
        (690.0, 641.0, True, True),
        (630.0, 639.0, True, False),  # long ago
        (699.0, 699.9, False, False),  # refused
        (701.0, 702.0, True, False),  # begun after that
    ],
)
def test_caused_by_an_own_action_just_accepted(*, start: float, at: float, ok: bool, ours: bool) -> None:
    scenario = ShutdownScenario()
    scenario.results[Sleep] = CompletedAction(SLEEP, T0 + at, ok, "accepted", T0 + start)
    text = ABOUT_TO_SUSPEND if ours else "another program puts the server to sleep"
    assert reasons(scenario.decide(703))[0] == f"sleep: {text}"


def test_an_action_of_the_previous_day_is_no_cause() -> None:
    """Asleep CLOCK_MONOTONIC stands still: our order of eight hours ago was given seconds ago."""
    scenario = ShutdownScenario(at=720.0)
    scenario.results[Sleep] = CompletedAction(
        SLEEP, T0 + 700.1, ok=True, message="accepted", started_at=T0 + 700
    )
    scenario.slept = 8 * 3600.0
    scenario.decide(701)
    assert "another program" in reasons(scenario.decide(721))[0]


def test_a_wake_up_ends_it_without_a_signal() -> None:
    scenario = ShutdownScenario()
    scenario.decide(700)
    scenario.slept = 60.0
    assert scenario.decide(701).phase == "awake"


def test_an_announced_sleep_that_never_happens_expires() -> None:
    scenario = ShutdownScenario(at=0.0)
    assert scenario.decide(SHUTDOWN_VALID_FOR).phase == "going-down"
    assert scenario.decide(SHUTDOWN_VALID_FOR + 1).phase == "warning"


@pytest.mark.parametrize("ends", [True, False])
def test_a_shutdown_that_takes_long_has_not_failed(ends: bool) -> None:  # noqa: FBT001 - a parameter
    """Units may need minutes to stop, and delay locks may be long (InhibitDelayMaxSec=)."""
    scenario = ShutdownScenario(at=601.0)
    scenario.at = T0 + 600
    scenario.action_completed(SLEEP)
    scenario.decide(601)
    decision = scenario.decide(601 + SHUTDOWN_VALID_FOR)
    assert decision.phase == "going-down"
    assert decision.memory.part(SleepMemory).failed_sleep is None
    assert decision.memory.part(SleepMemory).awaited_sleep is not None, "so the alarm stays set"
    if ends:
        scenario.leaving = None
    later = scenario.decide(601 + SHUTDOWN_VALID_FOR + (0 if ends else 1)).memory.part(SleepMemory)
    assert later.failed_sleep is not None
    assert later.awaited_sleep is None


def test_idleness_goes_on_while_it_does_not_go_after_all() -> None:
    scenario = ShutdownScenario()
    scenario.decide(700)
    scenario.leaving = None
    decision = scenario.decide(701)
    assert decision.memory.part(SleepMemory).idle_since == T0
    assert decision.phase == "warning"
