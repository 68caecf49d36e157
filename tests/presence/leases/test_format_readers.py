from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from presence.leases.parsing import pieces

from powerd.presence.leases.format import (
    MAX_LINE,
    DocumentReader,
    LineReader,
    ParseErrors,
    ParseResult,
    parse_failure,
)


class Lines(LineReader):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[int, str]] = []

    def read_line(self, text: str) -> None:
        self.lines.append((self.line_number, text))
        if text == "bad":
            self.errors.add(self.line_number, text)

    def result(self) -> ParseResult:
        return ParseResult((), self.errors.skipped, tuple(self.errors.descriptions))


class Whole(DocumentReader):
    def parse(self, text: str) -> ParseResult:
        return parse_failure(text)


def taken(*texts: str) -> tuple[list[tuple[int, str]], ParseResult]:
    reader = Lines()
    for text in texts:
        reader.feed(text)
    return (reader.lines, reader.finish())


def test_lines_have_numbers_and_no_white_space() -> None:
    assert taken("a\n\n  b \r\nc") == ([(1, "a"), (3, "b"), (4, "c")], ParseResult())


def test_a_bad_last_line_without_an_end_is_no_fault() -> None:
    assert taken("bad\nbad")[1] == ParseResult((), 1, ("line 1: bad",))


def test_only_the_first_faults_are_reported() -> None:
    faults = ParseErrors()
    for line in range(9):
        faults.add(line, "x")
    assert (faults.skipped, faults.descriptions) == (9, ["line 0: x", "line 1: x", "line 2: x"])


def test_what_is_too_long_is_one_fault() -> None:
    long = "x" * (MAX_LINE + 1)
    assert taken(f"{long}\nb\n") == ([(2, "b")], ParseResult((), 1, ("line 1: is too long for an entry",)))
    assert taken(long) == ([], ParseResult())
    assert taken(long[1:] + "\n")[0]


@given(
    st.lists(st.sampled_from(["a", "bad", "\n", " ", "x" * (MAX_LINE - 1)]), max_size=8),
    st.lists(st.integers(0, 300_000), max_size=8),
)
def test_pieces_make_no_difference(parts: list[str], cuts: list[int]) -> None:
    text = "".join(parts)
    assert taken(*pieces(text, cuts)) == taken(text)


def test_whole() -> None:
    reader = Whole()
    reader.feed("a")
    reader.feed("b")
    assert reader.finish() == ParseResult((), 1, ("ab",))
    assert Whole().finish() == ParseResult()


def test_whole_is_no_larger_than_a_configuration() -> None:
    reader = Whole()
    for _ in range(9):
        reader.feed("x" * (1 << 19))
    assert reader.finish() == parse_failure("it is larger than 4 MiB")
