from __future__ import annotations

from dataclasses import replace

import pytest
from policy.worlds import CLIENTS, T0, client, home, house, moment, silent

from powerd.config import Options, parse
from powerd.model import LOGIND, Blind, Keep, KeepId, Memory, Seen, Sighting, Snapshot, State, Verdict
from powerd.policy import decide
from powerd.policy.clients import ALWAYS_ON_AFTER, NOT_ASKED, judge_all
from powerd.policy.idle import end_of, remarks, stirring
from powerd.policy.times import later
from powerd.policy.why import Why

NOW = moment()
OPTIONS = parse(b'[[sleep]]\naction = "suspend"', "test")


def stirs(snapshot: Snapshot, memory: Memory | None = None, options: Options = OPTIONS) -> list[Why]:
    memory = memory or Memory.newborn(NOW)
    return list(stirring(snapshot, judge_all(snapshot, memory, options, NOW), memory, options, NOW))


def said(snapshot: Snapshot, memory: Memory | None = None, options: Options = OPTIONS) -> list[str]:
    return [f"{why.subject}: {why.text}" for why in stirs(snapshot, memory, options)]


GONE = {1: silent(T0, T0 - 9999)}


def test_nothing_stirs_in_an_empty_house() -> None:
    assert stirs(house(GONE, at=T0)) == []


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (Blind(T0, "eth0: no carrier"), "eth0: no carrier"),
        (Seen(T0 - 181, ()), "has not looked for too long"),
        (None, "has not looked yet"),
    ],
)
def test_a_source_that_cannot_be_relied_on_is_the_one_reason(
    word: Seen[tuple[str, ...]] | Blind | None, text: str
) -> None:
    snapshot = house({1: home(T0)}, at=T0)
    others = {LOGIND: Seen(T0, ())}
    snapshot = replace(snapshot, sources=others if word is None else {**others, CLIENTS: word})
    assert said(snapshot) == [f"clients: {text}"]


def test_a_word_from_before_the_wake_up_is_void() -> None:
    woken = replace(Memory.newborn(NOW), resumed=T0 - 10)
    assert said(house(GONE, at=T0 - 11), woken) == [
        "clients: has not looked since the wake-up",
        "logind: has not looked since the wake-up",
    ]


def test_nobody_known_is_not_nobody_home() -> None:
    assert said(house({}, at=T0)) == ["clients: no client is known, so nobody can be seen to leave"]


def test_everybody_ignored_is_not_nobody_home() -> None:
    options = parse(b'[clients]\nignore = ["host*"]\n[[sleep]]\naction = "suspend"', "test")
    text = "every known client is ignored, so nobody can be seen to leave"
    assert said(house(GONE, at=T0), options=options) == [f"clients: {text}"]


def test_who_is_there_comes_before_who_may_be() -> None:
    facts: dict[int, Seen[Sighting] | Blind] = {
        1: Blind(T0, "No route to host"),
        2: home(T0),
        3: silent(T0 - 999, T0 - 9999),
        4: GONE[1],
    }
    snapshot = house(facts, at=T0)
    assert said(snapshot) == ["host2: home, answers ping", "host1: may be home: No route to host"]
    (verdict,) = (
        each for each in judge_all(snapshot, Memory.newborn(NOW), OPTIONS, NOW) if each.why == NOT_ASKED
    )
    assert verdict.client.label == "host3", "not asked because host2 is home, which is no reason of its own"


def test_checks_are_reasons_in_their_own_words() -> None:
    snapshot = replace(
        house(GONE, at=T0),
        checks={
            "users": Seen(T0, "anna is logged in on tty1"),
            "nfs": Blind(T0, "/proc/fs/nfsd/clients: cannot be read"),
            "quiet": Seen(T0, None),
            "old": Seen(T0 - 181, None),
        },
    )
    assert said(snapshot) == [
        "checks.nfs: /proc/fs/nfsd/clients: cannot be read",
        "checks.old: has not looked for too long",
        "checks.users: anna is logged in on tty1",
    ]


def verdict(**changes: object) -> Verdict:
    base = Verdict(client(1), State.PRESENT, "answers ping", moment(T0 - ALWAYS_ON_AFTER), always_on=True)
    return replace(base, **changes)  # type: ignore[arg-type] # each test names fields of its own


def test_who_is_always_on_is_remarked_with_the_line_to_write() -> None:
    (why,) = remarks((verdict(),), OPTIONS)
    pattern = 'ignore = ["02:00:00:00:00:01"]'
    assert why.text == f"is always on; if it is nobody's own, stop counting it with {pattern}"
    assert not why.keeps_awake
    assert parse(f"[clients]\n{pattern}".encode(), "test").clients.ignore[0].fits((), client(1).mac, None)


def test_without_a_mac_the_line_names_it_as_people_do() -> None:
    (why,) = remarks((verdict(client=replace(client(1), mac=None)),), OPTIONS)
    assert why.text.endswith('ignore = ["host1"]')


@pytest.mark.parametrize("changes", [{"always_on": False}, {"keeps_awake": False}])
def test_nobody_else_is_remarked(changes: dict[str, object]) -> None:
    assert list(remarks((verdict(**changes),), OPTIONS)) == []


def test_without_rules_it_says_that_it_never_sleeps() -> None:
    (why,) = remarks((), Options())
    assert "never sleeps" in why.text
    assert not why.keeps_awake


def test_a_sighting_that_says_nothing_is_no_silence() -> None:
    assert said(house({1: Seen(T0, Sighting())}, at=T0)) == [
        "host1: may be home: not asked again since it answered"
    ]


def keeping(seconds: float | None, because: str = "backup", name: str = "1") -> Keep:
    return Keep(KeepId(name), because, NOW, None if seconds is None else later(NOW, seconds))


def test_a_keep_is_a_reason_until_it_ends() -> None:
    keeps = {keep.id: keep for keep in (keeping(7200), keeping(0, name="2"), keeping(60, "", "3"))}
    snapshot = replace(house(GONE, at=T0), keeps=keeps)
    assert said(snapshot) == ["keep: kept awake until 23:00: backup", "keep: kept awake until 21:01"]
    assert {why.since for why in stirs(snapshot)} == {NOW}


def test_a_hold_is_a_reason_without_an_end() -> None:
    hold = keeping(None, "rsync", "h1")
    assert said(replace(house(GONE, at=T0), keeps={hold.id: hold})) == ["hold: awake while it runs: rsync"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(60, "21:01"), (11 * 3600, "09:00"), (13 * 3600, "Sun 11:00"), (6 * 86400, "Fri 22:00")],
)
def test_an_end_is_said_as_people_do(seconds: float, text: str) -> None:
    """DST begins in the first night, so 11 hours after 21:00 it is 09:00."""
    assert end_of(NOW, later(NOW, seconds)) == text


def test_an_end_beyond_a_week_has_its_date() -> None:
    assert end_of(NOW, later(NOW, 20 * 86400)) == "2026-04-17 22:00"


def test_the_next_decision_is_due_when_the_first_keep_ends() -> None:
    keeps = {keep.id: keep for keep in (keeping(7200), keeping(30, name="2"), keeping(None, name="h1"))}
    decision = decide(replace(house(GONE, at=T0), keeps=keeps), Memory.newborn(NOW), OPTIONS, NOW)
    assert (decision.phase, decision.look_again) == ("awake", NOW.mono + 30)
