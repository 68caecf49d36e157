"""Pi-hole's configuration since version 6: ``hosts`` of its table ``dhcp``, as dnsmasq's ``dhcp-host``.

Its leases are dnsmasq's, in /etc/pihole/dhcp.leases.
"""

from __future__ import annotations

import re
import tomllib
from typing import Final

from powerd.sources.leases.dnsmasq_conf import dhcp_host_entries
from powerd.sources.leases.found import HostEntry, LeaseFormat, ParseResult
from powerd.sources.leases.reading import LineReader, parse_failure
from powerd.sources.leases.words import quote

_TOML_TABLE: Final = re.compile(r"\[\s*([\w.-]+)\s*\]\s*(?:#.*)?")
_PIHOLE_SIGNATURE: Final = re.compile(r"^\s*+\[dhcp\][ \t]*+(?:#.*)?$", re.MULTILINE)
_MAX_TABLE_LINES: Final = 100_000


class PiholeReader(LineReader):
    """Reads the one table of interest: tomllib takes its time, and nine tenths of the file are comments."""

    def __init__(self) -> None:
        super().__init__()
        self._in_dhcp_table = False
        self._lines: list[str] = []

    def read_line(self, text: str) -> None:
        """See LineReader."""
        if match := _TOML_TABLE.fullmatch(text):
            self._in_dhcp_table = match[1] == "dhcp"
        elif self._in_dhcp_table and not text.startswith("#") and len(self._lines) < _MAX_TABLE_LINES:
            self._lines.append(text)

    def result(self) -> ParseResult:
        """See LineReader."""
        try:
            table = tomllib.loads("\n".join(self._lines))
        except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
            return parse_failure(f"its table [dhcp] is no TOML: {error}")
        hosts = table.get("hosts", [])
        entries: dict[str, HostEntry] = {}
        for host in hosts if isinstance(hosts, list) else []:
            try:
                entries.update((entry.key, entry) for entry in dhcp_host_entries(str(host)))
            except ValueError as error:
                self.errors.skipped += 1
                self.errors.descriptions.append(f"{quote(str(host))}: {error}")
        return ParseResult(tuple(entries.values()), self.errors.skipped, tuple(self.errors.descriptions[:3]))


PIHOLE_FORMAT: Final = LeaseFormat(
    name="pihole.toml",
    paths=("/etc/pihole/pihole.toml",),
    recognise=lambda text: _PIHOLE_SIGNATURE.search(text) is not None,
    new_reader=PiholeReader,
    essential=False,
)
