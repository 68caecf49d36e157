"""A year of one simulated home with the whole daemon on its server, and what the server did of it.

The default activity checks see the home's jobs as services and the data that its devices read as connections.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from random import Random
from typing import Final, TypeAlias

from powerd.config.load import parse
from powerd.core.snapshot import Status
from powerd.daemon import Daemon
from powerd.linux.values import (
    Neighbour,
    ProbeOutcome,
    ProbeReply,
    ProbeRequest,
    StatSignature,
    SystemdUnit,
    TcpConnection,
)
from powerd.simulation.clock import SimulatedClock
from powerd.simulation.devices import Device
from powerd.simulation.homes import SimulatedHome
from powerd.simulation.lan import ANSWERS, FAILED, LEASES, SILENT
from powerd.simulation.machine import SimulatedUnit
from powerd.simulation.residents import HOUR, MINUTE, ZONE
from powerd.simulation.timeline import Timeline
from powerd.simulation.virtual_loop import VirtualLoop, run
from powerd.simulation.world import Household

_REACHABLE: Final = 30.0
"""Seconds for which the kernel believes a confirmation of a neighbour (base_reachable_time_ms)."""

_READ_RATE: Final = 1e6
"""Bytes per second of a device that reads files."""

IDLE_FOR: Final = 300.0
"""A short idle time, so that little but the limits of the clients stands between a nap and a sleep."""
DEFAULT: Final = f"""
mode = "enforce"
[[sleep]]
idle_for = "{IDLE_FOR:.0f}s"
"""
"""Default options, and a rule that always applies."""

NIGHT: Final = f"""
mode = "enforce"
[[sleep]]
during = ["23:00-07:00"]
dozing = "ignored"
idle_for = "{IDLE_FOR:.0f}s"
[wake]
at = ["07:00"]
before = "0s"
"""
"""A rule for the night."""


@dataclass(slots=True)
class _Lease:
    """The lease of a device: when it was renewed last, and when it is to be renewed next."""

    device: Device
    renewed: float = -inf
    due: float = 0.0


@dataclass
class HomeServer(Household):
    """The server of a home: its LAN answers, and its files and neighbours change, as the devices do.

    Attributes:
        home: the home.
        random: decides which packets get lost.
    """

    home: SimulatedHome = field(kw_only=True)
    random: Random = field(default_factory=lambda: Random(0))  # noqa: S311 - repeatable on purpose

    def __post_init__(self) -> None:
        super().__post_init__()
        self.network_wake_at = self.home.next_use
        self.sweeps = deque(maxlen=0)  # those of a year would fill the memory
        self._by_address = {device.address: device for device in self.home.devices}
        self._confirmed: dict[str, float] = {}
        now = self.clock.started_at
        self._leases = [  # of the devices that were at home before powerd was installed
            _Lease(device, now if now in device.there else device.there.begin_of(now))
            for device in self.home.devices
        ]
        self._lease_text, self._next_lease_change = "", -inf
        if self.home.access_point:
            self.associated = ()

    # --- the LAN ---

    def reply_to(self, request: ProbeRequest, tries: int) -> ProbeReply:
        """The reply of a device that is awake, unless all packets get lost."""
        if not self.link_up:
            return FAILED
        now = self.clock.true_time()
        device = self._by_address.get(request.address)
        if device is None or not (now in device.arp or now in device.icmp):
            return SILENT if request.icmp else ProbeReply(arp=ProbeOutcome.SILENT)
        lost = self.random.random() < device.loss**tries
        arp_answers = now in device.arp and not lost
        if arp_answers:
            self._confirmed[device.address] = now
        if request.icmp and now in device.icmp and not lost:
            return ANSWERS
        icmp = ProbeOutcome.SILENT if request.icmp else ProbeOutcome.NOT_PROBED
        if request.link is None:
            return ProbeReply(icmp)
        if not arp_answers:
            return ProbeReply(icmp, ProbeOutcome.SILENT)
        return ProbeReply(icmp, ProbeOutcome.ANSWERED, 0.001, (device.mac,))

    async def neighbours(self) -> tuple[Neighbour, ...]:
        """The devices that have answered or exchanged data; the kernel keeps old entries."""
        now = self.clock.true_time()
        for device in self.home.devices:
            if now in device.traffic:
                self._confirmed[device.address] = now
        return tuple(
            [
                Neighbour(2, address, self._by_address[address].mac, now - at < _REACHABLE, now - at)
                for address, at in self._confirmed.items()
            ]
        )

    async def tcp_connections(self) -> tuple[TcpConnection, ...]:
        """Those over which devices read files of the server (SMB)."""
        now = self.clock.true_time()
        return tuple(
            [
                _reading(device, now - device.traffic.begin_of(now))
                for device in self.home.devices
                if now in device.traffic
            ]
        )

    async def list_units(self, states: Sequence[str], patterns: Sequence[str]) -> tuple[SystemdUnit, ...]:
        """A service that runs once while a job is at work."""
        is_working = self.clock.true_time() in self.home.work
        self.units = {"backup.service": SimulatedUnit(active="activating", sub="start")} if is_working else {}
        return await super().list_units(states, patterns)

    async def stations(self, control: str) -> str:
        """The devices on the Wi-Fi: a phone that dozes stays associated."""
        del control
        now = self.clock.true_time()
        stations = [device.mac for device in self.home.devices if device.wifi and now in device.there]
        return "".join(f"{each}\nflags=[AUTH][ASSOC]\n" for each in stations)

    # --- the lease file of dnsmasq ---

    def stat_signature(self, path: str) -> StatSignature | None:
        """The lease file changes with each renewal."""
        if path != LEASES:
            return super().stat_signature(path)
        text = self._current_leases()
        return StatSignature(1, len(text), hash(text))

    async def read_chunks(self, path: str) -> AsyncIterator[str]:
        """The text in one chunk."""
        yield self._current_leases() if path == LEASES else self.files[path]

    def _current_leases(self) -> str:
        now = self.clock.true_time()
        if now >= self._next_lease_change:
            for lease in self._leases:
                self._renew(lease, now)
            lines = [
                f"{lease.renewed + self.home.lease_time:.0f} {lease.device.mac} {lease.device.address} "
                f"{lease.device.name} *\n"
                for lease in self._leases
                if lease.renewed + self.home.lease_time > now
            ]
            self._lease_text = "".join(lines)
            self._next_lease_change = min(lease.due for lease in self._leases)
        return self._lease_text

    def _renew(self, lease: _Lease, now: float) -> None:
        """Renew a lease when its device comes home, and after half of its time; a sleeping server does not.

        A device retries soon what the sleeping server did not answer.
        """
        there, half = lease.device.there, self.home.lease_time / 2
        next_arrival = there.next_begin(now) + 1
        if now not in there:
            lease.due = next_arrival
            return
        if there.begin_of(now) > lease.renewed or now >= lease.renewed + half:
            if there.begin_of(now) < now - MINUTE and self._was_asleep(now) and lease.due < now:
                lease.due = now + self.random.uniform(5, 300)
                return
            lease.renewed = now
        lease.due = min(lease.renewed + half, next_arrival)

    def _was_asleep(self, now: float) -> bool:
        """Whether the server woke up only a moment ago."""
        return bool(self.wakeup_times) and now - self.wakeup_times[-1] < MINUTE


def _reading(device: Device, seconds: float) -> TcpConnection:
    """The connection of a device that has been reading for so long."""
    moved = round(_READ_RATE * seconds)
    return TcpConnection(
        "10.0.0.253", 445, device.address, 50_000, "established", moved, 0, 0.1, device.number
    )


StatusCallback: TypeAlias = Callable[[HomeServer, Status], None]


@dataclass(slots=True)
class SleepScore:
    """What a server did in a home.

    Attributes:
        sleeps: begin and end of each sleep, POSIX seconds.
        false: the begin of each sleep with a device there, in use, or with a job at work: what was wrong.
        free: the seconds in which it could have slept.
        possible: of these, those that remain to a server which knows the future and waits for ``idle_for``.
        slept: of the free seconds, those in which it slept.
    """

    sleeps: list[tuple[float, float]]
    while_there: list[float]
    while_used: list[float]
    while_working: list[float]
    free: float
    possible: float
    slept: float


def score(
    home: SimulatedHome, sleeps: list[tuple[float, float]], needed: Timeline, window: Timeline, wait: float
) -> SleepScore:
    """Compare sleeps with the true state.

    Args:
        home: the home.
        sleeps: begin and end of each sleep.
        needed: when the server must not sleep.
        window: when it may sleep.
        wait: seconds that the rule requires before a sleep: ``idle_for`` and ``warn``.
    """
    free = window & home.period.whole & ~needed
    return SleepScore(
        sleeps,
        [begin for begin, _ in sleeps if begin in home.there],
        [begin for begin, _ in sleeps if begin in home.used],
        [begin for begin, _ in sleeps if begin in home.work],
        free.seconds(),
        free.shortened(wait).seconds(),
        (Timeline(sleeps) & free).seconds(),
    )


def live(
    home: SimulatedHome, config: str, *, seed: int = 1, watch: StatusCallback | None = None
) -> list[tuple[float, float]]:
    """Run the whole daemon for the whole time of a home; return the begin and the end of each sleep.

    Args:
        home: the home.
        config: the configuration; the home's lamps are ignored in addition.
        seed: decides which packets get lost.
        watch: called with each status.
    """
    ignored = ", ".join(f'"{device.mac}"' for device in home.devices if device.always_on)
    options = parse(f"{config}\n[clients]\nignore = [{ignored}]\n".encode(), "simulation")
    loop = VirtualLoop()
    ((begin, end),) = home.period.whole
    clock = SimulatedClock(started_at=begin, zone=ZONE, mono=loop.time)
    server = HomeServer(clock, home=home, random=Random(seed))  # noqa: S311 - repeatable

    def on_status(status: Status) -> None:
        if watch is not None:
            watch(server, status)

    async def main() -> None:
        daemon = Daemon(options, server.ports(), clock, on_status=on_status)
        running = asyncio.create_task(daemon.run())
        try:
            while (left := end - clock.true_time()) > 0:
                done, _ = await asyncio.wait({running}, timeout=min(left, HOUR))
                for task in done:
                    task.result()
        finally:
            running.cancel()
            await asyncio.wait({running})

    run(main(), loop=loop)
    began = [at for at, what in server.performed if what == "suspend"]
    return list(zip(began, (*server.wakeup_times, end)[: len(began)], strict=True))
