"""Pi-hole's configuration since version 6: ``hosts`` of its table ``dhcp``, as dnsmasq's ``dhcp-host``.

Its leases are dnsmasq's, in /etc/pihole/dhcp.leases.
"""

from __future__ import annotations

import re
import tomllib
from typing import Final

from powerd.sources.leases.dnsmasq_conf import host_leads
from powerd.sources.leases.found import Format, Found, Lead
from powerd.sources.leases.reading import LineReader, nothing
from powerd.sources.leases.words import shown

_TABLE: Final = re.compile(r"\[\s*([\w.-]+)\s*\]\s*(?:#.*)?")
_FIRST: Final = re.compile(r"^\s*+\[dhcp\][ \t]*+(?:#.*)?$", re.MULTILINE)
_MOST_LINES: Final = 100_000


class Reader(LineReader):
    """Reads the one table of interest: tomllib takes its time, and nine tenths of the file are comments."""

    def __init__(self) -> None:
        super().__init__()
        self._inside = False
        self._lines: list[str] = []

    def line(self, text: str) -> None:
        """See LineReader."""
        if match := _TABLE.fullmatch(text):
            self._inside = match[1] == "dhcp"
        elif self._inside and not text.startswith("#") and len(self._lines) < _MOST_LINES:
            self._lines.append(text)

    def found(self) -> Found:
        """See LineReader."""
        try:
            table = tomllib.loads("\n".join(self._lines))
        except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
            return nothing(f"its table [dhcp] is no TOML: {error}")
        hosts = table.get("hosts", [])
        leads: dict[str, Lead] = {}
        for host in hosts if isinstance(hosts, list) else []:
            try:
                leads.update((lead.key, lead) for lead in host_leads(str(host)))
            except ValueError as error:
                self.faults.skipped += 1
                self.faults.first.append(f"{shown(str(host))}: {error}")
        return Found(tuple(leads.values()), self.faults.skipped, tuple(self.faults.first[:3]))


FORMAT: Final = Format(
    name="pihole.toml",
    paths=("/etc/pihole/pihole.toml",),
    recognise=lambda text: _FIRST.search(text) is not None,
    reader=Reader,
    vital=False,
)
