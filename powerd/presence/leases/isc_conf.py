"""Format of ISC dhcpd's configuration (dhcpd.conf(5)): ``host`` declarations, and the files that it names.

dhcpd.leases(5) has ``host`` declarations too, for hosts created over OMAPI.
"""

from __future__ import annotations

import re

from powerd.presence.leases.fields import is_host_name, parse_address, parse_mac, quote, sanitize_name
from powerd.presence.leases.format import HostEntry, Include, LeaseFormat
from powerd.presence.leases.isc_syntax import BlockReader, IscBlock, Statement, unquote_text

_FILE_STATEMENT = re.compile(r'(include|lease-file-name|dhcpv6-lease-file-name)\s+("[^"]*+"|\S++)')
_SIGNATURE = re.compile(
    r"^\s*+(?:host\s+\S+\s*\{|subnet6?\s+[\d:]|shared-network\s|group\s*\{|authoritative\s*;|(?:default|max)-lease-time\s"
    r'|ddns-update-style\s|option\s+(?:domain-name|routers|subnet-mask)\b|include\s+")',
    re.MULTILINE,
)


def host_block_entries(block: IscBlock) -> tuple[HostEntry, ...]:
    """The entries of a ``host`` block: one per fixed address, or one without an address.

    A ``fixed-address`` may be a host name; the entry then has that name, which can be resolved.

    Raises:
        ValueError: the block is invalid; the text is a clause about it.
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
    """The MAC of a ``hardware ethernet`` statement; None without one, or for other hardware.

    Raises:
        ValueError: the statement holds no valid Ethernet address.
    """
    kind, _, text = block.fields.get("hardware", "").partition(" ")
    if kind != "ethernet":
        return None
    if mac := parse_mac(text.strip()):
        return mac
    raise ValueError(f"{quote(text)} is no Ethernet address")


class DhcpdConfReader(BlockReader):
    """Parses ``host`` at any level: in groups, subnets, shared networks, pools and conditions."""

    head_pattern = re.compile(r'(?<!\S)(host)\s+("[^"]*+"|\S++)$')

    def allows_block(self, kind: str) -> bool:
        """A host may begin anywhere except in a host."""
        return not any(block and block.kind == kind for block in self.open_blocks)

    def handle_statement(self, statement: Statement) -> None:
        """Add other files; all other statements are ignored."""
        if statement.end == ";" and (match := _FILE_STATEMENT.fullmatch(statement.text)):
            path = unquote_text(match[2])
            if match[1] == "include":
                self.output.includes.append(Include(path))
            else:
                self.output.includes.append(Include(path, "dhcpd.leases", optional=True))

    def handle_block(self, block: IscBlock, parent: IscBlock | None) -> None:
        """Add the entries of a host."""
        del parent
        try:
            self.output.add(*host_block_entries(block))
        except ValueError as error:
            self.skip_block(block, str(error))


FORMAT = LeaseFormat(
    name="dhcpd.conf",
    paths=("/etc/dhcp/dhcpd.conf", "/etc/dhcp/dhcpd6.conf", "/etc/dhcpd.conf", "/etc/dhcpd6.conf"),
    recognise=lambda text: _SIGNATURE.search(text) is not None,
    new_reader=DhcpdConfReader,
)
