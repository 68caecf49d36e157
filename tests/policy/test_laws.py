"""The seven laws that no configuration and no fact may break."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import event, given, settings
from hypothesis import strategies as st
from policy.worlds import CLIENTS, choose, client, house, moment, quiet_memory, silent, situations, sleeps

from powerd.config import Options, SleepRule, parse
from powerd.model import (
    LOGIND,
    RHYTHM,
    TIMERS,
    Blind,
    Inhibitor,
    Keep,
    KeepId,
    KeyPress,
    Leaving,
    Memory,
    Moment,
    Seen,
    Sighting,
    Sleep,
    Snapshot,
    SourceId,
    Timer,
    Warn,
)
from powerd.policy import decide
from powerd.policy.times import later

Situation = tuple[Snapshot, Memory, Options, Moment]
laws = settings(max_examples=400, deadline=None)
BLOCKERS = ["client", "check", "unasked", "keep", "hold", "lock", "keys", "leaving"]


def test_the_strategies_reach_sleep() -> None:
    """Laws that say "never Sleep" prove nothing unless the situations they draw do lead to Sleep."""
    found: list[int] = []

    @settings(max_examples=400, deadline=None, database=None, derandomize=True)
    @given(situations())
    def count(situation: Situation) -> None:
        found.append(len(sleeps(choose(situation))))

    count()
    assert sum(found) > len(found) / 100  # which ones are drawn depends on the constants in all modules


@laws
@given(situations(), st.sampled_from(["blind", "stale", "missing", "empty", "client blind", "check blind"]))
def test_1_what_is_unknown_never_sleeps(situation: Situation, how: str) -> None:
    snapshot, memory, options, now = situation
    if sleeps(choose(situation)):
        event("would sleep")
    if how == "blind":
        snapshot = replace(snapshot, sources={CLIENTS: Blind(now.mono, "no carrier")})
    elif how == "stale":
        snapshot = replace(snapshot, sources={CLIENTS: Seen(now.mono - 4 * options.clients.every, ())})
    elif how == "missing":
        snapshot = replace(snapshot, sources={})
    elif how == "empty":
        snapshot = replace(snapshot, known={}, sightings={})
    elif how == "client blind":
        new = client(99)
        snapshot = replace(
            snapshot,
            known={**snapshot.known, new.id: new},
            sightings={**snapshot.sightings, new.id: Blind(now.mono, "could not be asked")},
        )
    else:
        snapshot = replace(snapshot, checks={**snapshot.checks, "nfs": Blind(now.mono, "no such file")})
    assert not sleeps(decide(snapshot, memory, options, now))


@laws
@given(situations(), st.sampled_from([LOGIND, TIMERS]), st.sampled_from(["blind", "stale", "missing"]))
def test_1_nor_what_the_machine_cannot_tell(situation: Situation, source: SourceId, how: str) -> None:
    """Who holds a lock, and, where they are asked for, when timers elapse."""
    snapshot, memory, options, now = situation
    if source == TIMERS:
        options = replace(options, wake=replace(options.wake, timers=("auto",)))
    if sleeps(choose(situation)):
        event("would sleep")
    others = {name: word for name, word in snapshot.sources.items() if name != source}
    words: dict[str, Seen[tuple[str, ...]] | Blind] = {
        "blind": Blind(now.mono, "did not answer"),
        "stale": Seen(now.mono - 3 * RHYTHM[source] - 1, ()),
    }
    sources = others if how == "missing" else {**others, source: words[how]}
    assert not sleeps(decide(replace(snapshot, sources=sources), memory, options, now))


@laws
@given(situations())
def test_2_asking_twice_gives_no_new_order(situation: Situation) -> None:
    snapshot, _, options, now = situation
    first = choose(situation)
    assert set(decide(snapshot, first.memory, options, now).orders) <= set(first.orders)
    begun = replace(snapshot, in_flight=frozenset(first.orders))
    assert decide(begun, first.memory, options, now).orders == ()


@laws
@given(situations(), st.sampled_from(BLOCKERS))
def test_3_a_blocker_never_adds_a_sleep(situation: Situation, kind: str) -> None:
    snapshot, memory, options, now = situation
    new = client(98)
    more = replace(snapshot, known={**snapshot.known, new.id: new})
    if kind == "client":
        sighting = Seen(now.mono, Sighting(heard=now.mono))
        more = replace(more, sightings={**snapshot.sightings, new.id: sighting})
    elif kind == "check":
        more = replace(snapshot, checks={**snapshot.checks, "zz": Seen(now.mono, "somebody is logged in")})
    elif kind in {"keep", "hold"}:
        keep = Keep(KeepId("1"), "backup", now, later(now, 1.0) if kind == "keep" else None)
        more = replace(snapshot, keeps={keep.id: keep})
    elif kind == "lock":
        lock = Inhibitor(frozenset({"shutdown"}), "apt", "installs", "block", 0, 9)
        more = replace(snapshot, inhibitors=(*snapshot.inhibitors, lock))
    elif kind == "keys":
        more = replace(snapshot, key_press=KeyPress(now.mono - 7.5, "anna on tty1"))
    elif kind == "leaving":
        more = replace(snapshot, leaving=Leaving(now.mono, "sleep"))
    assert not sleeps(decide(more, memory, options, now))


@laws
@given(situations(), st.floats(-600, 86_400), st.booleans())
def test_3_nor_does_a_timer(situation: Situation, ahead: float, civil: bool) -> None:  # noqa: FBT001 - hypothesis hands it in
    snapshot, memory, options, now = situation
    options = replace(options, wake=replace(options.wake, timers=("auto",)))
    timer = (
        Timer("new.timer", wall=now.wall.timestamp() + ahead)
        if civil
        else Timer("new.timer", mono=now.mono + ahead)
    )
    more = sleeps(decide(replace(snapshot, timers=(*snapshot.timers, timer)), memory, options, now))
    before = sleeps(decide(snapshot, memory, options, now))
    assert more <= before
    if more:
        event("sleeps")
        assert not 0.001 < ahead < options.wake.before + options.wake.min_sleep


@laws
@given(situations())
def test_4_it_always_looks_again_later(situation: Situation) -> None:
    assert choose(situation).look_again > situation[3].mono


@laws
@given(situations())
def test_5_an_order_given_is_no_fact(situation: Situation) -> None:
    """Deciding twice from the same facts leaves the same memory as deciding once.

    Whatever was ordered, only its outcome on the board may change what is remembered.
    """
    snapshot, memory, options, now = situation
    first = choose(situation)
    again = decide(snapshot, first.memory, options, now)
    assert again.memory == first.memory
    assert first.memory.done <= memory.done | {
        outcome.order.rule
        for outcome in snapshot.outcomes.values()
        if outcome.ok and isinstance(outcome.order, Warn | Sleep)
    }


@laws
@given(situations(), st.integers(-30 * 86400, 30 * 86400).filter(lambda step: abs(step) > 60))
def test_6_a_step_of_the_wall_clock_never_makes_a_sleep(situation: Situation, step: int) -> None:
    snapshot, memory, options, now = situation
    stepped = replace(now, wall=now.wall + timedelta(seconds=step))
    assert not sleeps(decide(snapshot, memory, options, stepped)) or sleeps(choose(situation))


@laws
@given(situations(), st.floats(1, 86400))
def test_6b_evidence_from_before_a_sleep_never_makes_one(situation: Situation, slept: float) -> None:
    snapshot, memory, options, now = situation
    woken = replace(now, slept=now.slept + slept, wall=now.wall + timedelta(seconds=slept))
    assert not sleeps(decide(snapshot, memory, options, woken))


@laws
@given(situations())
def test_an_order_to_sleep_is_told_when_to_wake_up(situation: Situation) -> None:
    """Its alarm is the decision's, and leaves room for a sleep that is worth it."""
    decision = choose(situation)
    for order in sleeps(decision):
        assert isinstance(order, Sleep)
        assert order.wake == decision.wake
        if order.wake is not None:
            assert order.wake.at.mono - situation[3].mono >= situation[2].wake.min_sleep


