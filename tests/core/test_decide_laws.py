"""The seven laws that no configuration and no fact may break."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from core.snapshot_strategies import (
    CLIENTS,
    client,
    decide_situation,
    idle_memory,
    make_snapshot,
    moment,
    silent,
    situations_with_requests,
    sleep_actions,
)
from facts import CheckFacts, changed, decide
from hypothesis import event, given, settings
from hypothesis import strategies as st
from rig.examples import examples

from powerd.config.load import parse
from powerd.config.options import Options, SleepRule
from powerd.core.actions import Sleep, WarnUsers
from powerd.core.snapshot import Memory, Snapshot, SourceId
from powerd.core.time import Moment, Reading, Unavailable, add_seconds
from powerd.disks.model import DiskAction
from powerd.power.model import (
    LOGIND,
    POLL_INTERVALS,
    TIMERS,
    Inhibitor,
    KeyPress,
    LogindFacts,
    PowerReport,
    ShutdownInProgress,
    SleepMemory,
    SleepRequestFacts,
    SystemdTimer,
    TimerFacts,
)
from powerd.presence.model import Observation, PresenceFacts
from powerd.requests.model import KeepAwake, KeepAwakeId

Situation = tuple[Snapshot, Memory, Options, Moment]
laws = settings(max_examples=examples(400), deadline=None)
BLOCKERS = ["client", "check", "unasked", "keep", "hold", "lock", "keys", "leaving"]


@pytest.mark.long
def test_the_strategies_reach_sleep() -> None:
    """Laws that say "never Sleep" prove nothing unless the situations they draw do lead to Sleep."""
    found: list[int] = []

    @settings(max_examples=400, deadline=None, database=None, derandomize=True)
    @given(situations_with_requests())
    def count(situation: Situation) -> None:
        found.append(len(sleep_actions(decide_situation(situation))))

    count()
    assert sum(found) > len(found) / 100  # which ones are drawn depends on the constants in all modules


def _unknown_never_sleeps(situation: Situation, how: str) -> None:
    snapshot, memory, options, now = situation
    if sleep_actions(decide_situation(situation)):
        event("would sleep")
    if how == "blind":
        snapshot = replace(snapshot, sources={CLIENTS: Unavailable(now.mono, "no carrier")})
    elif how == "stale":
        snapshot = replace(snapshot, sources={CLIENTS: Reading(now.mono - 4 * options.clients.every, ())})
    elif how == "missing":
        snapshot = replace(snapshot, sources={})
    elif how == "empty":
        snapshot = changed(snapshot, clients={}, observations={})
    elif how == "client blind":
        new = client(99)
        snapshot = changed(
            snapshot,
            clients={**snapshot.part(PresenceFacts).clients, new.id: new},
            observations={
                **snapshot.part(PresenceFacts).observations,
                new.id: Unavailable(now.mono, "could not be asked"),
            },
        )
    else:
        snapshot = changed(
            snapshot,
            checks={**snapshot.part(CheckFacts).checks, "nfs": Unavailable(now.mono, "no such file")},
        )
    sleeps = sleep_actions(decide(snapshot, memory, options, now))
    if how == "client blind" and _passes_over_clients(snapshot):
        assert sleeps <= sleep_actions(decide_situation(situation))
    else:
        assert not sleeps


def _passes_over_clients(snapshot: Snapshot) -> bool:
    """Whether a person has requested a sleep despite clients."""
    request = snapshot.part(SleepRequestFacts).sleep_request
    return request is not None and request.over_clients


def _unavailable_machine_facts_never_sleep(situation: Situation, source: SourceId, how: str) -> None:
    """Who holds a lock, and, where they are asked for, when timers elapse."""
    snapshot, memory, options, now = situation
    if source == TIMERS:
        options = replace(options, wake=replace(options.wake, timers=("auto",)))
    if sleep_actions(decide_situation(situation)):
        event("would sleep")
    others = {name: reading for name, reading in snapshot.sources.items() if name != source}
    words: dict[str, Reading[tuple[str, ...]] | Unavailable] = {
        "blind": Unavailable(now.mono, "did not answer"),
        "stale": Reading(now.mono - 3 * POLL_INTERVALS[source] - 1, ()),
    }
    sources = others if how == "missing" else {**others, source: words[how]}
    assert not sleep_actions(decide(replace(snapshot, sources=sources), memory, options, now))


def _deciding_twice_gives_no_new_action(situation: Situation) -> None:
    snapshot, _, options, now = situation
    first = decide_situation(situation)
    assert set(decide(snapshot, first.memory, options, now).actions) <= set(first.actions)
    start = replace(snapshot, running_actions=frozenset(first.actions))
    assert decide(start, first.memory, options, now).actions == ()


def _blocker_never_adds_a_sleep(situation: Situation, kind: str) -> None:
    snapshot, memory, options, now = situation
    new = client(98)
    more = changed(snapshot, clients={**snapshot.part(PresenceFacts).clients, new.id: new})
    if kind == "client":
        observation = Reading(now.mono, Observation(last_seen=now.mono))
        more = changed(more, observations={**snapshot.part(PresenceFacts).observations, new.id: observation})
    elif kind == "check":
        more = changed(
            snapshot,
            checks={**snapshot.part(CheckFacts).checks, "zz": Reading(now.mono, "somebody is logged in")},
        )
    elif kind in {"keep", "hold"}:
        keep = KeepAwake(KeepAwakeId("1"), "backup", now, add_seconds(now, 1.0) if kind == "keep" else None)
        more = changed(snapshot, keep_awake={keep.id: keep})
    elif kind == "lock":
        lock = Inhibitor(frozenset({"shutdown"}), "apt", "installs", "block", 0, 9)
        more = changed(snapshot, inhibitors=(*snapshot.part(LogindFacts).inhibitors, lock))
    elif kind == "keys":
        more = changed(snapshot, key_press=KeyPress(now.mono - 7.5, "anna on tty1"))
    elif kind == "leaving":
        more = changed(snapshot, shutdown=ShutdownInProgress(now.mono, "sleep"))
    sleeps = sleep_actions(decide(more, memory, options, now))
    if kind in {"client", "unasked"} and _passes_over_clients(snapshot):
        assert sleeps <= sleep_actions(decide_situation(situation))
    else:
        assert not sleeps


def _timer_never_adds_a_sleep(situation: Situation, ahead: float, *, civil: bool) -> None:
    snapshot, memory, options, now = situation
    options = replace(options, wake=replace(options.wake, timers=("auto",)))
    timer = (
        SystemdTimer("new.timer", wall=now.wall.timestamp() + ahead)
        if civil
        else SystemdTimer("new.timer", mono=now.mono + ahead)
    )
    more = sleep_actions(
        decide(changed(snapshot, timers=(*snapshot.part(TimerFacts).timers, timer)), memory, options, now)
    )
    before = sleep_actions(decide(snapshot, memory, options, now))
    assert more <= before
    if more:
        event("sleeps")
        assert not 0.001 < ahead < options.wake.before + options.wake.min_sleep


def _next_poll_is_later(situation: Situation) -> None:
    assert decide_situation(situation).next_decision_at > situation[3].mono


def _issued_action_is_no_fact(situation: Situation) -> None:
    """Deciding twice from the same facts leaves the same memory as deciding once.

    Whatever was ordered, only its outcome on the board may change what is remembered.
    """
    snapshot, memory, options, now = situation
    first = decide_situation(situation)
    again = decide(snapshot, first.memory, options, now)
    assert again.memory == first.memory
    assert first.memory.part(SleepMemory).completed_rules <= memory.part(SleepMemory).completed_rules | {
        result.action.rule
        for result in snapshot.completed_actions.values()
        if result.ok and isinstance(result.action, WarnUsers | Sleep)
    }


def _clock_step_never_makes_a_sleep(situation: Situation, step: int) -> None:
    snapshot, memory, options, now = situation
    stepped = replace(now, wall=now.wall + timedelta(seconds=step))
    assert not sleep_actions(decide(snapshot, memory, options, stepped)) or sleep_actions(
        decide_situation(situation)
    )


def _old_evidence_never_makes_a_sleep(situation: Situation, slept: float) -> None:
    snapshot, memory, options, now = situation
    woken = replace(now, slept=now.slept + slept, wall=now.wall + timedelta(seconds=slept))
    assert not sleep_actions(decide(snapshot, memory, options, woken))


def _sleep_carries_the_wake_time(situation: Situation) -> None:
    """Its alarm is the decision's, and leaves room for a sleep that is worth it."""
    decision = decide_situation(situation)
    for action in sleep_actions(decision):
        assert isinstance(action, Sleep)
        assert action.wake_time == decision.part(PowerReport).wake_time
        if action.wake_time is not None:
            assert action.wake_time.at.mono - situation[3].mono >= situation[2].wake.min_sleep


