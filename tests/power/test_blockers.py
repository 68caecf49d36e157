from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from core.snapshot_strategies import CLIENTS, T0, client, home, make_snapshot, moment, silent
from facts import assess_all, changed, decide

from powerd.activity.model import ACTIVITY
from powerd.config.load import parse
from powerd.config.options import Options
from powerd.core.reasons import UndatedReason
from powerd.core.snapshot import Memory, Snapshot
from powerd.core.time import Moment, Reading, Unavailable, add_seconds
from powerd.power.model import LOGIND
from powerd.presence.model import ClientState, ClientStatus, Observation, ProbeState
from powerd.presence.policy import ALWAYS_ON_AFTER, always_on_remarks, evaluate_clients
from powerd.requests.model import KeepAwake, KeepAwakeId
from powerd.requests.policy import format_keep_end

NOW = moment()
OPTIONS = parse(b'[[sleep]]\naction = "suspend"', "test")


def blockers_of(
    snapshot: Snapshot, memory: Memory | None = None, options: Options = OPTIONS
) -> list[UndatedReason]:
    memory = memory or Memory.initial(NOW)
    return list(assess_all(snapshot, memory, options, NOW).blockers)


def texts_of(snapshot: Snapshot, memory: Memory | None = None, options: Options = OPTIONS) -> list[str]:
    return [f"{why.subject}: {why.text}" for why in blockers_of(snapshot, memory, options)]


GONE = {1: silent(T0, T0 - 9999)}


def test_nothing_blocks_sleep_when_nobody_is_home() -> None:
    assert blockers_of(make_snapshot(GONE, at=T0)) == []


@pytest.mark.parametrize(
    ("reading", "text"),
    [
        (Unavailable(T0, "eth0: no carrier"), "eth0: no carrier"),
        (Reading(T0 - 181, ()), "has not been polled for too long"),
        (None, "has not been polled yet"),
    ],
)
def test_a_source_that_cannot_be_relied_on_is_the_one_reason(
    reading: Reading[tuple[str, ...]] | Unavailable | None, text: str
) -> None:
    snapshot = make_snapshot({1: home(T0)}, at=T0)
    others = {ACTIVITY: Reading(T0, ()), LOGIND: Reading(T0, ())}
    snapshot = replace(snapshot, sources=others if reading is None else {**others, CLIENTS: reading})
    assert texts_of(snapshot) == [f"clients: {text}"]


def test_a_reading_from_before_the_wake_up_is_void() -> None:
    woken = replace(Memory.initial(NOW), resumed_at=T0 - 10)
    found = blockers_of(make_snapshot(GONE, at=T0 - 11), woken)
    assert [why.subject for why in found] == ["clients", "activity", "logind"]
    assert {"since the wake-up" in why.text for why in found} == {True}


def test_no_known_client_differs_from_nobody_home() -> None:
    (why,) = blockers_of(make_snapshot({}, at=T0))
    assert (why.subject, why.text.startswith("no client is known")) == ("clients", True)


def test_everybody_ignored_is_not_nobody_home() -> None:
    options = parse(b'[clients]\nignore = ["host*"]\n[[sleep]]\naction = "suspend"', "test")
    (why,) = blockers_of(make_snapshot(GONE, at=T0), options=options)
    assert (why.subject, "is ignored" in why.text) == ("clients", True)


@pytest.mark.parametrize(
    ("wall", "uptime", "synchronised", "blocked"),
    [
        ("2026-06-01", 60.0, False, False),
        ("2026-06-01", 700.0, False, False),
        ("1970-01-01", 60.0, False, True),
        ("1970-01-01", 7e6, False, True),
        ("1970-01-01", 60.0, True, False),
    ],
)
def test_windows_and_wake_times_are_not_believed_by_a_clock_with_an_implausible_date(
    wall: str, uptime: float, *, synchronised: bool, blocked: bool
) -> None:
    at = Moment(T0, uptime - T0, datetime.fromisoformat(wall).replace(tzinfo=UTC))
    snapshot = changed(make_snapshot(GONE, at=T0), clock_synchronised=synchronised)
    for more, expected in (
        ('during = ["00:00-08:00"]', blocked),
        ('[wake]\nat = ["07:00"]', blocked),
        ('[wake]\ntimers = ["backup.timer"]', blocked),
        ('[[activity.calendar]]\nname = "a"\npath = "/srv/a.ics"', blocked),
        ("", False),
    ):
        options = parse(f'[[sleep]]\naction = "suspend"\n{more}'.encode(), "test")
        found = assess_all(snapshot, Memory.initial(at), options, at).blockers
        assert ("clock" in [reason.subject for reason in found]) is expected


