"""ISC dhcpd's configuration, dhcpd.conf(5): hosts with addresses of their own."""

from __future__ import annotations

import re

from powerd.sources.leases.found import Format, Found, Include, Lead
from powerd.sources.leases.isc_host import host_leads
from powerd.sources.leases.isc_text import Block, BlockReader, Statement, plain

_NAMED_FILE = re.compile(r'(include|lease-file-name|dhcpv6-lease-file-name)\s+("[^"]*+"|\S++)')
_FIRST = re.compile(
    r"^\s*+(?:host\s+\S+\s*\{|subnet6?\s+[\d:]|shared-network\s|group\s*\{|authoritative\s*;|(?:default|max)-lease-time\s"
    r'|ddns-update-style\s|option\s+(?:domain-name|routers|subnet-mask)\b|include\s+")',
    re.MULTILINE,
)


class Reader(BlockReader):
    """Reads ``host`` wherever it stands: in groups, subnets, shared networks, pools and conditions."""

    heads = re.compile(r'(?<!\S)(host)\s+("[^"]*+"|\S++)$')

    def __init__(self) -> None:
        super().__init__()
        self._leads: dict[str, Lead] = {}
        self._includes: list[Include] = []

    def nests(self, kind: str) -> bool:
        """A host stands anywhere but in a host."""
        return not any(block and block.kind == kind for block in self.inside)

    def other(self, statement: Statement) -> None:
        """Note further files; a configuration's other statements are none of our business."""
        if statement.end == ";" and (match := _NAMED_FILE.fullmatch(statement.text)):
            path = plain(match[2])
            if match[1] == "include":
                self._includes.append(Include(path))
            else:
                self._includes.append(Include(path, "dhcpd.leases", may_lack=True))

    def close(self, block: Block, parent: Block | None) -> None:
        """Take a host."""
        del parent
        try:
            self._leads.update((lead.key, lead) for lead in host_leads(block))
        except ValueError as error:
            self.fault(block, str(error))

    def finish(self) -> Found:
        """See BlockReader."""
        return Found(
            tuple(self._leads.values()), self.faults.skipped, tuple(self.faults.first), tuple(self._includes)
        )


FORMAT = Format(
    name="dhcpd.conf",
    paths=("/etc/dhcp/dhcpd.conf", "/etc/dhcp/dhcpd6.conf", "/etc/dhcpd.conf", "/etc/dhcpd6.conf"),
    recognise=lambda text: _FIRST.search(text) is not None,
    reader=Reader,
)
