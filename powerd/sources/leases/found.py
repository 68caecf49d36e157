"""What a parser of lease files gives back, the same for every format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol


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
        but: files of a pattern whose names end so are left out.
        may_lack: it need not exist (yet): a lease file that no client has filled.
    """

    path: str
    format: str | None = None
    excluded_suffixes: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class ParseResult:
    """All that one file says.

    Attributes:
        leads: at most one per address (the last word counts), in no promised order.
        skipped: how many entries could not be understood and were passed over.
        faults: what was wrong with the first few of them: ``line 17: "10.0.0" is no address``.
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
        reader: makes a Reader for one file.
        companions: suffixes of files to be read before the file itself; of these rows the first of which a
            file exists counts, and it is read in its order; later entries override.
        comes_and_goes: an absent file says that there are no leases, and no more.
        vital: it may be the only one to name a client. dnsmasq and Kea note each lease, dhcpd none of an
            address that its configuration fixes.
    """

    name: str
    paths: tuple[str, ...]
    recognise: Callable[[str], bool]
    new_reader: Callable[[], FormatReader]
    companions: tuple[tuple[str, ...], ...] = ()
    absent_means_empty: bool = False
    essential: bool = True
