"""The replay of a record: the same sleeps as the daemon that has recorded it, and false sleeps."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation.household import BERLIN, NIGHTLY, SimulationLog, daily, person
from simulation.household import simulate as live

from powerd.config.load import parse
from powerd.config.options import AwakeOptions, ClientClass, ClientOptions, Options, SleepRule
from powerd.config.values import parse_client_pattern
from powerd.history.model import SERVER, Interval, Record, SleepRecord, State, Subject, changes_of
from powerd.history.policy_record import begin, make_record, record
from powerd.history.view.api import record_parts
from powerd.replay import command
from powerd.replay.command import (
    Variation,
    read_record,
    simulate,
    simulation_json,
    simulation_text,
)
from powerd.replay.past import recorded_seconds, replay
from powerd.replay.silences import with_absent_after
from powerd.replay.variations import counting, suggestions, vary
from powerd.ui.cli.client import EXIT_OK, EXIT_USAGE
from powerd.ui.cli.parser import build_parser
from powerd.ui.layout import width

ROUND: Final = 90.0
"""Seconds: the interval of polls, and the time that a sweep takes."""
CONFIG: Final = NIGHTLY + b'[wake]\nat = ["06:30"]\n'
DAYS: Final = 0.45


def record_of(log: SimulationLog, options: Options) -> Record:
    """What the daemon has recorded."""
    first, last = log.statuses[0].now, log.statuses[-1].now
    recorder, entries = begin(None, 0.0, log.statuses[0])
    for status in log.statuses:
        recorder, more = record(recorder, status, options)
        entries += more
    return make_record(entries, first.wall.timestamp(), last.wall.timestamp())


@cache
def household(config: bytes) -> Record:
    """A night of a phone and a television, with a daemon of this configuration."""
    people = [
        person("anna-phone", 11, daily(17, 23.3)),
        person("tv", 12, daily(19, 22.5)),
    ]
    log = live(people, begin="2026-06-01 22:15", days=DAYS, config=config)
    return record_of(log, parse(config, "test"))


def assert_same(found: tuple[SleepRecord, ...], expected: tuple[SleepRecord, ...]) -> None:
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        assert abs(one.begin - other.begin) <= ROUND
        assert (one.action, one.rule) == (other.action, other.rule)


def test_the_same_configuration_sleeps_as_it_has_slept() -> None:
    recorded = household(CONFIG)
    again = read_record(json.loads("".join(record_parts(recorded, UTC, ""))))
    assert (again.intervals, again.disk_wakes) == (recorded.intervals, recorded.disk_wakes)
    found = replay(again, parse(CONFIG, "test"), BERLIN)
    assert_same(found, recorded.sleeps)
    ends = [(each.end or 0) - (other.end or 0) for each, other in zip(found, recorded.sleeps, strict=True)]
    assert all(abs(each) <= ROUND for each in ends)


def test_another_idle_time_sleeps_as_a_daemon_with_it() -> None:
    other = CONFIG.replace(b'idle_for = "30min"', b'idle_for = "10min"')
    options = vary(parse(CONFIG, "test"), ["idle_for=10min"])
    assert options.sleep == parse(other, "test").sleep
    assert_same(replay(household(CONFIG), options, BERLIN), household(other).sleeps)


# --- small records ---

BEGIN: Final = 1_780_000_000.0
HOUR: Final = 3600.0
PHONE: Final = Subject("client", "02:00:00:00:00:0b", "anna-phone")
COPY: Final = Subject("activity", "samba", "tv", "reads film.mkv")
SOURCE: Final = Subject("blocker", "clients", text="cannot be read")
QUICK: Final = Options(
    sleep=(SleepRule(idle_for=600.0, warn=0.0),), awake=AwakeOptions(after_start=0.0, after_resume=0.0)
)


def at(hours: float) -> float:
    return BEGIN + hours * HOUR


def interval(
    subject: Subject, state: State, begin: float, end: float | None, seen: float | None = None
) -> Interval:
    ends = None if end is None else at(end)
    return Interval(subject, state, at(begin), ends, None if seen is None else at(seen))


def past(*intervals: Interval, hours: float = 10, sleeps: tuple[SleepRecord, ...] = ()) -> Record:
    """A record in which the server ran all the time."""
    rows = (interval(SERVER, "awake", 0, None), *intervals)
    return Record(at(0), at(hours), sleeps, changes_of(rows))


def hours_of(sleeps: tuple[SleepRecord, ...]) -> list[tuple[float, float]]:
    return [
        (round((each.begin - BEGIN) / HOUR, 2), round(((each.end or 0) - BEGIN) / HOUR, 2)) for each in sleeps
    ]


@pytest.mark.parametrize(
    ("blocker", "came", "false"),
    [
        (interval(PHONE, "present", 2, 3), 2.0, False),
        (interval(PHONE, "present", 0.4, 3), 0.4, True),
        (interval(COPY, "active", 0.4, 3), 0.4, True),
        (interval(PHONE, "absent", 0.2, 3), None, False),
        (interval(SOURCE, "unconfirmed", 0.3, 3), None, False),
    ],
)
def test_who_comes_ends_a_sleep_and_makes_it_false_within_minutes(
    blocker: Interval, came: float | None, *, false: bool
) -> None:
    first, *_ = replay(past(blocker), QUICK, UTC)
    assert first.begin == at(1 / 6)
    assert first.came_at == (None if came is None else at(came))
    assert first.is_false is false


@pytest.mark.parametrize(
    "held",
    [
        interval(PHONE, "present", 0, None),
        interval(PHONE, "unknown", 0, None),
        interval(PHONE, "dozing", 0, None),
        interval(COPY, "active", 0, None),
        interval(SOURCE, "unconfirmed", 0, None),
    ],
)
def test_a_present_or_unknown_state_keeps_the_server_awake(held: Interval) -> None:
    assert replay(past(held), QUICK, UTC) == ()


def test_a_gap_of_the_record_counts_as_awake() -> None:
    record = Record(
        at(0),
        at(10),
        changes=changes_of([interval(SERVER, "awake", 0, 1), interval(SERVER, "idle", 5, None)]),
    )
    assert recorded_seconds(record) == 6 * HOUR
    assert hours_of(replay(record, QUICK, UTC)) == [(0.17, 1.0), (5.17, 10.0)]


def test_until_the_unknown_end_of_a_sleep_the_server_counts_as_awake() -> None:
    slept = SleepRecord(at(1), "poweroff", 0, "enforce", "slept", at(5), 4 * HOUR, woken_by="unrecorded")
    rows = [interval(SERVER, "awake", 0, 1), interval(SERVER, "idle", 5, None)]
    record = Record(at(0), at(10), (slept,), changes_of(rows))
    assert recorded_seconds(record) == 6 * HOUR
    assert hours_of(replay(record, QUICK, UTC)) == [(0.17, 1.0), (5.17, 10.0)]


def test_another_program_s_sleep_happens_in_every_configuration() -> None:
    slept = SleepRecord(at(2), "sleep", None, "enforce", "slept", at(4), 2 * HOUR, woken_by="button")
    record = past(interval(PHONE, "present", 0, 2), interval(PHONE, "present", 4, None), sleeps=(slept,))
    assert hours_of(replay(record, QUICK, UTC)) == [(2, 4)]


def test_a_sleep_ends_at_a_recorded_wake_up() -> None:
    slept = SleepRecord(at(1), "suspend", 0, "enforce", "slept", at(4), 3 * HOUR, woken_by="network")
    first, second = replay(past(sleeps=(slept,)), QUICK, UTC)
    assert (first.end, first.woken_by) == (at(4), "network")
    assert second.begin == at(4) + 600


def test_after_a_wake_up_an_absent_client_has_to_be_silent_again() -> None:
    slept = SleepRecord(at(1), "suspend", 0, "enforce", "slept", at(4), 3 * HOUR, woken_by="alarm")
    record = past(interval(PHONE, "absent", 0, None, seen=-0.1), sleeps=(slept,))
    _, second = replay(record, QUICK, UTC)
    assert second.begin == pytest.approx(at(4.1) + 600)


def test_a_sleep_in_spite_of_somebody_who_is_ignored_is_false() -> None:
    options = vary(QUICK, ["ignore=anna*"])
    record = past(interval(PHONE, "present", 0, 5))
    (sleep,) = replay(record, options, UTC, counting(options.clients))
    assert (sleep.is_false, sleep.came) == (True, "anna-phone: present")
    (later,) = replay(record, QUICK, UTC, counting(vary(QUICK, ["ignore=printer*"]).clients))
    assert later.begin > at(5)


_EVENTS = st.lists(
    st.tuples(
        st.sampled_from([(PHONE, "present"), (PHONE, "unknown"), (COPY, "active"), (SOURCE, "unconfirmed")]),
        st.integers(0, 600),
        st.integers(1, 120),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(_EVENTS, st.integers(0, 60), st.integers(0, 60))
def test_a_longer_idle_time_never_sleeps_more(
    events: list[tuple[tuple[Subject, State], int, int]], idle: int, more: int
) -> None:
    record = past(*(interval(*what, begin / 60, (begin + last) / 60) for what, begin, last in events))

    def asleep(minutes: int) -> float:
        rule = SleepRule(idle_for=minutes * 60.0, warn=0.0)
        return sum(each.asleep for each in replay(record, replace(QUICK, sleep=(rule,)), UTC))

    assert asleep(idle + more) <= asleep(idle) + 1


# --- another absent_after ---

WITH_CLASS: Final = replace(
    QUICK,
    clients=ClientOptions(class_=(ClientClass(name="phone", match=(parse_client_pattern("anna*"),)),)),
)
LEFT: Final = (
    interval(PHONE, "present", 0, 1.05),
    interval(PHONE, "dozing", 1.05, 1.5),
    interval(PHONE, "absent", 1.5, 5, seen=1),
    interval(PHONE, "present", 5, 6.5),
    interval(PHONE, "absent", 6.5, None, seen=6),
)
"""It leaves at 1 h and at 6 h, and is absent after half an hour."""
NAPPED: Final = (
    interval(PHONE, "present", 0, 0.5),
    interval(PHONE, "dozing", 0.5, 0.8),
    interval(PHONE, "present", 0.8, 1.5),
    *LEFT[2:],
)


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("absent_after=auto", [(1.67, 5), (6.67, 10)]),
        ("absent_after=30min", [(1.67, 5), (6.67, 10)]),
        ("absent_after=1h", [(2.17, 5), (7.17, 10)]),
        ("class.phone.absent_after=1h", [(2.17, 5), (7.17, 10)]),
        ("absent_after=4h", []),
        ("absent_after=10min", [(1.33, 5), (6.33, 10)]),
    ],
)
def test_another_limit_moves_each_absence(assignment: str, expected: list[tuple[float, float]]) -> None:
    options = vary(WITH_CLASS, [assignment])
    moved, unknown = with_absent_after(past(*LEFT), options.clients)
    assert hours_of(replay(moved, options, UTC)) == expected
    assert unknown == ()


@pytest.mark.parametrize(
    ("intervals", "assignment", "is_known"),
    [
        (NAPPED, "absent_after=10min", False),
        (LEFT, "absent_after=2min", False),
        (NAPPED, "absent_after=1h", True),
    ],
)
def test_a_shorter_limit_is_refused_where_its_silences_are_not_recorded(
    intervals: tuple[Interval, ...], assignment: str, *, is_known: bool
) -> None:
    record = past(*intervals)
    moved, unknown = with_absent_after(record, vary(WITH_CLASS, [assignment]).clients)
    assert (moved is record, unknown) == ((False, ()) if is_known else (True, ("anna-phone",)))


def test_silence_counts_from_the_last_wake_up() -> None:
    slept = SleepRecord(at(1.2), "sleep", None, "enforce", "slept", at(3), 1.8 * HOUR, woken_by="button")
    record = past(
        interval(PHONE, "present", 0, 3),
        interval(PHONE, "unknown", 3, 3.5),
        interval(PHONE, "absent", 3.5, None, seen=1),
        sleeps=(slept,),
    )
    moved, _ = with_absent_after(record, vary(QUICK, ["absent_after=1h"]).clients)
    assert hours_of(replay(moved, QUICK, UTC))[-1] == (4.17, 10)


@pytest.mark.parametrize(
    ("assignment", "sentence"),
    [
        ("absent_after=10min", "anna-phone cannot be evaluated"),
        ("class.phone.keeps_awake=true", "clients that were ignored"),
        ("ignore=tv*", "clients that were ignored"),
        ('ignore=["tv*", "printer*"]', None),
    ],
)
def test_the_table_states_what_is_not_recorded(assignment: str, sentence: str | None) -> None:
    options = vary(WITH_CLASS, ["class.phone.keeps_awake=false", "ignore=printer*"])
    others = [Variation(assignment, vary(options, [assignment]))]
    result = simulation_json(past(*NAPPED), options, others, UTC)
    assert not result["runs"][0]["unknown"]
    text = " ".join(simulation_text(result).split())
    assert (sentence or "") in text
    assert bool(result["runs"][1]["unknown"]) is (sentence is not None)


# --- the command ---


@pytest.mark.parametrize(
    "assignment",
    ["timeout=3s", "clients.every=90s", "sleep.9.idle_for=5min", "idle_for=soon", "idle_for",
     "during=25:00-26:00", "a.b.c.d=1", "=", "sleep.idle_for.x=1", "dozing=never", "ignore=",
     "absent_after=soon", "class.tv.keeps_awake=false", "class.phone.name=x", "clients.class=x",
     "class.phone.keeps_awake=1"],
)  # fmt: skip
def test_other_options_are_refused(assignment: str) -> None:
    with pytest.raises(ValueError, match=r"^--set .*[^.]$"):
        vary(WITH_CLASS, [assignment])


@pytest.mark.parametrize(
    "assignment",
    ['idle_for="5min"', "sleep.idle_for=5min", "sleep.1.idle_for=5min", "action=poweroff", "dozing=ignored",
     "during=23:00-07:00", 'during=["23:00-07:00", "12:00-13:00"]', "awake.after_resume=1min",
     "after_start=1h", "clients.ignore=10.0.0.0/24", "warn=5min", "absent_after=1h",
     "clients.absent_after=auto", "class.phone.keeps_awake=false", "clients.class.phone.absent_after=1h",
     "class.phone.match=tv*"],
)  # fmt: skip
def test_what_can_be_varied(assignment: str) -> None:
    options = replace(WITH_CLASS, clients=replace(WITH_CLASS.clients, absent_after=60.0))
    assert vary(options, [assignment]) != options


def test_the_table_names_the_best_variation(columns: int) -> None:
    record = past(*(interval(COPY, "active", hour, hour + 0.2) for hour in range(10)))
    options = vary(QUICK, ["idle_for=45min"])
    others = [Variation(each, vary(options, [each])) for each in suggestions(options, has_dozed=True)]
    result = simulation_json(record, options, others, UTC)
    assert (result["past"]["sleeps"], result["recorded"]) == (0, 10 * HOUR)
    more = {run["configuration"]: run["more"] for run in result["runs"]}
    assert more["this configuration"] == 0
    assert more['idle_for = "5min"'] > more['idle_for = "20min"'] > 0 > more['idle_for = "1h"']
    text = simulation_text(result, details=True)
    assert all(width(line) <= columns for line in text.splitlines())
    # from 0.2 h to the next hour, but for the idle time of 5 instead of 45 minutes: 10 times 40 min in 10 h
    advice = " ".join(text.split()).partition("Try ")[2]
    assert all(term in advice for term in ('idle_for = "5min"', "+480 h", "0 false"))
    assert [len(run["false"]) for run in result["runs"][:2]] == [9, 0]


def test_an_empty_record() -> None:
    empty = Record(at(0), at(1))
    assert replay(empty, QUICK, UTC) == ()
    assert "too little" in simulation_text(simulation_json(empty, QUICK, [], UTC))


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def asked(method: str, path: str, socket_path: str) -> object:
        assert (method, path, socket_path) == ("GET", "/api/record?since=12h", "/nowhere")
        return json.loads("".join(record_parts(past(), UTC, str(tmp_path / "powerd.toml"))))

    def run(config: str, *words: str) -> int:
        (tmp_path / "powerd.toml").write_text(config)
        files = ["--socket", "/nowhere", "--since", "12h"]
        return simulate(build_parser().parse_args(["simulate", *files, *words]))

    def runs(config: str, *words: str) -> dict[str, tuple[int, float]]:
        assert run(config, *words, "--json") == EXIT_OK
        found = json.loads(capsys.readouterr().out)["runs"]
        return {row["configuration"]: (row["sleeps"], row["more"] > 0) for row in found}

    monkeypatch.setattr(command, "request", asked)
    assert run("[[sleep]]\n") == EXIT_OK
    assert 'idle_for = "5min"' in capsys.readouterr().out
    assert runs("[[sleep]]\n", "--set", "idle_for=1h", "--set", "warn=0s") == {
        "this configuration": (1, False),
        "idle_for=1h, warn=0s": (1, False),
    }
    other = tmp_path / "other.toml"
    other.write_text('[[sleep]]\nidle_for = "5min"\n')
    assert runs("[[sleep]]\n", "--config", str(other)) == {
        "this configuration": (1, False),
        "other.toml": (1, True),
    }
    assert runs("", "--config", str(other)) == {"this configuration": (0, False), "other.toml": (1, True)}
    assert list(runs("[[sleep]]\n", "--config", str(other), "--set", "idle_for=1h")) == [
        "this configuration", "other.toml", "idle_for=1h"
    ]  # fmt: skip
    assert list(runs('[[sleep]]\nidle_for = "5min"\n', "--config", str(other)))[1].startswith("idle_for")
    assert run("invalid", "--config", str(other)) == EXIT_OK
    assert "cannot be read" in " ".join(capsys.readouterr().out.split())
    monkeypatch.setenv("POWERD_CONFIG", str(other))
    assert list(runs("[[sleep]]\n"))[1:] == ["other.toml"], "as --config"
    monkeypatch.delenv("POWERD_CONFIG")
    for config, words in (("", ()), ("[[sleep]]\n", ("--set", "mode=observe"))):
        assert run(config, *words) == EXIT_USAGE
        assert len(capsys.readouterr().err.splitlines()) == 1
