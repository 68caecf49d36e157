"""decide() fails closed: if a domain or a source is missing or fails, the server stays awake and says why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from core.snapshot_strategies import T0, idle_memory, make_snapshot, moment, silent, situations
from hypothesis import given, settings
from hypothesis import strategies as st

from powerd.config.load import parse
from powerd.config.options import Options
from powerd.core.actions import Sleep
from powerd.core.decide import decide
from powerd.core.domain import REQUIRED_DOMAINS, Assessment, Conclusion, Context, Domain, no_sources
from powerd.core.reasons import UndatedReason
from powerd.core.snapshot import Decision, Memory, Snapshot, SourceId, parts_by_type
from powerd.core.time import Moment, Reading, Unavailable
from powerd.daemon import DOMAINS
from powerd.disks.model import DiskId, SpinDown
from powerd.power.model import LOGIND, NETWORK_CARDS, TIMERS, SleepMemory
from powerd.presence.model import CLIENTS

NOW = moment()
OPTIONS = parse(
    b'mode = "enforce"\n[awake]\nafter_start = "0s"\n'
    b'[[sleep]]\naction = "suspend"\nidle_for = "10min"\nwarn = "0s"',
    "test",
)
NOBODY_HOME = make_snapshot({1: silent(T0, T0 - 9999)}, at=T0)
LONG_IDLE = idle_memory(NOW, 3600.0)
NAMES = [domain.name for domain in DOMAINS]


def decided(
    domains: Sequence[Domain], memory: Memory = LONG_IDLE, snapshot: Snapshot = NOBODY_HOME
) -> Decision:
    return decide(snapshot, memory, OPTIONS, NOW, domains)


def replaced(name: str, **changes: object) -> tuple[Domain, ...]:
    return tuple(
        replace(domain, **changes) if domain.name == name else domain  # type: ignore[arg-type] # fields of Domain
        for domain in DOMAINS
    )


def without(name: str) -> list[Domain]:
    return [domain for domain in DOMAINS if domain.name != name]


def extra(assessment: Assessment) -> Domain:
    return Domain("extra", lambda _: assessment, no_sources)


def fails(*_: object) -> None:
    raise ValueError("that should not happen")


def blockers(decision: Decision) -> list[str]:
    return [reason.subject for reason in decision.reasons if reason.blocks_sleep]


def assert_awake(decision: Decision, subject: str, text: str) -> None:
    assert decision.phase in {"awake", "starting"}
    assert not any(action.irreversible for action in decision.actions)
    assert decision.planned_sleep is None
    assert [
        text in each.text for each in decision.reasons if each.blocks_sleep and each.subject == subject
    ] == [True]


def test_the_situation_leads_to_sleep() -> None:
    assert [type(action) for action in decided(DOMAINS).actions] == [Sleep]


def test_all_required_domains_are_registered_once_and_in_dependency_order() -> None:
    assert list(REQUIRED_DOMAINS) == [name for name in NAMES if name != "attribution"]
    assert sum(domain.conclude is not None for domain in DOMAINS) == 1


def test_no_domain_at_all() -> None:
    decision = decided(())
    assert (decision.actions, decision.phase) == ((), "awake")
    assert set(blockers(decision)) == {*REQUIRED_DOMAINS, "sleep"}


@pytest.mark.parametrize("name", REQUIRED_DOMAINS)
def test_a_required_domain_that_is_missing(name: str) -> None:
    decision = decided(without(name))
    assert decision.phase == "awake"
    assert_awake(decision, name, "is not registered")
    assert not any(each.confirmed for each in decision.reasons if each.subject == name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("function", ["assess", "required_sources", "detects_resume"])
def test_a_function_that_raises(name: str, function: str) -> None:
    decision = decided(replaced(name, **{function: fails}))
    assert_awake(decision, name, "ValueError: that should not happen")
    assert decision.memory.part(SleepMemory).idle_since is None, "the idle time starts again"
    assert decided(DOMAINS, decision.memory).actions == ()


@pytest.mark.parametrize("name", NAMES)
def test_an_assessment_that_is_none(name: str) -> None:
    decision = decided(replaced(name, assess=lambda _: None))
    assert not any(action.irreversible for action in decision.actions)
    assert name in blockers(decision)


def test_a_failed_assessment_leaves_the_memory_of_its_domain() -> None:
    memory = LONG_IDLE.with_parts(SleepMemory(completed_rules=frozenset({3})))
    domains = [replace(each, conclude=None) for each in replaced("power", assess=fails)]
    assert decided(domains, memory).memory.part(SleepMemory) == memory.part(SleepMemory)


WOKEN = replace(NOW, slept=NOW.slept + 600.0, wall=NOW.wall + timedelta(seconds=600))


def test_a_resume_is_noted_even_if_the_assessment_of_its_decision_raises() -> None:
    decision = decide(NOBODY_HOME, LONG_IDLE, OPTIONS, WOKEN, replaced("power", assess=fails))
    assert_awake(decision, "power", "ValueError")
    assert decision.memory.part(SleepMemory).wake_storm.last_wakeup_at == WOKEN.mono + WOKEN.slept


def test_a_failing_on_resume_keeps_the_server_awake() -> None:
    decision = decide(NOBODY_HOME, LONG_IDLE, OPTIONS, WOKEN, replaced("disks", on_resume=fails))
    assert_awake(decision, "disks", "ValueError")


def test_a_conclusion_that_raises() -> None:
    decision = decided(replaced("power", conclude=fails))
    assert (decision.actions, decision.phase) == ((), "awake")
    assert_awake(decision, "power", "ValueError")
    (failed,) = [each for each in decision.reasons if each.subject == "power"]
    assert "(powerd.core.decide:" in failed.text, "the place in powerd's own code"
    assert not failed.confirmed, "nothing shows that the server is in use"
    assert decision.memory.part(SleepMemory).idle_since is None


def test_no_conclusion() -> None:
    decision = decided(replaced("power", conclude=None))
    assert (decision.actions, blockers(decision)) == ((), ["sleep"])
    assert_awake(decision, "sleep", "no domain decides")


@pytest.mark.parametrize("phase", ["idle", "warning"])
def test_an_irreversible_action_is_dropped_if_anything_blocks_sleep(phase: str) -> None:
    """Also if a conclusion overlooks the blocker."""
    domains = replaced("power", conclude=lambda _: Conclusion(phase, actions=(Sleep(0, "suspend"),)))  # type: ignore[arg-type] # a Phase
    assert decided(domains).actions == (Sleep(0, "suspend"),)
    assert decided((*domains, extra(Assessment(blockers=(UndatedReason("backup", "runs"),))))).actions == ()


def test_no_assessment_may_decide_on_an_irreversible_action() -> None:
    domains = replaced("power", conclude=lambda _: Conclusion("idle"))
    assert decided((*domains, extra(Assessment(actions=(Sleep(0, "poweroff"),))))).actions == ()


def test_a_later_domain_withholds_actions_of_earlier_ones() -> None:
    stop, other = SpinDown(DiskId("a"), "ata"), SpinDown(DiskId("b"), "ata")
    first = extra(Assessment(actions=(stop, other)))
    later = extra(Assessment(withheld=frozenset({DiskId("a")})))
    busy = extra(Assessment(blockers=(UndatedReason("busy", "busy"),)))
    assert decided((*DOMAINS, busy, first, later)).actions == (other,)


@pytest.mark.parametrize("running", [True, False])
def test_a_sleep_postpones_the_actions_of_domains(running: bool) -> None:  # noqa: FBT001 - a parameter
    """A disk is spun down by the sleep anyway, and a command to it would be interrupted."""
    sleep, stop = Sleep(0, "suspend"), extra(Assessment(actions=(SpinDown(DiskId("a"), "ata"),)))
    actions = () if running else (sleep,)
    domains = replaced("power", conclude=lambda _: Conclusion("warning", actions=actions))
    snapshot = replace(NOBODY_HOME, running_actions=frozenset({sleep} if running else ()))
    assert decided((*domains, stop), snapshot=snapshot).actions == actions


def test_one_domain_with_running_actions_defers_the_sleep() -> None:
    defers = extra(Assessment(defers_sleep=True))
    for domains in ((defers, *DOMAINS), (*DOMAINS, defers)):
        decision = decided(domains)
        assert not any(action.irreversible for action in decision.actions)
        assert decision.next_decision_at <= NOW.mono + 10


def test_facts_that_nobody_has_published_keep_the_server_awake() -> None:
    for facts in NOBODY_HOME.facts:
        rest = parts_by_type(*(part for each, part in NOBODY_HOME.facts.items() if each is not facts))
        assert decided(DOMAINS, snapshot=replace(NOBODY_HOME, facts=rest)).phase == "awake"
    assert decided(DOMAINS, Memory.initial(NOW), Snapshot()).phase == "starting"


JELLYFIN = SourceId("activity.jellyfin")
UNRELIABLE: dict[str, Reading[tuple[str, ...]] | Unavailable | None] = {
    "has not been polled yet": None,
    "connection refused": Unavailable(T0, "connection refused"),
    "has not been polled for too long": Reading(T0 - 61, ()),
    "has not been polled since the wake-up": Reading(T0 - 6, ()),
}


def requiring(source: SourceId, max_age: float) -> Domain:
    """A domain that requires a source, and ignores it."""
    return Domain("activity", lambda _: Assessment(), lambda _: {source: max_age})


def with_source(source: SourceId, reading: Reading[tuple[str, ...]] | Unavailable | None) -> Snapshot:
    others = {name: each for name, each in NOBODY_HOME.sources.items() if name != source}
    return replace(NOBODY_HOME, sources=others if reading is None else {**others, source: reading})


@pytest.mark.parametrize("text", UNRELIABLE)
def test_a_domain_that_ignores_its_source_is_not_trusted(text: str) -> None:
    domains = (*DOMAINS, requiring(JELLYFIN, 60.0))
    memory = replace(LONG_IDLE, resumed_at=T0 - 5 if "wake-up" in text else None)
    assert JELLYFIN not in blockers(decided(domains, memory, with_source(JELLYFIN, Reading(T0, ()))))
    assert_awake(decided(domains, memory, with_source(JELLYFIN, UNRELIABLE[text])), JELLYFIN, text)


@pytest.mark.parametrize("source", [CLIENTS, LOGIND, TIMERS, NETWORK_CARDS])
@pytest.mark.parametrize("reading", [None, Unavailable(T0, "broken"), Reading(T0 - 300_000, ())])
def test_every_required_source_blocks_if_its_domain_ignores_it(
    source: SourceId, reading: Reading[tuple[str, ...]] | Unavailable | None
) -> None:
    options = replace(OPTIONS, wake=replace(OPTIONS.wake, timers=("auto",), arm_lan=True))
    domains = [replace(each, assess=lambda _: Assessment()) for each in DOMAINS]
    assert not blockers(decide(NOBODY_HOME, LONG_IDLE, options, NOW, domains))
    decision = decide(with_source(source, reading), LONG_IDLE, options, NOW, domains)
    assert_awake(decision, source, "")
    assert decision.phase == ("starting" if reading is None else "awake")


def test_a_reading_that_no_domain_requires_is_not_used() -> None:
    def assess(context: Context) -> Assessment:
        context.is_reliable(JELLYFIN)
        return Assessment()

    snapshot = with_source(JELLYFIN, Reading(T0, ()))
    decision = decided((*DOMAINS, Domain("activity", assess, no_sources)), snapshot=snapshot)
    assert_awake(decision, "activity", JELLYFIN)


def test_a_source_of_two_domains_blocks_once_by_the_stricter_age() -> None:
    lax, strict = requiring(JELLYFIN, 90.0), requiring(JELLYFIN, 60.0)
    for domains in ((lax, strict), (strict, lax)):
        snapshot = with_source(JELLYFIN, Reading(T0 - 61, ()))
        assert blockers(decided((*DOMAINS, *domains), snapshot=snapshot)) == [JELLYFIN]
        assert blockers(decided((*DOMAINS, *domains))) == [JELLYFIN]


@pytest.mark.long
@settings(max_examples=200, deadline=None)
@given(situations(), st.sampled_from(NAMES), st.booleans())
def test_no_situation_leads_to_sleep_without_a_domain(
    situation: tuple[Snapshot, Memory, Options, Moment],
    name: str,
    missing: bool,  # noqa: FBT001 - hypothesis hands it in
) -> None:
    domains = without(name) if missing and name in REQUIRED_DOMAINS else replaced(name, assess=fails)
    assert not any(action.irreversible for action in decide(*situation, domains).actions)