def _no_action_touches_a_disk(situation: Situation) -> None:
    """Without a disk; the laws of disks are in tests/disks/policy/test_laws.py."""
    assert not any(isinstance(action, DiskAction) for action in decide_situation(situation).actions)


# Several laws are checked on each situation, since drawing one takes longer than deciding it.


@laws
@given(
    situations_with_requests(),
    st.sampled_from(["blind", "stale", "missing", "empty", "client blind", "check blind"]),
    st.sampled_from([LOGIND, TIMERS]),
    st.sampled_from(["blind", "stale", "missing"]),
)
def test_1_what_is_unknown_never_sleeps(
    situation: Situation, how: str, source: SourceId, source_how: str
) -> None:
    _unknown_never_sleeps(situation, how)
    _unavailable_machine_facts_never_sleep(situation, source, source_how)


@laws
@given(situations_with_requests(), st.sampled_from(BLOCKERS), st.floats(-600, 86_400), st.booleans())
def test_3_one_more_reason_never_adds_a_sleep(
    situation: Situation,
    kind: str,
    ahead: float,
    civil: bool,  # noqa: FBT001 - drawn
) -> None:
    _blocker_never_adds_a_sleep(situation, kind)
    _timer_never_adds_a_sleep(situation, ahead, civil=civil)


