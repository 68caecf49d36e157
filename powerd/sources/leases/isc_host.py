"""A ``host`` declaration, as dhcpd.conf(5) has it, and dhcpd.leases(5) for hosts made over OMAPI."""

from __future__ import annotations

from powerd.sources.leases.found import Lead
from powerd.sources.leases.isc_text import Block, plain
from powerd.sources.leases.words import address_of, is_host_name, mac_of, name_of, shown


def host_leads(block: Block) -> tuple[Lead, ...]:
    """What a ``host`` block says of the host: a Lead per fixed address, or one without an address.

    A ``fixed-address`` may be a host name; the Lead then bears that name, for it can be resolved.

    Raises:
        ValueError: with what is wrong in the block, as a clause.
    """
    mac = mac_from(block)
    name = name_of(
        plain(block.fields.get("option host-name") or block.fields.get("ddns-hostname") or block.name)
    )
    leads, names = [], []
    for key in ("fixed-address", "fixed-address6"):
        for word in block.fields.get(key, "").split(","):
            text = word.strip()
            if address := address_of(text):
                leads.append(Lead(address, mac, name, kind="reservation"))
            elif is_host_name(text):
                names.append(name_of(text))
            elif text:
                raise ValueError(f"{shown(text)} is no address")
    if leads:
        return tuple(leads)
    if names:
        return tuple(Lead(None, mac, alias, kind="reservation") for alias in names)
    return (Lead(None, mac, name, kind="reservation"),) if mac else ()


def mac_from(block: Block) -> str | None:
    """The MAC of a ``hardware ethernet`` statement; None without one, or with hardware of another kind.

    Raises:
        ValueError: it names Ethernet, and no Ethernet address.
    """
    kind, _, text = block.fields.get("hardware", "").partition(" ")
    if kind != "ethernet":
        return None
    if mac := mac_of(text.strip()):
        return mac
    raise ValueError(f"{shown(text)} is no Ethernet address")
