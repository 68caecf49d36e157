"""HTML fragments: every text is escaped, markup is not."""

from __future__ import annotations

from html import unescape

from hypothesis import given
from hypothesis import strategies as st
from ui.statuses import HOSTILE_NAME
from ui.test_page import PageText

from powerd.ui.html import (
    Html,
    PageContext,
    button,
    controls,
    facts,
    item_list,
    join,
    key,
    row,
    section,
    state,
)
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
    found = PageText(
        section("s", "Disks & more", "two", item_list([Html("<li>one</li>\n")]), Html("<p>two</p>"))
    )
    assert found.tags == ["section", "h2", "small", "ul", "li", "p"]
    assert found.text == "Disks & more two one two"


def test_a_row_opens_if_there_is_more() -> None:
    given = (HOSTILE_NAME, HOSTILE_NAME, state(HOSTILE_NAME, "odd"), HOSTILE_NAME)
    plain, opening = row("a", *given), row("a", *given, more=facts({"Reason": HOSTILE_NAME, "Group": ""}))
    assert "details" not in PageText(plain).tags
    assert PageText(opening).tags.count("summary") == PageText(opening).tags.count("dt") == 1
    assert "script" not in PageText(opening).tags


def test_a_button_is_shown_to_who_may_write_and_quotes_its_path() -> None:
    assert button(PageContext(), ("keep",), "Keep") == ""
    writer = PageContext(may_write=True)
    found = PageText(
        button(writer, ("disks", "a/b?<", "standby"), "Spin down", {"x": HOSTILE_NAME}, name="<b>")
    )
    assert ("action", "/api/disks/a%2Fb%3F%3C/standby") in found.attributes
    assert ("aria-label", "Spin down: <b>") in found.attributes
    assert ("value", sanitize(HOSTILE_NAME)) in found.attributes
    assert controls(button(PageContext(), ("keep",), "Keep")) == ""


@given(st.text())
def test_an_id_is_a_word(text: str) -> None:
    assert key("c", text).replace("-", "").isalnum()
