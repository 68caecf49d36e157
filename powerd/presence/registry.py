"""The clients: polls lease files, resolves names, learns hosts on the LAN, and merges all into one list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Final, NamedTuple

from powerd.config.options import ClientOptions as Options
from powerd.config.values import is_address
from powerd.core.time import Moment, is_clock_believable
from powerd.core.turns import in_turns
from powerd.linux.ports import Files, Network
from powerd.linux.values import HostError, Lan, Neighbour
from powerd.presence.leases.files import LeaseFiles, LeaseReport
from powerd.presence.merger import ClientMerger, with_names
from powerd.presence.model import LEARNED_SOURCE, MAX_CLIENTS, Client, ClientId
from powerd.presence.names.finder import FoundNames
from powerd.presence.neighbours import HostKey, LearnedHosts, gateway_macs, update_learned_hosts
from powerd.presence.silences import UPPER_LIMIT

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
_MAX_HOSTS: Final = 65_536
"""Hosts of lease files that are merged; a million would take 500 MB. The source probes fewer still."""
_EARLY_RENEWAL: Final = 0.57
"""The fraction of a lease that is left if it is renewed before half of its time (T1, RFC 2131, 4.4.5).

dnsmasq sets T1 to up to a 16th of the time less than half (dhcp_reply() of its rfc2131.c). ISC dhclient
renews up to a quarter of T1 sooner (its dhclient.c), but runs on PCs, which do not nap.
"""
_LEAST_RENEWAL: Final = 30.0
"""Seconds by which a renewal moves the end of a lease at least. odhcpd rewrites ends a second later."""
_CLOCK_STEP: Final = 60.0
"""Seconds; a smaller change of the wall clock is not a step."""
_STABLE_TIME: Final = 600.0
"""Seconds without a step after which the wall clock is followed back to where it was before a step."""
_MAX_GATEWAYS: Final = 64
"""Gateways whose MAC addresses are remembered; a network has few."""
_SYNCHRONISED: Final = "/run/systemd/timesync/synchronized"
"""Exists once systemd-timesyncd has set the clock since the boot (systemd-timesyncd.service(8)).

