from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from presence.leases.parsing import JUNK, pieces

from powerd.presence.leases.format import ParseResult
from powerd.presence.leases.isc_syntax import BlockReader, IscBlock, Statement, unquote, unquote_text


class Recorder(BlockReader):
    head_pattern = re.compile(r"(?<!\S)(box)\s+(\S+)$")

    def __init__(self) -> None:
        super().__init__("")
        self.parsed: list[object] = []

    def allows_block(self, kind: str) -> bool:
        return not any(block and block.kind == kind for block in self.open_blocks)

    def handle_statement(self, statement: Statement) -> None:
        self.parsed.append(statement)

    def handle_block(self, block: IscBlock, parent: IscBlock | None) -> None:
        self.parsed.append((block.name, block.line, block.fields, parent))


def parsed(*texts: str) -> list[object]:
    reader = Recorder()
    for text in texts:
        reader.feed(text)
    return [*reader.parsed, reader.finish()]


def test_statements_blocks_comments_and_strings() -> None:
    text = '# a;\none "x;#{";\n\ntwo { # {\n  three; box b { ends never; } }\n'
    assert parsed(text) == [
        Statement(2, 'one "x;#{"', ";"),
        Statement(4, "two", "{"),
        Statement(5, "three", ";"),
        ("b", 5, {"ends": "never"}, None),
        ParseResult(),
    ]


def test_an_unpaired_quote_ends_with_its_line() -> None:
    assert parsed('one "x;\n two;\n') == [Statement(1, 'one "x;\n two', ";"), ParseResult()]


def test_a_comment_may_have_any_length() -> None:
    text = ("# " + "x" * 1000 + "\n") * 100
    assert parsed(*pieces(text + "one;", [70_000, 70_001])) == [Statement(101, "one", ";"), ParseResult()]


def test_parsing_continues_on_the_line_after_a_statement_that_is_too_long() -> None:
    text = "x" * 70_000 + "\ny" * 3 + ";\ntwo;\n"
    assert parsed(text) == parsed(*text[:70], *pieces(text[70:], [30_000, 69_990]))
    assert parsed(text) == [
        Statement(2, "y\ny\ny", ";"),
        Statement(5, "two", ";"),
        ParseResult((), 1, ("line 1: a statement is too long",)),
    ]


@given(st.lists(st.sampled_from(["box a {", "}", "{", ";", '"', "#", "\n", "x" * 40_000]) | JUNK), st.data())
def test_pieces_make_no_difference(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    cuts = data.draw(st.lists(st.integers(0, max(len(text), 1)), max_size=8))
    assert parsed(text) == parsed(*pieces(text, cuts))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("a", b"a"),
        ('"a b"', b"a b"),
        (r'"\001\377"', b"\x01\xff"),
        (r'"\"\\"', b'"\\'),
        (r'"\777"', b"\xff"),
        ('"', b'"'),
        ("\N{LATIN SMALL LETTER E WITH ACUTE}", b"\xc3\xa9"),
        ("\udc80", b"?"),
    ],
)
def test_quotes_and_escapes(written: str, expected: bytes) -> None:
    assert unquote(written) == expected


def test_invalid_utf8_becomes_text() -> None:
    assert unquote_text(r'"\377x"') == "\N{REPLACEMENT CHARACTER}x"
