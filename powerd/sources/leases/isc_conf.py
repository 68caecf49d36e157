"""ISC dhcpd's configuration, dhcpd.conf(5): hosts with addresses of their own."""

from __future__ import annotations

import re

from powerd.sources.leases.found import HostEntry, Include, LeaseFormat, ParseResult
from powerd.sources.leases.isc_host import host_block_entries
from powerd.sources.leases.isc_text import BlockReader, IscBlock, Statement, unquote_text

_FILE_STATEMENT = re.compile(r'(include|lease-file-name|dhcpv6-lease-file-name)\s+("[^"]*+"|\S++)')
_SIGNATURE = re.compile(
    r"^\s*+(?:host\s+\S+\s*\{|subnet6?\s+[\d:]|shared-network\s|group\s*\{|authoritative\s*;|(?:default|max)-lease-time\s"
    r'|ddns-update-style\s|option\s+(?:domain-name|routers|subnet-mask)\b|include\s+")',
    re.MULTILINE,
)


class DhcpdConfReader(BlockReader):
    """Reads ``host`` wherever it stands: in groups, subnets, shared networks, pools and conditions."""

    head_pattern = re.compile(r'(?<!\S)(host)\s+("[^"]*+"|\S++)$')

    def __init__(self) -> None:
        super().__init__()
        self._entries: dict[str, HostEntry] = {}
        self._includes: list[Include] = []

    def allows_block(self, kind: str) -> bool:
        """A host stands anywhere but in a host."""
        return not any(block and block.kind == kind for block in self.open_blocks)

    def handle_statement(self, statement: Statement) -> None:
        """Note further files; a configuration's other statements are none of our business."""
        if statement.end == ";" and (match := _FILE_STATEMENT.fullmatch(statement.text)):
            path = unquote_text(match[2])
            if match[1] == "include":
                self._includes.append(Include(path))
            else:
                self._includes.append(Include(path, "dhcpd.leases", optional=True))

    def handle_block(self, block: IscBlock, parent: IscBlock | None) -> None:
        """Take a host."""
        del parent
        try:
            self._entries.update((entry.key, entry) for entry in host_block_entries(block))
        except ValueError as error:
            self.add_error(block, str(error))

    def finish(self) -> ParseResult:
        """See BlockReader."""
        return ParseResult(
            tuple(self._entries.values()),
            self.errors.skipped,
            tuple(self.errors.descriptions),
            tuple(self._includes),
        )


FORMAT = LeaseFormat(
    name="dhcpd.conf",
    paths=("/etc/dhcp/dhcpd.conf", "/etc/dhcp/dhcpd6.conf", "/etc/dhcpd.conf", "/etc/dhcpd6.conf"),
    recognise=lambda text: _SIGNATURE.search(text) is not None,
    new_reader=DhcpdConfReader,
)