adjtimex(2) would report it for every NTP client, but ProtectClock=yes denies this system call to the daemon.
"""


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
        save_learned: called with the unlisted neighbours and the time, POSIX seconds, when they have changed.
        found_names: returns what was found of names and makers.

    Attributes:
        learned_hosts: hosts learned on the LAN.
        warnings: what the administrator should correct, one line each.
        unavailable_reason: why clients may be missing; None = none are.
        associated_stations: MAC addresses of the stations of this server's access points.
        gateway_macs: MAC addresses of the default gateways, also of those that the neighbour table lacks at
            present, as after a resume.
        stations_current: every access point answered the last poll.
        clock_synchronised: an NTP client has set the wall clock.
        now: POSIX time of the last poll, without steps of the wall clock, seconds.
        renewed: MAC addresses whose lease has been renewed since the last poll, each with whether its client
            has joined the network again: a client that has stayed renews its lease after half of its time,
            and one that naps no later than UPPER_LIMIT after the end of a short one.
    """

    def __init__(
        self,
        files: Files,
        network: Network,
        learned_hosts: LearnedHosts,
        save_learned: Callable[[LearnedHosts, float], None],
        found_names: Callable[[], FoundNames] = FoundNames,
    ) -> None:
        self.learned_hosts = learned_hosts
        self.warnings: tuple[str, ...] = ()
        self.unavailable_reason: str | None = None
        self.associated_stations: frozenset[str] = frozenset()
        self.gateway_macs: frozenset[str] = frozenset()
        self._gateway_entries: dict[tuple[int, str], Neighbour] = {}
        self.stations_current = True
        self.clock_synchronised = False
        self._origin = float("inf")
        self._first_origin = float("inf")
        self._stable = (0.0, 0.0)
        self.now = 0.0
        self.renewed: dict[str, bool] = {}
        self._lease_ends: dict[str, float] | None = None
        self._files = files
        self._network = network
        self._save_learned = save_learned
        self._found_names = found_names
        self._saved_hosts: frozenset[HostKey] = frozenset(learned_hosts)
        self._saved_at: float | None = None
        self._lease_report: LeaseReport | None = None
        self._limit_reason: str | None = None
        self._names_to_resolve: tuple[str, ...] = ()
        self._lease_files: LeaseFiles | None = None
        self._resolutions: dict[str, _Resolution] = {}
        self._inputs: tuple[object, ...] = ()
        self._clients: Mapping[ClientId, Client] = {}

    async def poll(
        self, options: Options, lan: Lan, neighbours: tuple[Neighbour, ...], at: Moment, *, near_sleep: bool
    ) -> Mapping[ClientId, Client]:
        """Return all clients; the identical mapping for as long as nothing changes.

        Args:
            options: ``[clients]``.
            lan: this server's links and gateways.
            neighbours: the kernel's neighbour table.
            at: the present moment.
            near_sleep: a sleep is near, so names are resolved more often.
        """
        self.clock_synchronised = self._files.stat_signature(_SYNCHRONISED) is not None
        believable = is_clock_believable(at, synchronised=self.clock_synchronised)
        now = self.now = self._steady_time(at, believable=believable)
        if self._lease_files is None or self._lease_files.paths != options.leases:
            self._lease_files = LeaseFiles(options.leases)
        report = await self._lease_files.poll(self._files, self._network, now)
        self.stations_current = report.stations_current
        self.renewed = {}
        if report is not self._lease_report:
            await self._update_renewed(report, at.wall.timestamp())
            self._names_to_resolve = await self._reservation_names_to_resolve(report)
            self._lease_report = report
        self._update_learned(options, lan, neighbours, now)
        names = tuple(dict.fromkeys((*options.hosts, *self._names_to_resolve)))
        await self._resolve(names, now, _RESOLVE_INTERVAL_NEAR_SLEEP if near_sleep else _RESOLVE_INTERVAL)
        addresses = {name: self._resolutions[name].addresses for name in names}
        resolve_errors = {self._resolutions[host].error: None for host in options.hosts}
        self.warnings = (*report.warnings, *filter(None, resolve_errors))
        learned = frozenset(self.learned_hosts)
        naming = options.name, self._found_names()
        hour = now // _REBUILD_INTERVAL
        inputs = (id(report), options.hosts, addresses, lan, learned, believable, hour, naming)
        if inputs != self._inputs:
            lease_time = now if believable else 0.0  # no lease has expired by a clock that may be wrong
            merger = await self._merge(report, options.hosts, addresses, lease_time)
            clients = in_turns(merger.clients(lan))
            self._clients = {client.id: with_names(client, *naming) async for client in clients}
            self._inputs = inputs
        self.unavailable_reason = report.unavailable_reason or self._limit_reason
        self._save_if_changed(options.learn, now)
        return self._clients

    @property
    def unlisted_neighbours(self) -> LearnedHosts:
        """Learned hosts that no lease file and no option names; only these need to be saved.

        IPv6 addresses that cannot be probed at present are among them: their link or prefix may come back.
        """
        unlisted = {
            (client.mac, address)
            for client in self._clients.values()
            if client.sources == (LEARNED_SOURCE,)
            for address in client.addresses
        }
        probed = {address for client in self._clients.values() for address in client.addresses}
        return {
            key: last_seen
            for key, last_seen in self.learned_hosts.items()
            if key in unlisted or (":" in key[1] and key[1] not in probed)
        }

    def _save_if_changed(self, learn_period: float, now: float) -> None:
        """Save the unlisted neighbours if the set of hosts has changed, or if the saved times are old."""
        unlisted = self.unlisted_neighbours
        if self._saved_at is None:
            self._saved_at = now
        save_due = not 0 <= now - self._saved_at < learn_period * _SAVE_FRACTION
        if unlisted.keys() != self._saved_hosts or (unlisted and save_due):
            self._saved_hosts, self._saved_at = frozenset(unlisted), now
            self._save_learned(unlisted, now)

    def save(self) -> None:
        """Save the unlisted neighbours."""
        if self.now:  # else there has been no poll, and nothing is known yet
            self._save_learned(self.unlisted_neighbours, self.now)

    def _steady_time(self, at: Moment, *, believable: bool) -> float:
        """The POSIX time without the steps of the wall clock into the future, seconds.

        By such a step all leases would expire, and all learned hosts would be forgotten. Only a step into the
        past is undone, once the clock has been stable for some time; hosts learned since keep their age.
        """
        elapsed = at.mono + at.slept
        origin = at.wall.timestamp() - elapsed
        if self._origin == float("inf"):
            self._first_origin = origin
        self._origin = min(self._origin, origin)
        target = min(origin, self._first_origin)
        step = target - self._origin
        stable_at, stable_since = self._stable
        if not believable or step < _CLOCK_STEP or abs(target - stable_at) > _CLOCK_STEP:
            self._stable = (target, elapsed)
        elif elapsed - stable_since >= _STABLE_TIME:
            now, self._origin = self._origin + elapsed, target
            self.learned_hosts = {
                key: last_seen + step if last_seen <= now else last_seen
                for key, last_seen in self.learned_hosts.items()
            }
        return self._origin + elapsed

    def _update_learned(
        self, options: Options, lan: Lan, neighbours: tuple[Neighbour, ...], now: float
    ) -> None:
        seen = {(entry.link, entry.address): entry for entry in neighbours if entry.address in lan.gateways}
        entries = (self._gateway_entries | seen).items()
        self._gateway_entries = dict(islice(entries, max(len(entries) - _MAX_GATEWAYS, 0), None))
        gateways = [entry for entry in self._gateway_entries.values() if entry.address in lan.gateways]
        self.gateway_macs = gateway_macs(gateways, lan)
        if not options.learn:
            self.learned_hosts = {}
            return
        self.learned_hosts = update_learned_hosts(
            self.learned_hosts, (*neighbours, *gateways), lan, now - options.learn, now
        )

    async def _update_renewed(self, report: LeaseReport, now: float) -> None:
        """Find the leases that have been renewed; ``now`` is the wall clock, which the DHCP server uses."""
        ends: dict[str, float] = {}
        async for entry in in_turns(report.entries):
            if entry.kind == "lease" and entry.mac and entry.expires is not None and not entry.stale:
                ends[entry.mac] = max(entry.expires, ends.get(entry.mac, 0.0))
        before = self._lease_ends
        recent = {mac: end for mac, end in (before or {}).items() if now - end <= UPPER_LIMIT}
        self._lease_ends = recent | ends  # a file may be missing for one poll
        if before is None:
            return
        for mac, end in ends.items():
            previous = before.get(mac, 0.0)
            if end > now and end - previous > _LEAST_RENEWAL:
                lease_time = end - now
                is_early = previous - now > _EARLY_RENEWAL * lease_time
                self.renewed[mac] = is_early or now - previous > UPPER_LIMIT

    async def _merge(
        self,
        report: LeaseReport,
        hosts: tuple[str, ...],
        addresses: Mapping[str, tuple[str, ...]],
        now: float,
    ) -> ClientMerger:
        merger = ClientMerger()
        stations = set()
        self._limit_reason = None
        async for entry in in_turns(report.entries):
            if merger.host_count >= _MAX_HOSTS:
                self._limit_reason = (
                    f"the lease files name more than {_MAX_HOSTS:,} hosts, and powerd knows no more, so "
                    "others may be home; name fewer files in clients.leases"
                )
                break
            if entry.kind == "station" and entry.mac and report.stations_current:
                stations.add(entry.mac)
            merger.add_entry(entry, now)
            if entry.address is None and entry.kind == "reservation":
                for address in addresses.get(entry.name or "", ()):
                    merger.add_entry(entry._replace(address=address), now)
        for host in hosts:
            merger.add_configured_host(host, addresses[host])
        merger.add_learned(self.learned_hosts)
        self.associated_stations = frozenset(stations)
        return merger

    async def _reservation_names_to_resolve(self, report: LeaseReport) -> tuple[str, ...]:
        """Names of reservations by MAC alone: the ``fixed-address`` of dhcpd.conf(5) may be a host name.

        A reservation whose MAC has a lease is not resolved.
        """
        reserved: dict[str, str | None] = {}
        with_address: set[str | None] = set()
        async for entry in in_turns(report.entries):
            if entry.address is not None:
                with_address.add(entry.mac)
            elif entry.kind == "reservation" and entry.name:
                reserved.setdefault(entry.name, entry.mac)
        names = (name for name, mac in reserved.items() if mac not in with_address)
        return tuple(islice(names, _MAX_RESOLVED_NAMES))

    async def _resolve(self, names: tuple[str, ...], now: float, max_age: float) -> None:
        """Resolve, all at once, the names whose last result is older than ``max_age`` seconds."""
        self._resolutions = {name: self._resolutions.get(name, _Resolution()) for name in names}
        expired = [
            name
            for name, resolution in self._resolutions.items()
            if not 0 <= now - resolution.resolved_at < (max_age if resolution.ok else _RESOLVE_RETRY_INTERVAL)
        ]
        if expired:
            results = await asyncio.gather(*(self._resolve_name(name, now) for name in expired))
            self._resolutions.update(zip(expired, results, strict=True))

    async def _resolve_name(self, name: str, now: float) -> _Resolution:
        """The addresses of a name; the previous ones if it does not resolve at present."""
        if is_address(name):
            return _Resolution((name,), now, ok=True)
        previous = self._resolutions[name]
        try:
            addresses = await self._network.resolve(name)
        except HostError as error:
            return previous._replace(resolved_at=now, ok=False, error=str(error))
        return _Resolution(addresses or previous.addresses, now, ok=bool(addresses))


