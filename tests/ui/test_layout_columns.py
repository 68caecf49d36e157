"""Tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.ui.layout import Style, TextTable, column_widths, format_row, no_color, width

CELLS = st.text(st.characters(exclude_categories=("C", "Z")), max_size=60)


def marked(text: str, style: Style) -> str:
    return f"<{style}>{text}</{style}>"


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert column_widths([("A", "BCD"), ("电视", "")]) == [4, 3]
    assert format_row(("A", "BCD"), [4, 3]) == "A     BCD"


def test_columns_shrink_in_turn_and_only_to_their_minimum() -> None:
    row = ("x" * 40, "y" * 40, "z")
    assert sum(column_widths([row])) == 81, "none has to"
    assert column_widths([row], [(1, 38), (0, 10)]) == [37, 38, 1]
    assert column_widths([row], [(1, 38), (1, 20)]) == [40, 35, 1]
    assert column_widths([row], [(1, 39)]) == [40, 39, 1], "what does not fit then, does not"


def test_the_head_is_strong_and_one_cell_has_the_colour_of_its_row() -> None:
    table = TextTable(("DISK", "STATE"), styled_column=1)
    assert table.format_lines([("sda", "standby"), ("sdb", "active")], ["good", None], marked) == [
        "<strong>DISK  STATE  </strong>",
        "sda   <good>standby</good>",
        "sdb   active ",
    ]


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=5))
def test_a_table_whose_columns_may_shrink_fits_and_is_aligned(rows: list[tuple[str, ...]]) -> None:
    table = TextTable(("A", "B", "C"), styled_column=1, shrinkable=((0, 20), (1, 20), (2, 20)))
    widths = {width(each) for each in table.format_lines(rows, ["good"] * len(rows), no_color)}
    assert len(widths) == 1
    assert max(widths) <= 80


def test_columns_that_do_not_fit_follow_on_the_next_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    table = TextTable(("NAME", "FIRST", "SECOND", "THIRD"), styled_column=3)
    rows = [("a" * 12, "b" * 12, "c" * 12, "good"), ("a", "b" * 50, "c", "d")]
    assert table.format_lines(rows[:1], ["good"], marked) == [
        "<strong>NAME          FIRST         SECOND\n  THIRD</strong>",
        "aaaaaaaaaaaa  bbbbbbbbbbbb  cccccccccccc\n  <good>good </good>",
    ]
    lines = "\n".join(table.format_lines(rows, [None, None], no_color)).splitlines()
    assert max(map(width, lines)) <= 40
    assert lines[1].startswith("  FIRST"), "a cell is as wide as the line at most"


def test_reduced_columns_take_the_space_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    table = TextTable(("NAME", "MODEL", "SIZE"), styled_column=0, shrinkable=((0, 10), (1, 5)))
    row = ("n" * 30, "m" * 30, "s" * 22)
    assert table.format_lines([row], [None], no_color)[1] == f"{'n' * 9}…  {'m' * 27}…\n  {'s' * 22}"


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=5), st.integers(40, 120))
def test_every_table_fits(rows: list[tuple[str, ...]], cells: int) -> None:
    table = TextTable(("A", "B", "C"), styled_column=1, shrinkable=((2, 5), (1, 50)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(cells))
        lines = "\n".join(table.format_lines(rows, ["good"] * len(rows), no_color)).split("\n")
    assert max(map(width, lines)) <= cells
