"""Frozen values that the adapters return, and the errors that they raise."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import field
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from powerd.core.dataclass import dataclass

if TYPE_CHECKING:  # powerd check does without these
    from powerd.disks.model import FailureCause


@dataclass(frozen=True, slots=True)
class StatSignature:
    """Identifies one version of a file, from one stat(2)."""

    inode: int
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface to a LAN: Ethernet or Wi-Fi, without tunnels and bridges of containers.

    Attributes:
        index, name: of the interface.
        mac: its own MAC address.
        ready: administratively up and with carrier.
        addresses: its IPv4 addresses with their prefix.
        carrier_losses: how often it has lost its carrier, with those of its ports.
        ipv6_addresses: its IPv6 addresses with their prefix.
    """

    index: int
    name: str
    mac: str
    ready: bool
    addresses: tuple[IPv4Interface, ...] = ()
    carrier_losses: int = 0
    ipv6_addresses: tuple[IPv6Interface, ...] = ()


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface of any kind, and its byte counter.

    Attributes:
        index, name: of the interface.
        kind: IFLA_INFO_KIND (ip-link(8)), as ``veth``; "" = hardware or loopback.
        master: the name of the bridge, bond or VRF to which it belongs; "" = none.
        loopback: it is the loopback interface.
        guests_only: the hosts of its subnets are containers and virtual machines of this server.
        addresses: its addresses with their prefix.
        byte_count: bytes received and sent since it was created; drivers may reset it.
    """

    index: int
    name: str
    kind: str
    master: str = ""
    loopback: bool = False
    guests_only: bool = False
    addresses: tuple[IPv4Interface | IPv6Interface, ...] = ()
    byte_count: int = 0


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One entry of the kernel's neighbour table (rtnetlink(7)) with a link-layer address.

    Attributes:
        link: index of the interface.
        address: IPv4 or IPv6, as text.
        mac: lower case with colons.
        reachable: the state is NUD_REACHABLE (confirmed within 45 s). STALE, DELAY and PROBE prove nothing.
        confirmed_ago: seconds since the last proof of reachability (NDA_CACHEINFO); a new entry without one
            starts at 60 s.
    """

    link: int
    address: str
    mac: str
    reachable: bool
    confirmed_ago: float


class TcpConnection(NamedTuple):
    """One TCP connection of this server in which data may still move, and its counters.

    A named tuple, because one costs a third of a frozen dataclass and hundreds are made in each poll.

    Attributes:
        local, local_port: the server's end; IPv4 or IPv6 as text, a link-local one as fe80::1%eth0.
        remote, remote_port: the other end.
        state: ``established``, ``close-wait``, ``fin-wait-1`` or ``fin-wait-2``.
        bytes_sent: bytes that the peer has acknowledged, since the connection was opened.
        bytes_received: bytes received in order, since then.
        last_received_ago: seconds since the peer's last segment: data, an acknowledgement or a reply to a
            keep-alive probe.
        cookie: identifies the socket until the next boot; the kernel never uses a cookie twice.
    """

    local: str
    local_port: int
    remote: str
    remote_port: int
    state: str
    bytes_sent: int
    bytes_received: int
    last_received_ago: float
    cookie: int


parse_ipv4: Final = lru_cache(maxsize=4096)(IPv4Address)
"""An IPv4 address of its text, cached: each poll parses the same addresses, at 9 us each."""


