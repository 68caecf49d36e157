"""A simulated LAN, and the files of the server on it: links, neighbours, leases, and replies to probes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, MutableSequence, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from ipaddress import IPv4Interface
from typing import Final

from powerd.attribution.model import FileReading
from powerd.linux.values import (
    HostError,
    Interface,
    Lan,
    Link,
    Neighbour,
    ProbeOutcome,
    ProbeReply,
    ProbeRequest,
    StatSignature,
    SweepResult,
    TcpConnection,
)

LEASES: Final = "/var/lib/misc/dnsmasq.leases"
CONTROL: Final = "/run/hostapd/wlan0"
_NOT_PROBED: Final = ProbeReply()
ANSWERS: Final = ProbeReply(icmp=ProbeOutcome.ANSWERED, rtt=0.001)
SILENT: Final = ProbeReply(icmp=ProbeOutcome.SILENT, arp=ProbeOutcome.SILENT)
FAILED: Final = ProbeReply(icmp=ProbeOutcome.FAILED, arp=ProbeOutcome.FAILED, error="No route to host")


def link(index: int = 2, address: str = "10.0.0.253/24", *, ready: bool = True, name: str = "eth0") -> Link:
    """A link of the server."""
    return Link(
        index, name, f"02:00:00:00:ff:{index:02x}", ready, (IPv4Interface(address),) if address else ()
    )


def make_lan(*links: Link) -> Lan:
    """The links and addresses of the server; the gateway is 10.0.0.254."""
    own = frozenset(str(each.ip) for one in links for each in one.addresses)
    return Lan(links, own, frozenset({"10.0.0.254"}))


def mac(n: int) -> str:
    """The MAC address of host ``n``."""
    return f"02:00:00:00:00:{n:02x}"


def arp_reply(n: int) -> ProbeReply:
    """Host ``n`` answers ARP requests only."""
    return ProbeReply(icmp=ProbeOutcome.SILENT, arp=ProbeOutcome.ANSWERED, rtt=0.001, macs=(mac(n),))


def neighbour(n: int, address: str | None = None, *, ago: float = 1.0, reachable: bool = True) -> Neighbour:
    """Host ``n`` in the neighbour table, confirmed ``ago`` seconds before."""
    return Neighbour(2, address or f"10.0.0.{n}", mac(n), reachable, ago)


@dataclass(slots=True)
class RecordedSweep:
    """The arguments of one sweep."""

    probes: list[ProbeRequest]
    timeout: float
    tries: int
    until_first: bool
    deadline: float

    @property
    def addresses(self) -> list[str]:
        """The probed addresses in their order."""
        return [request.address for request in self.probes]


@dataclass(kw_only=True)
class SimulatedLan:
    """The ports Files and Network on a LAN whose hosts are silent unless they have a scripted reply.

    Attributes:
        clock_synchronised: systemd-timesyncd has set the clock.
        links: the server's links.
        link_up: whether they have carrier.
        neighbour_table: the neighbour table.
        all_interfaces: the network interfaces with their byte counters.
        connections: the TCP connections.
        replies: replies by address; all other hosts are silent.
        files: lease files by path.
        dns: addresses by host name, or the resolver's error.
        associated: MAC addresses at the access point; None = there is none.
        hostapd_hangs: the access point exists and does not answer.
        resolved_names: each resolved name.
        datagrams: what hosts answer to any datagram, by address and port; the first two octets are
            replaced by those of the request.
        servers: what servers answer to any request, by address and port; others refuse the connection.
        sweeps: each sweep.
        send_error: why no packet can be sent; None = it can.
        sweep_duration: seconds that a sweep takes.
        calls: (``magic``, MAC address, destinations) of each Wake-on-LAN packet.
    """

    clock_synchronised: bool = True
    links: Lan = field(default_factory=lambda: make_lan(link()))
    link_up: bool = True
    neighbour_table: tuple[Neighbour, ...] = ()
    all_interfaces: tuple[Interface, ...] = ()
    connections: tuple[TcpConnection, ...] = ()
    replies: dict[str, ProbeReply] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    dns: dict[str, tuple[str, ...] | HostError] = field(default_factory=dict)
    associated: tuple[str, ...] | None = None
    hostapd_hangs: bool = False
    resolved_names: list[str] = field(default_factory=list)
    datagrams: dict[tuple[str, int], bytes] = field(default_factory=dict)
    servers: dict[tuple[str, int], bytes] = field(default_factory=dict)
    sweeps: MutableSequence[RecordedSweep] = field(default_factory=list)
    send_error: str | None = None
    sweep_duration: float = 0.0
    calls: list[tuple[object, ...]] = field(default_factory=list)

    def set_leases(self, *numbers: int) -> None:
        """Write leases of these hosts; host ``n`` has the address 10.0.0.n."""
        self.files[LEASES] = "".join(f"0 {mac(n)} 10.0.0.{n} host{n} *\n" for n in numbers)

    def find(self, pattern: str) -> tuple[str, ...]:
        """Files that match."""
        existing = [*self.files, *([] if self.associated is None else [CONTROL])]
        return tuple(sorted(path for path in existing if fnmatchcase(path, pattern)))

    def stat_signature(self, path: str) -> StatSignature | None:
        """It changes with the text."""
        text = self.files.get(path)
        if path == "/run/systemd/timesync/synchronized" and self.clock_synchronised:
            text = ""
        return None if text is None else StatSignature(1, len(text), hash(text))

    async def read_chunks(self, path: str) -> AsyncIterator[str]:
        """The text in one chunk."""
        yield self.files[path]

    async def read(self, path: str, limit: int = 1 << 20) -> str:
        """The file's text."""
        return self.files[path][:limit]

    async def lan(self) -> Lan:
        """The links, with or without carrier."""
        return (
            self.links
            if self.link_up
            else replace(self.links, links=tuple(replace(each, ready=False) for each in self.links.links))
        )

    async def neighbours(self) -> tuple[Neighbour, ...]:
        """The scripted table."""
        return self.neighbour_table

    async def interfaces(self) -> tuple[Interface, ...]:
        """The scripted interfaces."""
        return self.all_interfaces

    async def tcp_connections(self) -> tuple[TcpConnection, ...]:
        """The scripted connections."""
        return self.connections

    async def sweep(
        self,
        requests: Sequence[ProbeRequest],
        *,
        timeout: float,  # noqa: ASYNC109 - the signature of the port Network
        tries: int,
        until_first: bool,
        deadline: float = 60.0,
    ) -> SweepResult:
        """Every host replies at once."""
        self.sweeps.append(RecordedSweep(list(requests), timeout, tries, until_first, deadline))
        if self.sweep_duration:  # otherwise no other task runs, so a poll adds no decision
            await asyncio.sleep(self.sweep_duration)  # noqa: TID251 - virtual time
        replies = dict.fromkeys([request.address for request in requests], _NOT_PROBED)
        for request in requests:
            replies[request.address] = reply = self.reply_to(request, tries)
            found = reply.icmp is ProbeOutcome.ANSWERED or (
                reply.arp is ProbeOutcome.ANSWERED and request.arp_sufficient
            )
            if until_first and found:
                break
        return SweepResult(replies)

    def scripted_reply(self, address: str) -> ProbeReply:
        """The reply of a host to both kinds of probe."""
        return self.replies.get(address, SILENT)

    def reply_to(self, request: ProbeRequest, tries: int) -> ProbeReply:
        """The reply to one request of a sweep; no packet gets lost."""
        del tries
        if not self.link_up:
            return FAILED
        scripted = self.scripted_reply(request.address)
        icmp = scripted.icmp if request.icmp else ProbeOutcome.NOT_PROBED
        arp = scripted.arp if request.link is not None else ProbeOutcome.NOT_PROBED
        # As in a real sweep, ARP requests go to hosts that are silent to ICMP.
        if scripted.icmp is ProbeOutcome.ANSWERED and request.link is not None:
            arp = ProbeOutcome.NOT_PROBED if request.icmp else ProbeOutcome.ANSWERED
        macs = scripted.macs or (
            (mac(int(request.address.rpartition(".")[2])),) if "." in request.address else ()
        )
        return ProbeReply(
            icmp, arp, scripted.rtt, macs if arp is ProbeOutcome.ANSWERED else (), scripted.error
        )

    def listdir(self, directory: str) -> tuple[str, ...]:
        """There is no sysfs, and so no disk."""
        del directory
        return ()

    def read_text(self, path: str) -> str | None:
        """A small file's text, stripped; None = the file does not exist."""
        text = self.files.get(path)
        return None if text is None else text.strip()

    def read_regular(self, path: str) -> str | None:
        """As read_text()."""
        return self.read_text(path)

    def read_bytes(self, path: str, limit: int, start: int = 0) -> bytes | None:
        """The file does not exist."""
        del path, limit, start
        return None

    def read_directories(self, directories: Sequence[str], may_look_up: Collection[str]) -> FileReading:
        """No directory is accessed."""
        del directories, may_look_up
        return FileReading()

    def read_cached(self, paths: Sequence[str]) -> list[str | None]:
        """The files do not exist."""
        return [None for _ in paths]

    def realpath(self, path: str) -> str | None:
        """The file does not exist."""
        del path
        return None

    def readlink(self, path: str) -> str | None:
        """The file does not exist."""
        del path
        return None

    def kernel_release(self) -> str:
        """A kernel release."""
        return "6.1.0"

    def watch_block_devices(self, on_change: Callable[[], None]) -> None:
        """No device is ever added."""
        del on_change

    async def stations(self, control: str) -> str:
        """The scripted stations."""
        if self.associated is None or self.hostapd_hangs:
            raise HostError(f"{control}: no answer")
        return "".join(f"{each}\nflags=[AUTH][ASSOC]\n" for each in self.associated)

    async def exchange(
        self,
        server: tuple[str, int],
        request: bytes,
        *,
        is_complete: Callable[[bytes], bool],
        limit: int,
        timeout: float,  # noqa: ASYNC109 - the signature of the port Network
    ) -> bytes:
        """The scripted answer; no connection where there is none."""
        del request, is_complete, limit, timeout
        if server not in self.servers:
            raise HostError(f"no connection to {server[0]} port {server[1]}: Connection refused")
        return self.servers[server]

    async def query(
        self,
        server: tuple[str, int],
        request: bytes,
        *,
        accepts: Callable[[bytes], bool],
        timeout: float,  # noqa: ASYNC109 - the signature of the port Network
    ) -> bytes | None:
        """The scripted answer; the call is recorded."""
        del timeout
        self.calls.append(("query", *server))
        if server not in self.datagrams:
            return None
        reply = request[:2] + self.datagrams[server][2:]
        return reply if accepts(reply) else None

    async def send_magic_packet(self, mac: str, to: Sequence[str]) -> None:
        """Record the packet."""
        if self.send_error is not None:
            raise HostError(self.send_error)
        self.calls.append(("magic", mac, tuple(to)))

    async def resolve(self, name: str) -> tuple[str, ...]:
        """The scripted addresses."""
        self.resolved_names.append(name)
        answer = self.dns.get(name, ())
        if isinstance(answer, HostError):
            raise answer
        return answer
