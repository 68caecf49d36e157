"""What the page's sections are made of."""

from __future__ import annotations

from html import unescape

from hypothesis import given
from hypothesis import strategies as st
from ui.statuses import HOSTILE_NAME
from ui.test_page import PageText

from powerd.ui.html import cell, escape_line, item_list, row, section, table
from powerd.ui.layout import sanitize


@given(st.text())
def test_safe_html_has_the_same_text_without_markup(text: str) -> None:
    told = escape_line(text)
    assert not set(told) & set("<>\"'")
    assert told.isprintable()
    assert unescape(told) == sanitize(text)
    assert PageText(f'<p title="{told}">{told}</p>').attributes == [("title", sanitize(text))]


def test_a_section_holds_what_it_is_given() -> None:
    found = PageText(section("Disks & more", item_list(["<li>one</li>\n"]), "<p>two</p>"))
    assert found.tags == ["section", "h2", "ul", "li", "p"]
    assert found.text == "Disks & more one two"


def test_a_table_has_a_head_and_a_cell_for_each_of_it() -> None:
    rows = (
        row(name, HOSTILE_NAME, cell("<b>up</b>", HOSTILE_NAME), "never") for name in ("tv", HOSTILE_NAME)
    )
    found = PageText(table(("Client", "State", "Last seen"), rows))
    assert (found.tags.count("tr"), found.tags.count("th"), found.tags.count("td")) == (3, 3 + 2, 4)
    assert "script" not in found.tags
    assert [word for word in found.words if word.strip()][:3] == ["Client", "State", "Last seen"]
