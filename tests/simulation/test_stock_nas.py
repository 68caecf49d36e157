"""Without clients a stock NAS sleeps despite its background activity, but not while a disk is written."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from simulation.disk_server import SimulatedDiskServer
from simulation.household import HOUR, SimulationLog, daily, person, simulate, until_hour

from powerd.activity.model import ActivityFacts, CheckId, CheckState
from powerd.linux.values import Interface, TcpConnection, UnitProcess
from powerd.simulation.machine import SimulatedUnit
from powerd.simulation.world import Household

NIGHTS: Final = 20
DAY: Final = 24 * HOUR
SMB_RATE: Final = 15.0
"""Bytes/s each way of an idle connection."""
SCRAPE: Final = 15, 20_000
"""Seconds from one scrape of the node exporter to the next, and its bytes."""
CONTAINER_RATE: Final = 2000.0
"""Bytes/s of a container that reports to another one."""
CRON: Final = {71: "/usr/sbin/cron -f"}
UNITS: Final = {
    "cron.service": SimulatedUnit(CRON),
    "atd.service": SimulatedUnit({73: "/usr/sbin/atd -f"}),
    "rsync.service": SimulatedUnit({74: "/usr/bin/rsync --daemon"}),
    "user@1000.service": SimulatedUnit({97: "/lib/systemd/systemd --user"}, cgroup="/init.scope"),
    "session-3.scope": SimulatedUnit({151: "tmux new -d", 152: "-bash", 153: "htop"}, sub="abandoned"),
    "apt-daily.timer": SimulatedUnit(sub="waiting"),
    "sysstat-collect.timer": SimulatedUnit(sub="waiting"),
}
"""The units that the checks ask for. Somebody has left a tmux session with htop."""
JOB_TIME: Final = 5
"""Seconds for which the job of cron runs in each minute."""
CONFIG: Final = b"""
mode = "enforce"
[clients]
learn = "0s"
absent_after = "5min"
[disks]
spin_down_after = "0s"
[smart]
every = "0s"
[[sleep]]
action = "suspend"
idle_for = "15min"
"""


class Counters(NamedTuple):
    """A row of the recording: seconds, sectors read and written, milliseconds busy."""

    at: float
    read: int
    written: int
    busy: int


RECORDING: Final = [
    Counters(*map(int, line.split()))
    for line in (Path(__file__).parents[1] / "fixtures/stock_nas.txt").read_text().splitlines()
    if not line.startswith("#")
]


def recorded(mono: float) -> Counters:
    """The counters at a time, if the recording repeats itself for ever."""
    rounds, rest = divmod(mono, RECORDING[-1].at)
    row = RECORDING[bisect_right(RECORDING, rest, key=lambda each: each.at) - 1]
    return Counters(*(int(each + rounds * last) for each, last in zip(row, RECORDING[-1], strict=True)))


@dataclass
class StockNas(SimulatedDiskServer):
    """A server whose disk has the counters of the recording, with the services of a NAS and their clients.

    Attributes:
        written: bytes that dd has written.
        writes_until: the true time until which dd writes 20 MB/s with fsync.
    """

    written: float = 0.0
    writes_until: float = 0.0
    _written_at: float = 0.0

    def read_cached(self, paths: Sequence[str]) -> list[str | None]:
        assert self.hardware is not None
        counters, now = recorded(self.clock.mono()), self.clock.true_time()
        self.written += 20e6 * max(min(now, self.writes_until) - self._written_at, 0.0)
        self._written_at = now
        sectors = counters.written + int(self.written / 512)
        stat = f"{counters.read} 0 {counters.read} 0 {sectors} 0 {sectors} 0 0 {counters.busy} 0 0 0 0 0 0 0"
        self.hardware.sysfs("sda", "stat", stat)
        return super().read_cached(paths)

    def idle_bytes(self) -> int:
        return int(self.clock.mono() * SMB_RATE)

    async def interfaces(self) -> tuple[Interface, ...]:
        scraped, in_container = self.scrapes() * SCRAPE[1], int(self.clock.mono() * CONTAINER_RATE)
        return (
            Interface(2, "eth0", "", byte_count=int(1.1 * (4 * self.idle_bytes() + scraped))),
            Interface(3, "docker0", "bridge", guests_only=True, byte_count=in_container),
            Interface(4, "veth1", "veth", "docker0", byte_count=in_container),
        )

    async def tcp_connections(self) -> tuple[TcpConnection, ...]:
        """Idle mounts of SMB and NFS, and the last scrape, each of which has a connection of its own."""
        size, scrapes = self.idle_bytes(), self.scrapes()
        return tuple(
            TcpConnection("10.0.0.253", port, client, 50000, "established", size, 0, 3.0, cookie)
            for port, client, size, cookie in (
                (445, "10.0.0.12", 2 * size, 1),
                (2049, "10.0.0.12", 2 * size, 2),
                (9100, "10.0.0.14", SCRAPE[1], 3 + scrapes),
            )
        )

    def scrapes(self) -> int:
        return int(self.clock.mono() // SCRAPE[0])

    async def list_processes(self, unit: str) -> tuple[UnitProcess, ...]:
        """The job of cron is another process in each minute."""
        found = await super().list_processes(unit)
        minute, second = divmod(self.clock.true_time(), 60)
        if unit == "cron.service" and second < JOB_TIME:
            return (*found, UnitProcess(found[0].cgroup, 1000 + int(minute) % 10_000, "php -f cron.php"))
        return found


def live(root: Path, begin: str, days: float, dd_until: float = 0.0) -> SimulationLog:
    """Anna is there from 22:25 to 22:30, and the server is woken for her."""

    def prepare(household: Household) -> None:
        assert isinstance(household, StockNas)
        household.add_disks(1, root)
        household.units |= UNITS
        household.timer_elapses |= {
            "apt-daily.timer": lambda now: (now // DAY + 1) * DAY,
            "sysstat-collect.timer": lambda now: (now // 600 + 1) * 600,
        }
        for resource in ("cpu", "memory"):
            pressure = root / f"sys/fs/cgroup/{resource}.pressure"
            pressure.parent.mkdir(parents=True, exist_ok=True)
            pressure.write_text("some avg10=2.31 avg60=1.94 avg300=0.87 total=123456\n")
        household.network_wake_at = until_hour(22.42)
        household._written_at = household.clock.true_time()  # noqa: SLF001 - of this file
        household.writes_until = household.clock.true_time() + dd_until * HOUR

    return simulate(
        [person("anna", 11, daily(22.4, 22.5))],
        begin=begin,
        days=days,
        config=CONFIG,
        prepare=prepare,
        kind=StockNas,
    )


@pytest.mark.long
def test_it_sleeps_every_night(tmp_path: Path) -> None:
    """The recording starts at another position each night."""
    log = live(tmp_path, "2026-06-01 22:25", NIGHTS - 0.5)
    slept = log.sleep_times()
    assert len(slept) == NIGHTS
    results = log.statuses[-1].snapshot.part(ActivityFacts).results
    assert not [each for each in results.values() if each.state is CheckState.FAILED]
    (background,) = results[CheckId("disk_io")].activities
    assert background.value is not None
    assert 1e3 < background.value < 100e3
    assert all("22:43" <= at.strftime("%H:%M") <= "22:55" for at in slept)


def test_dd_with_fsync_keeps_it_awake_until_its_end(tmp_path: Path) -> None:
    log = live(tmp_path, "2026-06-01 22:45", 0.08, dd_until=1.0)
    (slept,) = log.sleep_times()
    end = slept.replace(day=1, hour=23, minute=45, second=0, microsecond=0)
    assert timedelta(minutes=14) <= slept - end <= timedelta(minutes=18)
    assert any("sda is written" in text for text in log.reasons())
