from __future__ import annotations

from dataclasses import replace

import pytest
from policy.worlds import T0, client, home, house, moment, silent

from powerd.config import Options, parse
from powerd.model import Blind, How, Memory, Moment, Seen, Sighting, Snapshot, State, Verdict
from powerd.policy.clients import ALWAYS_ON_AFTER, NOT_ASKED, fresh_for, judge_all, standings

OPTIONS = parse(
    b"""
[clients]
ignore = ["printer*", "10.0.0.9"]
[[clients.class]]
name = "phone"
match = ["host2", "host3"]
absent_after = "15min"
[[clients.class]]
name = "tv"
match = ["host3", "host4"]
keeps_awake = false
""",
    "test",
)
NOW = moment()
Fact = Seen[Sighting] | Blind


def judge(
    fact: Fact | None,
    *,
    n: int = 1,
    now: Moment = NOW,
    memory: Memory | None = None,
    options: Options = OPTIONS,
) -> Verdict:
    """The verdict on one client of whom this is known."""
    snapshot = house({n: fact} if fact else {}, at=now.mono)
    if fact is None:
        snapshot = replace(snapshot, known={client(n).id: client(n)})
    (verdict,) = judge_all(snapshot, memory or Memory.newborn(now), options, now)
    return verdict


def said(verdict: Verdict) -> tuple[str, str]:
    return verdict.state.value, verdict.why


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (None, ("unknown", "not asked yet")),
        (
            Blind(T0, "could not be asked: No route to host"),
            ("unknown", "could not be asked: No route to host"),
        ),
        (home(T0), ("present", "answers ping")),
        (home(T0 - 299), ("present", "answers ping")),
        (Seen(T0, Sighting(heard=T0, how=How.STATION)), ("present", "is on the Wi-Fi")),
        (Seen(T0, Sighting(heard=T0, how=How.ARP)), ("present", "answers ARP")),
        (Seen(T0, Sighting(heard=T0, how=How.NEIGHBOUR)), ("present", "talks to this server")),
        (Seen(T0, Sighting(heard=T0)), ("present", "was heard")),
        (home(T0 - 300), ("unknown", "not asked lately")),
        (silent(T0, T0 - 299), ("unknown", "silent, but not yet for long enough to be gone")),
        (silent(T0, T0 - 300), ("absent", "silent")),
        (silent(T0 - 180, T0 - 9999), ("absent", "silent")),
        (silent(T0 - 181, T0 - 9999), ("unknown", "not asked lately")),
        (Seen(T0, Sighting(heard=T0 - 301)), ("unknown", "its last question could not be asked")),
        (Seen(T0, Sighting()), ("unknown", "its last question could not be asked")),
    ],
)
def test_what_is_made_of_each_fact(fact: Fact | None, expected: tuple[str, str]) -> None:
    assert said(judge(fact)) == expected


def test_a_class_may_doze_for_longer() -> None:
    assert said(judge(home(T0 - 899), n=2))[0] == "present"
    assert said(judge(silent(T0, T0 - 899), n=2))[0] == "unknown"
    assert said(judge(silent(T0, T0 - 900), n=2))[0] == "absent"


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (home(T0 - 60), "not asked lately"),
        (silent(T0 - 60, T0 - 9999), "not asked lately"),
        (silent(T0, T0 - 9999), "silent, but not yet for long enough to be gone"),
        (
            Seen(T0, Sighting(heard=T0 - 60, silent_since=T0 - 55)),
            "silent, but not yet for long enough to be gone",
        ),
    ],
)
def test_nothing_from_before_a_wake_up_counts(fact: Fact, expected: str) -> None:
    woken = replace(Memory.newborn(NOW), resumed=T0 - 30)
    assert said(judge(fact, memory=woken)) == ("unknown", expected)


def test_silence_is_counted_from_the_wake_up() -> None:
    woken = replace(Memory.newborn(NOW), resumed=T0 - 300)
    assert said(judge(silent(T0, T0 - 9999), memory=woken)) == ("absent", "silent")


def test_evidence_from_after_the_wake_up_counts() -> None:
    woken = replace(Memory.newborn(NOW), resumed=T0 - 30)
    assert said(judge(home(T0 - 29), memory=woken)) == ("present", "answers ping")


def test_how_old_a_sighting_may_be_follows_the_rhythm() -> None:
    assert fresh_for(OPTIONS) == 180
    assert fresh_for(parse(b'[clients]\nevery = "10min"', "test")) == 1800


def test_the_first_class_that_fits_counts() -> None:
    standing = standings(OPTIONS.clients)
    assert [standing(client(n)).class_name for n in (1, 2, 3, 4)] == [None, "phone", "phone", "tv"]


def test_who_counts() -> None:
    printer = replace(client(7), name="printer-2.lan")
    whom = [client(1), client(3), client(4), client(9), printer]
    standing = standings(OPTIONS.clients)
    assert [standing(each).counts for each in whom] == [True, True, False, False, False]


