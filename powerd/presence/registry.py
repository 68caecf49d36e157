"""The clients: entries of lease files, configured hosts and hosts learned on the LAN, merged into one list.

One host often has several entries: a reservation, a lease and an entry of the neighbour table. Entries of
lease files are merged by MAC address, or by IP address where no MAC is known; learned hosts by IP address.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address
from posixpath import basename
from typing import Final, NamedTuple

from powerd.config.options import ClientOptions as Options
from powerd.linux.ports import Files, Network
from powerd.linux.values import HostError, Lan, Neighbour
from powerd.presence.leases.files import LeaseFiles, LeaseReport
from powerd.presence.leases.format import HostEntry
from powerd.presence.leases.hostapd import HOSTAPD_SOURCE
from powerd.presence.model import HOSTS_SOURCE, LEARNED_SOURCE, Client, ClientId
from powerd.presence.neighbours import HostKey, LearnedHosts, update_learned_hosts

EXPIRED_LEASE_RETENTION: Final = 30 * 86400.0
"""Seconds for which an expired lease still names a client: leases expire while the server sleeps."""
_NEVER_EXPIRES: Final = float("inf")
_RESOLVE_INTERVAL: Final = 3600.0
_RESOLVE_INTERVAL_NEAR_SLEEP: Final = 60.0
"""Seconds between two lookups of a name; shorter while a sleep is near, since addresses change."""
_RESOLVE_RETRY_INTERVAL: Final = 300.0
_MAX_RESOLVED_NAMES: Final = 50
"""Names of reservations that are resolved; each lookup starts a process."""
_SAVE_FRACTION: Final = 0.1
"""The times in the saved list of unlisted neighbours are renewed after this fraction of ``learn``."""
_REBUILD_INTERVAL: Final = 3600.0
"""Seconds after which the list is rebuilt without any change, since leases expire."""
_YIELD_EVERY: Final = 256
"""Entries and clients processed, at about 12 us each, before the event loop gets its turn."""


@dataclass(slots=True)
class _ClientDraft:
    """A client while entries are added to it.

    Attributes:
        other_macs, other_names: of further reservations of its address; as sets that keep their order.
        addresses: each IPv4 address, and when its lease expires (POSIX seconds).
        sources: as a set that keeps its order.
    """

    mac: str | None = None
    name: str | None = None
    other_macs: dict[str, None] = field(default_factory=dict)
    other_names: dict[str, None] = field(default_factory=dict)
    addresses: dict[str, float] = field(default_factory=dict)
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

    def add_entry(self, entry: HostEntry, now: float) -> None:
        """Add an entry of a lease file or of an access point, unless its lease expired long ago."""
        address = _ipv4_or_none(entry.address)
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
            owner = self._owner_by_address.get(address)
            if owner is None or self._is_another_learned_host(owner, mac):
                by_mac = self._owner_of(mac)
                draft = self._drafts.get(by_mac)
                owner = by_mac if draft is not None and not draft.addresses else f"{mac}/{address}"
            draft = self._draft_for(owner, LEARNED_SOURCE, stale=False)
            draft.mac = draft.mac or mac
            draft.addresses.setdefault(address, _NEVER_EXPIRES)
            self._owner_by_address.setdefault(address, owner)

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
            observable = draft.addresses or not {HOSTS_SOURCE, HOSTAPD_SOURCE}.isdisjoint(draft.sources)
            if observable and infrastructure.isdisjoint(draft.addresses):
                yield Client(
                    ClientId(key),
                    tuple(sorted(draft.addresses, key=lambda address: -draft.addresses[address])),
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


def _source_names(sources: set[str]) -> dict[str, str]:
    """What users see for each source: the file name, or the whole path where it is ambiguous."""
    counts = Counter(basename(source) for source in sources)
    return {source: basename(source) if counts[basename(source)] == 1 else source for source in sources}


class _Resolution(NamedTuple):
    """The result of a lookup of a name, when it was made (POSIX seconds), and its error."""

    addresses: tuple[str, ...] = ()
    resolved_at: float = float("-inf")
    ok: bool = False
    error: str | None = None


class ClientRegistry:
    """Knows all clients.

    Args:
        files, network: read lease files and resolve names.
        learned_hosts: the saved ones.
        save_learned: called with the unlisted neighbours when they have changed.

    Attributes:
        learned_hosts: hosts learned on the LAN.
        warnings: what the administrator should correct, one line each.
        unavailable_reason: why clients may be missing; None = none are.
        associated_stations: MAC addresses of the stations of this server's access points.
        stations_current: every access point answered the last poll.
    """

    def __init__(
        self,
        files: Files,
        network: Network,
        learned_hosts: LearnedHosts,
        save_learned: Callable[[LearnedHosts], None],
    ) -> None:
        self.learned_hosts = learned_hosts
        self.warnings: tuple[str, ...] = ()
        self.unavailable_reason: str | None = None
        self.associated_stations: frozenset[str] = frozenset()
        self.stations_current = True
        self._files = files
        self._network = network
        self._save_learned = save_learned
        self._saved_hosts: frozenset[HostKey] = frozenset(learned_hosts)
        self._saved_at: float | None = None
        self._lease_report: LeaseReport | None = None
        self._names_to_resolve: tuple[str, ...] = ()
        self._lease_files: LeaseFiles | None = None
        self._resolutions: dict[str, _Resolution] = {}
        self._inputs: tuple[object, ...] = ()
        self._clients: Mapping[ClientId, Client] = {}

    async def poll(
        self, options: Options, lan: Lan, neighbours: tuple[Neighbour, ...], now: float, *, near_sleep: bool
    ) -> Mapping[ClientId, Client]:
        """Return all clients; the identical mapping for as long as nothing changes.

        Args:
            options: ``[clients]``.
            lan: this server's links and gateways.
            neighbours: the kernel's neighbour table.
            now: POSIX seconds.
            near_sleep: a sleep is near, so names are resolved more often.
        """
        if self._lease_files is None or self._lease_files.paths != options.leases:
            self._lease_files = LeaseFiles(options.leases)
        report = await self._lease_files.poll(self._files, self._network, now)
        self.unavailable_reason, self.stations_current = report.unavailable_reason, report.stations_current
        self._update_learned(options, lan, neighbours, now)
        if report is not self._lease_report:
            self._lease_report, self._names_to_resolve = report, _reservation_names_to_resolve(report)
        names = tuple(dict.fromkeys((*options.hosts, *self._names_to_resolve)))
        await self._resolve(names, now, _RESOLVE_INTERVAL_NEAR_SLEEP if near_sleep else _RESOLVE_INTERVAL)
        addresses = {name: self._resolutions[name].addresses for name in names}
        resolve_errors = {self._resolutions[host].error: None for host in options.hosts}
        self.warnings = (*report.warnings, *filter(None, resolve_errors))
        learned = frozenset(self.learned_hosts)
        inputs = (report, options.hosts, addresses, lan, learned, now // _REBUILD_INTERVAL)
        if inputs != self._inputs:
            self._clients = await self._merge(report, options.hosts, addresses, lan, now)
            self._inputs = inputs
        self._save_if_changed(options.learn, now)
        return self._clients

    @property
    def unlisted_neighbours(self) -> LearnedHosts:
        """Learned hosts that no lease file and no option names; only these need to be saved."""
        unlisted = {
            (client.mac, address)
            for client in self._clients.values()
            if client.sources == (LEARNED_SOURCE,)
            for address in client.addresses
        }
        return {key: last_seen for key, last_seen in self.learned_hosts.items() if key in unlisted}

    def _save_if_changed(self, learn_period: float, now: float) -> None:
        """Save the unlisted neighbours if the set of hosts has changed, or if the saved times are old."""
        unlisted = self.unlisted_neighbours
        if self._saved_at is None:
            self._saved_at = now
        save_due = not 0 <= now - self._saved_at < learn_period * _SAVE_FRACTION
        if unlisted.keys() != self._saved_hosts or (unlisted and save_due):
            self._saved_hosts, self._saved_at = frozenset(unlisted), now
            self._save_learned(unlisted)

    def _update_learned(
        self, options: Options, lan: Lan, neighbours: tuple[Neighbour, ...], now: float
    ) -> None:
        if not options.learn:
            self.learned_hosts = {}
            return
        self.learned_hosts = update_learned_hosts(
            self.learned_hosts, neighbours, lan, now - options.learn, now
        )

    async def _merge(
        self,
        report: LeaseReport,
        hosts: tuple[str, ...],
        addresses: Mapping[str, tuple[str, ...]],
        lan: Lan,
        now: float,
    ) -> Mapping[ClientId, Client]:
        merger = ClientMerger()
        stations = set()
        for count, entry in enumerate(report.entries):
            if count % _YIELD_EVERY == 0:
                await self._files.yield_now()
            if entry.kind == "station" and entry.mac and report.stations_current:
                stations.add(entry.mac)
            merger.add_entry(entry, now)
            if entry.address is None and entry.kind == "reservation":
                for address in addresses.get(entry.name or "", ()):
                    merger.add_entry(entry._replace(address=address), now)
        for host in hosts:
            merger.add_configured_host(host, addresses[host])
        merger.add_learned(self.learned_hosts)
        clients: dict[ClientId, Client] = {}
        for client in merger.clients(lan):
            if len(clients) % _YIELD_EVERY == 0:
                await self._files.yield_now()
            clients[client.id] = client
        self.associated_stations = frozenset(stations)
        return clients

    async def _resolve(self, names: tuple[str, ...], now: float, max_age: float) -> None:
        """Resolve, all at once, the names whose last result is older than ``max_age`` seconds."""
        self._resolutions = {name: self._resolutions.get(name, _Resolution()) for name in names}
        expired = [
            name
            for name, resolution in self._resolutions.items()
            if not 0 <= now - resolution.resolved_at < (max_age if resolution.ok else _RESOLVE_RETRY_INTERVAL)
        ]
        results = await asyncio.gather(*(self._resolve_name(name, now) for name in expired))
        self._resolutions.update(zip(expired, results, strict=True))

    async def _resolve_name(self, name: str, now: float) -> _Resolution:
        """The addresses of a name; the previous ones if it does not resolve at present."""
        if _ipv4_or_none(name):
            return _Resolution((name,), now, ok=True)
        previous = self._resolutions[name]
        try:
            addresses = await self._network.resolve(name)
        except HostError as error:
            return previous._replace(resolved_at=now, ok=False, error=str(error))
        return _Resolution(addresses or previous.addresses, now, ok=bool(addresses))


def _reservation_names_to_resolve(report: LeaseReport) -> tuple[str, ...]:
    """Names of reservations by MAC alone: the ``fixed-address`` of dhcpd.conf(5) may be a host name.

    A reservation whose MAC has a lease is not resolved.
    """
    macs_with_address = {entry.mac for entry in report.entries if entry.address is not None}
    names = (
        entry.name
        for entry in report.entries
        if entry.kind == "reservation" and entry.address is None and entry.mac not in macs_with_address
    )
    return tuple(dict.fromkeys(name for name in names if name))[:_MAX_RESOLVED_NAMES]


def _ipv4_or_none(address: str | None) -> str | None:
    """``address`` if it is IPv4. IPv6 hosts are merged by MAC and never probed by address."""
    try:
        return None if address is None else str(IPv4Address(address))
    except AddressValueError:
        return None