@dataclass(frozen=True, slots=True)
class Lan:
    """The links and addresses of this server.

    Attributes:
        links: the links to a LAN, ready or not.
        own_addresses: all IP addresses of this server on any interface, v4 and v6, as text.
        gateways: next hops of default routes, v4 and v6, as text.
        guests: MAC addresses of virtual machines and containers that run on this server.
    """

    links: tuple[Link, ...]
    own_addresses: frozenset[str] = frozenset()
    gateways: frozenset[str] = frozenset()
    guests: frozenset[str] = frozenset()
    _found: dict[str, Link | None] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Results of link_for(): each poll looks up each address several times."""

    def link_for(self, address: str) -> Link | None:
        """The link on which a host is probed: as link_of(), or that of a link-local address, fe80::1%eth0."""
        try:
            return self._found[address]
        except KeyError:
            found = self._found[address] = self._find_link(address)
            return found

    def _find_link(self, address: str) -> Link | None:
        if ":" not in address:
            return self.link_of(parse_ipv4(address))
        bare, _, name = address.partition("%")
        if name:
            return next((link for link in self.links if link.name == name), None)
        return self.link_of(IPv6Address(bare))

    def link_of(self, address: IPv4Address | IPv6Address) -> Link | None:
        """The link in whose subnet ``address`` is, preferably a ready one; None = it is behind a router."""
        found, is_ipv4 = None, isinstance(address, IPv4Address)
        for link in self.links:
            for own in link.addresses if is_ipv4 else link.ipv6_addresses:
                if address in own.network:
                    if link.ready:
                        return link
                    found = found or link
                    break
        return found

    def has_source_for(self, address: str) -> bool:
        """Whether this server has an address in the subnet of an IPv6 address, as fd00::1 or fe80::1%eth0.

        Without one, as after a change of the prefix or with IPv6 switched off, no solicitation can be sent.
        """
        link = self.link_for(address)
        host = IPv6Address(address.partition("%")[0])
        return link is not None and any(host in own.network for own in link.ipv6_addresses)


class ProbeOutcome(enum.Enum):
    """The outcome of the probes of one host by one protocol.

    SILENT: at least one probe had its full time without a reply; or, for ICMP on a link with hundreds of
    hosts, no echo request could be sent because the host did not answer ARP. FAILED: no probe could be sent,
    which proves nothing. NOT_PROBED: the protocol was not used, or a sufficient reply of another host ended
    the sweep first.
    """

    ANSWERED = "answered"
    SILENT = "silent"
    FAILED = "failed"
    NOT_PROBED = "not probed"


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """One host to probe in a sweep.

    Attributes:
        address: IPv4 or IPv6 as text; a link-local one with its link, fe80::1%eth0.
        link: the link on which to send ARP requests or solicitations; None = off-link, ICMP only.
        icmp: send echo requests.
        arp_sufficient: an ARP reply alone proves presence, and may end the sweep.
        macs: the only MACs whose ARP reply proves presence; none = any.
        proxy_macs: MACs whose ARP reply proves nothing, because they answer for other hosts.
    """

    address: str
    link: Link | None = None
    icmp: bool = True
    arp_sufficient: bool = True
    macs: frozenset[str] = frozenset()
    proxy_macs: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ProbeReply:
    """The outcome for one host.

    Attributes:
        icmp, arp: by protocol.
        rtt: round trip time of the reply, seconds; None without a reply.
        macs: the MAC addresses in the ARP replies, the first one first, lower case with colons.
        error: for FAILED, the kernel's reason, e.g. ``No route to host``.
    """

    icmp: ProbeOutcome = ProbeOutcome.NOT_PROBED
    arp: ProbeOutcome = ProbeOutcome.NOT_PROBED
    rtt: float | None = None
    macs: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """The end of a child process.

    Attributes:
        status: the exit status; negative = killed by that signal.
        stdout, stderr: the output, cut at 64 KiB.
    """

    status: int
    stdout: str
    stderr: str

    def describe(self) -> str:
        """A description of the end, with the last line of stderr: ``ended with status 1: no such pool``."""
        result = (
            f"was ended by signal {-self.status}" if self.status < 0 else f"ended with status {self.status}"
        )
        return result + (f": {self._last_line[:200]}" if self._last_line else "")

    def require_success(self, subject: str) -> None:
        """Check the end of a child process that prints one sentence on stderr if it fails.

        Raises:
            HostError: it has failed: that sentence, or ``subject`` and describe() if there is none.
        """
        if self.status:
            raise HostError(self._last_line or f"{subject} {self.describe()}")

    @property
    def _last_line(self) -> str:
        """The last line of stderr that is not blank."""
        return next((line for line in reversed(self.stderr.splitlines()) if line.strip()), "").strip()


class HostError(Exception):
    """The operating system refused; the text is one sentence with what, where and the remedy."""


class NotAvailableError(HostError):
    """The running kernel does not have the interface."""


class CommandTimeoutError(HostError):
    """A command has exceeded its time limit and was ended."""


class RefusedByHelperError(HostError):
    """The helper refuses a request, or the drive does.

    Attributes:
        cause: the reason, for a program.
        commands: sent to the drive nevertheless.
    """

    def __init__(self, message: str, cause: FailureCause, commands: int = 0) -> None:
        super().__init__(message)
        self.cause = cause
        self.commands = commands


@dataclass(frozen=True, slots=True)
class SweepResult:
    """The result of a sweep: a reply per address, and its duration in seconds."""

    replies: Mapping[str, ProbeReply] = field(default_factory=dict)
    duration: float = 0.0


@dataclass(frozen=True, slots=True)
class LogindEvent:
    """A signal of logind, or a change of the connection to it; receivers poll what they need.

    Attributes:
        kind: ``sleep`` and ``shutdown`` are PrepareForSleep and PrepareForShutdown
            (org.freedesktop.login1(5)); ``inhibitors``: a lock was taken or released; ``found`` and ``lost``:
            the connection to D-Bus.
        start: False for the end of a sleep, and for a shutdown that was cancelled.
    """

    kind: Literal["sleep", "shutdown", "inhibitors", "found", "lost"]
    start: bool = True


@dataclass(frozen=True, slots=True)
class SystemdUnit:
    """A loaded unit of systemd, from ListUnitsByPatterns (org.freedesktop.systemd1(5)).

    Attributes:
        name: ``session-9.scope``.
        active: its ActiveState: ``active``, ``activating`` (a oneshot service that runs), ...
        sub: its state in the words of its type: ``running``, ``auto-restart``, ``abandoned``, ...
        path: its object on the bus.
    """

    name: str
    active: str
    sub: str
    path: str


@dataclass(frozen=True, slots=True)
class UnitStart:
    """How a unit was started.

    Attributes:
        at: CLOCK_MONOTONIC at which it left the state inactive; None = it is inactive.
        triggered_by: units that start it, such as ``backup.timer``.
    """

    at: float | None = None
    triggered_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnitProcess:
    """A process of a unit, from GetUnitProcesses (org.freedesktop.systemd1(5)).

    Attributes:
        cgroup: its control group: ``/user.slice/user-1000.slice/session-9.scope``.
        pid: its process ID.
        command: its command line, quoted as for a shell, of one over 32 KiB the first and last 16;
            ``[name]`` for a process without one.
    """

    cgroup: str
    pid: int
    command: str


GRAPHICAL: Final = frozenset({"x11", "wayland", "mir"})
"""Types of sessions whose idle hint is set by the desktop (logind, SESSION_TYPE_IS_GRAPHICAL)."""


@dataclass(frozen=True, slots=True)
class LoginSession:
    """A session of logind (org.freedesktop.login1(5)).

    Attributes:
        user: the name of its user.
        tty: its terminal, ``pts/0``; "" = none.
        remote_host: from where the user has logged in; "" = locally, or unknown.
        service: of PAM: ``sshd``, ``login``, ``cron``, ...
        type: ``tty``, ``x11``, ``wayland``, ``unspecified``, ...
        kind: its class: ``user``, ``background``, ``greeter``, ...
    """

    user: str
    tty: str = ""
    remote_host: str = ""
    service: str = ""
    type: str = "tty"
    kind: str = "user"
