"""ISC dhcpd's leases, dhcpd.leases(5): a log, in which the last word on an address counts.

It is rewritten now and then, and appended to meanwhile. Addresses that a configuration fixes never
appear in it. Nearly all of it is ``lease`` blocks of one shape, which one expression takes whole; what
is of any other shape goes statement by statement.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
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
from powerd.presence.leases.isc_conf import block_mac, host_block_entries
from powerd.presence.leases.isc_syntax import STRING, BlockReader, IscBlock, Statement, unquote, unquote_text

_DATE: Final = r'[^;\n"#{}]++;(?>(?: #[^\n]*+)?)\n'
_QUOTED: Final = r'"[^"\n]*+(?<!\\)"'
_ON_BLOCK: Final = rf'  on [a-z ]++\{{\n(?>(?:    [^\n"#{{}}]*+(?>(?:{_QUOTED}[^\n"#{{}}]*+)*)\n)*)  \}}\n'
_LEASE: Final = re.compile(  # in the order in which dhcpd writes; two blanks before each statement
    r"\s*+lease ([\d.]++) \{\n"
    rf"(?>(?:  starts {_DATE})?)"
    rf"(?>(?:  ends ({_DATE}))?)"
    rf"(?>(?:  (?:tstp|tsfp|atsfp|cltt) {_DATE})*)"
    r"(?>(?:  binding state ([a-z]++);\n)?)"
    r"(?>(?:  (?:next|rewind) binding state [a-z]++;\n)*)"
    r"(?>(?:  (?:reserved|bootp);\n)*)"
    r"(?>(?:  hardware ethernet ([\da-f:]++);\n)?)"
    rf"(?>(?:  (?:uid|set|option) [^;\n\"#{{}}]*+(?>(?:{_QUOTED})?);\n)*)"
    r'(?>(?:  client-hostname "([^"\\\n]*+)";\n)?)'
    rf"(?>(?:{_ON_BLOCK})*)"
    r"\}"
)
_IGNORED_STATEMENT: Final = re.compile(
    r"(?:authoring-byte-order|server-duid|failover|group|class|subclass|ia[-_]pd|option|set|key|zone)(?![\w-])"
)
_SIGNATURE: Final = re.compile(
    r"^\s*+(?:lease\s+[\d.]+\s*\{|ia[-_][nt]a\s|server-duid\s|authoring-byte-order\s)"
    r"|# The format of this file is documented in the dhcpd.leases\(5\)",
    re.MULTILINE,
)
_IAID_OCTETS: Final = 4
_MAX_TIMESTAMP: Final = 1 << 40


class DhcpdLeasesReader(BlockReader):
    """Reads ``lease``, ``ia-na`` and ``ia-ta`` (the manual page has ``ia_na``), and hosts made over OMAPI."""

    head_pattern = re.compile(rf'(?<![^\s\0])(lease|ia[-_][nt]a|iaaddr|host)\s+({STRING}|[^\s"]++)$')

    def __init__(self) -> None:
        super().__init__()
        self._leases: dict[str, HostEntry] = {}
        self._hosts: dict[str, tuple[HostEntry, ...]] = {}

    def allows_block(self, kind: str) -> bool:
        """All blocks stand alone, but addresses, which stand in an association (IA)."""
        parent = self.open_blocks[-1]
        return kind == "iaaddr" and parent is not None and parent.kind.startswith(("ia-", "ia_"))

    def read_fast(self, buffer: str, at: int) -> int:
        """Take lease blocks of the usual shape; at one that is odd in any way, leave it to the slow way."""
        while match := _LEASE.match(buffer, at):
            address, ends, state, hardware, name = match.groups()
            mac = parse_mac(hardware) if hardware else None
            if not parse_address(address) or (hardware and not mac):
                break
            try:
                expires = _parse_time(ends.partition(";")[0] if ends else "never")
            except ValueError:
                break
            self._store_entry(HostEntry(address, mac, sanitize_name(name) if name else None, expires), state)
            at = match.end()
        return at

    def handle_statement(self, statement: Statement) -> None:
        """Count what stands between the blocks and is no statement of this file."""
        if not self.open_blocks and not _IGNORED_STATEMENT.match(statement.text):
            description = quote(statement.text) if statement.text else f'a lonely "{statement.end}"'
            self.errors.add(statement.line, f"{description} is no entry")

    def handle_block(self, block: IscBlock, parent: IscBlock | None) -> None:
        """Take a block."""
        if block.kind == "lease":
            self._add_lease(block)
        elif block.kind == "iaaddr" and parent:
            self._add_lease(block, parent)
        elif block.kind == "host":
            self._add_host(block)

    def finish(self) -> ParseResult:
        """See BlockReader."""
        entries = self._leases
        if self._hosts:
            entries = {entry.key: entry for host in self._hosts.values() for entry in host} | entries
        return ParseResult(tuple(entries.values()), self.errors.skipped, tuple(self.errors.descriptions))

    def _add_lease(self, block: IscBlock, association: IscBlock | None = None) -> None:
        """Take a lease: of IPv4, or of IPv6 in its association, whose name holds the client's identifier."""
        try:
            address = parse_address(block.name)
            if not address:
                raise ValueError("no address")  # noqa: TRY301 - one way out for all that can be wrong
            mac = _association_mac(association) if association else block_mac(block)
            expires = _parse_time(block.fields.get("ends", "never"))
        except ValueError as error:
            self.add_error(block, str(error))
            return
        name = block.fields.get("client-hostname")
        entry = HostEntry(address, mac, sanitize_name(unquote_text(name)) if name else None, expires)
        self._store_entry(entry, block.fields.get("binding state"))

    def _store_entry(self, entry: HostEntry, state: str | None) -> None:
        """Note a lease over what was said of its address before."""
        if state not in {"active", None}:
            if not entry.mac:
                self._leases.pop(entry.key, None)
                return
            if entry.expires is None:  # it is over, though nobody says since when
                entry = replace(entry, expires=0.0)
        self._leases[entry.key] = entry

    def _add_host(self, block: IscBlock) -> None:
        if "deleted" in block.fields:
            self._hosts.pop(block.name, None)
            return
        try:
            self._hosts[block.name] = host_block_entries(block)
        except ValueError as error:
            self.add_error(block, str(error))


def _association_mac(block: IscBlock) -> str | None:
    """From an association's name: four octets that number it, then the client's DUID."""
    octets = unquote(block.name) if block.name.startswith('"') else parse_octets(block.name)
    return mac_from_duid(octets[_IAID_OCTETS:]) if octets else None


def _parse_time(text: str) -> float | None:
    """POSIX seconds of ``6 2026/11/21 10:08:47`` (UTC), ``epoch 1795255727`` or ``never``."""
    if text == "never":
        return None
    try:
        if text.startswith("epoch "):
            return float(min(int(text[6:]), _MAX_TIMESTAMP))
        minute, _, seconds = text.rpartition(":")
        return _parse_minute(minute) + int(seconds)
    except (ValueError, OverflowError):
        raise ValueError(f"{quote(text)} is no time") from None


@lru_cache(maxsize=1 << 12)
def _parse_minute(text: str) -> float:
    """POSIX seconds of ``6 2026/11/21 10:08``: the leases of a file end in the same hours or days."""
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
