"""A LAN that does what a test tells it to: a scripted Eyes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from ipaddress import IPv4Interface

from powerd.host.values import Ask, FileMark, Heard, HostError, Lan, Link, Neighbour, Reply, Sweep

LEASES = "/var/lib/misc/dnsmasq.leases"
CONTROL = "/run/hostapd/wlan0"
ANSWERS = Reply(icmp=Heard.ANSWERED, rtt=0.001)
FAILED = Reply(icmp=Heard.FAILED, arp=Heard.FAILED, why="No route to host")


def link(index: int = 2, address: str = "10.0.0.253/24", *, ready: bool = True, name: str = "eth0") -> Link:
    return Link(
        index, name, f"02:00:00:00:ff:{index:02x}", ready, (IPv4Interface(address),) if address else ()
    )


def lan_of(*links: Link) -> Lan:
    own = frozenset(str(each.ip) for one in links for each in one.addresses)
    return Lan(links, own, frozenset({"10.0.0.254"}))


def mac(n: int) -> str:
    return f"02:00:00:00:00:{n:02x}"


def answers_arp(n: int) -> Reply:
    return Reply(icmp=Heard.SILENT, arp=Heard.ANSWERED, rtt=0.001, mac=mac(n))


def neighbour(n: int, address: str | None = None, *, ago: float = 1.0, reachable: bool = True) -> Neighbour:
    return Neighbour(2, address or f"10.0.0.{n}", mac(n), reachable, ago)


@dataclass(slots=True)
class Asked:
    """One sweep that was asked for."""

    asks: list[Ask]
    timeout: float
    tries: int
    until_first: bool
    deadline: float

    @property
    def addresses(self) -> list[str]:
        return [ask.address for ask in self.asks]


@dataclass(slots=True)
class Village:
    """Where everybody is silent who has no answer.

    Attributes:
        place: the server's links.
        table: the neighbour table.
        answers: replies by address; anybody else is silent in every way that he is asked.
        files: lease files by path.
        names: addresses by host name, or the resolver's trouble.
        associated: MAC addresses at the access point; None = there is none.
        deaf: the access point is there, and does not answer.
        breaths: how often the loop was given its turn.
        resolved: each name that was asked for.
        sweeps: each sweep that was asked for.
        takes: seconds that a sweep takes.
    """

    place: Lan = field(default_factory=lambda: lan_of(link()))
    table: tuple[Neighbour, ...] = ()
    answers: dict[str, Reply] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    names: dict[str, tuple[str, ...] | HostError] = field(default_factory=dict)
    associated: tuple[str, ...] | None = None
    deaf: bool = False
    breaths: int = 0
    resolved: list[str] = field(default_factory=list)
    sweeps: list[Asked] = field(default_factory=list)
    takes: float = 0.0

    def leases(self, *numbers: int) -> None:
        """Host ``n`` has the address 10.0.0.n."""
        self.files[LEASES] = "".join(f"0 {mac(n)} 10.0.0.{n} host{n} *\n" for n in numbers)

    def find(self, pattern: str) -> tuple[str, ...]:
        there = [*self.files, *([] if self.associated is None else [CONTROL])]
        return tuple(sorted(path for path in there if fnmatchcase(path, pattern)))

    def mark(self, path: str) -> FileMark | None:
        text = self.files.get(path)
        return None if text is None else FileMark(1, len(text), hash(text))

    async def chunks(self, path: str) -> AsyncIterator[str]:
        yield self.files[path]

    async def read(self, path: str, limit: int = 1 << 20) -> str:
        return self.files[path][:limit]

    async def breathe(self) -> None:
        self.breaths += 1

    async def lan(self) -> Lan:
        return self.place

    async def neighbours(self) -> tuple[Neighbour, ...]:
        return self.table

    async def sweep(
        self,
        asks: Sequence[Ask],
        *,
        timeout: float,  # noqa: ASYNC109 - as Eyes.sweep
        tries: int,
        until_first: bool,
        deadline: float = 60.0,
    ) -> Sweep:
        self.sweeps.append(Asked(list(asks), timeout, tries, until_first, deadline))
        await asyncio.sleep(self.takes)
        replies = dict.fromkeys((ask.address for ask in asks), Reply())
        for ask in asks:
            replies[ask.address] = reply = self._reply(ask)
            found = reply.icmp is Heard.ANSWERED or (reply.arp is Heard.ANSWERED and ask.arp_counts)
            if until_first and found:
                break
        return Sweep(replies)

    def _reply(self, ask: Ask) -> Reply:
        told = self.answers.get(ask.address, Reply(icmp=Heard.SILENT, arp=Heard.SILENT))
        icmp = told.icmp if ask.icmp else Heard.NOT_ASKED
        arp = told.arp if ask.link is not None else Heard.NOT_ASKED
        if told.icmp is Heard.ANSWERED and ask.link is not None:  # as the sweep does: ARP is for the silent
            arp = Heard.NOT_ASKED if ask.icmp else Heard.ANSWERED
        return Reply(icmp, arp, told.rtt, told.mac if arp is Heard.ANSWERED else None, told.why)

    def entries(self, directory: str) -> tuple[str, ...]:
        del directory
        return ()

    def peek(self, path: str) -> str | None:
        del path
        return None

    def gauges(self, paths: Sequence[str]) -> list[str | None]:
        return [None for _ in paths]

    def target(self, path: str) -> str | None:
        del path
        return None

    def release(self) -> str:
        return "6.1.0"

    def hotplug(self, heard: Callable[[], None]) -> None:
        """No disk ever comes."""

    async def stations(self, control: str) -> str:
        if self.associated is None or self.deaf:
            raise HostError(f"{control}: nobody answers")
        return "".join(f"{each}\nflags=[AUTH][ASSOC]\n" for each in self.associated)

    async def resolve(self, name: str) -> tuple[str, ...]:
        self.resolved.append(name)
        answer = self.names.get(name, ())
        if isinstance(answer, HostError):
            raise answer
        return answer
