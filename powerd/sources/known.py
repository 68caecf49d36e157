"""Keeps the roster up to date: lease files, names that resolve, and learned hosts; rebuilt only on change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from powerd.config import Clients as Options
from powerd.host.eyes import Eyes
from powerd.host.values import Lan, Neighbour
from powerd.model import Client, ClientId
from powerd.sources.learned import Book, hosts_of, learn
from powerd.sources.leases.files import LeaseFiles, Report
from powerd.sources.roster import Roster

_RESOLVE_AGAIN: Final = 3600.0
_RESOLVE_RETRY: Final = 300.0
_REBUILD: Final = 3600.0
"""Even if nothing changes, leases lapse: the roster is made anew this often, seconds."""


class Known:
    """Who there is to look for.

    Args:
        eyes: the host.
        book: learned hosts, as they were when powerd last stopped.
        remember: called with the learned hosts that nothing else names, when these are others than before.
    """

    def __init__(self, eyes: Eyes, book: Book, remember: Callable[[Book], None]) -> None:
        self.book = book
        self.warnings: tuple[str, ...] = ()
        self.blind: str | None = None
        self.stations: frozenset[str] = frozenset()
        self._eyes = eyes
        self._remember = remember
        self._files: LeaseFiles | None = None
        self._resolved: dict[str, tuple[tuple[str, ...], float]] = {}
        self._made_from: tuple[object, ...] = ()
        self._clients: Mapping[ClientId, Client] = {}

    async def look(
        self, options: Options, lan: Lan, neighbours: tuple[Neighbour, ...], now: float
    ) -> Mapping[ClientId, Client]:
        """Everybody who may be home; the same mapping as before where nothing has changed.

        ``blind`` then says why somebody may be unknown: a lease file that was relied on can no longer be.
        """
        if self._files is None or self._files.paths != options.leases:
            self._files = LeaseFiles(options.leases)
        report = await self._files.look(self._eyes, now)
        self.warnings = report.warnings
        self.blind = report.blind
        self._learn(options, lan, neighbours, now)
        hosts = {host: await self._address(host, now) for host in options.hosts}
        made_from = (report, hosts, lan, hosts_of(self.book), now // _REBUILD)
        if made_from != self._made_from:
            strangers = hosts_of(self.strangers)
            self._clients = self._roster(report, hosts, lan, now)
            self._made_from = made_from
            if hosts_of(self.strangers) != strangers:
                self._remember(self.strangers)
        return self._clients

    def _learn(self, options: Options, lan: Lan, neighbours: tuple[Neighbour, ...], now: float) -> None:
        if not options.learn:
            self.book = {}
            return
        self.book = learn(self.book, neighbours, lan, now - options.learn, now)

    def _roster(
        self, report: Report, hosts: Mapping[str, tuple[str, ...]], lan: Lan, now: float
    ) -> Mapping[ClientId, Client]:
        roster = Roster()
        for named in report.leads:
            roster.add_lead(named.lead, named.label, stale=named.stale, now=now)
        for host, addresses in hosts.items():
            roster.add_host(host, addresses)
        roster.add_learned(self.book)
        self.stations = frozenset(
            named.lead.mac for named in report.leads if named.lead.kind == "station" and named.lead.mac
        )
        return roster.clients(lan)

    @property
    def strangers(self) -> Book:
        """Learned hosts that nothing else names; only these need be remembered."""
        only = {client.mac for client in self._clients.values() if client.sources == ("learned",)}
        return {mac: host for mac, host in self.book.items() if mac in only}

    async def _address(self, host: str, now: float) -> tuple[str, ...]:
        """Addresses of a configured host; the last known ones where it does not resolve at the moment."""
        if host.replace(".", "").isdigit():
            return (host,)
        addresses, again = self._resolved.get(host, ((), 0.0))
        if now >= again or again > now + _RESOLVE_AGAIN:
            fresh = await self._eyes.resolve(host)
            addresses = fresh or addresses
            self._resolved[host] = (addresses, now + (_RESOLVE_AGAIN if fresh else _RESOLVE_RETRY))
        return addresses
