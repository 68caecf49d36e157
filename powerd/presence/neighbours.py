"""Clients that no file names: whoever on the LAN this server has exchanged traffic with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import Final

from powerd.config.values import canonical_mac
from powerd.linux.values import Lan, Neighbour

_MAX_HOSTS: Final = 4096
"""More hosts than a home has; bounds what a spoofing neighbour can make us remember."""


@dataclass(frozen=True, slots=True)
class LearnedHost:
    """A host met on the LAN; ``seen`` is when it last proved to be there, POSIX seconds."""

    address: str
    last_seen: float


_MAX_TIMESTAMP: Final = 1e11
"""POSIX time of the year 5138; what claims to be later, infinity above all, is garbage."""

LearnedHosts = Mapping[str, LearnedHost]
"""Learned hosts by MAC address."""


def update_learned_hosts(
    learned_hosts: LearnedHosts, neighbours: Iterable[Neighbour], lan: Lan, since: float, now: float
) -> LearnedHosts:
    """The book after a look at the neighbour table; newest first.

    Args:
        learned_hosts: as they were.
        neighbours: the table; the gateway, this server and whatever is not IPv4 on a LAN are passed over.
        lan: tells what those are.
        since: whoever was last seen before this is forgotten, POSIX seconds.
        now: POSIX seconds.
    """
    links = {link.index for link in lan.links}
    gateways = gateway_macs(neighbours := tuple(neighbours), lan)
    current = {
        entry.mac: LearnedHost(entry.address, now - entry.confirmed_ago)
        for entry in sorted(neighbours, key=lambda entry: -entry.confirmed_ago)
        if entry.link in links and entry.mac not in gateways and _is_host(entry.address, lan)
    }
    addresses = {host.address for host in current.values()}
    merged = {
        mac: host
        for mac, host in learned_hosts.items()
        if mac not in gateways and host.address not in addresses
    }
    merged.update({mac: _with_latest_time(host, learned_hosts.get(mac)) for mac, host in current.items()})
    recent = sorted(
        (item for item in merged.items() if item[1].last_seen >= since), key=lambda item: -item[1].last_seen
    )
    return dict(recent[:_MAX_HOSTS])


def gateway_macs(neighbours: Iterable[Neighbour], lan: Lan) -> frozenset[str]:
    """MAC addresses of the default gateways; a proxy that answers ARP for others has one of them."""
    return frozenset(entry.mac for entry in neighbours if entry.address in lan.gateways)


def mac_address_pairs(learned_hosts: LearnedHosts) -> frozenset[tuple[str, str]]:
    """The MAC and address of each host; what must be remembered, for ``seen`` changes all the time."""
    return frozenset((mac, host.address) for mac, host in learned_hosts.items())


def to_json(learned_hosts: LearnedHosts) -> dict[str, dict[str, object]]:
    """The book as plain values, for the store."""
    return {
        mac: {"address": host.address, "seen": round(host.last_seen)} for mac, host in learned_hosts.items()
    }


def from_json(data: object) -> LearnedHosts:
    """The book of plain values; whatever is not one of its entries is passed over."""
    learned_hosts: dict[str, LearnedHost] = {}
    for mac, row in data.items() if isinstance(data, dict) else ():
        address, last_seen = (row.get("address"), row.get("seen")) if isinstance(row, dict) else (None, None)
        if (
            isinstance(mac, str)
            and canonical_mac(mac) == mac
            and isinstance(address, str)
            and _parse_ipv4(address)
            and isinstance(last_seen, int | float)
            and 0 <= last_seen <= _MAX_TIMESTAMP
        ):
            learned_hosts[mac] = LearnedHost(address, float(last_seen))
    return learned_hosts


def _with_latest_time(host: LearnedHost, previous: LearnedHost | None) -> LearnedHost:
    return (
        host
        if previous is None or host.last_seen >= previous.last_seen
        else LearnedHost(host.address, previous.last_seen)
    )


def _is_host(address: str, lan: Lan) -> bool:
    parsed = _parse_ipv4(address)
    return (
        parsed is not None
        and address not in lan.own_addresses
        and address not in lan.gateways
        and lan.link_of(parsed) is not None
    )


def _parse_ipv4(address: str) -> IPv4Address | None:
    try:
        return IPv4Address(address)
    except AddressValueError:
        return None