@laws
@given(situations())
def test_7_no_order_touches_a_disk(situation: Situation) -> None:
    """Where there is no disk; the laws of those that there are stand in disks/test_laws.py."""
    assert {type(order).__name__ for order in choose(situation).orders} <= {"Warn", "CallOff", "Sleep"}


def test_an_unknown_source_speaks_louder_after_a_quarter_of_an_hour() -> None:
    options = Options(sleep=(SleepRule(action="suspend"),))
    memory = Memory.newborn(moment())
    text = []
    for minutes in (0, 10, 16, 30):
        now = moment(moment().mono + minutes * 60)
        snapshot = house({1: silent(now.mono, 0)}, at=now.mono, word=Blind(now.mono, "eth0: no carrier"))
        decision = decide(snapshot, memory, options, now)
        memory = decision.memory
        text.append(decision.reasons[0].text)
        assert decision.reasons[0].since == moment()
    assert text[0] == text[1] == "eth0: no carrier"
    loud = "still unknown, and the server will not sleep until this is mended: eth0: no carrier"
    assert text[2] == text[3] == loud


def test_all_known_clients_ignored_is_unknown() -> None:
    options = parse(b'[clients]\nignore = ["host*"]\n[[sleep]]\nidle_for = "0s"\nwarn = "0s"', "f")
    now = moment()
    decision = decide(house({1: silent(now.mono, 0)}, at=now.mono), quiet_memory(now, 9999), options, now)
    assert not decision.orders
    assert decision.reasons[0].text == "every known client is ignored, so nobody can be seen to leave"


def test_other_sources_do_not_confuse_it() -> None:
    now = moment()
    snapshot = house({1: silent(now.mono, 0)}, at=now.mono)
    snapshot = replace(snapshot, sources={**snapshot.sources, SourceId("disks"): Seen(now.mono, ())})
    assert decide(snapshot, quiet_memory(now, 10), Options(), now).phase == "idle"
