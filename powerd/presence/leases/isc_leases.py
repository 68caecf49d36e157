"""Format of ISC dhcpd's lease file (dhcpd.leases(5)): a log in which the last entry of an address counts.

dhcpd appends to the file and rewrites it from time to time. Addresses that the configuration fixes never
appear in it. Nearly all of it is ``lease`` blocks of one form, which one regular expression matches as a
whole; all other blocks are parsed statement by statement.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from typing import Final

from powerd.presence.leases.fields import (
    mac_from_duid,
    parse_address,
    parse_mac,
    parse_octets,
    quote,
    sanitize_name,
)
from powerd.presence.leases.format import HostEntry, LeaseFormat, ParseResult
from powerd.presence.leases.isc_conf import block_mac, host_entries, parse_dhcpd_address
from powerd.presence.leases.isc_syntax import (
    BlockReader,
    IscBlock,
    Statement,
    join_tokens,
    unquote,
    unquote_text,
)

_DATE: Final = r'[^;\n\0"#{}]++;(?>(?: #[^\n\0]*+)?)\n'
_QUOTED: Final = r'"[^"\n\0]*+(?<!\\)"'
_ON_BLOCK: Final = (
    rf'  on [a-z ]++\{{\n(?>(?:    [^\n\0"#{{}}]*+(?>(?:{_QUOTED}[^\n\0"#{{}}]*+)*)\n)*)  \}}\n'
)
_LEASE: Final = re.compile(  # in the order in which dhcpd writes; two spaces before each statement
    r"\s*+lease ([\d.]++) \{\n"
    rf"(?>(?:  starts {_DATE})?)"
    rf"(?>(?:  ends ({_DATE}))?)"
    rf"(?>(?:  (?:tstp|tsfp|atsfp|cltt) {_DATE})*)"
    r"(?>(?:  binding state ([a-z]++);\n)?)"
    r"(?>(?:  (?:next|rewind) binding state [a-z]++;\n)*)"
    r"(?>(?:  (?:reserved|bootp);\n)*)"
    r"(?>(?:  hardware ethernet ([\da-f:]++);\n)?)"
    rf"(?>(?:  (?:uid|set|option) [^;\n\0\"#{{}}]*+(?>(?:{_QUOTED})?);\n)*)"
    r'(?>(?:  client-hostname "([^"\\\n\0]*+)";\n)?)'
    rf"(?>(?:{_ON_BLOCK})*)"
    r"\}"
)
_IGNORED_STATEMENT: Final = re.compile(
    r"(?:authoring-byte-order|server-duid|failover|group|class|subclass|ia[-_]pd|option|set|key|zone)(?![\w-])",
    re.IGNORECASE,
)
_SIGNATURE: Final = re.compile(
    r"^\s*+(?:lease\s+[\d.]+\s*\{|ia[-_][nt]a\s|server-duid\s|authoring-byte-order\s)"
    r"|# The format of this file is documented in the dhcpd.leases\(5\)",
    re.MULTILINE | re.IGNORECASE,
)
_IAID_OCTETS: Final = 4
_ENDED_STATES: Final = frozenset({"free", "expired", "released", "reset", "abandoned", "backup"})
_MAX_TIMESTAMP: Final = 1 << 40


class DhcpdLeasesReader(BlockReader):
    """Parses ``lease``, ``ia-na`` and ``ia-ta`` (``ia_na`` in the manual), and hosts created over OMAPI."""

    block_kinds = frozenset({"lease", "ia-na", "ia-ta", "ia_na", "ia_ta", "iaaddr", "host"})
    is_log = True

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self._hosts: dict[str, tuple[HostEntry, ...]] = {}

    def allows_block(self, kind: str) -> bool:
        """Only an address may begin in a block: in an identity association (IA)."""
        parent = self.open_blocks[-1]
        return kind == "iaaddr" and parent is not None and parent.kind.startswith(("ia-", "ia_"))

    def read_fast(self, buffer: str, at: int) -> int:
        """Parse lease blocks of the common form; stop at any other, which is parsed by statements."""
        while match := _LEASE.match(buffer, at):
            address, ends, state, hardware, name = match.groups()
            mac = parse_mac(hardware) if hardware else None
            if not parse_address(address) or (hardware and not mac):
                break
            try:
                expires = _parse_time(ends.partition(";")[0] if ends else "never")
            except ValueError:
                break
            self._store_lease(address, mac, sanitize_name(name) if name else None, expires, state)
            at = match.end()
        return at

    def handle_statement(self, statement: Statement) -> None:
        """Count text between the blocks that is not a statement of this format."""
        if not self.open_blocks and not _IGNORED_STATEMENT.match(statement.text):
            description = quote(statement.text) if statement.text else f'a stray "{statement.end}"'
            self.skip(statement.line, f"{description} is not an entry")

    def handle_block(self, block: IscBlock, parent: IscBlock | None) -> None:
        """Add the lease or the host of a block."""
        if block.kind == "lease":
            self._add_lease(block)
        elif block.kind == "iaaddr" and parent:
            self._add_lease(block, parent)
        elif block.kind == "host":
            self._add_host(block)

    def finish(self) -> ParseResult:
        """See BlockReader."""
        self.output.add(*chain(*self._hosts.values()))
        return super().finish()

    def _add_lease(self, block: IscBlock, association: IscBlock | None = None) -> None:
        """Add an IPv4 lease, or an IPv6 lease of an association, whose name holds the client's DUID."""
        address = parse_dhcpd_address(block.name)
        if not address:
            self.skip_block(block, "no address")
            return
        mac = _association_mac(association) if association else block_mac(self, block)
        expires, fields = None, block.fields
        try:
            expires = _parse_time(join_tokens(fields.get("ends", ["never"])))
        except ValueError as error:
            self.warn_block(block, str(error))
        name = fields.get("client-hostname") or fields.get("hostname")
        state = (
            "abandoned" if "abandoned" in fields else (fields.get("binding state") or ["active"])[0].lower()
        )
        self._store_lease(
            address, mac, sanitize_name(unquote_text(name[0])) if name else None, expires, state
        )

    def _store_lease(
        self, address: str, mac: str | None, name: str | None, expires: float | None, state: str | None
    ) -> None:
        """Store a lease over an earlier one of its address; an ended one without a MAC names no host."""
        if state in _ENDED_STATES:
            if not mac:
                self.output.entries.pop(address, None)
                return
            if expires is None:  # ended at an unknown time
                expires = 0.0
        self.output.store(address, HostEntry(address, mac, name, expires, "lease", self.output.source))

    def _add_host(self, block: IscBlock) -> None:
        if "deleted" in block.fields:
            self._hosts.pop(block.name, None)
        else:
            self._hosts[block.name] = host_entries(self, block)


