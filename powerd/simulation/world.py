"""A household that plays a script: people come and go, the server's link fails, clocks are set.

It implements the ports and the clock; everything above them is the real daemon.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from ipaddress import IPv4Interface

from powerd.core.time import Moment
from powerd.disks.model import DiskAction, DiskId
from powerd.linux.values import (
    HostError,
    Lan,
    Link,
    Neighbour,
    ProbeOutcome,
    ProbeReply,
    ProbeRequest,
    ProcessResult,
    StatSignature,
    SweepResult,
)
from powerd.simulation.machine import SimulatedMachine
from powerd.smart.actions import DiskResult

_LEASES = "/var/lib/misc/dnsmasq.leases"
_CARD_UEVENT = "/sys/class/net/eth0/device/uevent"


@dataclass(slots=True)
class Person:
    """A person's device: its addresses, and whether it is home at a true time (POSIX seconds)."""

    name: str
    address: str
    mac: str
    is_home: Callable[[float], bool]
    answers_icmp: bool = True


@dataclass(slots=True)
class Household(SimulatedMachine):
    """The world of one server; SimulatedMachine is the part that sleeps.

    Attributes:
        time: the running loop's time(), the server's CLOCK_MONOTONIC.
        people: the people with devices.
        zone: the zone of the server's wall clock.
        started_at: true time at loop time 0, POSIX seconds.
        clock_offset: error of the wall clock, seconds.
        link_up: whether the server's link has carrier.
        broadcasts: true times of announcements.
    """

    time: Callable[[], float]
    people: Sequence[Person]
    zone: tzinfo
    started_at: float
    clock_offset: float = 0.0
    link_up: bool = True
    broadcasts: list[float] = field(default_factory=list)

    def true_time(self) -> float:
        """POSIX seconds of a perfect clock."""
        return self.started_at + self.time() + self.slept

    def mono(self) -> float:
        """The running loop's time."""
        return self.time()

    def now(self) -> Moment:
        """As KernelClock.now()."""
        wall = datetime.fromtimestamp(self.true_time() + self.clock_offset, self.zone)
        return Moment(self.time(), self.slept, wall)

    # --- ports, reading ---

    def find(self, pattern: str) -> tuple[str, ...]:
        """There is one lease file."""
        return (_LEASES,) if pattern == _LEASES else ()

    def stat_signature(self, path: str) -> StatSignature | None:
        """The lease file and the network card never change."""
        return StatSignature(1, 1, 1) if path in {_LEASES, _CARD_UEVENT} else None

    async def read_chunks(self, path: str) -> AsyncIterator[str]:
        """Every person has an endless lease."""
        del path
        for person in self.people:
            yield f"0 {person.mac} {person.address} {person.name} *\n"

    async def read(self, path: str, limit: int = 1 << 20) -> str:
        """The same in one string."""
        return "".join([piece async for piece in self.read_chunks(path)])[:limit]

    async def yield_now(self) -> None:
        """No computation is long."""

    async def lan(self) -> Lan:
        """One link, with or without carrier."""
        link = Link(2, "eth0", "02:00:00:00:00:01", self.link_up, (IPv4Interface("10.0.0.1/24"),))
        return Lan((link,), frozenset({"10.0.0.1"}), frozenset({"10.0.0.254"}))

    async def neighbours(self) -> tuple[Neighbour, ...]:
        """The table is empty."""
        return ()

    async def sweep(
        self,
        asks: Sequence[ProbeRequest],
        *,
        timeout: float,  # noqa: ASYNC109 - as Network.sweep
        tries: int,
        until_first: bool,
        deadline: float = 60.0,
    ) -> SweepResult:
        """Every person at home replies at once; the timeout of the others takes no time."""
        del timeout, tries, deadline
        people_at_home = {
            person.address: person for person in self.people if person.is_home(self.true_time())
        }
        replies: dict[str, ProbeReply] = {}
        for ask in asks:
            replies[ask.address] = self._reply(people_at_home.get(ask.address), ask)
            if until_first and ProbeOutcome.ANSWERED in (replies[ask.address].icmp, replies[ask.address].arp):
                break
        return SweepResult(replies)

    def _reply(self, person: Person | None, ask: ProbeRequest) -> ProbeReply:
        if not self.link_up:
            return ProbeReply(icmp=ProbeOutcome.FAILED, error="Network is unreachable")
        arp = ProbeOutcome.NOT_PROBED if ask.link is None else ProbeOutcome.SILENT
        if person is None:
            return ProbeReply(icmp=ProbeOutcome.SILENT, arp=arp)
        if person.answers_icmp:
            return ProbeReply(icmp=ProbeOutcome.ANSWERED, rtt=0.001)
        return ProbeReply(
            icmp=ProbeOutcome.SILENT,
            arp=ProbeOutcome.ANSWERED if ask.link else arp,
            rtt=0.001,
            macs=(person.mac,),
        )

    async def stations(self, control: str) -> str:
        """No access point."""
        raise HostError(f"{control}: the simulation has no access point")

    async def resolve(self, name: str) -> tuple[str, ...]:
        """No name is known."""
        del name
        return ()

    def listdir(self, directory: str) -> tuple[str, ...]:
        """There is no sysfs, and so no disk."""
        del directory
        return ()

    def read_text(self, path: str) -> str | None:
        """The file does not exist."""
        del path
        return None

    def read_cached(self, paths: Sequence[str]) -> list[str | None]:
        """The file does not exist."""
        return [None for _ in paths]

    def realpath(self, path: str) -> str | None:
        """The file does not exist."""
        del path
        return None

    def kernel_release(self) -> str:
        """A kernel release."""
        return "6.1.0"

    def watch_block_devices(self, on_change: Callable[[], None]) -> None:
        """No device is ever added."""
        del on_change

    # --- ports, acting ---

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,  # noqa: ASYNC109 - as Processes.run
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
    ) -> ProcessResult:
        """Every command succeeds."""
        del timeout, stdin, env
        self.performed.append((self.true_time(), argv[0]))
        return ProcessResult(0, "", "")

    async def send_magic_packet(self, mac: str, to: Sequence[str]) -> None:
        """Packets are not simulated."""
        del mac, to

    async def execute_disk_action(self, action: DiskAction) -> DiskResult:
        """There are no disks."""
        raise HostError(f"{action.disk}: the simulation has no disks")

    async def wait_first_access(self, disks: tuple[DiskId, ...]) -> tuple[DiskId, tuple[DiskId, ...], float]:
        """There are no disks."""
        raise HostError(f"{disks[0]}: the simulation has no disks")

    async def broadcast(self, text: str) -> None:
        """Record the announcement."""
        del text
        self.broadcasts.append(self.true_time())


def posix_time(zone: tzinfo, text: str, days: float = 0) -> float:
    """POSIX seconds of ``2026-03-28 23:00`` in ``zone``, plus ``days``."""
    return (datetime.fromisoformat(text).replace(tzinfo=zone) + timedelta(days=days)).timestamp()
