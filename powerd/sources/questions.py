"""How each client is to be asked: one question per address, by the protocols it could answer; no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import NamedTuple

from powerd.host.values import HostError, Lan, ProbeRequest
from powerd.model import Client, Observation
from powerd.sources.sightings import ArpMode, arp_proves_presence


class ProbeTarget(NamedTuple):
    """A client to be asked; ``arp_alone`` = only by ARP, where it is on a link of this server."""

    client: Client
    observation: Observation
    arp_only: bool = False


def plan_probes(targets: Iterable[ProbeTarget], lan: Lan, arp_mode: ArpMode) -> list[ProbeRequest]:
    """One question per address, in the order of the clients; none to an address whose link is dead.

    Two clients may share an address, a reservation's and a lease's: it is asked whatever either could answer.
    """
    requests: dict[str, ProbeRequest] = {}
    for target in targets:
        arp_sufficient = arp_proves_presence(arp_mode, target.observation)
        for address in target.client.addresses:
            if link_error(address, lan) is None:
                link = lan.link_of(IPv4Address(address))
                request = ProbeRequest(
                    address, link, icmp=link is None or not target.arp_only, arp_sufficient=arp_sufficient
                )
                requests[address] = _merge_requests(request, requests.get(address))
    return list(requests.values())


def check_links(lan: Lan) -> None:
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


def link_error(address: str, lan: Lan) -> str | None:
    """Why nobody on this address's own network can be asked; None = they can."""
    link = lan.link_of(IPv4Address(address))
    return None if link is None or link.ready else f"{link.name} has no carrier"


def on_link(client: Client, lan: Lan) -> bool:
    """Whether any of its addresses is on a LAN of this server; one without addresses is taken to be."""
    return not client.addresses or any(lan.link_of(IPv4Address(each)) for each in client.addresses)


def _merge_requests(request: ProbeRequest, other: ProbeRequest | None) -> ProbeRequest:
    if other is None:
        return request
    return ProbeRequest(
        request.address,
        request.link or other.link,
        icmp=request.icmp or other.icmp,
        arp_sufficient=request.arp_sufficient or other.arp_sufficient,
    )
