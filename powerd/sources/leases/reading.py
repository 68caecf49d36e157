"""What the readers have in common: faults are counted, text comes in pieces, its end may be missing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

from powerd.sources.leases.found import ParseResult

MAX_LINE: Final = 1 << 16
"""Characters; a longer line is no entry of anything, and must not fill the memory."""
_MAX_DOCUMENT: Final = 1 << 22
_MAX_DESCRIBED: Final = 3


class ParseErrors:
    """Entries that could not be understood.

    Attributes:
        skipped: how many.
        first: what was wrong with the first few.
    """

    def __init__(self) -> None:
        self.skipped = 0
        self.descriptions: list[str] = []

    def add(self, line: int, error: str) -> None:
        """Count one; ``what`` is a clause like ``"10.0.0" is no address``."""
        self.skipped += 1
        if len(self.descriptions) < _MAX_DESCRIBED:
            self.descriptions.append(f"line {line}: {error}")


class LineReader(ABC):
    """A Reader of files with one entry per line.

    Attributes:
        number: of the line at hand; the first is 1.
        faults: what was passed over.
    """

    def __init__(self) -> None:
        self.line_number = 0
        self.errors = ParseErrors()
        self._partial_line = ""
        self._overlong = False

    @abstractmethod
    def read_line(self, text: str) -> None:
        """Take one line, without white space around it; never an empty one."""

    @abstractmethod
    def result(self) -> ParseResult:
        """All that was understood."""

    def feed(self, text: str) -> None:
        """Take the next piece; see Reader."""
        lines = (self._partial_line + text).split("\n")
        self._partial_line = lines.pop()
        for line in lines:
            self.line_number += 1
            if self._overlong or len(line) > MAX_LINE:
                self._overlong = False
                self.errors.add(self.line_number, "is too long for an entry")
            elif stripped := line.strip():
                self.read_line(stripped)
        if len(self._partial_line) > MAX_LINE:
            self._overlong, self._partial_line = True, ""

    def finish(self) -> ParseResult:
        """Take a last line without an end if it makes sense; if not, it is still being written."""
        if (stripped := self._partial_line.strip()) and not self._overlong:
            previous_errors, self.errors = self.errors, ParseErrors()
            self.line_number += 1
            self.read_line(stripped)
            self.errors = previous_errors
        return self.result()


class DocumentReader(ABC):
    """A Reader of files that make sense only as a whole; small ones, therefore."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._size = 0

    @abstractmethod
    def parse(self, text: str) -> ParseResult:
        """All that the whole text says; a fault of the whole is one skipped entry. Never raises."""

    def feed(self, text: str) -> None:
        """Take the next piece; see Reader."""
        self._size += len(text)
        if self._size <= _MAX_DOCUMENT:
            self._pieces.append(text)

    def finish(self) -> ParseResult:
        """Read the whole; nothing at all says nothing."""
        if self._size > _MAX_DOCUMENT:
            return parse_failure(f"it is larger than {_MAX_DOCUMENT >> 20} MiB")
        text = "".join(self._pieces)
        return self.parse(text) if text.strip() else ParseResult()


def parse_failure(error: str) -> ParseResult:
    """What a text says of which nothing could be understood."""
    return ParseResult(skipped=1, errors=(error,))
