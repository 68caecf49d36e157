"""Format of dhcpd.conf(5) of ISC dhcpd and OpenBSD's dhcpd: ``host`` declarations, and files that it names.

dhcpd.leases(5) has ``host`` declarations too, for hosts created over OMAPI.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from powerd.config.values import is_address
from powerd.presence.leases.fields import is_host_name, parse_address, parse_mac, quote, sanitize_name
from powerd.presence.leases.format import HostEntry, Include, LeaseFormat
from powerd.presence.leases.isc_syntax import (
    BlockReader,
    IscBlock,
    Statement,
    join_tokens,
    tokenize,
    unquote_text,
)

_SIGNATURE: Final = re.compile(
    r"^\s*+(?:host\s+\S+\s*\{|subnet6?\s+[\d:]|shared-network\s|group\s*\{|authoritative\s*;|(?:default|max)-lease-time\s"
    r'|ddns-update-style\s|option\s+(?:domain-name|routers|subnet-mask)\b|include\s+")',
    re.MULTILINE | re.IGNORECASE,
)
_LEADING_ZEROS: Final = re.compile(r"(?<![\w.:])0+(?=\d)|(?<=[.])0+(?=\d)", re.ASCII)
_LEASE_FILE_NAMES: Final = frozenset({"lease-file-name", "dhcpv6-lease-file-name"})
_DYNAMIC: Final = ("ldap-method", "dynamic")


def host_entries(reader: BlockReader, block: IscBlock) -> tuple[HostEntry, ...]:
    """The entries of a ``host`` block: one per fixed address, or one without an address.

    A ``fixed-address`` may be a host name; the entry then has that name, which can be resolved. What is
    invalid is described in the output of the reader.
    """
    mac = block_mac(reader, block)
    fields = block.fields
    name = sanitize_name(
        unquote_text(_string(fields.get("option host-name") or fields.get("ddns-hostname")) or block.name)
    )
    addresses: dict[str, None] = {}
    names: dict[str, None] = {}
    for text in _fixed_addresses(block):
        if address := parse_dhcpd_address(text):
            addresses[address] = None
        elif is_host_name(text):
            names[sanitize_name(text) or text] = None
        elif not is_address(text):
            reader.skip_block(block, f"{quote(text)} is not an address")
    if addresses:
        return tuple(HostEntry(address, mac, name, kind="reservation") for address in addresses)
    if names:
        return tuple(HostEntry(None, mac, alias, kind="reservation") for alias in names)
    return (HostEntry(None, mac, name, kind="reservation"),) if mac else ()


def _string(tokens: list[str] | None) -> str | None:
    """The value of a field that is one string or one word, with its quotes; None for an expression."""
    return tokens[-1] if tokens and len(tokens) == 1 + (tokens[0] == "=") else None


def _fixed_addresses(block: IscBlock) -> Iterator[str]:
    for key in ("fixed-address", "fixed-address6"):
        if tokens := block.fields.get(key):
            yield from join_tokens(tokens).split(",")


def parse_dhcpd_address(text: str) -> str | None:
    """As parse_address(); dhcpd reads each number of an IPv4 address as decimal, with leading zeros too."""
    return parse_address(_LEADING_ZEROS.sub("", text) if "." in text else text)


def block_mac(reader: BlockReader, block: IscBlock) -> str | None:
    """The MAC of a ``hardware ethernet`` statement; None without one, or for other hardware.

    An invalid one is described in the output of the reader.
    """
    kind, *tokens = block.fields.get("hardware") or [""]
    if kind.lower() != "ethernet":
        return None
    text = join_tokens(tokens)
    mac = parse_mac(text)
    if not mac:
        reader.warn_block(block, f"{quote(text)} is not an Ethernet address")
    return mac


class DhcpdConfReader(BlockReader):
    """Parses ``host`` at any level: in groups, subnets, shared networks, pools and conditions."""

    block_kinds = frozenset({"host"})

    def allows_block(self, kind: str) -> bool:
        """A host may begin anywhere except in a host."""
        return not any(block and block.kind == kind for block in self.open_blocks)

    def handle_statement(self, statement: Statement) -> None:
        """Add other files; all other statements are ignored."""
        tokens = tokenize(statement.text)
        keyword = tokens[0].lower() if tokens else ""
        if keyword == "include" and len(tokens) > 1:
            self.output.includes.append(Include(unquote_text(tokens[1])))
        elif keyword in _LEASE_FILE_NAMES and len(tokens) > 1:
            self.output.includes.append(Include(unquote_text(tokens[1]), "dhcpd.leases", optional=True))
        elif tuple(token.lower() for token in tokens) == _DYNAMIC:
            self.output.warn(
                f"line {statement.line}",
                "dhcpd reads hosts from LDAP, which powerd does not; name them in clients.hosts",
            )

    def handle_block(self, block: IscBlock, parent: IscBlock | None) -> None:
        """Add the entries of a host."""
        del parent
        self.output.add(*host_entries(self, block))


FORMAT = LeaseFormat(
    name="dhcpd.conf",
    paths=("/etc/dhcp/dhcpd.conf", "/etc/dhcp/dhcpd6.conf", "/etc/dhcpd.conf", "/etc/dhcpd6.conf"),
    recognise=lambda text: _SIGNATURE.search(text) is not None,
    new_reader=DhcpdConfReader,
)
