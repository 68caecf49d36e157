"""Values out of a document that nobody vouches for."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.helper.smart.report import (
    MAX_TEXT,
    drive_reached,
    error_message,
    left_asleep,
    lookup,
    lookup_bool,
    lookup_int,
    lookup_text,
    parse_object,
    printable_text,
)
from powerd.helper.smart.self_test import busy_reason, reports_start

DOCUMENT = {"a": {"n": 7, "t": True, "s": "word", "l": [1]}}


def test_what_stands_somewhere() -> None:
    assert lookup(DOCUMENT, "a", "l") == [1]
    assert lookup(DOCUMENT, "a", "n", "deeper") is lookup(DOCUMENT, "b") is None


@pytest.mark.parametrize("key", ["n", "t", "s", "l", "nothing"])
def test_a_value_is_what_it_should_be_or_none(key: str) -> None:
    found = lookup_int(DOCUMENT, "a", key), lookup_bool(DOCUMENT, "a", key), lookup_text(DOCUMENT, "a", key)
    assert found == (7 if key == "n" else None, True if key == "t" else None, "word" if key == "s" else None)


def test_a_line_is_printable_and_short() -> None:
    assert printable_text(" two\nlines\0 ") == "two?lines?"
    assert len(printable_text("x" * 999)) == MAX_TEXT


def test_an_object_is_read() -> None:
    assert parse_object('{"a": [1, null]}') == {"a": [1, None]}


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null", '"a"', "{} {}", "9" * 5000])
def test_anything_else_is_no_document(text: str) -> None:
    assert parse_object(text) is None


@given(st.text())
def test_no_text_upsets_it(text: str) -> None:
    answer = parse_object(text)
    assert answer is None or answer == json.loads(text)


@pytest.mark.long
@pytest.mark.parametrize(
    "report",
    ["@", '{"smartctl":{"messages":[{"string":@}]}}', '{"device":{"protocol":@}}', '{"scsi_self_test_0":@}'],
)
@pytest.mark.parametrize("deep", [*range(1, 1100, 7), 100_000])
def test_however_deep_it_is_nested_it_is_read_or_none(report: str, deep: int) -> None:
    """What the parser just so takes is not too deep for those who read it."""
    answer = parse_object(report.replace("@", "[" * deep + "]" * deep))
    assert busy_reason(answer) is None or answer is None
    assert reports_start(answer or {})
    assert not left_asleep(answer or {})
    assert error_message(answer or {}) == "it gives no reason"
    assert parse_object("[" * deep) is None


@pytest.mark.parametrize(
    ("status", "there"),
    [(0, True), (1, False), (2, False), (4, True), (64 + 2, False), (64, True)],
)
def test_reached(status: int, *, there: bool) -> None:
    """By the bits of smartctl(8), "EXIT STATUS"."""
    assert drive_reached(status) is there
