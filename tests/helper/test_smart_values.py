"""Values out of a document that nobody vouches for."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.helper.self_test import begun, hindrance
from powerd.helper.smart_reading import asleep, said
from powerd.helper.smart_values import LONG, at, document, line, text, truth, whole

TOLD = {"a": {"n": 7, "t": True, "s": "word", "l": [1]}}


def test_what_stands_somewhere() -> None:
    assert at(TOLD, "a", "l") == [1]
    assert at(TOLD, "a", "n", "deeper") is at(TOLD, "b") is None


@pytest.mark.parametrize("key", ["n", "t", "s", "l", "nothing"])
def test_a_value_is_what_it_should_be_or_none(key: str) -> None:
    found = whole(TOLD, "a", key), truth(TOLD, "a", key), text(TOLD, "a", key)
    assert found == (7 if key == "n" else None, True if key == "t" else None, "word" if key == "s" else None)


def test_a_line_is_printable_and_short() -> None:
    assert line(" two\nlines\0 ") == "two?lines?"
    assert len(line("x" * 999)) == LONG


def test_an_object_is_read() -> None:
    assert document('{"a": [1, null]}') == {"a": [1, None]}


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null", '"a"', "{} {}", "9" * 5000])
def test_anything_else_is_no_document(text: str) -> None:
    assert document(text) is None


@given(st.text())
def test_no_text_upsets_it(text: str) -> None:
    told = document(text)
    assert told is None or told == json.loads(text)


@pytest.mark.parametrize(
    "report",
    ["@", '{"smartctl":{"messages":[{"string":@}]}}', '{"device":{"protocol":@}}', '{"scsi_self_test_0":@}'],
)
@pytest.mark.parametrize("deep", [*range(1, 1100, 7), 100_000])
def test_however_deep_it_is_nested_it_is_read_or_none(report: str, deep: int) -> None:
    """What the parser just so takes is not too deep for those who read it."""
    told = document(report.replace("@", "[" * deep + "]" * deep))
    assert hindrance(told) is None or told is None
    assert begun(told or {})
    assert not asleep(told or {})
    assert said(told or {}) == "it does not say why"
    assert document("[" * deep) is None