class ClientLimit(NamedTuple):
    """The clients beyond the limit: why some may be home unnoticed, and warnings."""

    unavailable_reason: str | None = None
    warnings: tuple[str, ...] = ()


async def probed_clients(
    clients: Mapping[ClientId, Client], blocks_sleep: Callable[[Client], bool]
) -> tuple[Mapping[ClientId, Client], ClientLimit]:
    """At most MAX_CLIENTS clients: those whose presence blocks sleep, then the others.

    A client that is left out is not probed. It may be home, so the source is unavailable if one counts.
    """
    if len(clients) <= MAX_CLIENTS:
        return clients, ClientLimit()
    counted: dict[ClientId, Client] = {}
    others: dict[ClientId, Client] = {}
    async for id_, client in in_turns(clients.items()):
        (counted if blocks_sleep(client) else others)[id_] = client
    limit = f"{len(clients):,} clients are known, and powerd probes at most {MAX_CLIENTS:,}"
    reason = None
    if len(counted) > MAX_CLIENTS:
        reason = (
            f"{limit}, so the others may be home; name fewer lease files in clients.leases, shorten "
            "clients.learn, or name whole networks in clients.ignore"
        )
    warnings = (f"{limit}; some that never keep the server awake are left out",)
    return dict(islice((counted | others).items(), MAX_CLIENTS)), ClientLimit(reason, warnings)
