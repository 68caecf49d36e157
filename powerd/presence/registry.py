"""Who is known: leads of all lease files, hosts of the configuration and learned hosts, joined into clients.

One host is often named three times: by a reservation, a lease and the neighbour table. MAC addresses join
them; where only an address is known, the address does.

Keeps the roster up to date: lease files, names that resolve, and learned hosts; rebuilt only on change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import AddressValueError, IPv4Address
from typing import Final, NamedTuple

from powerd.config.options import ClientOptions as Options
from powerd.linux.ports import Surroundings
from powerd.linux.values import HostError, Lan, Neighbour
from powerd.presence.leases.files import LeaseFiles, LeaseReport
from powerd.presence.leases.format import HostEntry
from powerd.presence.model import Client, ClientId
from powerd.presence.neighbours import LearnedHosts, mac_address_pairs, update_learned_hosts

EXPIRED_LEASE_RETENTION: Final = 30 * 86400.0
"""A lease that has run out names a client for so long yet, seconds: servers sleep, leases lapse."""
_NEVER_EXPIRES: Final = float("inf")


@dataclass(slots=True)
class _ClientDraft:
    """A client being put together; addresses with the end of their leases, POSIX seconds."""

    mac: str | None = None
    name: str | None = None
    addresses: dict[str, float] = field(default_factory=dict)
    sources: dict[str, None] = field(default_factory=dict)
    stale: bool = True


class ClientMerger:
    """Joins what is added: leads first, then hosts, then learned ones."""

    def __init__(self) -> None:
        self._drafts: dict[str, _ClientDraft] = {}
        self._owner_by_address: dict[str, str] = {}

    def add_entry(self, entry: HostEntry, label: str, *, stale: bool, now: float) -> None:
        """A host that the file ``label`` names, or named while ``stale``; a lease long run out is none."""
        address = _ipv4_or_none(entry.address)
        key = entry.mac or (address and self._owner_by_address.get(address, address))
        if key is None or (entry.expires is not None and entry.expires < now - EXPIRED_LEASE_RETENTION):
            return
        draft = self._draft_for(key, "hostapd" if entry.kind == "station" else label, stale=stale)
        draft.mac = draft.mac or entry.mac
        if entry.name and (entry.kind == "reservation" or draft.name is None):
            draft.name = entry.name
        if address is not None:
            self._assign_address(
                key, address, _NEVER_EXPIRES if entry.expires is None else entry.expires, entry.kind
            )

    def add_configured_host(self, host: str, addresses: tuple[str, ...]) -> None:
        """One of ``[clients] hosts`` and what it resolves to; () = it could not be resolved."""
        owner = next(
            (self._owner_by_address[address] for address in addresses if address in self._owner_by_address),
            host,
        )
        draft = self._draft_for(owner, "hosts", stale=False)
        if host not in addresses:
            draft.name = draft.name or host
        for address in addresses:
            draft.addresses.setdefault(address, _NEVER_EXPIRES)
            self._owner_by_address.setdefault(address, owner)

    def add_learned(self, learned_hosts: LearnedHosts) -> None:
        """Hosts met on the LAN: known already by MAC or by address, or new."""
        for mac, learned in learned_hosts.items():
            owner = mac if mac in self._drafts else self._owner_by_address.get(learned.address, mac)
            draft = self._draft_for(owner, "learned", stale=False)
            draft.mac = draft.mac or mac
            draft.addresses.setdefault(learned.address, _NEVER_EXPIRES)
            self._owner_by_address.setdefault(learned.address, owner)

    def clients(self, lan: Lan) -> Iterator[Client]:
        """Everybody who may be home; this server and its gateways never are.

        A host with a MAC but no address is left out, for it cannot be asked, unless the configuration wants
        it or it is a station of this server's own access point.
        """
        infrastructure = lan.own_addresses | lan.gateways
        for key, draft in self._drafts.items():
            reachable = draft.addresses or not {"hosts", "hostapd"}.isdisjoint(draft.sources)
            if reachable and infrastructure.isdisjoint(draft.addresses):
                yield _client_from_draft(key, draft)

    def _draft_for(self, key: str, source: str, *, stale: bool) -> _ClientDraft:
        draft = self._drafts.setdefault(key, _ClientDraft())
        draft.sources[source] = None
        draft.stale = draft.stale and stale
        return draft

    def _assign_address(self, key: str, address: str, expires: float, kind: str) -> None:
        """Give ``address`` to ``key`` unless another host holds it for longer by a lease.

        A reservation (``until`` for ever) yields to no lease and takes from none: dhcpd leases outlive edits
        of its configuration, so then both are asked.
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


