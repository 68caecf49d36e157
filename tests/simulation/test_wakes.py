"""Who wakes a disk, and who keeps it busy: the whole daemon with simulated drives and processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from simulation.disk_server import CONFIG, SimulatedDiskServer, disk_server
from simulation.household import HOUR

from powerd.attribution.model import (
    AttributionReport,
    FileReading,
    TracedProcess,
    TraceEvent,
    TraceReading,
    Wake,
    WatchLevel,
)
from powerd.attribution.view.api import wakes_json
from powerd.config.load import parse
from powerd.core.snapshot import Status
from powerd.core.storage import Storage
from powerd.daemon import Daemon
from powerd.disks.model import DiskId
from powerd.helper.disks.trace_events import merge_events
from powerd.linux.values import HostError
from powerd.simulation.virtual_loop import VirtualLoop, run
from powerd.ui.events import TransitionDetector

CGROUPS = {812: "/system.slice/cron.service", 813: "/system.slice/jellyfin.service"}
NAMES = {812: "cron", 813: "jellyfin"}


@dataclass
class TracedServer(SimulatedDiskServer):
    """A server whose kernel traces the disks that powerd asks it to.

    Attributes:
        traced: the disks.
        recorded: events that are not read yet.
        reads: the times of requests to read them.
        trace_error: why the helper does not trace; "" = it does.
        stopped: the trace was stopped.
        watched: the disks whose files are watched, those in standby last.
    """

    traced: tuple[DiskId, ...] = ()
    traced_since: float = 0.0
    recorded: list[TraceEvent] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)
    trace_error: str = ""
    stopped: bool = False
    watched: tuple[DiskId, ...] = ()

    def add_disks(self, count: int, root: Path) -> None:
        super().add_disks(count, root)
        assert self.hardware is not None
        self.hardware.mount("8:32", "/srv", "ext4", "/dev/sdc")
        (root / "srv/photos").mkdir(parents=True)

    def read_photo(self, pid: int) -> None:
        """A process reads a photo on the third disk."""
        assert self.hardware is not None
        photo = self.hardware.root / "srv/photos/sea.jpg"
        photo.touch()
        photo.read_bytes()
        self.access_by(2, pid)

    def access_by(self, n: int, pid: int, count: int = 1) -> None:
        """A process reads from the ``n``th disk."""
        if self.drive(n).disk.id in self.traced:
            at = self.clock.mono()
            event = TraceEvent("io", f"8:{16 * n}", pid, NAMES[pid], "read", first_at=at, last_at=at)
            self.recorded.append(replace(event, count=count, size=count * 4096))
        self.drive(n).ios += count - 1
        self.access(n)

    async def read_trace(self, disks: tuple[DiskId, ...]) -> TraceReading:
        self.reads.append(self.clock.mono())
        await asyncio.sleep(0.1)
        if self.trace_error:
            raise HostError(self.trace_error)
        if disks != self.traced:
            self.traced_since = self.clock.mono()
        self.traced = disks
        devices = {f"8:{16 * n}": (drive,) for n, drive in enumerate(self.drives) if drive in disks}
        recorded, self.recorded = self.recorded, []
        events = tuple(event for event in recorded if event.device in devices)  # as the helper maps them
        pids = {event.pid for event in events}
        return TraceReading(
            tuple(merge_events(events)),
            tuple(TracedProcess(pid, NAMES[pid], CGROUPS[pid]) for pid in pids),
            devices,
            self.traced_since,
        )

    async def read_files(self, disks: tuple[DiskId, ...], standby: tuple[DiskId, ...] = ()) -> FileReading:
        self.watched = disks + standby
        return FileReading()

    async def stop_trace(self) -> TraceReading:
        self.stopped = True
        self.traced, self.recorded = (), []
        return TraceReading()


Event = tuple[float, Callable[[TracedServer], None]]


def simulate(
    tmp_path: Path,
    hours: float,
    *events: Event,
    config: bytes = CONFIG,
    trace_error: str = "",
    keep: Path | None = None,
) -> tuple[TracedServer, list[Status]]:
    """Four disks, of which the first two are a mirror; events are (hours after the start, what)."""
    loop = VirtualLoop()
    server = disk_server(loop, 4, tmp_path, TracedServer)
    server.trace_error = trace_error
    statuses: list[Status] = []

    async def main() -> None:
        storage = None if keep is None else Storage(keep)
        daemon = Daemon(
            parse(config, "test"), server.ports(), server.clock, storage=storage, on_status=statuses.append
        )
        task = asyncio.create_task(daemon.run())
        for at, what in sorted(events, key=lambda event: event[0]):
            await asyncio.sleep(at * HOUR - loop.time())
            what(server)
        await asyncio.sleep(hours * HOUR - loop.time())
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(main(), loop=loop)
    server.machine_files().close()
    return server, statuses


def report(statuses: list[Status]) -> AttributionReport:
    return statuses[-1].decision.part(AttributionReport)


def wakes_of(server: TracedServer, n: int, statuses: list[Status]) -> tuple[Wake, ...]:
    return report(statuses).wakes.get(server.drive(n).disk.id, ())


def by(pid: int, n: int = 2, count: int = 1) -> Callable[[TracedServer], None]:
    return lambda server: server.access_by(n, pid, count)


def test_the_process_that_wakes_a_disk_is_named(tmp_path: Path) -> None:
    server, statuses = simulate(tmp_path, 1.2, (1.0, by(812)))
    (wake,) = wakes_of(server, 2, statuses)
    assert wake.access is not None
    assert (wake.access.culprit.unit, wake.access.culprit.comm, wake.access.culprit.pid) == (
        "cron.service",
        "cron",
        812,
    )
    assert (wake.access.certainty, wake.access.operation, wake.explanation) == ("certain", "read", "")
    assert abs(wake.at.mono - HOUR) < 0.001, "as the trace has it, and not the counters"
    assert wake.slept_for is not None
    assert 0.6 * HOUR < wake.slept_for < 0.7 * HOUR
    assert report(statuses).level is WatchLevel.TRACE
    assert server.stopped
    detector = TransitionDetector()
    entries = [entry for status in statuses for entry in detector.entries(status)]
    assert [
        entry.fields["POWERD_UNIT"] for entry in entries if entry.fields["POWERD_EVENT"] == "disk-wake"
    ] == ["cron.service"]
    now = statuses[-1].now
    (row,) = wakes_json(statuses[-1], now, server.drive(2).disk.device) or []
    assert (row["unit"], row["comm"], row["how"], row["sure"]) == ("cron.service", "cron", "trace", "certain")


def test_a_process_that_keeps_the_disk_busy_from_the_first_moment_is_named(tmp_path: Path) -> None:
    """The decision that shows the spin-up makes the disk a busy one, whose other accesses are not traced."""
    server, statuses = simulate(
        tmp_path,
        1.2,
        (1.0, by(812, count=9000)),
        *((1 + n / 3600, by(812, count=9000)) for n in range(2, 99)),
    )
    (wake,) = wakes_of(server, 2, statuses)
    assert wake.access is not None
    assert (wake.access.culprit.unit, wake.explanation) == ("cron.service", "")
    assert server.drive(2).disk.id not in server.traced


@pytest.mark.long
def test_nothing_is_read_while_the_disks_sleep(tmp_path: Path) -> None:
    server, _ = simulate(tmp_path, 4, (3.0, by(812)))
    assert [at for at in server.reads if 0.5 * HOUR < at < 3 * HOUR] == []
    assert len(server.reads) < 10


def test_a_disk_in_use_is_read_every_five_minutes_at_most(tmp_path: Path) -> None:
    often = [(minute / 60, by(813)) for minute in range(1, 90)]
    server, statuses = simulate(tmp_path, 1.5, *often)
    gaps = [later - at for at, later in zip(server.reads, server.reads[1:], strict=False)]
    assert all(gap >= 300 for gap in gaps[3:]), gaps
    assert 15 <= len(server.reads) <= 21
    (busy,) = report(statuses).busy
    assert busy.culprit.unit == "jellyfin.service"
    assert 55 <= busy.count <= 66, "of the last hour"


def test_without_a_trace_the_reason_is_a_fact(tmp_path: Path) -> None:
    server, statuses = simulate(tmp_path, 1.2, (1.0, by(812)), trace_error="no helper listens")
    (wake,) = wakes_of(server, 2, statuses)
    assert wake.access is None
    assert "no helper listens" in wake.explanation
    assert report(statuses).level is WatchLevel.COUNTERS
    assert "no helper listens" in report(statuses).level_reason
    reasons = [reason.subject for reason in statuses[-1].decision.reasons if reason.blocks_sleep]
    assert "wakes" not in reasons


@pytest.mark.parametrize(("trace_error", "unit"), [("", "cron.service"), ("no helper listens", "")])
def test_a_watched_directory_gives_the_path(tmp_path: Path, trace_error: str, unit: str) -> None:
    """By the real inotify; at the level of the counters without the process."""
    config = CONFIG + b'[watch]\ndirectories = ["/srv/photos"]\n'
    server, statuses = simulate(
        tmp_path, 1.2, (1.0, lambda server: server.read_photo(812)), config=config, trace_error=trace_error
    )
    (wake,) = wakes_of(server, 2, statuses)
    assert wake.access is not None
    assert wake.access.path.startswith("/srv/photos")
    assert wake.access.culprit.unit == unit


@pytest.mark.parametrize(
    ("level", "watched", "stopped"), [("files", 4, False), ("trace", 0, False), ("cgroups", 0, True)]
)
def test_a_reload_ends_what_the_new_level_does_not_need(
    tmp_path: Path, level: str, watched: int, *, stopped: bool
) -> None:
    loop = VirtualLoop()
    server = disk_server(loop, 4, tmp_path, TracedServer)
    configs = [CONFIG + f'[watch]\nlevel = "{name}"\n'.encode() for name in ("files", level)]

    async def main() -> None:
        daemon = Daemon(parse(configs[0], "test"), server.ports(), server.clock)
        task = asyncio.create_task(daemon.run())
        await asyncio.sleep(60)
        assert set(server.watched) == set(server.drives)
        daemon.reconfigure(parse(configs[1], "test"))
        await asyncio.sleep(1)
        assert (len(server.watched), server.stopped) == (watched, stopped)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(main(), loop=loop)
    server.machine_files().close()


def test_wakes_outlive_a_restart(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    store = tmp_path / "state"
    server, statuses = simulate(tmp_path / "a", 1.2, (1.0, by(812)), keep=store)
    (before,) = wakes_of(server, 2, statuses)
    server, statuses = simulate(tmp_path / "b", 0.1, keep=store)
    (after,) = wakes_of(server, 2, statuses)
    assert (after.access and after.access.culprit, after.slept_for) == (
        before.access and before.access.culprit,
        before.slept_for,
    )
