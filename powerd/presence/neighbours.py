"""Hosts learned on the LAN: those with which this server has exchanged traffic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import Final

from powerd.config.values import canonical_mac
from powerd.core.persistence import Persistence
from powerd.linux.values import Lan, Neighbour

_MAX_HOSTS: Final = 4096
"""Limits what a host that spoofs addresses can add; a home has fewer hosts."""
_MAX_TIMESTAMP: Final = 1e11
"""POSIX time of the year 5138; a later time, such as infinity, is invalid."""


@dataclass(frozen=True, slots=True)
class LearnedHost:
    """A host on the LAN; ``last_seen`` is its last proof of reachability, POSIX seconds."""

    address: str
    last_seen: float


LearnedHosts = Mapping[str, LearnedHost]
"""Learned hosts by MAC address."""


def update_learned_hosts(
    learned_hosts: LearnedHosts, neighbours: Iterable[Neighbour], lan: Lan, since: float, now: float
) -> LearnedHosts:
    """The learned hosts updated from the neighbour table, the one seen last first.

    Args:
        learned_hosts: the previous ones.
        neighbours: the table; gateways, this server and addresses that are not IPv4 on a LAN are left out.
        lan: this server's links, addresses and gateways.
        since: POSIX seconds; hosts last seen before are dropped.
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
    """MAC addresses of the default gateways, which may answer ARP on behalf of other hosts."""
    return frozenset(entry.mac for entry in neighbours if entry.address in lan.gateways)


def mac_address_pairs(learned_hosts: LearnedHosts) -> frozenset[tuple[str, str]]:
    """MAC and address of each host, to detect changes; ``last_seen`` changes at every poll."""
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


_DOCUMENT: Final = "learned"


def load_learned_hosts(persistence: Persistence) -> LearnedHosts:
    """The stored hosts that were learned on the LAN."""
    return from_json(persistence.load(_DOCUMENT))


def save_learned_hosts(persistence: Persistence, learned_hosts: LearnedHosts) -> None:
    """Store the hosts that were learned."""
    if learned_hosts:
        persistence.save(_DOCUMENT, to_json(learned_hosts))
