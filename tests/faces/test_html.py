"""What the page's sections are made of."""

from __future__ import annotations

from html import unescape

from faces.house import EVIL
from faces.test_page import Reader
from hypothesis import given
from hypothesis import strategies as st

from powerd.faces.html import cell, items, row, safe, section, table
from powerd.faces.words import harmless


@given(st.text())
def test_what_is_safe_says_the_same_without_markup(text: str) -> None:
    told = safe(text)
    assert not set(told) & set("<>\"'")
    assert told.isprintable()
    assert unescape(told) == harmless(text)
    assert Reader(f'<p title="{told}">{told}</p>').attributes == [("title", harmless(text))]


def test_a_section_holds_what_it_is_given() -> None:
    found = Reader(section("Disks & more", items(["<li>one</li>\n"]), "<p>two</p>"))
    assert found.tags == ["section", "h2", "ul", "li", "p"]
    assert found.text == "Disks & more one two"


def test_a_table_has_a_head_and_a_cell_for_each_of_it() -> None:
    rows = (row(name, EVIL, cell("<b>up</b>", EVIL), "never") for name in ("tv", EVIL))
    found = Reader(table(("Client", "State", "Last seen"), rows))
    assert (found.tags.count("tr"), found.tags.count("th"), found.tags.count("td")) == (3, 3 + 2, 4)
    assert "script" not in found.tags
    assert [word for word in found.words if word.strip()][:3] == ["Client", "State", "Last seen"]