def test_whoever_does_not_count_is_shown_with_a_state_all_the_same() -> None:
    verdict = judge(home(T0), n=4)
    assert (verdict.state, verdict.keeps_awake, verdict.class_name) == (State.PRESENT, False, "tv")


def remember(*verdicts: Verdict) -> Memory:
    return replace(Memory.newborn(NOW), verdicts={each.client.id: each for each in verdicts})


def test_a_state_keeps_its_date_for_as_long_as_it_holds() -> None:
    first = judge(home(T0))
    later = moment(T0 + 60)
    assert judge(home(T0 + 60), now=later, memory=remember(first)).since == NOW
    gone = judge(silent(T0 + 60, T0 - 9999), now=later, memory=remember(first))
    assert (gone.state, gone.since) == (State.ABSENT, later)


def test_three_days_without_a_break_are_always_on() -> None:
    first = judge(home(T0))
    for passed, always in ((ALWAYS_ON_AFTER - 1, False), (ALWAYS_ON_AFTER, True)):
        now = moment(T0 + passed)
        assert judge(home(now.mono), now=now, memory=remember(first)).always_on is always


def test_the_last_evidence_outlives_a_blind_round() -> None:
    first = judge(home(T0))
    blind = judge(Blind(T0 + 60, "x"), now=moment(T0 + 60), memory=remember(first))
    assert (blind.heard, blind.how) == (first.heard, How.ICMP)
    assert first.heard == NOW
    unheard = judge(Blind(T0, "x"))
    assert unheard.heard is None


def test_when_it_was_heard_does_not_move_with_the_wall_clock() -> None:
    first = judge(home(T0))
    stepped = replace(moment(T0 + 60), wall=moment(T0 + 9 * 3600).wall)
    assert judge(home(T0), now=stepped, memory=remember(first)).heard == first.heard
    anew = judge(home(T0 + 60), now=stepped, memory=remember(first))
    assert anew.heard is not None
    assert anew.heard.wall == stepped.wall


def test_where_it_is_known_to_be() -> None:
    far = judge(Seen(T0, Sighting(heard=T0, rtt=0.01, on_link=False)))
    assert (far.on_link, far.rtt) == (False, 0.01)


def verdicts_of(
    snapshot: Snapshot, memory: Memory | None = None, now: Moment = NOW
) -> dict[str, tuple[str, str]]:
    judged = judge_all(snapshot, memory or Memory.newborn(now), OPTIONS, now)
    return {verdict.client.label: said(verdict) for verdict in judged}


def test_who_is_not_asked_while_somebody_is_home_is_excused() -> None:
    """Nobody can tell, and nobody need: one who was gone stays gone in the picture."""
    gone = judge(silent(T0, T0 - 9999), n=2)
    unsure = judge(silent(T0, T0), n=3)
    facts: dict[int, Fact] = {1: home(T0), 2: silent(T0 - 999, T0 - 9999), 3: silent(T0 - 999, T0 - 999)}
    judged = {
        verdict.client.label: verdict
        for verdict in judge_all(house(facts, at=T0), remember(gone, unsure), OPTIONS, NOW)
    }
    assert said(judged["host2"]) == ("absent", NOT_ASKED)
    assert said(judged["host3"]) == ("unknown", NOT_ASKED)
    assert judged["host2"].since == gone.since


def test_only_a_want_of_questions_is_excused() -> None:
    facts: dict[int, Fact] = {1: home(T0), 2: Blind(T0, "wlan0 has no carrier"), 3: silent(T0, T0 - 10)}
    found = verdicts_of(house(facts, at=T0))
    assert found["host2"] == ("unknown", "wlan0 has no carrier")
    assert found["host3"][1].startswith("silent, but")


@pytest.mark.parametrize("n", [4, 9])
def test_the_presence_of_who_does_not_count_excuses_nobody(n: int) -> None:
    facts: dict[int, Fact] = {n: home(T0), 2: silent(T0 - 999, T0 - 9999)}
    assert verdicts_of(house(facts, at=T0), remember(judge(silent(T0, T0 - 9999), n=2)))["host2"] == (
        "unknown",
        "not asked lately",
    )


def test_once_nobody_is_home_the_excused_are_unknown_again() -> None:
    excused = judge_all(
        house({1: home(T0), 2: silent(T0 - 999, T0 - 9999)}, at=T0), Memory.newborn(NOW), OPTIONS, NOW
    )
    now = moment(T0 + 600)
    facts: dict[int, Fact] = {1: silent(now.mono, T0), 2: silent(T0 - 999, T0 - 9999)}
    found = verdicts_of(house(facts, at=now.mono), remember(*excused), now)
    assert found == {"host1": ("absent", "silent"), "host2": ("unknown", "not asked lately")}