def test_who_is_there_comes_before_who_may_be() -> None:
    facts: dict[int, Reading[Observation] | Unavailable] = {
        1: Unavailable(T0, "No route to host"),
        2: home(T0),
        3: silent(T0 - 999, T0 - 9999),
        4: GONE[1],
    }
    snapshot = make_snapshot(facts, at=T0)
    assert [why.subject for why in blockers_of(snapshot)] == ["host2", "host1"]
    assert texts_of(snapshot)[1].endswith("No route to host")
    (client_status,) = (
        each
        for each in evaluate_clients(snapshot, Memory.initial(NOW), OPTIONS, NOW)
        if each.probe is ProbeState.SKIPPED
    )
    assert client_status.client.label == "host3", (
        "not asked because host2 is home, which is not a reason of its own"
    )


def test_checks_are_reasons_with_their_own_text() -> None:
    unreadable, logged_in = "/proc/fs/nfsd/clients: cannot be read", "anna is logged in on tty1"
    snapshot = changed(
        make_snapshot(GONE, at=T0),
        checks={
            "users": Reading(T0, logged_in),
            "nfs": Unavailable(T0, unreadable),
            "quiet": Reading(T0, None),
            "old": Reading(T0 - 181, None),
        },
    )
    nfs, old, users = blockers_of(snapshot)
    assert (nfs.subject, nfs.text) == ("checks.nfs", unreadable)
    assert (old.subject, "too long" in old.text) == ("checks.old", True)
    assert (users.subject, users.text) == ("checks.users", logged_in)


def status_of(**changes: object) -> ClientStatus:
    base = ClientStatus(
        client(1), ClientState.PRESENT, "answers ping", moment(T0 - ALWAYS_ON_AFTER), always_on=True
    )
    return replace(base, **changes)  # type: ignore[arg-type] # each test names fields of its own


def test_an_always_on_client_is_a_warning_with_the_line_to_write() -> None:
    (why,) = always_on_remarks((status_of(),))
    pattern = 'ignore = ["02:00:00:00:00:01"]'
    assert why.text.endswith(pattern)
    assert not why.blocks_sleep
    assert parse(f"[clients]\n{pattern}".encode(), "test").clients.ignore[0].matches((), client(1).mac, None)


def test_without_a_mac_the_line_names_it_as_people_do() -> None:
    (why,) = always_on_remarks((status_of(client=replace(client(1), mac=None)),))
    assert why.text.endswith('ignore = ["host1"]')


@pytest.mark.parametrize("changes", [{"always_on": False}, {"blocks_sleep": False}])
def test_no_other_client_is_a_warning(changes: dict[str, object]) -> None:
    assert list(always_on_remarks((status_of(**changes),))) == []


def test_without_rules_it_reports_that_it_never_sleeps() -> None:
    (why,) = (
        each
        for each in assess_all(make_snapshot(GONE, at=T0), Memory.initial(NOW), Options(), NOW).remarks
        if each.subject == "sleep"
    )
    assert "never sleeps" in why.text
    assert not why.blocks_sleep


def test_an_empty_observation_is_no_silence() -> None:
    (text,) = texts_of(make_snapshot({1: Reading(T0, Observation())}, at=T0))
    assert text.startswith("host1: may be home")


def keeping(seconds: float | None, because: str = "backup", name: str = "1") -> KeepAwake:
    return KeepAwake(KeepAwakeId(name), because, NOW, None if seconds is None else add_seconds(NOW, seconds))


def test_a_keep_is_a_reason_until_it_ends() -> None:
    keeps = {keep.id: keep for keep in (keeping(7200), keeping(0, name="2"), keeping(60, "", "3"))}
    snapshot = changed(make_snapshot(GONE, at=T0), keep_awake=keeps)
    first, second = texts_of(snapshot)
    assert first.endswith("23:00: backup")
    assert second.endswith("21:01")
    assert {why.since for why in blockers_of(snapshot)} == {NOW}


def test_a_hold_is_a_reason_without_an_end() -> None:
    hold = keeping(None, "rsync", "h1")
    (text,) = texts_of(changed(make_snapshot(GONE, at=T0), keep_awake={hold.id: hold}))
    assert text.startswith("hold: ")
    assert text.endswith(": rsync")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(60, "21:01"), (11 * 3600, "09:00"), (12 * 3600, "Sun 10:00"), (6 * 86400, "Fri 22:00")],
)
def test_an_end_time_is_formatted_for_people(seconds: float, text: str) -> None:
    """DST begins in the first night, so 11 hours after 21:00 it is 09:00. The server has slept before."""
    since = replace(NOW, slept=20 * 3600.0)
    assert format_keep_end(since, add_seconds(since, seconds)) == text


def test_an_end_beyond_a_week_has_its_date() -> None:
    assert format_keep_end(NOW, add_seconds(NOW, 20 * 86400)) == "2026-04-17 22:00"


def test_the_next_decision_is_due_when_the_first_keep_ends() -> None:
    keeps = {keep.id: keep for keep in (keeping(7200), keeping(30, name="2"), keeping(None, name="h1"))}
    decision = decide(
        changed(make_snapshot(GONE, at=T0), keep_awake=keeps), Memory.initial(NOW), OPTIONS, NOW
    )
    assert (decision.phase, decision.next_decision_at) == ("awake", NOW.mono + 30)
