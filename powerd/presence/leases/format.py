"""What a parser of lease files gives back, the same for every format.

What the readers have in common: faults are counted, text comes in pieces, its end may be missing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, Protocol


@dataclass(frozen=True, slots=True)
class HostEntry:
    """One host that a file names.

    Attributes:
        address: IPv4 or IPv6, as text in its shortest form; None where only a MAC is named.
        mac: lower case with colons; None where only an address is named.
        name: host name; None where none is given.
        expires: POSIX seconds at which the lease ends or ended; None = never, or not said.
        kind: ``lease`` (dynamic), ``reservation`` (in a configuration) or ``station`` (associated right now).
    """

    address: str | None = None
    mac: str | None = None
    name: str | None = None
    expires: float | None = None
    kind: Literal["lease", "reservation", "station"] = "lease"

    @property
    def key(self) -> str:
        """What tells it from the other leads of one file: its address, else its MAC, else its name."""
        return self.address or self.mac or self.name or ""


@dataclass(frozen=True, slots=True)
class Include:
    """A further file that one names.

    Attributes:
        path: as written, or a glob pattern; relative to the directory of the file that names it.
        format: name of its format; None = that of the file that names it.
        excluded_suffixes: files of a pattern whose names end so are left out.
        optional: it need not exist (yet): a lease file that no client has filled.
    """

    path: str
    format: str | None = None
    excluded_suffixes: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class ParseResult:
    """All that one file says.

    Attributes:
        entries: at most one per address (the last word counts), in no promised order.
        skipped: how many entries could not be understood and were passed over.
        errors: what was wrong with the first few of them: ``line 17: "10.0.0" is no address``.
        includes: further files that this one names.
    """

    entries: tuple[HostEntry, ...] = ()
    skipped: int = 0
    errors: tuple[str, ...] = ()
    includes: tuple[Include, ...] = ()


class FormatReader(Protocol):
    """A parser fed piece by piece, so that a huge file never holds up the loop."""

    def feed(self, text: str) -> None:
        """Take the next piece, of any length, cut anywhere. Never raises, whatever the text."""
        ...

    def finish(self) -> ParseResult:
        """The end of the file. An entry cut off in the middle is being written: not counted as a fault."""
        ...


@dataclass(frozen=True, slots=True)
class LeaseFormat:
    """One format of lease files.

    Attributes:
        name: shown to people, e.g. ``dnsmasq``.
        paths: where its files usually are: glob patterns, e.g. ``/var/lib/misc/dnsmasq.leases``.
        recognise: whether a file that begins with this text (some KiB of it) is of this format.
        new_reader: makes a Reader for one file.
        companions: suffixes of files to be read before the file itself; of these rows the first of which a
            file exists counts, and it is read in its order; later entries override.
        absent_means_empty: an absent file says that there are no leases, and no more.
        essential: it may be the only one to name a client. dnsmasq and Kea note each lease, dhcpd none of an
            address that its configuration fixes.
    """

    name: str
    paths: tuple[str, ...]
    recognise: Callable[[str], bool]
    new_reader: Callable[[], FormatReader]
    companions: tuple[tuple[str, ...], ...] = ()
    absent_means_empty: bool = False
    essential: bool = True


MAX_LINE: Final = 1 << 16
"""Characters; a longer line is no entry of anything, and must not fill the memory."""
_MAX_DOCUMENT: Final = 1 << 22
_MAX_DESCRIBED: Final = 3


class ParseErrors:
    """Entries that could not be understood.

    Attributes:
        skipped: how many.
        descriptions: what was wrong with the first few.
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
        line_number: of the line at hand; the first is 1.
        errors: what was passed over.
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
