"""The journal: every transition told once, and nothing of a quiet round."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

import pytest
from faces.house import CLIENTS, EVERY, EVIL, NOW, at, client, decision, status, verdict

from powerd.faces.journal import MESSAGE_IDS, Chronicle, entry, status_line
from powerd.model import (
    Blind,
    ClientId,
    Memory,
    Outcome,
    Phase,
    Plan,
    Reason,
    Seen,
    Sighting,
    Sleep,
    Snapshot,
    State,
    Status,
    Verdict,
    Warn,
)

PRESENT, ABSENT, UNKNOWN = State.PRESENT, State.ABSENT, State.UNKNOWN


def world(  # noqa: PLR0913 - a Status has as many sides
    phase: Phase = "awake",
    people: Iterable[Verdict] = (),
    *,
    why: str | None = None,
    mode: Literal["observe", "enforce"] = "enforce",
    outcome: Outcome | None = None,
    reasons: tuple[Reason, ...] = (),
) -> Status:
    """A Status; ``why`` = the clients' source is blind, and that is the reason to be awake."""
    people = tuple(people)
    source: Seen[tuple[str, ...]] | Blind = Blind(NOW.mono, why) if why else Seen(NOW.mono, ())
    sightings: dict[ClientId, Seen[Sighting] | Blind] = {
        who.client.id: Seen(NOW.mono, Sighting(silent_since=1.0 if who.why.startswith("silent") else None))
        for who in people
    }
    if why:
        reasons = (Reason("clients", why, NOW), *reasons)
    elif not reasons:
        reasons = tuple(
            Reason(who.client.label, f"may be home: {who.why}", NOW)
            for who in people
            if who.state is UNKNOWN and "somebody else" not in who.why
        )
    outcomes = {type(outcome.order): outcome} if outcome else {}
    snapshot = Snapshot(sources={CLIENTS: source}, sightings=sightings, outcomes=outcomes)
    memory = replace(Memory.newborn(NOW), idle_since=NOW.mono - 1320)
    said = replace(decision(phase, reasons, people), memory=memory)
    return status(said, snapshot, mode)


def person(n: int, state: State = PRESENT, why: str = "answers ping") -> Verdict:
    return verdict(client(n, f"host-{n}"), state, why)


def told(*rounds: Status) -> list[str]:
    """The lines of the last round."""
    chronicle = Chronicle()
    for each in rounds[:-1]:
        chronicle.entries(each)
    return [line.message for line in chronicle.entries(rounds[-1])]


@pytest.mark.parametrize("name", [name for name in EVERY if EVERY[name]])
def test_a_quiet_round_gives_nothing(name: str) -> None:
    given = EVERY[name]
    assert given is not None
    chronicle = Chronicle()
    assert chronicle.entries(given)
    later = replace(given, now=at(60))
    assert chronicle.entries(given) == chronicle.entries(later) == []


def test_the_first_decision_is_a_line() -> None:
    lines = Chronicle().entries(world("awake", reasons=(Reason("tv", "is home", NOW),)))
    assert [line.message for line in lines] == ["powerd 0.1.0 decides, in enforce mode; awake: tv: is home"]
    assert lines[0].fields["POWERD_EVENT"] == "start"


HOME = (Reason("tv", "is home", NOW),)


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        (world("awake"), world("idle"), ["idle: nobody needs the server, and no sleep is in sight"]),
        (world("idle"), world("awake", reasons=(*HOME, *HOME)), ["awake: tv: is home, and 1 more"]),
        (world("awake", reasons=HOME), world("awake"), []),
        (world("going-down"), world("idle"), []),
        (world("warning", mode="observe"), world("going-down", mode="observe"), []),
    ],
)
def test_phases(before: Status, after: Status, lines: list[str]) -> None:
    assert told(before, after) == lines


