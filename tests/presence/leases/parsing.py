"""Feeds parsers of lease files: whole texts, pieces, and corrupted texts."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import FrameType

from hypothesis import strategies as st

from powerd.presence.leases.format import FormatReader, HostEntry, ParseResult

SOURCE = "/srv/leases"
FIXTURES = Path(__file__).parents[2] / "fixtures" / "leases"
JUNK = st.text(st.sampled_from('{}";#\\,:<>[]=*\n\r\t\0 0a1.lease"host'), max_size=20) | st.text(max_size=20)


def read(make: Callable[[str], FormatReader], *pieces: str) -> ParseResult:
    """The result of a new parser for a text in these pieces."""
    reader = make(SOURCE)
    for piece in pieces:
        reader.feed(piece)
    return reader.finish()


def entries_of(make: Callable[[str], FormatReader], text: str) -> dict[str, HostEntry]:
    """The entries by address, MAC or name, without their source; no error and no two of one address."""
    result = read(make, text)
    assert (result.skipped, result.errors) == (0, ())
    entries = {label(entry): entry._replace(source="") for entry in result.entries}
    assert len(entries) == len(result.entries)
    return entries


def label(entry: HostEntry) -> str:
    """The address of an entry, else its MAC, else its name."""
    return entry.address or entry.mac or entry.name or ""


def recorded(name: str) -> str:
    """A file written by a real server; see record.py in the same directory."""
    return (FIXTURES / name).read_text()


def pieces(text: str, cuts: list[int]) -> list[str]:
    """The text cut at these positions (modulo its length)."""
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[start:end] for start, end in pairwise(places)]


@st.composite
def corrupted(draw: st.DrawFn, texts: tuple[str, ...]) -> str:
    """One or two of the texts, with parts removed, duplicated or overwritten."""
    text = "".join(draw(st.lists(st.sampled_from(texts), min_size=1, max_size=2)))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 60)))
        middle = draw(st.one_of(st.just(""), JUNK, st.just(text[start:end] * 2)))
        text = text[:start] + middle + text[end:]
    return text[: draw(st.one_of(st.just(len(text)), st.integers(0, len(text))))]


@contextmanager
def cpu_limit(cpu_seconds: float = 30) -> Iterator[None]:
    """Fail a block that uses more CPU time; a linear parser uses about a hundredth of it."""

    def give_up(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGPROF, give_up)
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
