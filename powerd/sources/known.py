"""Keeps the roster up to date: lease files, names that resolve, and learned hosts; rebuilt only on change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import AddressValueError, IPv4Address
from typing import Final, NamedTuple

from powerd.config import Clients as Options
from powerd.host.eyes import Surroundings
from powerd.host.values import HostError, Lan, Neighbour
from powerd.model import Client, ClientId
from powerd.sources.learned import Book, hosts_of, learn
from powerd.sources.leases.files import LeaseFiles, Report
from powerd.sources.roster import Roster

_RESOLVE_AGAIN: Final = 3600.0
_RESOLVE_RETRY: Final = 300.0
_RESOLVE_CLOSE: Final = 60.0
"""Names are resolved this often, seconds; the last while a sleep is near, for addresses move."""
_REMEMBER_AGAIN: Final = 0.1
"""When a stranger was seen last is written down anew after this part of ``learn``."""
_MOST_NAMES: Final = 50
"""Names in reservations that are resolved; each is a child process an hour."""
_BREATH: Final = 256
"""Leads and clients joined, at some 12 us each, before the loop gets its turn."""
_REBUILD: Final = 3600.0
"""Even if nothing changes, leases lapse: the roster is made anew this often, seconds."""


class _Resolved(NamedTuple):
    """What a name stood for, when it was asked (POSIX seconds), and why there was no answer."""

    addresses: tuple[str, ...] = ()
    at: float = float("-inf")
    ok: bool = False
    trouble: str | None = None


class Known:
    """Who there is to look for.

    Args:
        eyes: the host.
        book: learned hosts, as they were when powerd last stopped.
        remember: called with the learned hosts that nothing else names, when these are others than before.
    """

    def __init__(self, eyes: Surroundings, book: Book, remember: Callable[[Book], None]) -> None:
        self.book = book
        self.warnings: tuple[str, ...] = ()
        self.blind: str | None = None
        self.stations: frozenset[str] = frozenset()
        self.stations_asked = True
        self._eyes = eyes
        self._remember = remember
        self._remembered = hosts_of(book)
        self._remembered_at: float | None = None
        self._report: Report | None = None
        self._reserved: tuple[str, ...] = ()
        self._files: LeaseFiles | None = None
        self._resolved: dict[str, _Resolved] = {}
        self._made_from: tuple[object, ...] = ()
        self._clients: Mapping[ClientId, Client] = {}

    async def look(
        self, options: Options, lan: Lan, neighbours: tuple[Neighbour, ...], now: float, *, closely: bool
    ) -> Mapping[ClientId, Client]:
        """Everybody who may be home; the same mapping as before where nothing has changed.

        ``blind`` then says why somebody may be unknown: a lease file that was relied on can no longer be.

        Args:
            options: ``[clients]``.
            lan: this server's links and gateways.
            neighbours: the kernel's table.
            now: POSIX seconds.
            closely: a sleep is near, so that a name is not to be trusted for as long as usual.
        """
        if self._files is None or self._files.paths != options.leases:
            self._files = LeaseFiles(options.leases)
        report = await self._files.look(self._eyes, now)
        self.blind, self.stations_asked = report.blind, report.stations_asked
        self._learn(options, lan, neighbours, now)
        if report is not self._report:
            self._report, self._reserved = report, _reserved_names(report)
        names = tuple(dict.fromkeys((*options.hosts, *self._reserved)))
        await self._resolve(names, now, _RESOLVE_CLOSE if closely else _RESOLVE_AGAIN)
        addresses = {name: self._resolved[name].addresses for name in names}
        troubles = {self._resolved[host].trouble: None for host in options.hosts}
        self.warnings = (*report.warnings, *filter(None, troubles))
        made_from = (report, options.hosts, addresses, lan, hosts_of(self.book), now // _REBUILD)
        if made_from != self._made_from:
            self._clients = await self._roster(report, options.hosts, addresses, (lan, now))
            self._made_from = made_from
        self._keep(options.learn, now)
        return self._clients

    def _keep(self, learn_for: float, now: float) -> None:
        """Have strangers remembered when they are others than before, or their dates have grown old."""
        strangers = self.strangers
        if self._remembered_at is None:
            self._remembered_at = now
        grown_old = not 0 <= now - self._remembered_at < learn_for * _REMEMBER_AGAIN
        if hosts_of(strangers) != self._remembered or (strangers and grown_old):
            self._remembered, self._remembered_at = hosts_of(strangers), now
            self._remember(strangers)

    def _learn(self, options: Options, lan: Lan, neighbours: tuple[Neighbour, ...], now: float) -> None:
        if not options.learn:
            self.book = {}
            return
        self.book = learn(self.book, neighbours, lan, now - options.learn, now)

    async def _roster(
        self,
        report: Report,
        hosts: tuple[str, ...],
        addresses: Mapping[str, tuple[str, ...]],
        place: tuple[Lan, float],
    ) -> Mapping[ClientId, Client]:
        lan, now = place
        roster = Roster()
        stations = set()
        for count, named in enumerate(report.leads):
            if count % _BREATH == 0:
                await self._eyes.breathe()
            if named.lead.kind == "station" and named.lead.mac and report.stations_asked:
                stations.add(named.lead.mac)
            roster.add_lead(named.lead, named.label, stale=named.stale, now=now)
            if named.lead.address is None and named.lead.kind == "reservation":
                for address in addresses.get(named.lead.name or "", ()):
                    lead = replace(named.lead, address=address)
                    roster.add_lead(lead, named.label, stale=named.stale, now=now)
        for host in hosts:
            roster.add_host(host, addresses[host])
        roster.add_learned(self.book)
        clients: dict[ClientId, Client] = {}
        for client in roster.clients(lan):
            if len(clients) % _BREATH == 0:
                await self._eyes.breathe()
            clients[client.id] = client
        self.stations = frozenset(stations)
        return clients

    @property
    def strangers(self) -> Book:
        """Learned hosts that nothing else names; only these need be remembered."""
        only = {client.mac for client in self._clients.values() if client.sources == ("learned",)}
        return {mac: host for mac, host in self.book.items() if mac in only}

    async def _resolve(self, hosts: tuple[str, ...], now: float, again: float) -> None:
        """Have an answer for each host, none older than ``again``; all are asked at once."""
        self._resolved = {host: self._resolved.get(host, _Resolved()) for host in hosts}
        old = [
            host
            for host, last in self._resolved.items()
            if not 0 <= now - last.at < (again if last.ok else _RESOLVE_RETRY)
        ]
        answers = await asyncio.gather(*(self._address(host, now) for host in old))
        self._resolved.update(zip(old, answers, strict=True))

    async def _address(self, host: str, now: float) -> _Resolved:
        """What a configured host stands for; the last known addresses where it does not resolve just now."""
        if _is_address(host):
            return _Resolved((host,), now, ok=True)
        before = self._resolved[host]
        try:
            addresses = await self._eyes.resolve(host)
        except HostError as error:
            return before._replace(at=now, ok=False, trouble=str(error))
        return _Resolved(addresses or before.addresses, now, ok=bool(addresses))


def _reserved_names(report: Report) -> tuple[str, ...]:
    """Names of reservations by MAC alone: the ``fixed-address`` of dhcpd.conf(5) may be a host name.

    One whose MAC has a lease need not be resolved.
    """
    placed = {named.lead.mac for named in report.leads if named.lead.address is not None}
    names = (
        named.lead.name
        for named in report.leads
        if named.lead.kind == "reservation" and named.lead.address is None and named.lead.mac not in placed
    )
    return tuple(dict.fromkeys(name for name in names if name))[:_MOST_NAMES]


def _is_address(host: str) -> bool:
    try:
        IPv4Address(host)
    except AddressValueError:
        return False
    return True