def test_a_phase_names_its_cause() -> None:
    chronicle = Chronicle()
    chronicle.entries(world("idle"))
    [line] = chronicle.entries(world("awake", reasons=HOME))
    assert line.fields == {
        "MESSAGE_ID": MESSAGE_IDS["phase"],
        "POWERD_EVENT": "phase",
        "POWERD_SUBJECT": "tv",
        "POWERD_REASON": "is home",
    }


@pytest.mark.parametrize(
    ("rounds", "lines"),
    [
        ([[person(1)], [person(1, ABSENT, "silent")]], ["host-1 is absent: silent"]),
        ([[person(1, ABSENT, "silent")], [person(1)]], ["host-1 is present: answers ping"]),
        ([[], [person(1)]], ["host-1 is present: answers ping"]),
        ([[], [person(1, ABSENT, "silent")]], []),
        ([[person(1)], []], []),
        ([[person(1)], [], [person(1)]], ["host-1 is present: answers ping"]),
        ([[person(1)], [person(1, UNKNOWN, "silent, but not for long")]], []),
        (
            [[person(1)], [person(1, UNKNOWN, "silent, but not for long")], [person(1)]],
            [],
        ),
        (
            [[person(1)], [person(1, UNKNOWN, "silent, but not for long")], [person(1, ABSENT, "silent")]],
            ["host-1 is absent: silent"],
        ),
        ([[person(1)], [person(1, UNKNOWN, "not asked while somebody else is home")]], []),
        ([[person(1)], [person(1, UNKNOWN, "no route")]], ["host-1 is unknown: no route"]),
        ([[person(1)], [person(1, UNKNOWN, "no route")], [person(1)]], ["host-1 is present: answers ping"]),
        ([[person(1)], [replace(person(1, ABSENT), keeps_awake=False)]], []),
    ],
)
def test_clients(rounds: list[list[Verdict]], lines: list[str]) -> None:
    assert told(*(world(people=people) for people in rounds)) == lines


def test_a_clients_line_has_its_fields() -> None:
    chronicle = Chronicle()
    chronicle.entries(world(people=[person(1, ABSENT)]))
    [line] = chronicle.entries(world(people=[person(1)]))
    assert line.fields == {
        "MESSAGE_ID": MESSAGE_IDS["client"],
        "POWERD_EVENT": "client",
        "POWERD_CLIENT": "02:00:00:00:00:01",
        "POWERD_SUBJECT": "host-1",
        "POWERD_REASON": "answers ping",
    }
    assert line.priority == 6


def test_many_clients_share_a_line() -> None:
    few = [person(n) for n in range(3)]
    assert len(told(world(), world(people=few))) == 3
    many = [person(n) for n in range(30)]
    assert told(world(), world(people=many)) == ["30 clients are present: host-0, host-1, host-2 and 27 more"]


def test_a_blind_source_is_one_line_at_failure_and_one_at_recovery() -> None:
    seen = world(people=[person(n) for n in range(30)])
    blind = world(people=[person(n, UNKNOWN, "no socket") for n in range(30)], why="no socket")
    assert told(seen, blind) == ["clients: no socket"]
    assert told(seen, blind, blind) == []
    assert told(seen, blind, seen) == ["clients: can look again"]
    left = world(people=[person(0, ABSENT, "silent"), *(person(n) for n in range(1, 30))])
    assert told(seen, blind, left) == ["clients: can look again", "host-0 is absent: silent"]


def test_another_reason_for_the_same_blindness_is_no_transition() -> None:
    assert told(world(why="no socket"), world(why="no route")) == []


def test_another_reason_with_a_date_of_its_own_is_not_a_louder_one() -> None:
    later = replace(
        world(why="no socket"), decision=decision("awake", (Reason("clients", "no socket!", at(9)),))
    )
    assert told(world(why="no socket"), later) == []


def test_a_source_that_is_blind_from_the_start_is_told() -> None:
    assert "clients: no socket" in told(world(why="no socket"))


