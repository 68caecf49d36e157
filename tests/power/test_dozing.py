"""Sleep rules that ignore dozing clients, and rules that do not."""

from __future__ import annotations

from core.snapshot_strategies import client, make_snapshot, sleep_actions
from facts import changed
from power.decision_scenario import SUSPEND, DecisionScenario

from powerd.core.snapshot import Decision
from powerd.core.time import Reading
from powerd.power.model import SleepMemory
from powerd.presence.model import EvidenceKind, Observation, PresenceFacts
from powerd.presence.silences import Limit

AUTO = SUSPEND.replace('absent_after = "5min"', 'absent_after = "auto"').replace('"1min"', '"0s"')
IGNORED = AUTO + 'dozing = "ignored"\n'
BOTH = AUTO + '[[sleep]]\naction = "poweroff"\nidle_for = "20min"\nwarn = "0s"\ndozing = "ignored"\n'


class Bedside(DecisionScenario):
    """A phone that answers for the last time at ``answered``, seconds after the beginning, and dozes."""

    def __init__(self, config: str, *, steady: bool = False) -> None:
        super().__init__(config)
        self.answered = 0.0
        self.steady = steady
        self.begin = self.at
        self.edit_snapshot = lambda snapshot: changed(
            snapshot, clients=phone.part(PresenceFacts).clients, observations={client(1).id: self._reading()}
        )
        phone = make_snapshot({1: self._reading()}, at=self.at)

    def _reading(self) -> Reading[Observation]:
        at = self.begin + self.answered
        silent = self.at > at
        return Reading(
            self.at,
            Observation(
                at,
                EvidenceKind.ICMP,
                silent_since=at if silent else None,
                answered_at=at,
                dozing_since=None if self.steady else self.begin - 600,
                limit=Limit(3600.0, "naps", 900.0),
            ),
        )


def remarks(decision: Decision) -> list[str]:
    return [each.text for each in decision.reasons if not each.blocks_sleep and "dozing =" in each.text]


def test_by_default_a_dozing_client_keeps_the_server_awake() -> None:
    scenario = Bedside(AUTO)
    for at in range(0, 3600, 60):
        decision = scenario.decide(at)
        assert decision.phase == "awake"
        assert decision.memory.part(SleepMemory).idle_since is None
    assert not sleep_actions(decision)
    assert len(remarks(decision)) == 1, "it says what the other value would change"
    assert 'dozing = "ignored"' in remarks(decision)[0]


def test_a_rule_that_ignores_dozing_acts_after_its_idle_time() -> None:
    scenario = Bedside(IGNORED)
    assert not sleep_actions(scenario.decide(0))
    assert not sleep_actions(scenario.decide(599))
    decision = scenario.decide(600)
    assert sleep_actions(decision)
    assert 'dozing = "counts"' in remarks(decision)[0]


def test_it_waits_while_the_dozing_client_answers() -> None:
    """Somebody may just have picked it up."""
    scenario = Bedside(IGNORED)
    scenario.decide(0)
    scenario.answered = 595.0
    assert not sleep_actions(scenario.decide(600))
    assert not sleep_actions(scenario.decide(740))
    assert sleep_actions(scenario.decide(746)), "the idle time has not begun again"


def test_a_client_in_use_restarts_the_idle_time() -> None:
    scenario = Bedside(IGNORED)
    scenario.decide(0)
    scenario.answered, scenario.steady = 500.0, True
    scenario.decide(500)
    scenario.steady = False
    scenario.decide(700)
    assert not sleep_actions(scenario.decide(1099))
    assert sleep_actions(scenario.decide(1100)), "it counts from the last steady answer"


def test_each_rule_has_its_own_idle_time() -> None:
    scenario = Bedside(BOTH)
    scenario.decide(0)
    assert not sleep_actions(scenario.decide(1190))
    [action] = sleep_actions(scenario.decide(1200))
    assert action.rule == 1  # type: ignore[attr-defined] # a Sleep
    scenario = Bedside(BOTH)
    scenario.decide(0)
    scenario.answered = -3000.0  # it is absent 600 s after the beginning
    scenario.decide(600)
    [action] = sleep_actions(scenario.decide(1200))
    assert action.rule == 0  # type: ignore[attr-defined] # a Sleep


def test_the_whole_idle_time_follows_the_absence() -> None:
    """A client that turns up again soon after its learned limit must find the server awake."""
    scenario = Bedside(AUTO, steady=True)
    scenario.decide(0)
    scenario.decide(1800)
    assert not sleep_actions(scenario.decide(3600))
    assert not sleep_actions(scenario.decide(4199))
    assert sleep_actions(scenario.decide(4200))
