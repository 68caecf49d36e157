"""Clients that no file names: whoever on the LAN this server has exchanged traffic with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import Final

from powerd.config.values import canonical_mac
from powerd.host.values import Lan, Neighbour

_MOST: Final = 4096
"""More hosts than a home has; bounds what a spoofing neighbour can make us remember."""


@dataclass(frozen=True, slots=True)
class Learned:
    """A host met on the LAN; ``seen`` is when it last proved to be there, POSIX seconds."""

    address: str
    seen: float


_LATEST: Final = 1e11
"""POSIX time of the year 5138; what claims to be later, infinity above all, is garbage."""

Book = Mapping[str, Learned]
"""Learned hosts by MAC address."""


def learn(book: Book, neighbours: Iterable[Neighbour], lan: Lan, since: float, now: float) -> Book:
    """The book after a look at the neighbour table; newest first.

    Args:
        book: as it was.
        neighbours: the table; the gateway, this server and whatever is not IPv4 on a LAN are passed over.
        lan: tells what those are.
        since: whoever was last seen before this is forgotten, POSIX seconds.
        now: POSIX seconds.
    """
    links = {link.index for link in lan.links}
    gateways = gateway_macs(neighbours := tuple(neighbours), lan)
    met = {
        entry.mac: Learned(entry.address, now - entry.confirmed_ago)
        for entry in sorted(neighbours, key=lambda entry: -entry.confirmed_ago)
        if entry.link in links and entry.mac not in gateways and _is_host(entry.address, lan)
    }
    addresses = {host.address for host in met.values()}
    merged = {
        mac: host for mac, host in book.items() if mac not in gateways and host.address not in addresses
    }
    merged.update({mac: _latest(host, book.get(mac)) for mac, host in met.items()})
    kept = sorted((item for item in merged.items() if item[1].seen >= since), key=lambda item: -item[1].seen)
    return dict(kept[:_MOST])


def gateway_macs(neighbours: Iterable[Neighbour], lan: Lan) -> frozenset[str]:
    """MAC addresses of the default gateways; a proxy that answers ARP for others has one of them."""
    return frozenset(entry.mac for entry in neighbours if entry.address in lan.gateways)


def hosts_of(book: Book) -> frozenset[tuple[str, str]]:
    """The MAC and address of each host; what must be remembered, for ``seen`` changes all the time."""
    return frozenset((mac, host.address) for mac, host in book.items())


def to_json(book: Book) -> dict[str, dict[str, object]]:
    """The book as plain values, for the store."""
    return {mac: {"address": host.address, "seen": round(host.seen)} for mac, host in book.items()}


def from_json(data: object) -> Book:
    """The book of plain values; whatever is not one of its entries is passed over."""
    book: dict[str, Learned] = {}
    for mac, row in data.items() if isinstance(data, dict) else ():
        address, seen = (row.get("address"), row.get("seen")) if isinstance(row, dict) else (None, None)
        if (
            isinstance(mac, str)
            and canonical_mac(mac) == mac
            and isinstance(address, str)
            and _ipv4(address)
            and isinstance(seen, int | float)
            and 0 <= seen <= _LATEST
        ):
            book[mac] = Learned(address, float(seen))
    return book


def _latest(host: Learned, before: Learned | None) -> Learned:
    return host if before is None or host.seen >= before.seen else Learned(host.address, before.seen)


def _is_host(address: str, lan: Lan) -> bool:
    parsed = _ipv4(address)
    return (
        parsed is not None
        and address not in lan.own
        and address not in lan.gateways
        and lan.link_of(parsed) is not None
    )


def _ipv4(address: str) -> IPv4Address | None:
    try:
        return IPv4Address(address)
    except AddressValueError:
        return None
