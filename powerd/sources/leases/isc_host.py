"""A ``host`` declaration, as dhcpd.conf(5) has it, and dhcpd.leases(5) for hosts made over OMAPI."""

from __future__ import annotations

from powerd.sources.leases.found import HostEntry
from powerd.sources.leases.isc_text import IscBlock, unquote_text
from powerd.sources.leases.words import is_host_name, parse_address, parse_mac, quote, sanitize_name


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
