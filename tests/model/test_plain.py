from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.model import Attribute, Counter, Fault, Finding, Health, Record, Sample, SelfTest, Severity
from powerd.model.plain import NotPlainError, from_plain, record_from_plain, record_to_plain, to_plain

FULL = Health(
    at=1_790_000_000.5,
    protocol="ata",
    passed=True,
    faults=Fault.ERROR_LOG | Fault.PAST,
    temperature=31,
    limit=60,
    hours=12_345,
    counters={Counter.PENDING: 2, Counter.STARTS: 99},
    attributes=(
        Attribute(
            194, "Temperature_Celsius", 119, 103, 0, "31 (Min/Max 12/45)", prefail=False, failed="past"
        ),
    ),
    critical=("the media are read-only",),
    spare=(100, 10),
    tests=(SelfTest("Short offline", "Completed without error", passed=True, hours=12_300),),
    testing=40,
    minutes=(2, 255),
    partial="its error log cannot be read",
)

RECORD = Record(
    known=1_780_000_000.0,
    last=FULL,
    before=replace(FULL, at=1_789_913_600.0),
    samples=(Sample(1_789_913_600.0, None, 30, {Counter.STARTS: 98}), Sample(FULL.at, True, None, {})),  # noqa: FBT003 - a row
    tested={"short": 1_789_000_000.0},
    told=(Finding("pending", Severity.ALARM, "one more sector cannot be read, 2 in all", "copy it"),),
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


def test_there_and_back() -> None:
    assert from_plain(json.loads(json.dumps(to_plain(FULL)))) == FULL
    bare = Health(at=0, protocol="nvme", passed=None)
    assert from_plain(json.loads(json.dumps(to_plain(bare)))) == bare


def test_what_an_older_version_has_not_written_is_as_it_was() -> None:
    assert from_plain({"at": 5, "protocol": "scsi"}) == Health(at=5, protocol="scsi", passed=None)


def test_a_counter_of_a_newer_version_is_passed_over() -> None:
    plain = to_plain(replace(FULL, counters={}))
    assert from_plain({**plain, "counters": {"quarks": 3}}) == replace(FULL, counters={})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("at", None),
        ("at", True),
        ("at", 1e300),
        ("protocol", "sata"),
        ("passed", 1),
        ("temperature", "31"),
        ("temperature", True),
        ("counters", []),
        ("counters", {"pending": "2"}),
        ("attributes", {}),
        ("attributes", [[1]]),
        ("attributes", [["5", "", 1, 1, 1, "", True, None]]),
        ("attributes", [[5, "", 1, 1, 1, "", True, "later"]]),
        ("critical", ["a\nb"]),
        ("critical", ["x" * 201]),
        ("critical", [""] * 257),
        ("spare", [1]),
        ("spare", 7),
        ("tests", [["Short", "ok", True]]),
        ("partial", None),
    ],
)
def test_what_is_no_check_is_refused(key: str, value: object) -> None:
    with pytest.raises(NotPlainError):
        from_plain({**to_plain(FULL), key: value})


@given(json_values, st.sampled_from(sorted(to_plain(FULL))))
def test_any_json_is_a_check_or_refused(value: object, key: str) -> None:
    for candidate in (value, {**to_plain(FULL), key: value}):
        try:
            health = from_plain(candidate)
        except NotPlainError:
            continue
        assert from_plain(to_plain(health)) == health


def test_a_record_there_and_back() -> None:
    assert record_from_plain(json.loads(json.dumps(record_to_plain(RECORD)))) == RECORD
    assert record_from_plain({"known": 5}) == Record(known=5)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("known", "1"),
        ("last", {}),
        ("before", 7),
        ("samples", [[1, None, None]]),
        ("samples", [[1, None, None, {}]] * 401),
        ("tested", []),
        ("tested", {"short": None}),
        ("told", [["pending", 3, "text", "advice"]]),
        ("told", [["pending", True, "text", "advice"]]),
    ],
)
def test_what_is_no_record_is_refused(key: str, value: object) -> None:
    with pytest.raises(NotPlainError):
        record_from_plain({**record_to_plain(RECORD), key: value})


@given(json_values, st.sampled_from(sorted(record_to_plain(RECORD))))
def test_any_json_is_a_record_or_refused(value: object, key: str) -> None:
    for candidate in (value, {**record_to_plain(RECORD), key: value}):
        try:
            record = record_from_plain(candidate)
        except NotPlainError:
            continue
        assert record_from_plain(record_to_plain(record)) == record