def _client_from_draft(key: str, draft: _ClientDraft) -> Client:
    addresses = sorted(draft.addresses, key=lambda address: -draft.addresses[address])
    return Client(ClientId(key), tuple(addresses), draft.mac, draft.name, tuple(draft.sources), draft.stale)


def _ipv4_or_none(address: str | None) -> str | None:
    """``address`` if it is IPv4: an IPv6 one is joined by its MAC, and never asked."""
    try:
        return None if address is None else str(IPv4Address(address))
    except AddressValueError:
        return None


_RESOLVE_INTERVAL: Final = 3600.0
_RESOLVE_RETRY_INTERVAL: Final = 300.0
_RESOLVE_INTERVAL_NEAR_SLEEP: Final = 60.0
"""Names are resolved this often, seconds; the last while a sleep is near, for addresses move."""
_SAVE_FRACTION: Final = 0.1
"""When a stranger was seen last is written down anew after this part of ``learn``."""
_MAX_RESOLVED_NAMES: Final = 50
"""Names in reservations that are resolved; each is a child process an hour."""
_YIELD_EVERY: Final = 256
"""Leads and clients joined, at some 12 us each, before the loop gets its turn."""
_REBUILD_INTERVAL: Final = 3600.0
"""Even if nothing changes, leases lapse: the roster is made anew this often, seconds."""


class _Resolution(NamedTuple):
    """What a name stood for, when it was asked (POSIX seconds), and why there was no answer."""

    addresses: tuple[str, ...] = ()
    resolved_at: float = float("-inf")
    ok: bool = False
    error: str | None = None


