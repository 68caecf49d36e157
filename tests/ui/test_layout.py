"""Words for people."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ui.statuses import HOSTILE_NAME, NOW

from powerd.ui.layout import (
    Style,
    action_verb,
    counted,
    cut,
    format_duration,
    format_time,
    hanging_lines,
    join_names,
    labelled_lines,
    line_width,
    pad,
    paragraph_lines,
    sanitize,
    width,
    wrap,
)

LONG = f"{HOSTILE_NAME} word{' word' * 30} 电视"


@pytest.mark.parametrize(
    ("seconds", "output"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (-3, "0 s"),
        (12, "12 s"),
        (59.6, "1 min"),
        (150, "2 min"),
        (3600, "1 h"),
        (3605, "1 h"),
        (8040, "2 h 14 min"),
        (86400 * 3 + 4 * 3600 + 59, "3 d 4 h"),
        (86400 * 3 + 59 * 60, "3 d"),
    ],
)
def test_span(seconds: float, output: str) -> None:
    assert format_duration(seconds) == output


def test_span_in_one_part() -> None:
    assert format_duration(8040, max_units=1) == "2 h"


@pytest.mark.parametrize(
    ("hours", "output"),
    [
        (0, "21:16"),
        (-2, "19:16"),
        (5, "02:16"),
        (16, "Tue 13:16"),
        (-48, "Sat 21:16"),
        (-24 * 9, "2026-01-03 21:16"),
    ],
)
def test_clock(hours: float, output: str) -> None:
    assert format_time(NOW.wall + timedelta(hours=hours), NOW.wall) == output


def test_hostile_text_is_sanitized() -> None:
    assert sanitize("Wohnzimmer-Gerät 电视") == "Wohnzimmer-Gerät 电视"
    output = sanitize(HOSTILE_NAME)
    assert output.isprintable()
    assert "\x1b" not in output


@given(st.text())
def test_harmless_leaves_nothing_that_steers(text: str) -> None:
    output = sanitize(text)
    assert output.isprintable()
    assert len(output) == len(text)


@pytest.mark.parametrize(("text", "cells"), [("tv", 2), ("电视", 4), ("e\u0301", 1), ("", 0), ("ä", 1)])
def test_width(text: str, cells: int) -> None:
    assert width(text) == cells


@given(st.text(), st.integers(2, 40))
def test_what_is_cut_or_filled_fits(text: str, cells: int) -> None:
    assert width(cut(text, cells)) <= cells
    assert width(pad(text, cells)) == cells
    if width(text) <= cells:
        assert cut(text, cells) == text


@given(st.text(), st.integers(2, 40))
def test_what_is_wrapped_fits_and_is_all_there(text: str, cells: int) -> None:
    lines = list(wrap(text, cells))
    assert all(width(line) <= cells for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_lines_break_at_spaces() -> None:
    assert list(wrap("one two three", 8)) == ["one two", "three"]
    assert list(wrap("incomprehensible", 8)) == ["incompre", "hensible"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: paragraph_lines(LONG),
        lambda: paragraph_lines(LONG, 2),
        lambda: hanging_lines("sda  ", LONG),
        lambda: hanging_lines("电视  ", LONG),
        lambda: hanging_lines("  Mon 01 Jun 23:30 - 06:30  ", LONG),
        lambda: labelled_lines(10, "because", LONG),
    ],
)
def test_paragraphs_fit_contain_no_control_codes_and_are_complete(
    make: Callable[[], Iterator[str]], columns: int
) -> None:
    lines = list(make())
    assert len(lines) > 1
    assert all(width(line) <= columns and line.isprintable() for line in lines)
    assert "".join(lines).replace(" ", "").endswith(sanitize(LONG).replace(" ", ""))


@pytest.mark.parametrize(
    ("text", "cells"), [("120", 120), ("39", 40), ("1", 40), ("0", 80), ("-1", 80), ("x", 80), ("", 80)]
)
def test_the_width_is_that_of_the_variable(text: str, cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", text)
    monkeypatch.setattr("os.get_terminal_size", lambda _: os.terminal_size((0, 0)))
    assert line_width() == cells


def test_otherwise_it_is_that_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setattr("os.get_terminal_size", lambda _: os.terminal_size((132, 50)))
    assert line_width() == 132


def test_a_paragraph_hangs_from_its_start() -> None:
    assert [line[:6] for line in hanging_lines("电视  ", "x" * 100)] == ["电视  xx", "      "]
    assert [line[:4] for line in paragraph_lines("x" * 100, 2)] == ["  xx", "  xx"]


def test_a_label_is_dim_and_its_text_as_given() -> None:
    def marked(text: str, style: Style) -> str:
        return f"<{style}>{text}</{style}>"

    assert list(labelled_lines(7, "state", "idle", marked)) == ["<dim>state  </dim>idle"]
    first, second = labelled_lines(7, "state", "x" * 80, marked, "good")
    assert first == f"<dim>state  </dim><good>{'x' * 73}</good>"
    assert second == f"<dim>       </dim><good>{'x' * 7}</good>"


def test_a_number_of_things() -> None:
    assert [counted(n, "spin-up") for n in (0, 1, 2)] == ["0 spin-ups", "1 spin-up", "2 spin-ups"]


def test_many_names_are_counted() -> None:
    assert join_names(["sda", "sdb"], 6) == "sda, sdb"
    assert join_names([f"sd{n}" for n in range(8)], 6) == "sd0, sd1, sd2, sd3, sd4, sd5 and 2 more"


def test_verbs() -> None:
    assert action_verb("poweroff") == "power off"
    assert action_verb("levitate") == "levitate"
