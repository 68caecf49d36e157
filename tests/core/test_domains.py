"""decide() fails closed: without a domain, or with one that fails, the server stays awake and says why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from core.snapshot_strategies import T0, idle_memory, make_snapshot, moment, silent, situations
from hypothesis import given, settings
from hypothesis import strategies as st

from powerd.config.load import parse
from powerd.config.options import Options
from powerd.core.actions import Sleep
from powerd.core.decide import decide
from powerd.core.domain import REQUIRED_DOMAINS, Assessment, Conclusion, Context, Domain
from powerd.core.reasons import UndatedReason
from powerd.core.snapshot import Decision, Memory, Snapshot
from powerd.core.time import Moment
from powerd.daemon import DOMAINS
from powerd.disks.model import DiskId, SpinDown
from powerd.power.model import SleepMemory

NOW = moment()
OPTIONS = parse(
    b'mode = "enforce"\n[awake]\nafter_start = "0s"\n'
    b'[[sleep]]\naction = "suspend"\nidle_for = "10min"\nwarn = "0s"',
    "test",
)
EMPTY_HOUSE = make_snapshot({1: silent(T0, T0 - 9999)}, at=T0)
LONG_IDLE = idle_memory(NOW, 3600.0)
NAMES = [domain.name for domain in DOMAINS]


def decided(domains: Sequence[Domain], memory: Memory = LONG_IDLE) -> Decision:
    return decide(EMPTY_HOUSE, memory, OPTIONS, NOW, domains)


def fails(_: Context) -> Assessment:
    raise ZeroDivisionError("by nought")


def fails_to_conclude(_: Context) -> Conclusion:
    raise ZeroDivisionError("by nought")


def blockers(decision: Decision) -> list[str]:
    return [reason.subject for reason in decision.reasons if reason.blocks_sleep]


def replaced(name: str, **changes: object) -> tuple[Domain, ...]:
    return tuple(
        replace(domain, **changes) if domain.name == name else domain  # type: ignore[arg-type] # fields of Domain
        for domain in DOMAINS
    )


def test_the_situation_leads_to_sleep() -> None:
    assert any(isinstance(action, Sleep) for action in decided(DOMAINS).actions)


def test_all_required_domains_are_registered_once_and_in_dependency_order() -> None:
    assert list(REQUIRED_DOMAINS) == NAMES
    assert sum(domain.conclude is not None for domain in DOMAINS) == 1


def test_no_domain_at_all() -> None:
    decision = decided(())
    assert (decision.actions, decision.phase) == ((), "awake")
    assert set(blockers(decision)) == {*REQUIRED_DOMAINS, "sleep"}


@pytest.mark.parametrize("name", NAMES)
def test_a_required_domain_that_is_missing(name: str) -> None:
    decision = decided([domain for domain in DOMAINS if domain.name != name])
    assert not any(action.irreversible for action in decision.actions)
    assert decision.phase == "awake"
    assert name in blockers(decision)


@pytest.mark.parametrize("name", NAMES)
def test_an_assessment_that_raises(name: str) -> None:
    decision = decided(replaced(name, assess=fails))
    assert not any(action.irreversible for action in decision.actions)
    (reason,) = [reason for reason in decision.reasons if reason.subject == name]
    assert "ZeroDivisionError: by nought" in reason.text
    assert decision.memory.part(SleepMemory).idle_since is None, "idleness starts anew"
    assert decided(DOMAINS, decision.memory).actions == ()


@pytest.mark.parametrize("name", NAMES)
def test_an_assessment_that_is_none(name: str) -> None:
    decision = decided(replaced(name, assess=lambda _: None))
    assert not any(action.irreversible for action in decision.actions)
    assert name in blockers(decision)


def test_a_conclusion_that_raises() -> None:
    decision = decided(replaced("power", conclude=fails_to_conclude))
    assert (decision.actions, decision.phase) == ((), "awake")
    assert "power" in blockers(decision)
    assert decision.memory.part(SleepMemory).idle_since is None


def test_no_conclusion() -> None:
    decision = decided(replaced("power", conclude=None))
    assert (decision.actions, blockers(decision)) == ((), ["sleep"])


def test_an_irreversible_action_is_dropped_if_anything_blocks_sleep() -> None:
    """Also if a conclusion overlooks the blocker."""

    def careless(_: Context) -> Conclusion:
        return Conclusion("warning", actions=(Sleep(0, "suspend"),))

    blocked = Domain(name="extra", assess=lambda _: Assessment(blockers=(UndatedReason("extra", "busy"),)))
    assert decided((*replaced("power", conclude=careless),)).actions == (Sleep(0, "suspend"),)
    assert decided((*replaced("power", conclude=careless), blocked)).actions == ()


def test_a_later_domain_withholds_actions_of_earlier_ones() -> None:
    stop, other = SpinDown(DiskId("a"), "ata"), SpinDown(DiskId("b"), "ata")
    first = Domain(name="first", assess=lambda _: Assessment(actions=(stop, other)))
    later = Domain(name="later", assess=lambda _: Assessment(withheld=frozenset({DiskId("a")})))
    busy = Domain(name="busy", assess=lambda _: Assessment(blockers=(UndatedReason("busy", "busy"),)))
    assert decided((*DOMAINS, busy, first, later)).actions == (other,)


@settings(max_examples=200, deadline=None)
@given(situations(), st.sampled_from(NAMES), st.booleans())
def test_no_situation_leads_to_sleep_without_a_domain(
    situation: tuple[Snapshot, Memory, Options, Moment],
    name: str,
    missing: bool,  # noqa: FBT001 - hypothesis hands it in
) -> None:
    domains = (
        [domain for domain in DOMAINS if domain.name != name] if missing else replaced(name, assess=fails)
    )
    assert not any(action.irreversible for action in decide(*situation, domains).actions)
