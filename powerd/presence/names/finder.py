"""Finds the names of clients that have none, and the makers of their network cards.

Name servers are queried, then the client itself by multicast DNS and by NetBIOS: once it is present, and
again after days. All requests are unicast, so that no other host wakes up. No socket listens in between.
Nothing is written to the disk for a new name: names that a crash loses are looked up again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from itertools import islice
from typing import Annotated, Final

from powerd.core.codec import length, span
from powerd.core.dataclass import dataclass
from powerd.core.storage import Storage
from powerd.core.time import Moment
from powerd.linux.ports import Files, Network, Processes
from powerd.linux.values import HostError, Lan, StatSignature
from powerd.presence.model import (
    MAX_CLIENTS,
    PRIVATE_ADDRESS,
    RECENT_ROUNDS,
    Client,
    ClientId,
    ClientState,
    ClientStatus,
)
from powerd.presence.names import dns, netbios
from powerd.presence.silences import MAX_TIME

_DOCUMENT: Final = "names"
_DNS_PORT, _MDNS_PORT, _NETBIOS_PORT = 53, 5353, 137
_TIMEOUT: Final = 1.0
"""Seconds for a reply; each request is sent twice."""
_AT_ONCE: Final = 8
"""Clients that are queried at the same time."""
_REFRESH: Final = 7 * 86400.0
"""Seconds after which a name is looked up again, since it may be given to another device."""
_FIRST_RETRY, _RETRY_FACTOR = 3600.0, 4
"""Seconds to the next attempt after the first failure, and the factor for each further one, up to
``_REFRESH``."""
_MAX_FAILURES: Final = 10
_CARD_DIGITS: Final = 9
"""Hexadecimal digits of a MAC address that identify the maker: the longest registered prefix has 36 bits."""
_MAX_MAKER: Final = 80
_LOOKUP_TIMEOUT: Final = 10.0
_MAX_SERVERS: Final = 2
_HOSTS, _RESOLV_CONF = "/etc/hosts", "/etc/resolv.conf"


@dataclass(frozen=True, slots=True)
class FoundName:
    """The last look-up of a client's name.

    Attributes:
        asked: POSIX time, seconds.
        name: None = it has none.
        failures: how often in a row there was no name.
    """

    asked: Annotated[float, span(0, MAX_TIME)]
    name: Annotated[str, length(1, 253)] | None = None
    failures: Annotated[int, span(0, _MAX_FAILURES)] = 0

    def is_due(self, now: float) -> bool:
        """Whether the name is to be looked up again at ``now``, POSIX seconds."""
        wait = _REFRESH
        if self.failures:
            wait = min(_FIRST_RETRY * _RETRY_FACTOR ** (self.failures - 1), _REFRESH)
        return not 0 <= now - self.asked < wait


@dataclass(frozen=True, slots=True)
class FoundNames:
    """All that was found; it is replaced as a whole, and is the stored document.

    Attributes:
        clients: by identifier of a client.
        makers: of network cards by the first nine digits of the MAC address; None = not registered.
    """

    clients: Mapping[str, FoundName] = field(default_factory=dict)
    makers: Mapping[str, Annotated[str, length(1, _MAX_MAKER)] | None] = field(default_factory=dict)

    def name_of(self, client: Client) -> str | None:
        """The name that was found for a client."""
        found = self.clients.get(client.id)
        return None if found is None else found.name

    def maker_of(self, mac: str | None) -> str | None:
        """The maker of a network card, or ``private address``; None = unknown.

        A locally administered address (IEEE 802) is random, or that of a virtual machine.
        """
        if mac is None:
            return None
        return PRIVATE_ADDRESS if _is_private(mac) else self.makers.get(_card(mac))


def _is_private(mac: str) -> bool:
    return bool(int(mac[:2], 16) & 2)


def _card(mac: str) -> str:
    return mac.replace(":", "")[:_CARD_DIGITS]


class NameFinder:
    """Looks up names and makers, in a task of its own.

    Args:
        files, network, processes: the ports.
        storage: holds what was found over a restart.
        may_read: whether a program may be read from the disk of the system without starting it.

    Attributes:
        found: what was found.
    """

    def __init__(
        self,
        files: Files,
        network: Network,
        processes: Processes,
        storage: Storage,
        may_read: Callable[[], bool],
    ) -> None:
        self.found = self._stored = storage.load(_DOCUMENT, FoundNames).value or FoundNames()
        self._files, self._network, self._processes = files, network, processes
        self._storage, self._may_read = storage, may_read
        self._unnamed: tuple[Client, ...] = ()
        self._clients: Mapping[ClientId, ClientStatus] = {}
        self._cards: frozenset[str] = frozenset()
        self._now = 0.0
        self._wanted = asyncio.Event()
        self._texts: dict[str, tuple[StatSignature | None, str]] = {}
        for path in (_HOSTS, _RESOLV_CONF):  # the disk spins while powerd starts
            self._read(path)

    def on_clients(
        self, statuses: Mapping[ClientId, ClientStatus], now: Moment, poll_interval: float
    ) -> None:
        """Look up what is due.

        Args:
            statuses: of all clients.
            now: the present moment.
            poll_interval: seconds.
        """
        self._now = posix = now.wall.timestamp()
        awake_since = now.mono - RECENT_ROUNDS * poll_interval
        self._unnamed = tuple(
            status.client
            for status in statuses.values()
            if status.state is ClientState.PRESENT
            and status.answered_at is not None
            and status.answered_at >= awake_since
            and self._is_due(status.client, posix)
        )
        if statuses.keys() != self._clients.keys():
            macs = [status.client.mac for status in statuses.values()]
            cards = {_card(mac) for mac in macs if mac is not None and not _is_private(mac)}
            if len(self.found.makers) > MAX_CLIENTS:  # a host can use one MAC address after another
                makers = {card: maker for card, maker in self.found.makers.items() if card in cards}
                self.found = replace(self.found, makers=makers)
            self._cards = frozenset(cards - self.found.makers.keys())
        self._clients = statuses
        if self._unnamed or (self._cards and self._may_read()):
            self._wanted.set()

    def _is_due(self, client: Client, now: float) -> bool:
        """Whether a look-up is due: the client has no name, or one that was found long before ``now``."""
        found = self.found.clients.get(client.id)
        if found is None:
            return client.name is None
        return found.is_due(now) and client.name in {None, found.name}

    def save(self) -> None:
        """Store what has been found since the last call."""
        if self.found != self._stored:
            self._stored = self.found
            self._storage.save(_DOCUMENT, self.found)

    async def run(self) -> None:
        """Look up names and makers until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            unnamed, self._unnamed = self._unnamed, ()
            if unnamed:
                await self._ask_all(unnamed)
            for card in sorted(self._cards) if self._may_read() else ():
                await self._look_up_maker(card)

    async def _ask_all(self, clients: Sequence[Client]) -> None:
        try:
            lan = await self._network.lan()
        except HostError:
            return
        for start in range(0, len(clients), _AT_ONCE):
            await asyncio.gather(*(self._ask(client, lan) for client in clients[start : start + _AT_ONCE]))

    async def _ask(self, client: Client, lan: Lan) -> None:
        """Look up the name of one client, by an address on a LAN of this server."""
        address = next((each for each in client.addresses if lan.link_for(each) is not None), None)
        if address is None or not self._is_due(client, self._now):  # it has been looked up since it was due
            return
        before = self.found.clients.get(client.id, FoundName(0.0))
        name = await self._name_in_dns(address) or await self._name_from_host(address)
        if name is None:
            found = replace(before, asked=self._now, failures=min(before.failures + 1, _MAX_FAILURES))
        else:
            found = FoundName(self._now, name)
        clients = {key: each for key, each in self.found.clients.items() if key != client.id}
        latest = islice(clients.items(), max(len(clients) + 1 - MAX_CLIENTS, 0), None)
        self.found = replace(self.found, clients={**dict(latest), client.id: found})

    async def _name_in_dns(self, address: str) -> str | None:
        """The name in /etc/hosts or on a name server of the LAN; a link-local address is in neither."""
        if "%" in address:
            return None
        if name := dns.name_in_hosts(self._read(_HOSTS).splitlines(), address):
            return name
        for server in dns.name_servers(self._read(_RESOLV_CONF))[:_MAX_SERVERS]:
            identifier = _new_identifier()
            query = dns.build_query(address, identifier, recursive=True)
            if reply := await self._query((server, _DNS_PORT), query, identifier):
                return dns.parse_reply(reply, address)
        return None

    async def _name_from_host(self, address: str) -> str | None:
        """The name that the host itself gives, by multicast DNS or by NetBIOS."""
        identifier = _new_identifier()
        query = dns.build_query(address, identifier, recursive=False)
        reply = await self._query((address, _MDNS_PORT), query, identifier)
        if name := reply and dns.parse_reply(reply, address):
            return name
        if ":" in address:
            return None
        reply = await self._query((address, _NETBIOS_PORT), netbios.build_query(identifier), identifier)
        return netbios.parse_reply(reply, address) if reply else None

    async def _query(self, server: tuple[str, int], request: bytes, identifier: int) -> bytes | None:
        return await self._network.query(
            server, request, accepts=lambda packet: dns.is_reply(packet, identifier), timeout=_TIMEOUT
        )

    def _read(self, path: str) -> str:
        """A small file; it is read again only after a change, so from memory."""
        signature = self._files.stat_signature(path)
        known = self._texts.get(path)
        if known is None or known[0] != signature:
            known = signature, "" if signature is None else self._files.read_text(path) or ""
            self._texts[path] = known
        return known[1]

    async def _look_up_maker(self, card: str) -> None:
        """Look a maker up in the hardware database of udev (hwdb(7)), which has the registry of the IEEE."""
        maker: str | None = None
        try:
            result = await self._processes.run(
                ("systemd-hwdb", "query", f"OUI:{card.upper()}"), timeout=_LOOKUP_TIMEOUT
            )
            maker = parse_maker(result.stdout)
        except HostError:
            pass  # there is no udev, as in a container
        self.found = replace(self.found, makers={**self.found.makers, card: maker})
        self._cards -= {card}


def parse_maker(output: str) -> str | None:
    """The maker in the output of ``systemd-hwdb query OUI:...``; None = the prefix is not registered."""
    properties = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
    name = "".join(filter(str.isprintable, properties.get("ID_OUI_FROM_DATABASE", ""))).strip()
    return name[:_MAX_MAKER] or None


def _new_identifier() -> int:
    """The identifier of a query: random, so that only a host that receives the query can forge a reply."""
    return int.from_bytes(os.urandom(2))
