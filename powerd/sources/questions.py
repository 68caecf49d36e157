"""How each client is to be asked: one question per address, by the protocols it could answer; no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import NamedTuple

from powerd.host.values import Ask, HostError, Lan
from powerd.model import Client, Sighting
from powerd.sources.sightings import Arp, arp_counts


class Wanted(NamedTuple):
    """A client to be asked; ``arp_alone`` = only by ARP, where it is on a link of this server."""

    client: Client
    sighting: Sighting
    arp_alone: bool = False


def questions(wanted: Iterable[Wanted], lan: Lan, arp: Arp) -> list[Ask]:
    """One question per address, in the order of the clients; none to an address whose link is dead.

    Two clients may share an address, a reservation's and a lease's: it is asked whatever either could answer.
    """
    asks: dict[str, Ask] = {}
    for one in wanted:
        counts = arp_counts(arp, one.sighting)
        for address in one.client.addresses:
            if dead_link(address, lan) is None:
                link = lan.link_of(IPv4Address(address))
                ask = Ask(address, link, icmp=link is None or not one.arp_alone, arp_counts=counts)
                asks[address] = _both(ask, asks.get(address))
    return list(asks.values())


def check_ears(lan: Lan) -> None:
    """Whether this server has an ear on any LAN at all.

    Raises:
        HostError: it has none, so the silence of all others would say nothing.
    """
    if not lan.links:
        raise HostError("this server has no Ethernet or Wi-Fi interface, so nobody can be seen")
    names = ", ".join(link.name for link in lan.links)
    if not any(link.ready for link in lan.links):
        raise HostError(f"{names}: no carrier, so nobody can be seen; check the cable or the Wi-Fi")
    if not any(link.ready and link.addresses for link in lan.links):
        raise HostError(f"{names}: no IPv4 address, so nobody can be seen; check the network configuration")


def dead_link(address: str, lan: Lan) -> str | None:
    """Why nobody on this address's own network can be asked; None = they can."""
    link = lan.link_of(IPv4Address(address))
    return None if link is None or link.ready else f"{link.name} has no carrier"


def on_link(client: Client, lan: Lan) -> bool:
    """Whether any of its addresses is on a LAN of this server; one without addresses is taken to be."""
    return not client.addresses or any(lan.link_of(IPv4Address(each)) for each in client.addresses)


def _both(ask: Ask, other: Ask | None) -> Ask:
    if other is None:
        return ask
    return Ask(
        ask.address,
        ask.link or other.link,
        icmp=ask.icmp or other.icmp,
        arp_counts=ask.arp_counts or other.arp_counts,
    )
