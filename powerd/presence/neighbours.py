"""Hosts learned on the LAN: those with which this server has exchanged traffic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from ipaddress import AddressValueError, IPv4Address, IPv6Address, IPv6Network, ip_address
from math import inf
from typing import Annotated, Final

from powerd.config.values import canonical_mac, is_address
from powerd.core.codec import Constraint, Json, span
from powerd.core.dataclass import dataclass
from powerd.core.storage import Storage
from powerd.linux.values import Lan, Neighbour, parse_ipv4

_MAX_HOSTS: Final = 4097
"""Limits what a host that spoofs addresses can add; one more than the source probes, which reports it."""
_MAX_TIMESTAMP: Final = 1e11
"""POSIX time of the year 5138; a later time, such as infinity, is invalid."""
_SUPERSEDED_AFTER: Final = 86400.0
"""Seconds after which a pair is dropped if another MAC has its address: DHCP has given the address away."""

_IPV4_SUFFICES: Final = 3600.0
"""Seconds by which the last proof of an IPv4 address may be older than that of an IPv6 address of its MAC; a
host whose IPv4 address has been silent for longer may have another one, or only IPv6."""
_UNCONFIRMED_AGE: Final = 60.0
"""Seconds at which the kernel starts ``confirmed_ago`` of an entry that has never been confirmed; by a router
advertisement alone, as of a Thread border router, no traffic has been exchanged (net/core/neighbour.c)."""

_PROXY_GAP: Final = 120.0
"""Seconds by which the last proof of a proxy's own address may be older than that of a host it answers for. A
host that has moved to the other address no longer answers at its own."""

_UNIQUE_LOCAL: Final = IPv6Network("fc00::/7")

HostKey = tuple[str, str]
"""A learned host: its MAC and its address. A repeater or a client bridge has the MAC of many hosts."""
LearnedHosts = Mapping[HostKey, float]
"""The time of the last proof of reachability of each learned host, POSIX seconds."""


def is_unique_local(text: str) -> bool:
    """Whether this is an IPv6 address of a private network (RFC 4193)."""
    return is_address(text) and ip_address(text) in _UNIQUE_LOCAL


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
    links = {link.index: link.name for link in lan.links}
    merged = dict(learned_hosts)
    neighbours = tuple(neighbours)
    for entry in neighbours:
        if entry.link in links and _is_host(entry.address, lan):
            _update(merged, (entry.mac, entry.address), now - entry.confirmed_ago)
    gateways = gateway_macs(neighbours, lan)
    seen_by_ipv4: dict[str, float] = {}
    for (mac, address), last_seen in merged.items():
        if ":" not in address:
            seen_by_ipv4[mac] = max(last_seen, seen_by_ipv4.get(mac, 0.0))
    for entry in neighbours:
        host = _ipv6_host(entry, links, lan) if entry.link in links else None
        confirmed = entry.reachable or entry.confirmed_ago < _UNCONFIRMED_AGE
        if host is not None and (confirmed or (entry.mac, host) in merged):
            _update(merged, (entry.mac, host), now - entry.confirmed_ago)
    latest: dict[str, float] = {}
    for (_, address), last_seen in merged.items():
        latest[address] = max(last_seen, latest.get(address, 0.0))
    recent = sorted(
        (
            (key, last_seen)
            for key, last_seen in merged.items()
            if last_seen >= max(since, latest[key[1]] - _SUPERSEDED_AFTER)
            and not (
                ":" in key[1]
                and (key[0] in gateways or seen_by_ipv4.get(key[0], -inf) >= last_seen - _IPV4_SUFFICES)
            )
        ),
        key=lambda item: -item[1],
    )
    return dict(_without_proxied(recent)[:_MAX_HOSTS])


def _without_proxied(hosts: list[tuple[HostKey, float]]) -> list[tuple[HostKey, float]]:
    """The hosts without the pairs of a proxy and the address of another host.

    A Bonjour sleep proxy, such as an Apple TV, answers ARP for sleeping Macs with its own MAC. A pair is left
    out if its MAC has an address that no other MAC has, while another MAC has no other address than this one.
    """
    macs_of: dict[str, set[str]] = {}
    for (mac, address), _ in hosts:
        macs_of.setdefault(address, set()).add(mac)
    own_seen: dict[str, float] = {}
    for (mac, address), last_seen in hosts:
        if ":" not in address and len(macs_of[address]) == 1:
            own_seen[mac] = max(last_seen, own_seen.get(mac, -inf))
    owned = {address for address, macs in macs_of.items() if not macs <= own_seen.keys()}
    return [
        ((mac, address), last_seen)
        for (mac, address), last_seen in hosts
        if address not in owned or own_seen.get(mac, -inf) < last_seen - _PROXY_GAP
    ]


def gateway_macs(neighbours: Iterable[Neighbour], lan: Lan) -> frozenset[str]:
    """MAC addresses of the default gateways, which may answer ARP on behalf of other hosts."""
    return frozenset(entry.mac for entry in neighbours if entry.address in lan.gateways)


def _update(hosts: dict[HostKey, float], key: HostKey, last_seen: float) -> None:
    hosts[key] = max(last_seen, hosts.get(key, 0.0))


def _ipv6_host(entry: Neighbour, links: Mapping[int, str], lan: Lan) -> str | None:
    """The link-local or unique local IPv6 address of a host; None = it has none.

    Other addresses are left out: the unit's IPAddressDeny= refuses them, and a host has a link-local one.
    """
    if ":" not in entry.address or entry.address in lan.own_addresses | lan.gateways:
        return None
    if IPv6Address(entry.address).is_link_local:
        return f"{entry.address}%{links[entry.link]}"
    return entry.address if is_unique_local(entry.address) else None


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
        return parse_ipv4(address)
    except AddressValueError:
        return None


_DOCUMENT: Final = "learned"
_MAC: Final = Constraint("a MAC address", lambda text: canonical_mac(text) == text)
_ADDRESS: Final = Constraint("an IP address", is_address)
MAX_DOWNTIME: Final = 86400.0
"""Seconds of a time without powerd that count: after a longer one the wall clock may have stepped."""


@dataclass(frozen=True, slots=True)
class _StoredHosts:
    """The stored document: when it was saved, and when each address of a MAC was last seen, POSIX seconds."""

    hosts: Mapping[
        Annotated[str, _MAC], Mapping[Annotated[str, _ADDRESS], Annotated[float, span(0, _MAX_TIMESTAMP)]]
    ] = field(default_factory=dict)
    saved: Annotated[float, span(0, _MAX_TIMESTAMP)] | None = None


def load_learned_hosts(storage: Storage, now: float) -> LearnedHosts:
    """The stored hosts that were learned on the LAN, with times relative to ``now``, POSIX seconds.

    Only ages are used, since the wall clock may have been set in between.
    """
    stored = storage.load(_DOCUMENT, _StoredHosts, _upgrade).value or _StoredHosts()
    times = [last_seen for addresses in stored.hosts.values() for last_seen in addresses.values()]
    saved = max(times, default=0.0) if stored.saved is None else stored.saved
    downtime = min(max(now - saved, 0.0), MAX_DOWNTIME)
    return {
        (mac, address): now - downtime - max(saved - last_seen, 0.0)
        for mac, addresses in stored.hosts.items()
        for address, last_seen in addresses.items()
    }


def save_learned_hosts(storage: Storage, learned_hosts: LearnedHosts, now: float) -> None:
    """Store the hosts that were learned; ``now`` is the time of their last update, POSIX seconds."""
    stored: dict[str, dict[str, float]] = {}
    for (mac, address), last_seen in learned_hosts.items():
        stored.setdefault(mac, {})[address] = max(round(last_seen), 0)
    if stored:
        storage.save(_DOCUMENT, _StoredHosts(stored, max(round(now), 0)))


def _upgrade(document: Json) -> Json:
    """The first form was ``{MAC: {"address": ..., "seen": ...}}``, the second ``hosts`` alone."""
    if not isinstance(document, dict) or "hosts" in document:
        return document
    hosts: Json = {
        mac: {row["address"]: row.get("seen")}
        if isinstance(row, dict) and isinstance(row.get("address"), str)
        else row
        for mac, row in document.items()
    }
    return {"hosts": hosts}
