"""The totals of a period agree with a count of each minute, and changes in columns with the objects."""

from __future__ import annotations

from collections import Counter
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from powerd.history.model import SERVER, Changes, Record, SleepRecord, State, StateChange, Subject
from powerd.history.policy_record import make_record
from powerd.history.view.totals import add_up, blocks

MINUTE: Final = 60.0
LENGTH: Final = 40
"""Minutes of a period."""
PHONE: Final = Subject("client", "02:00", "phone")
SAME_NAME: Final = Subject("client", "02:01", "phone")
COPY: Final = Subject("activity", "samba", "phone", "reads film.mkv")
SOURCE: Final = Subject("blocker", "clients", text="cannot be read")
DISK: Final = Subject("disk", "ata-1", "sda")
STATES_OF: Final[dict[Subject, tuple[State, ...]]] = {
    SERVER: ("awake", "awake", "idle", "stopped"),
    PHONE: ("present", "dozing", "absent", "unknown", "none"),
    SAME_NAME: ("present", "absent", "none"),
    COPY: ("active", "none"),
    SOURCE: ("needed", "unconfirmed", "none"),
    DISK: ("spinning", "standby", "unknown"),
}
ONE_CHANGE: Final = st.one_of(
    [
        st.builds(
            StateChange, st.integers(-5, LENGTH + 3).map(float), st.just(subject), st.sampled_from(states)
        )
        for subject, states in STATES_OF.items()
    ]
)
CHANGES: Final = st.lists(ONE_CHANGE, max_size=30)
SLEEPS: Final = st.lists(st.integers(-5, LENGTH + 5), max_size=6, unique=True).map(sorted)


def count_minutes(record: Record) -> tuple[float, Counter[tuple[str, ...]], Counter[tuple[str, ...]]]:
    """The same by looking at every minute: awake, by key, and by key alone."""
    awake, seconds, alone = 0.0, Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
    for minute in range(int(record.since / MINUTE), int(record.until / MINUTE)):
        at = minute * MINUTE + 1
        states = {
            each.subject: each.state
            for each in record.intervals
            if each.begin <= at < (9e9 if each.end is None else each.end)
        }
        asleep = any(each.begin <= at < (9e9 if each.end is None else each.end) for each in record.sleeps)
        if asleep or states.get(SERVER, "stopped") == "stopped":
            continue
        awake += MINUTE
        keys = {
            (subject.kind, subject.name or subject.id)
            for subject, state in states.items()
            if blocks(subject, state) and states[SERVER] == "awake"
        }
        seconds.update(dict.fromkeys(keys, 60))
        if len(keys) == 1:
            alone.update(dict.fromkeys(keys, 60))
        if (disk := states.get(DISK)) in {"spinning", "standby"}:
            seconds["disk", DISK.id, str(disk)] += 60
    return awake, seconds, alone


@given(CHANGES, SLEEPS)
def test_the_totals_are_those_of_each_minute(changes: list[StateChange], times: list[int]) -> None:
    rows = sorted((each._replace(at=each.at * MINUTE) for each in changes), key=lambda each: each.at)
    sleeps = tuple(
        SleepRecord(begin * MINUTE, "suspend", 0, "enforce", "slept", end * MINUTE, woken_by="alarm")
        for begin, end in zip(times[::2], times[1::2], strict=False)
    )
    record = Record(0.0, LENGTH * MINUTE, sleeps, Changes(rows))
    found = add_up(record)
    awake, seconds, alone = count_minutes(record)
    assert found.awake == awake
    assert {key: value for key, value in found.seconds.items() if value} == dict(seconds)
    assert {key: value for key, value in found.alone.items() if value} == dict(alone)


@given(CHANGES, st.integers(1, 7))
def test_columns_have_the_changes_that_were_added(changes: list[StateChange], size: int) -> None:
    rows = [each._replace(seen=each.at - 1 if each.at > 1 else None) for each in changes]
    columns = Changes()
    for begin in range(0, len(rows), size):
        columns.extend(rows[begin : begin + size])
    assert list(columns) == rows
    assert list(columns.rows()) == [each[:3] for each in rows]
    assert len(columns) == len(rows)


@given(CHANGES)
def test_a_clock_that_was_set_back_leaves_the_record_in_order(changes: list[StateChange]) -> None:
    rows = [each._replace(at=(each.at + 10) * MINUTE) for each in changes]
    found = make_record(rows, 0.0, 60 * MINUTE).changes
    assert list(found.times) == sorted(found.times)
    assert [each[1:3] for each in found] == [each[1:3] for each in rows], "none is lost"
    if list(found.times) == [each.at for each in rows]:
        assert [each.at for each in rows] == sorted(each.at for each in rows), "else none is moved"


def test_what_was_recorded_while_the_clock_was_ahead_ends_when_it_was_set_back() -> None:
    copy, phone = Subject("activity", "disk_io", "cp", "reads"), Subject("client", "2", "phone")
    rows = [
        StateChange(0, SERVER, "awake"),
        StateChange(5 * MINUTE, phone, "present"),
        StateChange(30 * MINUTE, copy, "active"),
        StateChange(40 * MINUTE, SERVER, "stopped"),
        StateChange(10 * MINUTE, SERVER, "awake"),
        StateChange(10 * MINUTE, phone, "present"),
        StateChange(20 * MINUTE, phone, "absent"),
    ]
    found = make_record(rows, 0.0, 60 * MINUTE).intervals
    assert {(each.subject, each.begin / MINUTE, each.end and each.end / MINUTE) for each in found} == {
        (SERVER, 0, 10),
        (SERVER, 10, None),
        (phone, 5, 10),
        (phone, 10, 20),
        (phone, 20, None),
    }
