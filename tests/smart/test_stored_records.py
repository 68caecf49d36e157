"""Records of a drive's health are stored as JSON, and read back after an upgrade."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.core.codec import CodecError, decode, encode
from powerd.smart.model import (
    Attribute,
    Counter,
    Fault,
    Finding,
    Health,
    Sample,
    SelfTest,
    Severity,
    SmartRecord,
)

FULL = Health(
    checked_at=1_790_000_000.5,
    protocol="ata",
    passed=True,
    faults=Fault.ERROR_LOG | Fault.PAST,
    temperature=31,
    temperature_limit=60,
    power_on_hours=12_345,
    counters={Counter.PENDING: 2, Counter.STARTS: 99},
    attributes=(
        Attribute(
            194, "Temperature_Celsius", 119, 103, 0, "31 (Min/Max 12/45)", prefail=False, failed="past"
        ),
    ),
    critical_warnings=("the media are read-only",),
    spare=(100, 10),
    self_tests=(SelfTest("Short offline", "Completed without error", passed=True, hours=12_300),),
    test_remaining_percent=40,
    test_minutes=(2, 255),
    incomplete_reason="its error log cannot be read",
)

RECORD = SmartRecord(
    known_since=1_780_000_000.0,
    last=FULL,
    previous=replace(FULL, checked_at=1_789_913_600.0),
    samples=(
        Sample(1_789_913_600.0, None, 30, {Counter.STARTS: 98}),
        Sample(FULL.checked_at, True, None, {}),  # noqa: FBT003 - as reports give it
    ),
    test_started_at={"short": 1_789_000_000.0},
    notified_findings=(
        Finding("pending", Severity.ALARM, "one more sector cannot be read, 2 in all", "copy it"),
    ),
    woken_at=1_700_000_000.0,
)


def decode_health(value: object) -> Health:
    return decode(Health, value, strict=False)


def decode_record(value: object) -> SmartRecord:
    return decode(SmartRecord, value, strict=False)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


def test_there_and_back() -> None:
    assert decode_health(json.loads(json.dumps(encode(FULL)))) == FULL
    bare = Health(checked_at=0, protocol="nvme", passed=None)
    assert decode_health(json.loads(json.dumps(encode(bare)))) == bare


def test_what_an_older_version_has_not_written_is_as_it_was() -> None:
    assert decode_health({"at": 5, "protocol": "scsi"}) == Health(checked_at=5, protocol="scsi", passed=None)


def test_a_counter_of_a_newer_version_is_passed_over() -> None:
    plain = encode(replace(FULL, counters={}))
    assert decode_health({**plain, "counters": {"quarks": 3}}) == replace(FULL, counters={})


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
    with pytest.raises(CodecError):
        decode_health({**encode(FULL), key: value})


@given(json_values, st.sampled_from(sorted(encode(FULL))))
def test_any_json_is_a_check_or_refused(value: object, key: str) -> None:
    for candidate in (value, {**encode(FULL), key: value}):
        try:
            health = decode_health(candidate)
        except CodecError:
            continue
        assert decode_health(encode(health)) == health


def test_a_record_there_and_back() -> None:
    assert decode_record(json.loads(json.dumps(encode(RECORD)))) == RECORD
    assert decode_record({"known": 5}) == SmartRecord(known_since=5)


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
    with pytest.raises(CodecError):
        decode_record({**encode(RECORD), key: value})


@given(json_values, st.sampled_from(sorted(encode(RECORD))))
def test_any_json_is_a_record_or_refused(value: object, key: str) -> None:
    for candidate in (value, {**encode(RECORD), key: value}):
        try:
            record = decode_record(candidate)
        except CodecError:
            continue
        assert decode_record(encode(record)) == record
