"""Data that move between this server and other hosts, on the average of some minutes.

A flow counts, that is all TCP connections of one peer with one port, while it moves more than ``floor`` on
the average of ``window``: a film, a copy over SMB or NFS, an upload. The peer may be any host, also a client
behind a router or a VPN, or one on the list ``clients.ignore``. What moves less is a stale or a monitoring
connection: an idle mount of SMB, the scrape of a Prometheus exporter. A flow that is younger than the
window counts by the time since it was first seen, at least a minute. Connections over loopback, to the
containers and virtual machines of this server, and to powerd's own page do not count.

Other traffic is seen by the byte counters of the interfaces: what ends in containers and virtual machines,
what passes through, UDP (QUIC, WireGuard, DLNA), and TCP connections that are shorter than the interval of
polls. It counts while an interface carries more than ``interface_floor`` without the flows that count
already. Bridges, bonds and VLANs are not counted again, because their ports are.

Limits: a slow stream out of a container's own network, such as music at 128 kbit/s, is below
``interface_floor``. A stream that a switch without IGMP snooping sends to every port counts although no
program of this server receives it.

Measured with Debian 12: a scrape of node_exporter every 15 s moves 0.6 kB/s, an idle session of SMB less than
0.1 kB/s, and both together less than 3 kB/s on the card.

Sources: struct tcp_info by sock_diag(7), bytes acknowledged and received; IFLA_STATS64 by rtnetlink(7).
Neither needs a privilege, and neither reads from a disk.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final, NamedTuple

from powerd.activity.check import CheckKind, CheckPorts
from powerd.activity.model import Activity
from powerd.activity.rates import MIN_AVERAGING_TIME, CounterRates
from powerd.config.declare import duration, integer, list_of, option
from powerd.config.values import parse_network
from powerd.core.dataclass import dataclass
from powerd.core.poller import PollDepth
from powerd.linux.values import Interface, NotAvailableError, TcpConnection

_OVERHEAD: Final = 1.1
"""Bytes of an interface for each byte of a TCP connection: headers and acknowledgements are 7 to 9 %."""
_STACKED_KINDS: Final = (
    frozenset({"bridge", "bond", "team", "openvswitch", "vrf", "batadv"})
    | {"vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "macsec"}
    | {"dummy", "ifb", "nlmon", "vsockmon"}
)
"""Kinds of interfaces whose traffic passes through another interface as well, or ends in the kernel."""
_SERVICES: Final = {
    20: "FTP",
    21: "FTP",
    22: "SSH",
    80: "HTTP",
    139: "SMB",
    443: "HTTPS",
    445: "SMB",
    548: "AFP",
    873: "rsync",
    2049: "NFS",
    3260: "iSCSI",
    5900: "VNC",
    8096: "Jellyfin",
    9100: "node_exporter",
    32400: "Plex",
}
"""Names of ports for people; /etc/services is on a disk."""
_ADDRESS: Final = re.compile(r"[\d./]+|\d+\.[\d./*?-]*|.*[:/].*")
"""What is not a name of an interface."""
_MAX_ROWS: Final = 20
_NOTABLE_SHARE: Final = 0.1
"""Share of its floor from which an interface is shown."""


def parse_ignored(text: str) -> str:
    """An IP address, a network such as 10.0.0.0/24, or the name of an interface; ``*`` is any text."""
    if not text.strip():
        raise ValueError("must not be empty; remove it")
    if not _ADDRESS.fullmatch(text):
        return text
    return parse_network(text)


@dataclass(frozen=True, slots=True)
class Options:
    """Data that move between this server and other hosts."""

    floor: int = option(
        4, "kB/s; TCP connections of one peer with one port, on the average", integer(1, 1_000_000)
    )
    interface_floor: int = option(
        30, "kB/s; all other traffic of a network interface, on the average", integer(1, 1_000_000)
    )
    window: float = option(180.0, "time over which both are averaged", duration(60, 3600))
    ignore: tuple[str, ...] = option(
        (),
        "peers and interfaces that do not count: addresses, networks, names; `*` is any text",
        list_of(parse_ignored),
    )


class Flow(NamedTuple):
    """The TCP connections of one peer with one port.

    Attributes:
        remote: address of the peer.
        port: of the service, on this server or, if ``outbound``, on the peer.
        outbound: this server has connected to the peer.
    """

    remote: str
    port: int
    outbound: bool

    def describe(self, *, moves: bool) -> str:
        """What the peer does, for people."""
        name = _SERVICES.get(self.port)
        port = f"port {self.port} ({name})" if name else f"port {self.port}"
        if self.outbound:
            return f"{'transfers data over' if moves else 'is connected by'} its {port}"
        return f"{'transfers data over' if moves else 'is connected to'} {port} of this server"


def flow_of(connection: TcpConnection) -> Flow:
    """The flow of a connection. Of two unknown ports the lower one is taken for that of the service."""
    local, remote = connection.local_port, connection.remote_port
    outbound = local not in _SERVICES and (remote in _SERVICES or remote < local)
    return Flow(connection.remote, remote if outbound else local, outbound)


class Traffic:
    """Remembers the counters of connections and interfaces for the window."""

    def __init__(self, options: Options, ports: CheckPorts) -> None:
        self._options = options
        self._ports = ports
        self._connections: dict[int, TcpConnection] = {}
        self._connection_rates: CounterRates[int] = CounterRates(options.window)
        self._interface_rates: CounterRates[tuple[int, str]] = CounterRates(options.window)
        self._unseen_because: str | None = (
            None  # queried once, since the kernel runs modprobe(8) for each query
        )
        self._first_poll: float | None = None
        self._since: dict[tuple[str, str], float] = {}

    async def poll(self, depth: PollDepth) -> tuple[Activity, ...]:
        """The flows and interfaces that move most, those that keep the server awake first.

        Raises:
            HostError: the kernel refuses.
        """
        now = self._ports.clock.now().mono
        found: list[Activity] = []
        connections: tuple[TcpConnection, ...] = ()
        if self._unseen_because is None:
            try:
                connections = await self._ports.network.tcp_connections()
            except NotAvailableError as error:
                if self._first_poll is not None:
                    raise
                self._unseen_because = str(error)
        if self._unseen_because is not None:
            text = f"{self._unseen_because}; they count as other traffic"
            found.append(Activity("network", text, keeps_awake=False))
        interfaces = await self._ports.network.interfaces()
        rates = self._update(now, connections, interfaces)
        if self._first_poll is None:
            self._first_poll = now
        if depth is not PollDepth.ROUTINE and now - self._first_poll < MIN_AVERAGING_TIME:
            text = "its traffic is known after a minute"
            found.append(Activity("network", text, keeps_awake=True, since=self._first_poll))
        moving = evaluate(rates, interfaces, self._interface_rates.rates(), self._options)
        awake = [(each.subject, each.text) for each in moving if each.keeps_awake]
        self._since = {key: self._since.get(key, now) for key in awake}
        found += (replace(each, since=self._since.get((each.subject, each.text))) for each in moving)
        return tuple(found)

    def _update(
        self, now: float, connections: Iterable[TcpConnection], interfaces: Iterable[Interface]
    ) -> list[tuple[TcpConnection, float]]:
        """Add the counters of a poll; returns the connections of the window with their bytes per second."""
        current = {each.cookie: each for each in connections}
        self._connection_rates.update(
            now, {cookie: each.bytes_sent + each.bytes_received for cookie, each in current.items()}
        )
        self._interface_rates.update(
            now, {(each.index, each.name): each.byte_count for each in interfaces if _is_counted(each)}
        )
        rates = self._connection_rates.rates()
        known = self._connections | current
        self._connections = {cookie: known[cookie] for cookie in rates}
        return [(self._connections[cookie], rate) for cookie, rate in rates.items()]


def evaluate(
    connections: Iterable[tuple[TcpConnection, float]],
    interfaces: tuple[Interface, ...],
    interface_rates: Mapping[tuple[int, str], float],
    options: Options,
) -> list[Activity]:
    """What moves, by the bytes per second of each connection and of each interface."""
    flows: dict[Flow, list[tuple[TcpConnection, float]]] = {}
    for connection, rate in connections:
        flows.setdefault(flow_of(connection), []).append((connection, rate))
    hosts = _Hosts(interfaces, options.ignore)
    explained: Counter[str] = Counter()
    found: list[Activity] = []
    for flow, members in flows.items():
        if hosts.is_this_server(flow.remote):
            continue
        rate = sum(rate for _, rate in members)
        ignored = hosts.is_ignored(flow.remote)
        counts = not ignored and rate > options.floor * 1000
        if counts or ignored:
            for connection, own_rate in members:
                explained[connection.local.partition("%")[0]] += round(own_rate * _OVERHEAD)
        if not ignored:
            found.append(_activity(flow.remote, flow.describe(moves=counts), rate, options.floor))
    for interface in interfaces:
        if not _is_counted(interface) or any(fnmatchcase(interface.name, each) for each in options.ignore):
            continue
        own = _addresses(interface, interfaces)
        rate = interface_rates.get((interface.index, interface.name), 0.0) - sum(
            explained[each] for each in own
        )
        if rate > _NOTABLE_SHARE * options.interface_floor * 1000:
            found.append(_activity(interface.name, _describe(interface), rate, options.interface_floor))
    found.sort(key=lambda each: (not each.keeps_awake, -(each.value or 0.0)))
    return found[:_MAX_ROWS]


def _activity(subject: str, text: str, rate: float, floor: int) -> Activity:
    return Activity(subject, text, rate > floor * 1000, round(rate / 1000, 1), "kB/s", floor)


def _describe(interface: Interface) -> str:
    port = f"port of {interface.master}, " if interface.master else ""
    return f"{port}carries data of containers, tunnels, UDP or short TCP connections"


def _is_counted(interface: Interface) -> bool:
    return not interface.loopback and interface.kind not in _STACKED_KINDS


def _addresses(interface: Interface, interfaces: Iterable[Interface]) -> set[str]:
    """The server's addresses whose connections all use this interface.

    Those of its bridge or bond are among them if it is the only port. Otherwise a connection may use another
    port, and what is subtracted here would hide other traffic.
    """
    names = {interface.name}
    if [each.name for each in interfaces if interface.master and each.master == interface.master] == [
        interface.name
    ]:
        names.add(interface.master)
    return {str(address.ip) for each in interfaces if each.name in names for address in each.addresses}


class _Hosts:
    """Which peers of flows do not count."""

    def __init__(self, interfaces: Iterable[Interface], ignored: Iterable[str]) -> None:
        addresses = [(each.guests_only, address) for each in interfaces for address in each.addresses]
        self._own = {str(address.ip) for _, address in addresses}
        self._guests = [
            address.network for guests_only, address in addresses if guests_only and not address.is_link_local
        ]
        self._ignored = [ip_network(each) for each in ignored if "/" in each]

    def is_this_server(self, address: str) -> bool:
        """Whether a peer is this server, or a container or a virtual machine of it."""
        return address.partition("%")[0] in self._own or _is_in(address, self._guests)

    def is_ignored(self, address: str) -> bool:
        """Whether a peer is on the list ``ignore``."""
        return _is_in(address, self._ignored)


def _is_in(address: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    return any(ip_address(address) in network for network in networks)


KIND: Final = CheckKind(
    "traffic", Options, Traffic, default_on=True, example=Options(ignore=("192.168.1.20/32", "tun*"))
)
