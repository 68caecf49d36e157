"""What the readers have in common: faults are counted, text comes in pieces, its end may be missing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

from powerd.sources.leases.found import Found

LONGEST_LINE: Final = 1 << 16
"""Characters; a longer line is no entry of anything, and must not fill the memory."""
_LARGEST: Final = 1 << 22
_DESCRIBED: Final = 3


class Faults:
    """Entries that could not be understood.

    Attributes:
        skipped: how many.
        first: what was wrong with the first few.
    """

    def __init__(self) -> None:
        self.skipped = 0
        self.first: list[str] = []

    def note(self, line: int, what: str) -> None:
        """Count one; ``what`` is a clause like ``"10.0.0" is no address``."""
        self.skipped += 1
        if len(self.first) < _DESCRIBED:
            self.first.append(f"line {line}: {what}")


class LineReader(ABC):
    """A Reader of files with one entry per line.

    Attributes:
        number: of the line at hand; the first is 1.
        faults: what was passed over.
    """

    def __init__(self) -> None:
        self.number = 0
        self.faults = Faults()
        self._rest = ""
        self._overlong = False

    @abstractmethod
    def line(self, text: str) -> None:
        """Take one line, without white space around it; never an empty one."""

    @abstractmethod
    def found(self) -> Found:
        """All that was understood."""

    def feed(self, text: str) -> None:
        """Take the next piece; see Reader."""
        lines = (self._rest + text).split("\n")
        self._rest = lines.pop()
        for line in lines:
            self.number += 1
            if self._overlong or len(line) > LONGEST_LINE:
                self._overlong = False
                self.faults.note(self.number, "is too long for an entry")
            elif stripped := line.strip():
                self.line(stripped)
        if len(self._rest) > LONGEST_LINE:
            self._overlong, self._rest = True, ""

    def finish(self) -> Found:
        """Take a last line without an end if it makes sense; if not, it is still being written."""
        if (stripped := self._rest.strip()) and not self._overlong:
            counted, self.faults = self.faults, Faults()
            self.number += 1
            self.line(stripped)
            self.faults = counted
        return self.found()


class WholeReader(ABC):
    """A Reader of files that make sense only as a whole; small ones, therefore."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._size = 0

    @abstractmethod
    def parse(self, text: str) -> Found:
        """All that the whole text says; a fault of the whole is one skipped entry. Never raises."""

    def feed(self, text: str) -> None:
        """Take the next piece; see Reader."""
        self._size += len(text)
        if self._size <= _LARGEST:
            self._pieces.append(text)

    def finish(self) -> Found:
        """Read the whole; nothing at all says nothing."""
        if self._size > _LARGEST:
            return nothing(f"it is larger than {_LARGEST >> 20} MiB")
        text = "".join(self._pieces)
        return self.parse(text) if text.strip() else Found()


def nothing(fault: str) -> Found:
    """What a text says of which nothing could be understood."""
    return Found(skipped=1, faults=(fault,))