def test_blindness_that_has_grown_loud_is_told_once_more() -> None:
    blind = world(why="no socket")
    loud = replace(blind, decision=decision("awake", (Reason("clients", "still unknown: no socket", NOW),)))
    chronicle = Chronicle()
    chronicle.entries(blind)
    [line] = chronicle.entries(loud)
    assert (line.message, line.priority) == ("clients: still unknown: no socket", 3)
    assert chronicle.entries(loud) == []


def test_a_check_is_a_source() -> None:
    blind = replace(world(), snapshot=Snapshot(checks={"users": Blind(NOW.mono, "no bus")}))
    assert told(world(), blind) == ["checks.users: no bus"]


OFF = Sleep(0, "poweroff")


@pytest.mark.parametrize(
    ("outcome", "lines"),
    [
        (
            Outcome(OFF, NOW.mono, ok=True, observed="would have powered off", begun=NOW.mono),
            ["would have powered off: nobody had needed the server for 22 min"],
        ),
        (
            Outcome(OFF, NOW.mono, ok=False, observed="somebody inhibits it", begun=NOW.mono),
            ["could not power off: somebody inhibits it"],
        ),
        (Outcome(Warn(0, "poweroff", 60), NOW.mono, ok=True, observed="announced"), []),
        (
            Outcome(Warn(0, "poweroff", 60), NOW.mono, ok=False, observed="no terminal"),
            ["cannot announce that the server is to power off: no terminal"],
        ),
    ],
)
def test_outcomes(outcome: Outcome, lines: list[str]) -> None:
    before, after = world("idle"), world("idle", outcome=outcome)
    assert told(before, after) == lines
    assert told(before, after, after) == []
    again = replace(outcome, at=outcome.at + 900)
    assert told(before, after, world("idle", outcome=again)) == lines, (
        "a second one that came to the same is news"
    )


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (world("awake", reasons=HOME), "awake: tv: is home"),
        (EVERY["idle"], "idle: would power off at 02:14 at the earliest"),
        (EVERY["warning"], "will suspend at 21:16 unless something stirs"),
        (
            world("going-down", reasons=(Reason("sleep", "about to suspend", NOW),)),
            "going down: about to suspend",
        ),
    ],
)
def test_status_line(given: Status, line: str) -> None:
    assert status_line(given) == line
    assert status_line(replace(given, now=at(30))) == line, "no number in it that changes by itself"


def test_a_plan_is_worded_by_mode() -> None:
    said = replace(decision("idle"), plan=Plan(0, "suspend", at(600)))
    assert status_line(status(said, mode="enforce")) == "idle: may suspend at 21:26 at the earliest"


def test_strangers_text_breaks_no_line() -> None:
    given = EVERY["evil"]
    assert given is not None
    for line in Chronicle().entries(given):
        assert line.message.isprintable()
        assert all(value.isprintable() for value in line.fields.values())
    assert entry("client", EVIL, client=EVIL).message.isprintable()


def test_message_ids_are_128_bit_and_distinct() -> None:
    ids = list(MESSAGE_IDS.values())
    assert len(set(ids)) == len(ids)
    assert all(len(text) == 32 and int(text, 16) and text == text.lower() for text in ids)


def test_a_sleep_that_is_over_is_told_once_and_for_how_long() -> None:
    chronicle = Chronicle()
    before = world("idle")
    woken = replace(before, now=at(2, slept=8 * 3600))
    memory = replace(before.decision.memory, resumed=NOW.mono + 2)
    woken = replace(woken, decision=replace(before.decision, memory=memory))
    chronicle.entries(before)
    (told,) = [each for each in chronicle.entries(woken) if each.fields["POWERD_EVENT"] == "woke"]
    assert told.message == "woke up after 8 h of sleep"
    assert told.fields["POWERD_SLEPT"] == "28800"
    assert chronicle.entries(woken) == []
