"""What all parsers of lease files share: the result, the interface, and the base classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from typing import Final, Literal, NamedTuple, Protocol

from powerd.core.dataclass import dataclass

MAX_LINE: Final = 1 << 16
"""Characters. A longer line is skipped, which bounds the memory that a file can take."""
_MAX_DOCUMENT: Final = 1 << 22
_MAX_ERRORS: Final = 3
MAX_HOSTS: Final = 1 << 16
"""Entries of one file at most; a million would take 500 MB."""
NUL_ERROR: Final = "holds NUL characters, which may stand for an entry that was lost"
"""The character that fills a file which was being written when the power failed."""


class HostEntry(NamedTuple):
    """One host as one place names it; the same value from the parser to the client registry.

    A tuple: a dataclass takes 1.3 us to construct instead of 0.3 us, and a lease file may hold a million.

    Attributes:
        address: IPv4 or IPv6, as text in its shortest form; None if only a MAC is named.
        mac: lower case with colons; None if only an address is named.
        name: host name; None if none is given.
        expires: POSIX seconds at which the lease ends or ended; None = never, or not stated.
        kind: ``lease`` (dynamic), ``reservation`` (in a configuration) or ``station`` (associated at
            present).
        source: path of the file that names it, or ``hostapd``.
        stale: the source no longer names it, or cannot be read at present.
    """

    address: str | None = None
    mac: str | None = None
    name: str | None = None
    expires: float | None = None
    kind: Literal["lease", "reservation", "station"] = "lease"
    source: str = ""
    stale: bool = False

    @property
    def key(self) -> Hashable:
        """Identifies the entry within its file: a lease by its address, else by its MAC.

        A reservation is identified by all that it names: several may reserve one address, for a laptop's
        Ethernet and its Wi-Fi.
        """
        if self.kind == "reservation":
            return self.address, self.mac, self.name
        return self.address or self.mac or self.name or ""


@dataclass(frozen=True, slots=True)
class Include:
    """Another file that a file names.

    Attributes:
        path: as written; a relative one is relative to the directory in which services run, which is ``/``
            (systemd.exec(5), WorkingDirectory=).
        format: name of its format; None = the format of the file that names it.
        excluded_suffixes: files that match the pattern and end in one of these are left out.
        optional: the file may be absent: a lease file before the first lease.
        is_pattern: the path is a glob pattern; its directory must exist.
        may_be_directory: if the path is a directory, all files in it are meant.
    """

    path: str
    format: str | None = None
    excluded_suffixes: tuple[str, ...] = ()
    optional: bool = False
    is_pattern: bool = False
    may_be_directory: bool = False


@dataclass(frozen=True, slots=True)
class ParseResult:
    """The content of one file.

    Attributes:
        entries: at most one per HostEntry.key (the last one counts), in no particular order.
        skipped: number of entries whose host is not known, because they could not be parsed.
        errors: what is wrong with the first three of them: ``line 17: "10.0.0" is not an address``.
        includes: other files that this one names.
        warnings: the first three parts of entries that could not be parsed, in the form of ``errors``, while
            the rest of the entry counts; and what powerd cannot read, such as a database of leases.
        cut_off: what is wrong with the last entry, which the end of the file cuts off; None = it is complete.
            It is not counted as skipped: the server may still be writing it.
    """

    entries: tuple[HostEntry, ...] = ()
    skipped: int = 0
    errors: tuple[str, ...] = ()
    includes: tuple[Include, ...] = ()
    warnings: tuple[str, ...] = ()
    cut_off: str | None = None


class FormatReader(Protocol):
    """A parser that takes a file piece by piece, so that a large file does not block the event loop."""

    def feed(self, text: str) -> None:
        """Take the next piece, of any length, cut anywhere. Never raises, whatever the text."""
        ...

    def finish(self) -> ParseResult:
        """Take the end of the file. An entry cut off there may still be being written, see ParseResult."""
        ...


@dataclass(frozen=True, slots=True)
class LeaseFormat:
    """One format of lease files or of DHCP server configurations.

    Attributes:
        name: shown to users, e.g. ``dnsmasq``.
        paths: default locations as glob patterns, e.g. ``/var/lib/misc/dnsmasq.leases``.
        recognise: whether a file that begins with this text (some KiB) has this format.
        new_reader: makes a parser for the file at this path.
        companions: suffixes of files that are read before the file itself. The first row with an existing
            file is read, in its order; later entries override.
        absent_means_empty: without leases the server removes the file.
        essential: the file may be the only one to name a client, so that it cannot be removed on purpose
            while powerd runs. dnsmasq and Kea record every lease; dhcpd records no lease for an address that
            its configuration fixes.
    """

    name: str
    paths: tuple[str, ...]
    recognise: Callable[[str], bool]
    new_reader: Callable[[str], FormatReader]
    companions: tuple[tuple[str, ...], ...] = ()
    absent_means_empty: bool = False
    essential: bool = True


class ParseOutput:
    """Collects what a parser finds; the result keeps the last entry of each key.

    Attributes:
        source: of the entries.
        entries: by HostEntry.key.
        includes: other files that the file names.
        skipped: number of entries whose host is not known, because they could not be parsed.
        errors: descriptions of the first three.
        warnings: the first three parts of entries that could not be parsed.
        cut_off: as in ParseResult.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.entries: dict[Hashable, HostEntry] = {}
        self.includes: list[Include] = []
        self.skipped = 0
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self.cut_off: str | None = None
        self._full = False

    def add(self, *entries: HostEntry) -> None:
        """Add entries and set their source; each replaces an earlier one of the same key."""
        for entry in entries:
            self.store(entry.key, entry._replace(source=self.source))

    def store(self, key: Hashable, entry: HostEntry) -> None:
        """Add an entry that has its source; a file with too many entries has an error."""
        if len(self.entries) < MAX_HOSTS or key in self.entries:
            self.entries[key] = entry
        elif not self._full:
            self._full = True
            self.skip("a host", f"the file names more than {MAX_HOSTS:,}, and powerd reads no more")

    def skip(self, place: str, error: str) -> None:
        """Count an entry that cannot be parsed; ``error`` is a clause like ``"10.0.0" is not an address``."""
        self.skipped += 1
        if len(self.errors) < _MAX_ERRORS:
            self.errors.append(f"{place}: {error}")

    def warn(self, place: str, error: str) -> None:
        """Describe a part of an entry that could not be parsed; the rest of the entry is added."""
        if len(self.warnings) < _MAX_ERRORS:
            self.warnings.append(f"{place}: {error}")

    def result(self) -> ParseResult:
        """The content of the file."""
        return ParseResult(
            tuple(self.entries.values()),
            self.skipped,
            tuple(self.errors),
            tuple(self.includes),
            tuple(self.warnings),
            self.cut_off,
        )


