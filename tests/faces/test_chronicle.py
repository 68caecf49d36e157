"""The journal: every transition told once, and nothing of a quiet round."""

from __future__ import annotations

from dataclasses import replace

import pytest
from faces.house import EVERY, EVIL, NOW, at, client, decision, verdict, world

from powerd.faces.chronicle import Chronicle
from powerd.faces.journal import MESSAGE_IDS, entry
from powerd.model import (
    Blind,
    CallOff,
    Card,
    Cause,
    Leaving,
    Outcome,
    Reason,
    Seen,
    Sleep,
    Snapshot,
    State,
    Status,
    Unrest,
    Verdict,
    Waking,
    Warn,
)

PRESENT, ABSENT, UNKNOWN = State.PRESENT, State.ABSENT, State.UNKNOWN


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
        (Outcome(CallOff(0, "poweroff", ""), NOW.mono, ok=True, observed="announced"), []),
        (
            Outcome(CallOff(0, "poweroff", ""), NOW.mono, ok=False, observed="no terminal"),
            ["cannot announce that the server is not to power off: no terminal"],
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


def test_strangers_text_breaks_no_line() -> None:
    given = EVERY["evil"]
    assert given is not None
    for line in Chronicle().entries(given):
        assert line.message.isprintable()
        assert all(value.isprintable() for value in line.fields.values())
    assert entry("client", EVIL, client=EVIL).message.isprintable()


def woken(given: Status, waking: Waking | None, seconds: float = 2.0) -> Status:
    """The decision after a night of 8 h; ``waking`` = what is known of it by then."""
    now = at(seconds, slept=8 * 3600)
    memory = replace(given.decision.memory, resumed=NOW.mono + 2)
    decision = replace(given.decision, memory=memory)
    return replace(given, now=now, decision=decision, snapshot=replace(given.snapshot, waking=waking))


def test_a_sleep_that_is_over_is_told_once_and_for_how_long_and_by_what() -> None:
    chronicle = Chronicle()
    before = world("idle")
    chronicle.entries(before)
    assert chronicle.entries(woken(before, None)) == [], "not before it is known by what"
    waking = Waking(
        NOW.mono + 3, Cause.ALARM, "wake-up source 00:04 (rtc_cmos); the alarm was for backup.timer"
    )
    known = woken(before, waking, 3)
    (told,) = chronicle.entries(known)
    assert told.message == f"woke up after 8 h of sleep, by the alarm: {waking.detail}"
    assert told.fields == {
        "MESSAGE_ID": MESSAGE_IDS["woke"],
        "POWERD_EVENT": "woke",
        "POWERD_SUBJECT": "sleep",
        "POWERD_REASON": waking.detail,
        "POWERD_CAUSE": "alarm",
        "POWERD_SLEPT": "28800",
    }
    assert chronicle.entries(known) == []
    assert chronicle.entries(woken(before, waking, 60)) == []


@pytest.mark.parametrize(
    ("why", "text"),
    [
        (Cause.NETWORK, "by the network"),
        (Cause.BUTTON, "by a button"),
        (Cause.UNKNOWN, "and nothing tells by what"),
    ],
)
def test_each_cause_is_said(why: Cause, text: str) -> None:
    before = world("idle")
    assert told(before, woken(before, Waking(NOW.mono, why))) == [f"woke up after 8 h of sleep, {text}"]


def test_a_sleep_that_no_clock_shows_is_told_too() -> None:
    before = world("idle")
    waking = Waking(NOW.mono, Cause.ALARM, clocked=False)
    after = replace(before, snapshot=replace(before.snapshot, waking=waking))
    assert told(before, after) == ["woke up after less than a second of sleep, by the alarm"]


def events(*rounds: Status) -> list[tuple[str, str | None]]:
    chronicle = Chronicle()
    lines = [line for each in rounds for line in chronicle.entries(each)]
    return [(line.fields["POWERD_EVENT"], line.fields.get("POWERD_REASON")) for line in lines]


def test_a_night_is_a_warning_a_way_down_and_a_wake_up_each_with_its_cause() -> None:
    quiet = Reason("sleep rule 1", "nothing keeps the server awake any more", NOW, keeps_awake=False)
    why = "about to suspend by sleep rule 1: nobody has needed the server since Mon 22:14"
    going = Reason("sleep", why, NOW)
    before = world("idle")
    night = [before, world("warning", reasons=(quiet,)), world("going-down", reasons=(going,))]
    after = woken(world("awake", reasons=HOME), Waking(NOW.mono + 2, Cause.NETWORK))
    assert events(*night, after)[1:] == [
        ("warning", quiet.text),
        ("going-down", going.text),
        ("woke", "by the network"),
        ("phase", "is home"),
    ]


def test_a_storm_of_wake_ups_is_told_once() -> None:
    before = world("idle")
    empty = tuple((NOW.mono - n, Cause.NETWORK) for n in (1200.0, 600.0, 0.0))
    unrest = Unrest(empty=empty, until=NOW.mono + 3600, pause=3600.0)
    after = replace(
        before, decision=replace(before.decision, memory=replace(before.decision.memory, unrest=unrest))
    )
    assert told(before, after) == [
        "the server was woken 3 times within an hour, and nobody was there: it stays up for 1 h"
    ]
    assert told(before, after, replace(after, now=at(60))) == []


def test_a_sleep_that_somebody_else_orders_is_told_by_an_observer_too() -> None:
    going = Reason("sleep", "somebody else puts the server to sleep", NOW)
    before, after = world(mode="observe"), world("going-down", mode="observe", reasons=(going,))
    left = replace(after, snapshot=replace(after.snapshot, leaving=Leaving(NOW.mono, "sleep")))
    assert events(before, left)[1:] == [("going-down", going.text)]
    assert events(before, after)[1:] == [], "what would have been done is told by its outcome"


def test_what_the_machine_s_own_sources_warn_of_is_told_once() -> None:
    cannot = Reason("logind", "sleep rule 1 will not work", NOW, keeps_awake=False)
    unarmed = Reason("eth0, eth1", "only its power button wakes the server", NOW, keeps_awake=False)
    passing = Reason("wake", "sleeps until 06:28 at most", NOW, keeps_awake=False)
    clients = Reason("tv", "is always on", NOW, keeps_awake=False)
    given = world(reasons=(*HOME, cannot, unarmed, passing, clients))
    cards = {name: Seen(NOW.mono, Card(name, "g", "")) for name in ("eth0", "eth1")}
    given = replace(given, snapshot=replace(given.snapshot, cards=cards))
    chronicle = Chronicle()
    _, first, second = chronicle.entries(given)
    assert (first.message, first.priority) == ("logind: sleep rule 1 will not work", 4)
    assert (second.fields["POWERD_EVENT"], second.fields["POWERD_SUBJECT"]) == ("remark", "eth0, eth1")
    chronicle.entries(world())
    assert chronicle.entries(given) == []
