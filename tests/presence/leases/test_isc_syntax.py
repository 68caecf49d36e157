from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from presence.leases.parsing import JUNK, pieces

from powerd.presence.leases.format import NUL_ERROR, ParseResult
from powerd.presence.leases.isc_syntax import (
    BlockReader,
    IscBlock,
    Statement,
    join_tokens,
    tokenize,
    unquote,
    unquote_text,
)


class Recorder(BlockReader):
    block_kinds = frozenset({"box"})

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
        ("b", 5, {"ends": ["never"]}, None),
        ParseResult(),
    ]


class LogRecorder(Recorder):
    is_log = True


def test_an_unpaired_quote_in_a_log_ends_with_its_line() -> None:
    reader = LogRecorder()
    reader.feed('one "x;\n two;\nbox a { ends never;')
    assert reader.parsed == [Statement(1, 'one "x;\n two', ";")]
    result = reader.finish()
    assert result == ParseResult(cut_off=result.cut_off)
    assert (result.cut_off or "").startswith("line 3: ")


def test_a_nul_in_a_comment_has_its_line_number_however_the_text_is_cut() -> None:
    errors = tuple(f"line {n}: {NUL_ERROR}" for n in (2, 4))
    for texts in (("# a\n# \0\n\n#\0\n",), ("# a\n", "# \0\n\n#\0\n"), ("# a\n# \0", "\n\n#\0", "\n")):
        assert parsed(*texts) == [ParseResult((), 2, errors)]


def test_a_string_of_a_configuration_may_have_several_lines() -> None:
    assert parsed('one "x;\n two;\n";') == [Statement(1, 'one "x;\n two;\n"', ";"), ParseResult()]
    error = "line 1: the file ends within a statement or a block"
    assert parsed('one "x;\n two;\n') == [ParseResult((), 1, (error,))]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("10.0\t. 0# x\n.1", ["10", ".", "0", ".", "0", ".", "1"]),
        ('a-b "c d\\"#";', ["a-b", '"c d\\"#"', ";"]),
        ("b\u00fcro", ["b", "\u00fc", "ro"]),
        ('"a', ['"a']),
    ],
)
def test_tokens(text: str, tokens: list[str]) -> None:
    assert tokenize(text) == tokens


def test_words_that_are_not_one_token_stay_apart() -> None:
    assert join_tokens(tokenize("10 . 0 . 0 . 1")) == "10.0.0.1"
    assert join_tokens(tokenize("10.0.0.1 10.0.0.2")) == "10.0.0.1 10.0.0.2"


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
        (r'"\3779\4\09"', b"\xff94\x009"),
        (r'"\t\r\n\b\q\x41\xa\xq"', b"\t\r\n\x08qA\nxq"),
        ('"', b""),
        ("\N{LATIN SMALL LETTER E WITH ACUTE}", b"\xc3\xa9"),
        ("\udc80", b"?"),
    ],
)
def test_quotes_and_escapes(written: str, expected: bytes) -> None:
    assert unquote(written) == expected


def test_invalid_utf8_becomes_text() -> None:
    assert unquote_text(r'"\377x"') == "\N{REPLACEMENT CHARACTER}x"
