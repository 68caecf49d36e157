"""Tables of 80 columns."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from powerd.faces.columns import Table, fitted, line
from powerd.faces.words import Style, plain, width

CELLS = st.text(st.characters(exclude_categories=("C", "Z")), max_size=60)


def marked(text: str, style: Style) -> str:
    return f"<{style}>{text}</{style}>"


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert fitted([("A", "BCD"), ("电视", "")]) == [4, 3]
    assert line(("A", "BCD"), [4, 3]) == "A     BCD"


def test_columns_give_way_in_turn_and_only_as_far_as_they_may() -> None:
    row = ("x" * 40, "y" * 40, "z")
    assert sum(fitted([row])) == 81, "none has to"
    assert fitted([row], [(1, 38), (0, 10)]) == [37, 38, 1]
    assert fitted([row], [(1, 38), (1, 20)]) == [40, 35, 1]
    assert fitted([row], [(1, 39)]) == [40, 39, 1], "what does not fit then, does not"


def test_the_head_is_strong_and_one_cell_has_the_colour_of_its_row() -> None:
    table = Table(("DISK", "STATE"), coloured=1)
    assert table.lines([("sda", "standby"), ("sdb", "active")], ["good", None], marked) == [
        "<strong>DISK  STATE  </strong>",
        "sda   <good>standby</good>",
        "sdb   active ",
    ]


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=5))
def test_a_table_whose_columns_may_give_way_fits_and_is_straight(rows: list[tuple[str, ...]]) -> None:
    table = Table(("A", "B", "C"), coloured=1, gives=((0, 20), (1, 20), (2, 20)))
    widths = {width(each) for each in table.lines(rows, ["good"] * len(rows), plain)}
    assert len(widths) == 1
    assert max(widths) <= 80
