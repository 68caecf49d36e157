"""decide() keeps the server awake, and says why, if a domain is missing or fails."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core.snapshot_strategies import T0, idle_memory, make_snapshot, moment, silent

from powerd.config.load import parse
from powerd.core.actions import Sleep
from powerd.core.decide import decide
from powerd.core.domain import REQUIRED_DOMAINS, Assessment, Conclusion, Context, Domain
from powerd.core.reasons import UndatedReason
from powerd.core.snapshot import Decision, Memory, Snapshot
from powerd.daemon import DOMAINS
from powerd.power.model import SleepMemory

NOW = moment()
OPTIONS = parse(
    b'mode = "enforce"\n[awake]\nafter_start = "0s"\n[[sleep]]\naction = "suspend"\nwarn = "0s"', "test"
)
EMPTY_HOUSE = make_snapshot({1: silent(T0, T0 - 90_000)}, at=T0)
MEMORY = idle_memory(NOW, 80_000)


def decided(*domains: Domain) -> Decision:
    return decide(EMPTY_HOUSE, MEMORY, OPTIONS, NOW, domains)


def assert_awake(decision: Decision, subject: str, text: str) -> None:
    assert decision.phase in {"awake", "starting"}
    assert not any(action.irreversible for action in decision.actions)
    assert decision.planned_sleep is None
    assert any(
        each.blocks_sleep and each.subject == subject and text in each.text for each in decision.reasons
    )


def fails(*_: object) -> None:
    raise ValueError("that should not happen")


def with_domain(name: str, **changes: object) -> list[Domain]:
    return [replace(each, **changes) if each.name == name else each for each in DOMAINS]  # type: ignore[arg-type] # fields of a Domain


def test_with_all_domains_the_server_sleeps() -> None:
    assert [type(action) for action in decided(*DOMAINS).actions] == [Sleep]


def test_the_daemon_registers_all_required_domains_once() -> None:
    assert [domain.name for domain in DOMAINS] == list(REQUIRED_DOMAINS)


def test_without_any_domain_the_server_stays_awake() -> None:
    decision = decided()
    for name in REQUIRED_DOMAINS:
        assert_awake(decision, name, "is not registered")


@pytest.mark.parametrize("name", REQUIRED_DOMAINS)
def test_without_a_required_domain_the_server_stays_awake(name: str) -> None:
    assert_awake(decided(*(each for each in DOMAINS if each.name != name)), name, "is not registered")


@pytest.mark.parametrize("name", REQUIRED_DOMAINS)
def test_if_an_assessment_raises_the_server_stays_awake(name: str) -> None:
    decision = decided(*with_domain(name, assess=fails))
    assert_awake(decision, name, "ValueError: that should not happen")


def test_a_failed_assessment_leaves_the_memory_of_its_domain() -> None:
    memory = MEMORY.with_parts(SleepMemory(completed_rules=frozenset({3})))
    domains = [replace(each, conclude=None) for each in with_domain("power", assess=fails)]
    decision = decide(EMPTY_HOUSE, memory, OPTIONS, NOW, domains)
    assert decision.memory.part(SleepMemory) == memory.part(SleepMemory)


@pytest.mark.parametrize("name", REQUIRED_DOMAINS)
def test_if_the_detection_of_a_resume_raises_the_server_stays_awake(name: str) -> None:
    assert_awake(decided(*with_domain(name, detects_resume=fails)), name, "ValueError")


def test_if_the_conclusion_raises_the_server_stays_awake() -> None:
    assert_awake(decided(*with_domain("power", conclude=fails)), "power", "ValueError")


def test_without_a_conclusion_the_server_stays_awake() -> None:
    assert_awake(decided(*with_domain("power", conclude=None)), "sleep", "no domain decides")


def test_no_irreversible_action_is_decided_on_while_there_is_a_blocker() -> None:
    """Whatever the conclusion is."""

    def conclude(_: Context) -> Conclusion:
        return Conclusion("idle", actions=(Sleep(0, "suspend"),))

    def assess(_: Context) -> Assessment:
        return Assessment(blockers=(UndatedReason("backup", "runs"),))

    domains = [*with_domain("power", conclude=conclude), Domain("backup", assess)]
    assert decided(*domains).actions == ()
    assert decided(*domains[:-1]).actions == (Sleep(0, "suspend"),)


def test_no_assessment_may_decide_on_an_irreversible_action() -> None:
    def assess(_: Context) -> Assessment:
        return Assessment(actions=(Sleep(0, "poweroff"),))

    domains = [*with_domain("power", conclude=lambda _: Conclusion("idle")), Domain("backup", assess)]
    assert decided(*domains).actions == ()


def test_facts_that_nobody_has_published_keep_the_server_awake() -> None:
    for facts in EMPTY_HOUSE.facts:
        rest = {each: part for each, part in EMPTY_HOUSE.facts.items() if each is not facts}
        decision = decide(replace(EMPTY_HOUSE, facts=rest), MEMORY, OPTIONS, NOW, DOMAINS)
        assert decision.phase == "awake"
    assert decide(Snapshot(), Memory.initial(NOW), OPTIONS, NOW, DOMAINS).phase == "starting"
