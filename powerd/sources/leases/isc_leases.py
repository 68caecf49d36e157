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

from powerd.sources.leases.found import Format, Found, Lead
from powerd.sources.leases.isc_host import host_leads, mac_from
from powerd.sources.leases.isc_text import STRING, Block, BlockReader, Statement, plain, unquote
from powerd.sources.leases.words import address_of, mac_of, mac_of_duid, name_of, octets_of, shown

_DATE: Final = r'[^;\n"#{}]++;(?>(?: #[^\n]*+)?)\n'
_WORD: Final = r'"[^"\n]*+(?<!\\)"'
_ON: Final = rf'  on [a-z ]++\{{\n(?>(?:    [^\n"#{{}}]*+(?>(?:{_WORD}[^\n"#{{}}]*+)*)\n)*)  \}}\n'
_LEASE: Final = re.compile(  # in the order in which dhcpd writes; two blanks before each statement
    r"\s*+lease ([\d.]++) \{\n"
    rf"(?>(?:  starts {_DATE})?)"
    rf"(?>(?:  ends ({_DATE}))?)"
    rf"(?>(?:  (?:tstp|tsfp|atsfp|cltt) {_DATE})*)"
    r"(?>(?:  binding state ([a-z]++);\n)?)"
    r"(?>(?:  (?:next|rewind) binding state [a-z]++;\n)*)"
    r"(?>(?:  (?:reserved|bootp);\n)*)"
    r"(?>(?:  hardware ethernet ([\da-f:]++);\n)?)"
    rf"(?>(?:  (?:uid|set|option) [^;\n\"#{{}}]*+(?>(?:{_WORD})?);\n)*)"
    r'(?>(?:  client-hostname "([^"\\\n]*+)";\n)?)'
    rf"(?>(?:{_ON})*)"
    r"\}"
)
_KNOWN: Final = re.compile(
    r"(?:authoring-byte-order|server-duid|failover|group|class|subclass|ia[-_]pd|option|set|key|zone)(?![\w-])"
)
_FIRST: Final = re.compile(
    r"^\s*+(?:lease\s+[\d.]+\s*\{|ia[-_][nt]a\s|server-duid\s|authoring-byte-order\s)"
    r"|# The format of this file is documented in the dhcpd.leases\(5\)",
    re.MULTILINE,
)
_IAID_OCTETS: Final = 4
_LATEST: Final = 1 << 40


class Reader(BlockReader):
    """Reads ``lease``, ``ia-na`` and ``ia-ta`` (the manual page has ``ia_na``), and hosts made over OMAPI."""

    heads = re.compile(rf'(?<![^\s\0])(lease|ia[-_][nt]a|iaaddr|host)\s+({STRING}|[^\s"]++)$')

    def __init__(self) -> None:
        super().__init__()
        self._leases: dict[str, Lead] = {}
        self._hosts: dict[str, tuple[Lead, ...]] = {}

    def nests(self, kind: str) -> bool:
        """All blocks stand alone, but addresses, which stand in an association (IA)."""
        around = self.inside[-1]
        return kind == "iaaddr" and around is not None and around.kind.startswith(("ia-", "ia_"))

    def quick(self, buffer: str, at: int) -> int:
        """Take lease blocks of the usual shape; at one that is odd in any way, leave it to the slow way."""
        while match := _LEASE.match(buffer, at):
            address, ends, state, hardware, name = match.groups()
            mac = mac_of(hardware) if hardware else None
            if not address_of(address) or (hardware and not mac):
                break
            try:
                until = _instant(ends.partition(";")[0] if ends else "never")
            except ValueError:
                break
            self._put(Lead(address, mac, name_of(name) if name else None, until), state)
            at = match.end()
        return at

    def other(self, statement: Statement) -> None:
        """Count what stands between the blocks and is no statement of this file."""
        if not self.inside and not _KNOWN.match(statement.text):
            what = shown(statement.text) if statement.text else f'a lonely "{statement.end}"'
            self.faults.note(statement.line, f"{what} is no entry")

    def close(self, block: Block, parent: Block | None) -> None:
        """Take a block."""
        if block.kind == "lease":
            self._take_lease(block)
        elif block.kind == "iaaddr" and parent:
            self._take_lease(block, parent)
        elif block.kind == "host":
            self._take_host(block)

    def finish(self) -> Found:
        """See BlockReader."""
        leads = self._leases
        if self._hosts:
            leads = {lead.key: lead for host in self._hosts.values() for lead in host} | leads
        return Found(tuple(leads.values()), self.faults.skipped, tuple(self.faults.first))

    def _take_lease(self, block: Block, association: Block | None = None) -> None:
        """Take a lease: of IPv4, or of IPv6 in its association, whose name holds the client's identifier."""
        try:
            address = address_of(block.name)
            if not address:
                raise ValueError("no address")  # noqa: TRY301 - one way out for all that can be wrong
            mac = _mac_of_association(association) if association else mac_from(block)
            ends = _instant(block.fields.get("ends", "never"))
        except ValueError as error:
            self.fault(block, str(error))
            return
        name = block.fields.get("client-hostname")
        lead = Lead(address, mac, name_of(plain(name)) if name else None, ends)
        self._put(lead, block.fields.get("binding state"))

    def _put(self, lead: Lead, state: str | None) -> None:
        """Note a lease over what was said of its address before."""
        if state not in {"active", None}:
            if not lead.mac:
                self._leases.pop(lead.key, None)
                return
            if lead.expires is None:  # it is over, though nobody says since when
                lead = replace(lead, expires=0.0)
        self._leases[lead.key] = lead

    def _take_host(self, block: Block) -> None:
        if "deleted" in block.fields:
            self._hosts.pop(block.name, None)
            return
        try:
            self._hosts[block.name] = host_leads(block)
        except ValueError as error:
            self.fault(block, str(error))


def _mac_of_association(block: Block) -> str | None:
    """From an association's name: four octets that number it, then the client's DUID."""
    octets = unquote(block.name) if block.name.startswith('"') else octets_of(block.name)
    return mac_of_duid(octets[_IAID_OCTETS:]) if octets else None


def _instant(text: str) -> float | None:
    """POSIX seconds of ``6 2026/11/21 10:08:47`` (UTC), ``epoch 1795255727`` or ``never``."""
    if text == "never":
        return None
    try:
        if text.startswith("epoch "):
            return float(min(int(text[6:]), _LATEST))
        minute, _, seconds = text.rpartition(":")
        return _minute(minute) + int(seconds)
    except (ValueError, OverflowError):
        raise ValueError(f"{shown(text)} is no time") from None


@lru_cache(maxsize=1 << 12)
def _minute(text: str) -> float:
    """POSIX seconds of ``6 2026/11/21 10:08``: the leases of a file end in the same hours or days."""
    _weekday, day, clock = text.split()
    year, month, date = day.split("/")
    hour, minute = clock.split(":")
    return datetime(int(year), int(month), int(date), int(hour), int(minute), tzinfo=UTC).timestamp()


FORMAT = Format(
    name="dhcpd.leases",
    paths=(
        "/var/lib/dhcp/dhcpd.leases",
        "/var/lib/dhcp/dhcpd6.leases",
        "/var/lib/dhcpd/dhcpd.leases",
        "/var/lib/dhcpd/dhcpd6.leases",
        "/var/db/dhcpd.leases",
    ),
    recognise=lambda text: _FIRST.search(text) is not None,
    reader=Reader,
)
