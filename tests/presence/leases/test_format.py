from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from presence.leases.parsing import pieces

from powerd.presence.leases.format import (
    MAX_HOSTS,
    MAX_LINE,
    DocumentReader,
    HostEntry,
    LineReader,
    ParseOutput,
    ParseResult,
    parse_failure,
)


class Lines(LineReader):
    def __init__(self) -> None:
        super().__init__("")
        self.lines: list[tuple[int, str]] = []

    def read_line(self, text: str) -> None:
        self.lines.append((self.line_number, text))
        if text == "bad":
            self.skip(text)


class Document(DocumentReader):
    def parse(self, text: str) -> ParseResult:
        return parse_failure(text)


def parse(*texts: str) -> tuple[list[tuple[int, str]], ParseResult]:
    reader = Lines()
    for text in texts:
        reader.feed(text)
    return (reader.lines, reader.finish())


def test_lines_have_numbers_and_no_white_space() -> None:
    assert parse("a\n\n  b \r\nc") == ([(1, "a"), (3, "b"), (4, "c")], ParseResult())


def test_an_invalid_last_line_without_a_newline_is_no_error() -> None:
    assert parse("bad\nbad")[1] == ParseResult((), 1, ("line 1: bad",), cut_off="line 2: bad")


def test_a_file_with_too_many_hosts_is_not_complete() -> None:
    output = ParseOutput("")
    for number in range(MAX_HOSTS + 5):
        output.add(HostEntry(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"))
    output.add(HostEntry("10.0.0.1", name="pc"))
    result = output.result()
    assert len(result.entries) == MAX_HOSTS
    assert result.skipped == 1
    assert "pc" in {entry.name for entry in result.entries}


def test_only_the_first_errors_are_described() -> None:
    output = ParseOutput("")
    for number in range(9):
        output.skip(f"line {number}", "x")
    assert (output.skipped, output.errors) == (9, ["line 0: x", "line 1: x", "line 2: x"])


def test_a_line_that_is_too_long_is_one_error() -> None:
    long = "x" * (MAX_LINE + 1)
    parsed, result = parse(f"{long}\nb\n")
    assert (parsed, result.skipped) == ([(2, "b")], 1)
    assert [error.partition(":")[0] for error in result.errors] == ["line 1"]
    assert parse(long) == ([], ParseResult())
    assert parse(long[1:] + "\n")[0]


@given(
    st.lists(st.sampled_from(["a", "bad", "\n", " ", "x" * (MAX_LINE - 1)]), max_size=8),
    st.lists(st.integers(0, 300_000), max_size=8),
)
def test_pieces_make_no_difference(parts: list[str], cuts: list[int]) -> None:
    text = "".join(parts)
    assert parse(*pieces(text, cuts)) == parse(text)


def test_a_document_is_parsed_as_a_whole() -> None:
    reader = Document("")
    reader.feed("a")
    reader.feed("b")
    assert reader.finish() == ParseResult((), 1, ("ab",))
    assert Document("").finish() == ParseResult()


def test_a_document_has_at_most_four_mib() -> None:
    reader = Document("")
    for _ in range(9):
        reader.feed("x" * (1 << 19))
    result = reader.finish()
    assert result == parse_failure(result.errors[0])
    assert "4 MiB" in result.errors[0]
