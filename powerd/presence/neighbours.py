"""Hosts learned on the LAN: those with which this server has exchanged traffic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import AddressValueError, IPv4Address
from typing import Final

from powerd.config.values import canonical_mac
from powerd.core.persistence import Persistence
from powerd.linux.values import Lan, Neighbour

_MAX_HOSTS: Final = 4096
"""Limits what a host that spoofs addresses can add; a home has fewer hosts."""
_MAX_TIMESTAMP: Final = 1e11
"""POSIX time of the year 5138; a later time, such as infinity, is invalid."""
_SUPERSEDED_AFTER: Final = 86400.0
"""Seconds after which a pair is dropped if another MAC has its address: DHCP has given the address away."""

HostKey = tuple[str, str]
"""A learned host: its MAC and its address. A repeater or a client bridge has the MAC of many hosts."""
LearnedHosts = Mapping[HostKey, float]
"""The time of the last proof of reachability of each learned host, POSIX seconds."""


def update_learned_hosts(
    learned_hosts: LearnedHosts, neighbours: Iterable[Neighbour], lan: Lan, since: float, now: float
) -> LearnedHosts:
    """The learned hosts updated from the neighbour table, the one seen last first.

    The MAC of a gateway excludes no host: a relay that is the gateway has the MAC of the hosts behind it.

    Args:
        learned_hosts: the previous ones.
        neighbours: the table; addresses of gateways, of this server and outside the LANs are left out.
        lan: this server's links, addresses and gateways.
        since: POSIX seconds; hosts last seen before are dropped.
        now: POSIX seconds.
    """
    links = {link.index for link in lan.links}
    merged = dict(learned_hosts)
    for entry in neighbours:
        if entry.link in links and _is_host(entry.address, lan):
            key = (entry.mac, entry.address)
            merged[key] = max(now - entry.confirmed_ago, merged.get(key, 0.0))
    latest: dict[str, float] = {}
    for (_, address), last_seen in merged.items():
        latest[address] = max(last_seen, latest.get(address, 0.0))
    recent = sorted(
        (
            (key, last_seen)
            for key, last_seen in merged.items()
            if last_seen >= max(since, latest[key[1]] - _SUPERSEDED_AFTER)
        ),
        key=lambda item: -item[1],
    )
    return dict(recent[:_MAX_HOSTS])


def gateway_macs(neighbours: Iterable[Neighbour], lan: Lan) -> frozenset[str]:
    """MAC addresses of the default gateways, which may answer ARP on behalf of other hosts."""
    return frozenset(entry.mac for entry in neighbours if entry.address in lan.gateways)


def to_json(learned_hosts: LearnedHosts) -> dict[str, dict[str, int]]:
    """``{MAC: {address: POSIX seconds}}``, for the store."""
    document: dict[str, dict[str, int]] = {}
    for (mac, address), last_seen in learned_hosts.items():
        document.setdefault(mac, {})[address] = round(last_seen)
    return document


def from_json(data: object) -> LearnedHosts:
    """The hosts of a stored document; entries that are invalid are left out."""
    learned_hosts: dict[HostKey, float] = {}
    for mac, row in data.items() if isinstance(data, dict) else ():
        if not isinstance(mac, str) or canonical_mac(mac) != mac or not isinstance(row, dict):
            continue
        # Before a MAC could have several addresses, a row was {"address": ..., "seen": ...}.
        addresses = {row["address"]: row.get("seen")} if isinstance(row.get("address"), str) else row
        for address, last_seen in addresses.items():
            if (
                isinstance(address, str)
                and _parse_ipv4(address)
                and isinstance(last_seen, int | float)
                and 0 <= last_seen <= _MAX_TIMESTAMP
            ):
                learned_hosts[mac, address] = float(last_seen)
    return learned_hosts


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