def _association_mac(block: IscBlock) -> str | None:
    """The MAC in the name of an identity association: four octets of IAID, then the client's DUID."""
    octets = unquote(block.name) if block.name.startswith('"') else parse_octets(block.name)
    return mac_from_duid(octets[_IAID_OCTETS:]) if octets else None


def _parse_time(text: str) -> float | None:
    """POSIX seconds of ``6 2026/11/21 10:08:47``, which is UTC, ``epoch 1795255727`` or ``never``.

    OpenBSD's dhcpd writes ``UTC`` behind the time.
    """
    text = text.lower().removesuffix(" utc")
    if text == "never":
        return None
    try:
        if text.startswith("epoch "):
            return float(min(int(text[6:]), _MAX_TIMESTAMP))
        minute, _, seconds = text.rpartition(":")
        return _parse_minute(minute) + int(seconds)
    except (ValueError, OverflowError):
        raise ValueError(f"{quote(text)} is not a time") from None


@lru_cache(maxsize=1 << 12)
def _parse_minute(text: str) -> float:
    """POSIX seconds of ``6 2026/11/21 10:08``; cached, since many leases of a file end in the same minute."""
    _weekday, day, clock = text.split()
    year, month, date = day.split("/")
    hour, minute = clock.split(":")
    return datetime(int(year), int(month), int(date), int(hour), int(minute), tzinfo=UTC).timestamp()


FORMAT = LeaseFormat(
    name="dhcpd.leases",
    paths=(
        "/var/lib/dhcp/dhcpd.leases",
        "/var/lib/dhcp/dhcpd6.leases",
        "/var/lib/dhcpd/dhcpd.leases",
        "/var/lib/dhcpd/dhcpd6.leases",
        "/var/db/dhcpd.leases",
    ),
    recognise=lambda text: _SIGNATURE.search(text) is not None,
    new_reader=DhcpdLeasesReader,
)