class ClientRegistry:
    """Who there is to look for.

    Args:
        machine: the host.
        learned_hosts: learned hosts, as they were when powerd last stopped.
        save_learned: called with the learned hosts that nothing else names, when these are others than
            before.
    """

    def __init__(
        self, machine: Surroundings, learned_hosts: LearnedHosts, save_learned: Callable[[LearnedHosts], None]
    ) -> None:
        self.learned_hosts = learned_hosts
        self.warnings: tuple[str, ...] = ()
        self.unavailable_reason: str | None = None
        self.associated_stations: frozenset[str] = frozenset()
        self.stations_current = True
        self._machine = machine
        self._save_learned = save_learned
        self._saved_hosts = mac_address_pairs(learned_hosts)
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
        """Everybody who may be home; the same mapping as before where nothing has changed.

        ``blind`` then says why somebody may be unknown: a lease file that was relied on can no longer be.

        Args:
            options: ``[clients]``.
            lan: this server's links and gateways.
            neighbours: the kernel's table.
            now: POSIX seconds.
            near_sleep: a sleep is near, so that a name is not to be trusted for as long as usual.
        """
        if self._lease_files is None or self._lease_files.paths != options.leases:
            self._lease_files = LeaseFiles(options.leases)
        report = await self._lease_files.poll(self._machine, now)
        self.unavailable_reason, self.stations_current = report.unavailable_reason, report.stations_current
        self._update_learned(options, lan, neighbours, now)
        if report is not self._lease_report:
            self._lease_report, self._names_to_resolve = report, _reservation_names_to_resolve(report)
        names = tuple(dict.fromkeys((*options.hosts, *self._names_to_resolve)))
        await self._resolve(names, now, _RESOLVE_INTERVAL_NEAR_SLEEP if near_sleep else _RESOLVE_INTERVAL)
        addresses = {name: self._resolutions[name].addresses for name in names}
        resolve_errors = {self._resolutions[host].error: None for host in options.hosts}
        self.warnings = (*report.warnings, *filter(None, resolve_errors))
        inputs = (
            report,
            options.hosts,
            addresses,
            lan,
            mac_address_pairs(self.learned_hosts),
            now // _REBUILD_INTERVAL,
        )
        if inputs != self._inputs:
            self._clients = await self._build_clients(report, options.hosts, addresses, (lan, now))
            self._inputs = inputs
        self._save_if_changed(options.learn, now)
        return self._clients

    def _save_if_changed(self, learn_period: float, now: float) -> None:
        """Have strangers remembered when they are others than before, or their dates have grown old."""
        unlisted = self.unlisted_neighbours
        if self._saved_at is None:
            self._saved_at = now
        save_due = not 0 <= now - self._saved_at < learn_period * _SAVE_FRACTION
        if mac_address_pairs(unlisted) != self._saved_hosts or (unlisted and save_due):
            self._saved_hosts, self._saved_at = mac_address_pairs(unlisted), now
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

    async def _build_clients(
        self,
        report: LeaseReport,
        hosts: tuple[str, ...],
        addresses: Mapping[str, tuple[str, ...]],
        context: tuple[Lan, float],
    ) -> Mapping[ClientId, Client]:
        lan, now = context
        merger = ClientMerger()
        stations = set()
        for count, labelled in enumerate(report.entries):
            if count % _YIELD_EVERY == 0:
                await self._machine.yield_now()
            if labelled.entry.kind == "station" and labelled.entry.mac and report.stations_current:
                stations.add(labelled.entry.mac)
            merger.add_entry(labelled.entry, labelled.label, stale=labelled.stale, now=now)
            if labelled.entry.address is None and labelled.entry.kind == "reservation":
                for address in addresses.get(labelled.entry.name or "", ()):
                    entry = replace(labelled.entry, address=address)
                    merger.add_entry(entry, labelled.label, stale=labelled.stale, now=now)
        for host in hosts:
            merger.add_configured_host(host, addresses[host])
        merger.add_learned(self.learned_hosts)
        clients: dict[ClientId, Client] = {}
        for client in merger.clients(lan):
            if len(clients) % _YIELD_EVERY == 0:
                await self._machine.yield_now()
            clients[client.id] = client
        self.associated_stations = frozenset(stations)
        return clients

    @property
    def unlisted_neighbours(self) -> LearnedHosts:
        """Learned hosts that nothing else names; only these need be remembered."""
        unlisted_macs = {client.mac for client in self._clients.values() if client.sources == ("learned",)}
        return {mac: host for mac, host in self.learned_hosts.items() if mac in unlisted_macs}

    async def _resolve(self, names: tuple[str, ...], now: float, max_age: float) -> None:
        """Have an answer for each host, none older than ``again``; all are asked at once."""
        self._resolutions = {name: self._resolutions.get(name, _Resolution()) for name in names}
        expired = [
            host
            for host, resolution in self._resolutions.items()
            if not 0 <= now - resolution.resolved_at < (max_age if resolution.ok else _RESOLVE_RETRY_INTERVAL)
        ]
        answers = await asyncio.gather(*(self._resolve_name(host, now) for host in expired))
        self._resolutions.update(zip(expired, answers, strict=True))

    async def _resolve_name(self, name: str, now: float) -> _Resolution:
        """What a configured host stands for; the last known addresses where it does not resolve just now."""
        if _is_ipv4(name):
            return _Resolution((name,), now, ok=True)
        previous = self._resolutions[name]
        try:
            addresses = await self._machine.resolve(name)
        except HostError as error:
            return previous._replace(resolved_at=now, ok=False, error=str(error))
        return _Resolution(addresses or previous.addresses, now, ok=bool(addresses))


def _reservation_names_to_resolve(report: LeaseReport) -> tuple[str, ...]:
    """Names of reservations by MAC alone: the ``fixed-address`` of dhcpd.conf(5) may be a host name.

    One whose MAC has a lease need not be resolved.
    """
    macs_with_address = {
        labelled.entry.mac for labelled in report.entries if labelled.entry.address is not None
    }
    names = (
        named.entry.name
        for named in report.entries
        if named.entry.kind == "reservation"
        and named.entry.address is None
        and named.entry.mac not in macs_with_address
    )
    return tuple(dict.fromkeys(name for name in names if name))[:_MAX_RESOLVED_NAMES]


def _is_ipv4(host: str) -> bool:
    try:
        IPv4Address(host)
    except AddressValueError:
        return False
    return True