class LineReader(ABC):
    """Base class of parsers for files with one entry per line.

    Args:
        source: path of the file.

    Attributes:
        is_configuration: a person writes the file, so a last line without a newline is complete; else a
            server may still be writing it.
        line_number: of the current line; the first is 1.
        output: what has been found.
    """

    is_configuration: bool = False

    def __init__(self, source: str) -> None:
        self.line_number = 0
        self.output = ParseOutput(source)
        self._partial_line = ""
        self._overlong = False

    @abstractmethod
    def read_line(self, text: str) -> None:
        """Parse one line, stripped of white space; never called with an empty one."""

    def skip(self, error: str) -> None:
        """Count the current line as one that could not be parsed."""
        self.output.skip(f"line {self.line_number}", error)

    def warn(self, error: str) -> None:
        """Describe a part of the current line that could not be parsed; the rest of it counts."""
        self.output.warn(f"line {self.line_number}", error)

    def feed(self, text: str) -> None:
        """See FormatReader.feed()."""
        lines = (self._partial_line + text).split("\n")
        self._partial_line = lines.pop()
        for line in lines:
            self.line_number += 1
            if self._overlong or len(line) > MAX_LINE:
                self._overlong = False
                self.skip("is too long for an entry")
            elif stripped := line.strip():
                self.read_line(stripped)
                if "\0" in line:
                    self.skip(NUL_ERROR)
        if len(self._partial_line) > MAX_LINE:
            self._overlong, self._partial_line = True, ""

    def finish(self) -> ParseResult:
        """Parse a last line without a newline; of a lease file, one with an error is left out.

        See ParseResult.cut_off.
        """
        if self.is_configuration and (self._partial_line or self._overlong):
            self.feed("\n")
        elif (stripped := self._partial_line.strip()) and not self._overlong:
            output, self.output = self.output, ParseOutput(self.output.source)
            self.line_number += 1
            self.read_line(stripped)
            if "\0" in stripped:
                self.skip(NUL_ERROR)
            output.cut_off = next(iter((*self.output.errors, *self.output.warnings)), None)
            if output.cut_off is None:
                output.entries |= self.output.entries
                output.includes += self.output.includes
            self.output = output
        return self.output.result()


class DocumentReader(ABC):
    """Base class of parsers for formats that can only be parsed as a whole (JSON); at most 4 MiB.

    Args:
        source: path of the file.
    """

    def __init__(self, source: str) -> None:
        self.output = ParseOutput(source)
        self._pieces: list[str] = []
        self._size = 0

    @abstractmethod
    def parse(self, text: str) -> ParseResult:
        """Parse the whole text. Never raises; text that is not of the format counts as one skipped entry."""

    def feed(self, text: str) -> None:
        """See FormatReader.feed()."""
        self._size += len(text)
        if self._size <= _MAX_DOCUMENT:
            self._pieces.append(text)

    def finish(self) -> ParseResult:
        """Parse the document; an empty one has no entries."""
        if self._size > _MAX_DOCUMENT:
            return parse_failure(f"it is larger than {_MAX_DOCUMENT >> 20} MiB")
        text = "".join(self._pieces)
        return self.parse(text) if text.strip() else ParseResult()


def parse_failure(error: str) -> ParseResult:
    """The result for a text that cannot be parsed at all."""
    return ParseResult(skipped=1, errors=(error,))
