"""Sleep rules that ignore dozing clients, and rules that do not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core.snapshot_strategies import T0, client, make_snapshot, sleep_actions
from facts import changed
from power.decision_scenario import SUSPEND, WARN, DecisionScenario, reasons, with_facts

from powerd.core.actions import Action, CancelWarning
from powerd.core.service import Environment
from powerd.core.snapshot import Decision, Snapshot, Status
from powerd.core.state import StateStore
from powerd.core.storage import Storage
from powerd.core.time import Reading, add_seconds
from powerd.power.model import SleepMemory, SleepRequest
from powerd.power.refresh import Refresher
from powerd.presence.model import EvidenceKind, Observation, PresenceFacts
from powerd.presence.silences import Limit
from powerd.simulation.clock import StoppedClock
from powerd.simulation.virtual_loop import run

AUTO = SUSPEND.replace('absent_after = "5min"', 'absent_after = "auto"').replace('"1min"', '"0s"')
IGNORED = AUTO + 'dozing = "ignored"\n'
BOTH = AUTO + '[[sleep]]\naction = "poweroff"\nidle_for = "20min"\nwarn = "0s"\ndozing = "ignored"\n'
NIGHT = BOTH + 'during = ["01:00-02:00"]\n'
"""The rule that ignores dozing does not act at the time of the tests, 22:00."""


class DozingScenario(DecisionScenario):
    """A phone that answers for the last time at ``answered``, seconds after the beginning, and dozes.

    Attributes:
        arp: it is seen by ARP alone then, and has not answered; None = never.
        unknown: it was probed hours ago for the last time.
    """

    def __init__(self, config: str, *, steady: bool = False) -> None:
        super().__init__(config)
        self.answered = 0.0
        self.steady = steady
        self.arp: float | None = None
        self.unknown = False
        self.begin = self.at
        self.edit_snapshot = lambda snapshot: changed(
            snapshot, clients=phone.part(PresenceFacts).clients, observations={client(1).id: self.reading()}
        )
        phone = make_snapshot({1: self.reading()}, at=self.at)

    def reading(self) -> Reading[Observation]:
        if self.unknown:
            old = Observation(self.begin - 9000, EvidenceKind.ICMP, silent_since=self.begin - 8000)
            return Reading(self.at - 9000, old)
        at, limit = self.begin + self.answered, Limit(3600.0, "naps", 900.0)
        if self.arp is not None:
            seen = Observation(self.begin + self.arp, EvidenceKind.ARP, answered_at=at, limit=limit)
            return Reading(self.at, seen)
        silent = self.at > at
        return Reading(
            self.at,
            Observation(
                at,
                EvidenceKind.ICMP,
                silent_since=at if silent else None,
                answered_at=at,
                dozing_since=None if self.steady else self.begin - 600,
                limit=limit,
            ),
        )


def remarks(decision: Decision) -> list[str]:
    return [each.text for each in decision.reasons if not each.blocks_sleep and "dozing =" in each.text]


@pytest.mark.parametrize(
    ("count", "names"),
    [(1, "host1 is"), (3, "host1, host2, host3 are"), (5, "host1, host2, host3 and 2 more are")],
)
def test_a_remark_names_three_dozing_clients_at_most(count: int, names: str) -> None:
    scenario = DozingScenario(IGNORED)
    phones = make_snapshot({n: Reading(T0, Observation()) for n in range(1, count + 1)}, at=T0)
    clients = phones.part(PresenceFacts).clients
    scenario.edit_snapshot = lambda snapshot: changed(
        snapshot, clients=clients, observations=dict.fromkeys(clients, scenario.reading())
    )
    assert [names in text for text in remarks(scenario.decide(0))] == [True]


def test_by_default_a_dozing_client_keeps_the_server_awake() -> None:
    scenario = DozingScenario(AUTO)
    assert "Mon 22:10" in remarks(scenario.decide(0))[0]
    for at in range(0, 3600, 60):
        decision = scenario.decide(at)
        assert decision.phase == "awake"
        assert decision.memory.part(SleepMemory).idle_since is None
    assert not sleep_actions(decision)
    assert [each.subject for each in decision.reasons if each.blocks_sleep] == [client(1).label]
    assert len(remarks(decision)) == 1, "it says what the other value would change"
    assert 'dozing = "ignored"' in remarks(decision)[0]
    assert "could act now" in remarks(decision)[0]


def test_a_rule_that_ignores_dozing_acts_after_its_idle_time() -> None:
    scenario = DozingScenario(IGNORED)
    assert not sleep_actions(scenario.decide(0))
    assert not sleep_actions(scenario.decide(599))
    decision = scenario.decide(600)
    assert sleep_actions(decision)
    assert 'dozing = "counts"' in remarks(decision)[0]


def test_it_waits_while_the_dozing_client_answers() -> None:
    """Somebody may just have picked it up."""
    scenario = DozingScenario(IGNORED)
    scenario.decide(0)
    scenario.answered = 595.0
    assert not sleep_actions(scenario.decide(600))
    assert not sleep_actions(scenario.decide(740))
    assert sleep_actions(scenario.decide(746)), "the idle time has not begun again"


def test_a_client_in_use_restarts_the_idle_time() -> None:
    scenario = DozingScenario(IGNORED)
    scenario.decide(0)
    scenario.answered, scenario.steady = 500.0, True
    scenario.decide(500)
    scenario.steady = False
    scenario.decide(700)
    assert not sleep_actions(scenario.decide(1099))
    assert sleep_actions(scenario.decide(1100)), "it counts from the last steady answer"


def test_a_client_in_use_counts_beside_one_that_dozes() -> None:
    scenario, other = DozingScenario(IGNORED), client(2)
    before = scenario.edit_snapshot

    def with_other(snapshot: Snapshot) -> Snapshot:
        facts = before(snapshot).part(PresenceFacts)
        at = min(scenario.at, T0 + 600)
        seen = Observation(at, EvidenceKind.ICMP, answered_at=at, limit=Limit(3600.0, "naps", 900.0))
        observations = {**facts.observations, other.id: Reading(scenario.at, seen)}
        return changed(
            before(snapshot), clients={**facts.clients, other.id: other}, observations=observations
        )

    scenario.edit_snapshot = with_other
    for at in (0, 600):
        decision = scenario.decide(at)
        assert (decision.phase, decision.planned_sleep, remarks(decision)) == ("awake", None, [])
    scenario.edit_snapshot = before
    assert not sleep_actions(scenario.decide(1199))
    assert sleep_actions(scenario.decide(1200)), "idle time counts from its last answer"


@pytest.mark.parametrize("ok", [True, False])
def test_a_dozing_client_does_not_let_the_rule_that_ignores_it_act_again(ok: bool) -> None:  # noqa: FBT001 - a case
    """It has acted, or waits after its failure."""
    scenario = DozingScenario(IGNORED)
    scenario.decide(0)
    (action,) = sleep_actions(scenario.decide(600))
    scenario.action_completed(action, ok=ok)
    assert not any(sleep_actions(scenario.decide(at)) for at in (601, 610, 659))
    assert bool(sleep_actions(scenario.decide(660))) is not ok


def test_a_dozing_client_is_an_activity_for_the_rules_that_count_it() -> None:
    scenario = DozingScenario(BOTH)
    scenario.decide(0)
    scenario.memory = changed(scenario.memory, completed_rules=frozenset({0, 1}))
    assert scenario.decide(10).memory.part(SleepMemory).completed_rules == {1}


def test_each_rule_has_its_own_idle_time() -> None:
    scenario = DozingScenario(BOTH)
    scenario.decide(0)
    assert not sleep_actions(scenario.decide(1190))
    [action] = sleep_actions(scenario.decide(1200))
    assert action.rule == 1  # type: ignore[attr-defined] # a Sleep
    scenario = DozingScenario(BOTH)
    scenario.decide(0)
    scenario.answered = -3000.0  # it is absent 600 s after the beginning
    scenario.decide(600)
    [action] = sleep_actions(scenario.decide(1200))
    assert action.rule == 0  # type: ignore[attr-defined] # a Sleep


def test_the_whole_idle_time_follows_the_absence() -> None:
    """A client that turns up again soon after its learned limit must find the server awake."""
    scenario = DozingScenario(AUTO, steady=True)
    scenario.decide(0)
    scenario.decide(1800)
    assert not sleep_actions(scenario.decide(3600))
    assert not sleep_actions(scenario.decide(4199))
    assert sleep_actions(scenario.decide(4200))


def reason_after_preparation(
    scenario: DozingScenario, *, took: float, arp: float | None = None, answered: float | None = None
) -> str | None:
    """What the last check finds after a preparation that begins now; the others are as in Bedside."""
    began_at, scenario.in_flight = scenario.at, frozenset(sleep_actions(scenario.decide()))
    assert scenario.in_flight
    scenario.arp = arp
    scenario.answered = scenario.answered if answered is None else answered

    async def recheck() -> str | None:
        environment = Environment(
            StoppedClock(), StateStore(), lambda: scenario.options, Storage(None), pytest.fail, ""
        )
        decision = scenario.decide(began_at - scenario.begin + took)
        assert decision.actions == (), "the sleep may yet happen, and nothing is cancelled before"
        status = Status(scenario.now, "enforce", Snapshot(), decision, scenario.now)
        return await Refresher(environment, {}, lambda: replace(status)).reason_to_stay_awake(
            began_at, polls=True
        )

    return run(recheck())


@pytest.mark.parametrize("has_decided", [False, True])
def test_without_a_decision_on_the_present_facts_no_preparation_ends_in_a_sleep(has_decided: bool) -> None:  # noqa: FBT001 - a case
    """The last one may be of facts that hold no more: the engine may be waiting for a poll."""
    environment = Environment(StoppedClock(), StateStore(), pytest.fail, Storage(None), pytest.fail, "")
    scenario = DozingScenario(IGNORED)
    scenario.decide(0)
    decision = scenario.decide(600)
    assert sleep_actions(decision)
    last = Status(scenario.now, "enforce", Snapshot(), decision, scenario.now) if has_decided else None
    refresher = Refresher(environment, {}, lambda: last)
    assert run(refresher.reason_to_stay_awake(scenario.at, polls=False)) is not None


@pytest.mark.parametrize("config", [IGNORED, BOTH], ids=["ignored", "both"])
@pytest.mark.parametrize("answered", [625.0, 655.0, None])
def test_a_dozing_client_that_answers_during_the_preparation_prevents_the_sleep(
    config: str, answered: float | None
) -> None:
    scenario = DozingScenario(config.replace('"20min"', '"10min"'))
    scenario.decide(0)
    scenario.decide(600)
    reason = reason_after_preparation(scenario, took=60, answered=answered)
    assert (reason is None) == (answered is None)
    rule = 1 if config == IGNORED else 2
    assert reason is None or (reason.startswith(f"sleep rule {rule}: ") and "answers" in reason)


@pytest.mark.parametrize("config", [AUTO, BOTH, NIGHT], ids=["counts", "both", "night"])
@pytest.mark.parametrize(("arp", "answered"), [(1235.0, None), (None, 1235.0), (None, None)])
def test_a_client_that_returns_during_the_preparation_prevents_a_sleep_that_counts_dozing(
    config: str, arp: float | None, answered: float | None
) -> None:
    scenario = DozingScenario(config.replace('"20min"', '"30min"'))
    scenario.answered = -3700.0
    scenario.decide(0)
    scenario.decide(1200)
    reason = reason_after_preparation(scenario, took=40, arp=arp, answered=answered)
    assert (reason is None) == (arp is None and answered is None)
    assert reason is None or "host1" in reason


def announced_at_night(config: str, answered: float) -> DozingScenario:
    """A minute before the sleep by the first rule, which has just been announced."""
    scenario = DozingScenario(config.replace('warn = "0s"', 'warn = "1min"', 1))
    scenario.answered = answered
    scenario.decide(0)
    assert scenario.decide(540).actions == (WARN,)
    scenario.action_completed(WARN)
    return scenario


def test_a_cancellation_names_the_client_for_which_the_announced_rule_waits() -> None:
    scenario = announced_at_night(NIGHT, -3700.0)
    scenario.arp = 545.0
    decision = scenario.decide(550)
    blocker = next(each for each in decision.reasons if each.subject.startswith("host1"))
    assert decision.actions == (CancelWarning(0, "suspend", f"{blocker.subject}: {blocker.text}"),)


@pytest.mark.parametrize(
    "others", ["", NIGHT.removeprefix(AUTO).replace("ignored", "counts")], ids=["", "both"]
)
def test_a_cancellation_of_a_rule_that_ignores_dozing_names_what_it_waits_for(others: str) -> None:
    scenario = announced_at_night(IGNORED + others, 0.0)
    scenario.answered = 755.0
    decision = scenario.decide(760)
    assert decision.actions == (CancelWarning(0, "suspend", reasons(decision)[0]),)
    assert "answers" in reasons(decision)[0]


def test_a_short_delay_does_not_call_the_announced_sleep_off() -> None:
    """Users who have read the announcement need no second one, and no cancellation."""
    scenario = announced_at_night(IGNORED, 0.0)
    scenario.answered = 580.0
    decision = scenario.decide(581)
    assert (decision.phase, decision.actions) == ("warning", ())
    assert not sleep_actions(scenario.decide(729))
    assert sleep_actions(scenario.decide(730))


@pytest.mark.parametrize(
    ("over_clients", "actions"), [(False, ()), (True, (replace(WARN, seconds=30.0, over_clients=True),))]
)
def test_a_request_waits_for_a_dozing_client_in_use_unless_it_passes_over_clients(
    over_clients: bool,  # noqa: FBT001 - a case
    actions: tuple[Action, ...],
) -> None:
    scenario = DozingScenario(IGNORED)
    until = add_seconds(scenario.now, 3600)
    request = SleepRequest(scenario.now, until, over_clients)
    scenario.edit_snapshot = with_facts(scenario.edit_snapshot, sleep_request=request)
    assert scenario.decide(0).actions == actions


@pytest.mark.parametrize("written", [True, False])
def test_a_cancelled_announcement_is_made_again(written: bool) -> None:  # noqa: FBT001 - a case
    scenario = announced_at_night(IGNORED, 0.0)
    scenario.unknown = True
    (cancellation,) = scenario.decide(555).actions
    assert isinstance(cancellation, CancelWarning)
    if written:
        scenario.action_completed(cancellation)
    else:
        scenario.in_flight = frozenset({cancellation})
    scenario.unknown = False
    assert scenario.decide(601).actions == (WARN,)
    scenario.in_flight = frozenset()
    scenario.action_completed(cancellation)
    scenario.at += 1
    scenario.action_completed(WARN)
    assert not sleep_actions(scenario.decide(661))
    assert sleep_actions(scenario.decide(663))
