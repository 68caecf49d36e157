"""Merges entries of lease files, configured hosts and hosts learned on the LAN into clients.

One host often has several entries: a reservation, a lease and an entry of the neighbour table. Entries of
lease files are merged by MAC address, or by IP address where no MAC is known; learned hosts by IP address.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from posixpath import basename
from typing import Final

from powerd.config.options import ClientName
from powerd.linux.values import Lan
from powerd.presence.leases.format import HostEntry
from powerd.presence.leases.hostapd import HOSTAPD_SOURCE
from powerd.presence.model import HOSTS_SOURCE, LEARNED_SOURCE, Client, ClientId
from powerd.presence.names.finder import FoundNames
from powerd.presence.neighbours import LearnedHosts, is_unique_local

EXPIRED_LEASE_RETENTION: Final = 30 * 86400.0
"""Seconds for which an expired lease still names a client: leases expire while the server sleeps."""
_MAX_IPV6_ADDRESSES: Final = 8
"""IPv6 addresses of a client that are probed, the latest ones; hosts change their temporary ones daily."""
_NEVER_EXPIRES: Final = float("inf")


@dataclass(slots=True)
class _ClientDraft:
    """A client while entries are added to it.

    Attributes:
        other_macs, other_names: of further reservations of its address; as sets that keep their order.
        addresses: each address, and when its lease expires (POSIX seconds).
        learned_ipv6: those IPv6 addresses of it that are known only because they were learned.
        sources: as a set that keeps its order.
    """

    mac: str | None = None
    name: str | None = None
    other_macs: dict[str, None] = field(default_factory=dict)
    other_names: dict[str, None] = field(default_factory=dict)
    addresses: dict[str, float] = field(default_factory=dict)
    learned_ipv6: set[str] = field(default_factory=set)
    sources: dict[str, None] = field(default_factory=dict)
    stale: bool = True


class ClientMerger:
    """Merges entries into clients; lease entries come first, then configured hosts, then learned ones."""

    def __init__(self) -> None:
        self._drafts: dict[str, _ClientDraft] = {}
        self._owner_by_address: dict[str, str] = {}
        self._owner_by_reservation: dict[tuple[str, str], str] = {}
        self._merged_into: dict[str, str] = {}
        self._sources = {HOSTS_SOURCE, LEARNED_SOURCE, HOSTAPD_SOURCE}

    @property
    def host_count(self) -> int:
        """The number of hosts that have been added."""
        return len(self._drafts)

    def add_entry(self, entry: HostEntry, now: float) -> None:
        """Add an entry of a lease file or of an access point, unless its lease expired long ago."""
        address = None if entry.address is None or ":" in entry.address else entry.address
        key = entry.mac or (address and self._owner_by_address.get(address, address))
        if key is None or (entry.expires is not None and entry.expires < now - EXPIRED_LEASE_RETENTION):
            return
        key = self._owner_of(key)
        if address is not None and entry.kind == "reservation":
            key = self._owner_of_reservation(key, address, entry.source)
        draft = self._draft_for(key, entry.source, stale=entry.stale)
        draft.mac = draft.mac or entry.mac
        if entry.mac and entry.mac != draft.mac:
            draft.other_macs[entry.mac] = None
            if entry.name and entry.kind == "reservation":
                draft.other_names[entry.name] = None
        elif entry.name and (draft.name is None or (entry.kind == "reservation" and not entry.stale)):
            draft.name = entry.name
        if address is not None:
            expires = _NEVER_EXPIRES if entry.expires is None else entry.expires
            self._assign_address(key, address, expires, entry.kind)
        elif entry.address is not None and is_unique_local(entry.address):
            draft.addresses.setdefault(entry.address, entry.expires or _NEVER_EXPIRES)

    def add_configured_host(self, host: str, addresses: tuple[str, ...]) -> None:
        """Add one of ``[clients] hosts`` and the addresses to which it resolves; () = it does not resolve."""
        owners = self._owner_by_address
        owner = next((owners[address] for address in addresses if address in owners), host)
        draft = self._draft_for(owner, HOSTS_SOURCE, stale=False)
        if host not in addresses:
            draft.name = draft.name or host
        for address in addresses:
            draft.addresses.setdefault(address, _NEVER_EXPIRES)
            owners.setdefault(address, owner)

    def add_learned(self, learned_hosts: LearnedHosts) -> None:
        """Add hosts learned on the LAN, the one seen last first.

        A host belongs to the client that has its address; else to the client with its MAC, if an address is
        all that this one lacks; else it is a client of its own, since a repeater has the MAC of many hosts.
        """
        for mac, address in learned_hosts:
            if ":" in address:
                self._add_ipv6(self._owner_of(mac), mac, address)
                continue
            owner = self._owner_by_address.get(address)
            if owner is None or self._is_another_learned_host(owner, mac):
                by_mac = self._owner_of(mac)
                draft = self._drafts.get(by_mac)
                owner = by_mac if draft is not None and not draft.addresses else f"{mac}/{address}"
            draft = self._draft_for(owner, LEARNED_SOURCE, stale=False)
            draft.mac = draft.mac or mac
            draft.addresses.setdefault(address, _NEVER_EXPIRES)
            self._owner_by_address.setdefault(address, owner)

    def _add_ipv6(self, owner: str, mac: str, address: str) -> None:
        """Add an IPv6 address to the client with its MAC.

        It is probed beside an IPv4 address: hosts that have been seen by IPv4 are not learned by IPv6.
        """
        draft = self._draft_for(self._owner_by_address.get(address, owner), LEARNED_SOURCE, stale=False)
        draft.mac = draft.mac or mac
        if address not in draft.addresses and len(draft.learned_ipv6) < _MAX_IPV6_ADDRESSES:
            draft.addresses[address] = _NEVER_EXPIRES
            draft.learned_ipv6.add(address)

    def _is_another_learned_host(self, owner: str, mac: str) -> bool:
        """Whether ``owner`` is known only as a host that has been learned with another MAC."""
        draft = self._drafts[owner]
        return draft.mac != mac and draft.sources.keys() == {LEARNED_SOURCE}

    def clients(self, lan: Lan) -> Iterator[Client]:
        """All clients, without this server and its gateways.

        A host with a MAC but no address cannot be probed and is left out, unless the configuration names it
        or it is a station of this server's own access point.
        """
        infrastructure = lan.own_addresses | lan.gateways
        names = _source_names(self._sources)
        for key, draft in self._drafts.items():
            addresses = _probed_addresses(draft, lan)
            observable = addresses or not {HOSTS_SOURCE, HOSTAPD_SOURCE}.isdisjoint(draft.sources)
            if observable and infrastructure.isdisjoint(draft.addresses):
                yield Client(
                    ClientId(key),
                    addresses,
                    draft.mac,
                    draft.name,
                    tuple(names[source] for source in draft.sources),
                    draft.stale,
                    runs_here=lan.guests.issuperset({draft.mac, *draft.other_macs}),
                    other_macs=tuple(draft.other_macs),
                    other_names=tuple(name for name in draft.other_names if name != draft.name),
                )

    def _owner_of_reservation(self, key: str, address: str, source: str) -> str:
        """The key of the client for which ``source`` reserves ``address``.

        Several reservations of one address in one file are one client: it has several network cards, or each
        of its names is for one of them. The client ``key`` is merged into the one that has come first.
        """
        owner = self._owner_by_reservation.setdefault((source, address), key)
        owner = self._owner_of(owner)
        if owner == key:
            return owner
        self._merged_into[key] = owner
        merged = self._drafts.pop(key, None)
        if merged is not None:
            draft = self._drafts[owner]
            draft.other_macs |= dict.fromkeys(filter(None, (merged.mac, *merged.other_macs)))
            draft.other_names |= dict.fromkeys(filter(None, (merged.name, *merged.other_names)))
            draft.addresses |= {
                each: max(expires, draft.addresses.get(each, 0.0))
                for each, expires in merged.addresses.items()
            }
            draft.sources |= merged.sources
            draft.stale = draft.stale and merged.stale
            self._owner_by_address |= dict.fromkeys(merged.addresses, owner)
        return owner

    def _owner_of(self, key: str) -> str:
        """The key of the client into which the client ``key`` has been merged; else ``key``."""
        while key in self._merged_into:
            key = self._merged_into[key]
        return key

    def _draft_for(self, key: str, source: str, *, stale: bool) -> _ClientDraft:
        draft = self._drafts.setdefault(key, _ClientDraft())
        draft.sources[source] = None
        draft.stale = draft.stale and stale
        self._sources.add(source)
        return draft

    def _assign_address(self, key: str, address: str, expires: float, kind: str) -> None:
        """Give ``address`` to ``key`` unless another host has a lease for it that expires later.

        A reservation (``expires`` infinite) neither yields to a lease nor displaces one, since dhcpd's leases
        outlive changes of its configuration; then both hosts are probed.
        """
        owner = self._owner_by_address.get(address, key)
        owner_draft = self._drafts[owner]
        owner_expires = owner_draft.addresses.get(address, 0.0)
        if owner != key and kind == "lease" and owner_expires < _NEVER_EXPIRES:
            if owner_expires > expires:
                return
            owner_draft.addresses.pop(address, None)
        self._owner_by_address[address] = key
        draft = self._drafts[key]
        draft.addresses[address] = max(expires, draft.addresses.get(address, 0.0))


def _probed_addresses(draft: _ClientDraft, lan: Lan) -> tuple[str, ...]:
    """IPv4 addresses, else IPv6 ones, the latest lease first; then the learned IPv6 addresses.

    A learned one is left out while this server has no address in its subnet, or if its link is not ready
    and that of another address is: a host moves between links, and the prefix of a LAN changes.
    """
    listed = [address for address in draft.addresses if address not in draft.learned_ipv6]
    by_ipv4 = [address for address in listed if ":" not in address]
    learned = [address for address in draft.addresses if address in draft.learned_ipv6]
    if learned:
        links = {address: lan.link_for(address) for address in draft.addresses}
        ready = {address for address, link in links.items() if link is not None and link.ready}
        learned = [
            address for address in learned if lan.has_source_for(address) and (address in ready or not ready)
        ]
    return (*sorted(by_ipv4 or listed, key=lambda address: -draft.addresses[address]), *learned)


def with_names(client: Client, configured: Iterable[ClientName], found: FoundNames) -> Client:
    """The client with its names: that of the configuration, else that of a lease, else one that was found."""
    given = client.name or found.name_of(client)
    chosen = (
        each.name
        for each in configured
        for mac in client.macs or (None,)
        if each.match.matches(client.addresses, mac, given)
    )
    names = dict.fromkeys(filter(None, (next(chosen, None), given, *client.other_names)))
    return replace(
        client,
        name=next(iter(names), None),
        other_names=tuple(islice(names, 1, None)),
        maker=found.maker_of(client.mac),
    )


def _source_names(sources: set[str]) -> dict[str, str]:
    """What users see for each source: the file name, or the whole path where it is ambiguous."""
    counts = Counter(basename(source) for source in sources)
    return {source: basename(source) if counts[basename(source)] == 1 else source for source in sources}
