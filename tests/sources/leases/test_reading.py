from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from sources.leases.feeding import pieces

from powerd.sources.leases.found import Found
from powerd.sources.leases.reading import LONGEST_LINE, Faults, LineReader, WholeReader, nothing


class Lines(LineReader):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[int, str]] = []

    def line(self, text: str) -> None:
        self.lines.append((self.number, text))
        if text == "bad":
            self.faults.note(self.number, text)

    def found(self) -> Found:
        return Found((), self.faults.skipped, tuple(self.faults.first))


class Whole(WholeReader):
    def parse(self, text: str) -> Found:
        return nothing(text)


def taken(*texts: str) -> tuple[list[tuple[int, str]], Found]:
    reader = Lines()
    for text in texts:
        reader.feed(text)
    return (reader.lines, reader.finish())


def test_lines_have_numbers_and_no_white_space() -> None:
    assert taken("a\n\n  b \r\nc") == ([(1, "a"), (3, "b"), (4, "c")], Found())


def test_a_bad_last_line_without_an_end_is_no_fault() -> None:
    assert taken("bad\nbad")[1] == Found((), 1, ("line 1: bad",))


def test_only_the_first_faults_are_told() -> None:
    faults = Faults()
    for line in range(9):
        faults.note(line, "x")
    assert (faults.skipped, faults.first) == (9, ["line 0: x", "line 1: x", "line 2: x"])


def test_what_is_too_long_is_one_fault() -> None:
    long = "x" * (LONGEST_LINE + 1)
    assert taken(f"{long}\nb\n") == ([(2, "b")], Found((), 1, ("line 1: is too long for an entry",)))
    assert taken(long) == ([], Found())
    assert taken(long[1:] + "\n")[0]


@given(
    st.lists(st.sampled_from(["a", "bad", "\n", " ", "x" * (LONGEST_LINE - 1)]), max_size=8),
    st.lists(st.integers(0, 300_000), max_size=8),
)
def test_pieces_make_no_difference(parts: list[str], cuts: list[int]) -> None:
    text = "".join(parts)
    assert taken(*pieces(text, cuts)) == taken(text)


def test_whole() -> None:
    reader = Whole()
    reader.feed("a")
    reader.feed("b")
    assert reader.finish() == Found((), 1, ("ab",))
    assert Whole().finish() == Found()


def test_whole_is_no_larger_than_a_configuration() -> None:
    reader = Whole()
    for _ in range(9):
        reader.feed("x" * (1 << 19))
    assert reader.finish() == nothing("it is larger than 4 MiB")