@laws
@given(
    situations_with_requests(),
    st.integers(-30 * 86400, 30 * 86400).filter(lambda step: abs(step) > 60),
    st.floats(1, 86400),
)
def test_6_no_step_of_a_clock_makes_a_sleep(situation: Situation, step: int, slept: float) -> None:
    _clock_step_never_makes_a_sleep(situation, step)
    _old_evidence_never_makes_a_sleep(situation, slept)


@laws
@given(situations_with_requests())
def test_2_4_5_7_of_every_decision(situation: Situation) -> None:
    _deciding_twice_gives_no_new_action(situation)
    _next_poll_is_later(situation)
    _issued_action_is_no_fact(situation)
    _no_action_touches_a_disk(situation)
    _sleep_carries_the_wake_time(situation)


def test_an_unknown_source_speaks_louder_after_a_quarter_of_an_hour() -> None:
    options = Options(sleep=(SleepRule(action="suspend"),))
    memory = Memory.initial(moment())
    text = []
    for minutes in (0, 10, 16, 30):
        now = moment(moment().mono + minutes * 60)
        snapshot = make_snapshot(
            {1: silent(now.mono, 0)}, at=now.mono, clients_reading=Unavailable(now.mono, "eth0: no carrier")
        )
        decision = decide(snapshot, memory, options, now)
        memory = decision.memory
        text.append(decision.reasons[0].text)
        assert decision.reasons[0].since == moment()
    assert text[0] == text[1] == "eth0: no carrier"
    loud = "still unknown, and the server does not sleep until this is repaired: eth0: no carrier"
    assert text[2] == text[3] == loud


def test_all_clients_ignored_is_unknown() -> None:
    options = parse(b'[clients]\nignore = ["host*"]\n[[sleep]]\nidle_for = "0s"\nwarn = "0s"', "f")
    now = moment()
    decision = decide(
        make_snapshot({1: silent(now.mono, 0)}, at=now.mono), idle_memory(now, 9999), options, now
    )
    assert not decision.actions
    assert "every known client is" in decision.reasons[0].text


def test_other_sources_do_not_confuse_it() -> None:
    now = moment()
    snapshot = make_snapshot({1: silent(now.mono, 0)}, at=now.mono)
    snapshot = replace(snapshot, sources={**snapshot.sources, SourceId("disks"): Reading(now.mono, ())})
    assert decide(snapshot, idle_memory(now, 10), Options(), now).phase == "idle"
