"""A ``host`` declaration, as dhcpd.conf(5) has it, and dhcpd.leases(5) for hosts made over OMAPI.

ISC dhcpd's configuration, dhcpd.conf(5): hosts with addresses of their own.
"""

from __future__ import annotations

import re

from powerd.presence.leases.fields import is_host_name, parse_address, parse_mac, quote, sanitize_name
from powerd.presence.leases.format import HostEntry, Include, LeaseFormat, ParseResult
from powerd.presence.leases.isc_syntax import BlockReader, IscBlock, Statement, unquote_text


def host_block_entries(block: IscBlock) -> tuple[HostEntry, ...]:
    """What a ``host`` block says of the host: a Lead per fixed address, or one without an address.

    A ``fixed-address`` may be a host name; the Lead then bears that name, for it can be resolved.

    Raises:
        ValueError: with what is wrong in the block, as a clause.
    """
    mac = block_mac(block)
    name = sanitize_name(
        unquote_text(block.fields.get("option host-name") or block.fields.get("ddns-hostname") or block.name)
    )
    entries, names = [], []
    for key in ("fixed-address", "fixed-address6"):
        for item in block.fields.get(key, "").split(","):
            text = item.strip()
            if address := parse_address(text):
                entries.append(HostEntry(address, mac, name, kind="reservation"))
            elif is_host_name(text):
                names.append(sanitize_name(text))
            elif text:
                raise ValueError(f"{quote(text)} is no address")
    if entries:
        return tuple(entries)
    if names:
        return tuple(HostEntry(None, mac, alias, kind="reservation") for alias in names)
    return (HostEntry(None, mac, name, kind="reservation"),) if mac else ()


def block_mac(block: IscBlock) -> str | None:
    """The MAC of a ``hardware ethernet`` statement; None without one, or with hardware of another kind.

    Raises:
        ValueError: it names Ethernet, and no Ethernet address.
    """
    kind, _, text = block.fields.get("hardware", "").partition(" ")
    if kind != "ethernet":
        return None
    if mac := parse_mac(text.strip()):
        return mac
    raise ValueError(f"{quote(text)} is no Ethernet address")


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
