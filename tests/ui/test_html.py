"""HTML fragments: every text is escaped, markup is not."""

from __future__ import annotations

from html import unescape

from hypothesis import given
from hypothesis import strategies as st
from ui.statuses import HOSTILE_NAME
from ui.test_page import PageText

from powerd.ui.html import Html, cell, item_list, join, row, section, table
from powerd.ui.layout import sanitize


@given(st.text())
def test_every_value_is_escaped_and_sanitized(text: str) -> None:
    html = Html('<p title="{0}">{0}</p>').format(text)
    assert PageText(html).attributes == [("title", sanitize(text))]
    assert unescape(Html.escape(text)) == sanitize(text)
    assert not set(Html.escape(text)) & set("<>\"'")
    assert Html.escape(text).isprintable()


def test_html_is_not_escaped_twice() -> None:
    assert join([Html("<b>1</b>"), "<2>"]) == "<b>1</b>&lt;2&gt;"


def test_a_section_contains_its_parts() -> None:
    found = PageText(section("Disks & more", item_list([Html("<li>one</li>\n")]), Html("<p>two</p>")))
    assert found.tags == ["section", "h2", "ul", "li", "p"]
    assert found.text == "Disks & more one two"


def test_a_table_has_a_header_and_one_cell_per_column() -> None:
    rows = (
        row(name, HOSTILE_NAME, cell(Html("<b>up</b>"), HOSTILE_NAME), "never")
        for name in ("tv", HOSTILE_NAME)
    )
    found = PageText(table(("Client", "State", "Last seen"), rows))
    assert (found.tags.count("tr"), found.tags.count("th"), found.tags.count("td")) == (3, 3 + 2, 4)
    assert "script" not in found.tags
    assert [value for value in found.words if value.strip()][:3] == ["Client", "State", "Last seen"]
