"""The service: the level that it selects, its retries, and what it leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from fakes.ports import RecordingPorts
from fakes.storage import MemoryStorage
from ui.statuses import decision, status

from powerd.attribution.model import (
    Access,
    AttributionFacts,
    AttributionReport,
    Culprit,
    FileAccess,
    FileReading,
    TracedProcess,
    TraceEvent,
    TraceReading,
    Wake,
    WatchLevel,
)
from powerd.attribution.service import AttributionService
from powerd.config.load import parse
from powerd.core.service import Environment
from powerd.core.state import StateStore
from powerd.core.time import Moment
from powerd.disks.model import DiskFacts, DiskId, FailureCause
from powerd.disks.state import DiskReport, DisksReport, DiskState
from powerd.linux.files import HostFiles
from powerd.linux.values import HostError, RefusedByHelperError
from powerd.simulation.clock import SimulatedClock
from powerd.simulation.drive import disk
from powerd.simulation.virtual_loop import VirtualLoop, run

A, B = disk(0).id, disk(1).id
SESSION = "/user.slice/user-1000.slice/session-3.scope"
TRACE = TraceReading(
    (TraceEvent("io", "8:0", 7, "vi", "read", first_at=1.0, last_at=1.0),),
    (TracedProcess(7, "vi", SESSION),),
    {"8:0": (A,)},
)


@dataclass(slots=True)
class TracingPorts(RecordingPorts):
    """A helper with results to return or to raise."""

    trace: TraceReading | HostError = field(default=TRACE)
    file_reading: FileReading | HostError = field(default=HostError("no second helper"))
    name_of_user: str = "alice"

    async def read_trace(self, disks: tuple[DiskId, ...]) -> TraceReading:
        self.calls.append(("read_trace", disks))
        if isinstance(self.trace, HostError):
            raise self.trace
        return self.trace

    async def stop_trace(self) -> TraceReading:
        self.calls.append(("stop_trace",))
        return TraceReading()

    async def read_files(self, disks: tuple[DiskId, ...], standby: tuple[DiskId, ...] = ()) -> FileReading:
        self.calls.append(("read_files", disks, standby))
        if isinstance(self.file_reading, HostError):
            raise self.file_reading
        return self.file_reading

    async def user_name(self, uid: int) -> str:
        self.calls.append(("user_name", uid))
        if not self.name_of_user:
            raise HostError("logind does not respond")
        return self.name_of_user


class ServiceOnHost:
    """The service on a host with two disks, of which the second is in standby."""

    def __init__(self, ports: TracingPorts, config: str = "", root: Path = Path("/nonexistent")) -> None:
        self.loop = VirtualLoop()
        self.clock = SimulatedClock(mono=self.loop.time)
        self.state, self.storage = StateStore(), MemoryStorage()
        self.state.put(DiskFacts({A: disk(0), B: disk(1)}))
        options = parse(config.encode(), "test")
        environment = Environment(self.clock, self.state, lambda: options, self.storage, lambda _: None, "")
        given = replace(ports.ports(), files=HostFiles(root))
        self.may_write = True
        self.service = AttributionService(given, environment, lambda: self.may_write)

    def decide(self, report: AttributionReport) -> None:
        since = self.clock.now()
        states = {0: DiskState.ACTIVE, 1: DiskState.STANDBY}
        disks = DisksReport(tuple(DiskReport(disk(n), state, since) for n, state in states.items()))
        self.service.on_decision(replace(status(decision().with_parts(report, disks)), now=since))

    async def read(self) -> AttributionFacts:
        """The facts after a decision by which a reading is due."""
        self.decide(AttributionReport(traced=(A, B), read_due=0.0))
        assert await self.state.wait_for_change(self.clock.mono() + 60)
        return self.state.snapshot().part(AttributionFacts)

    def run(self, test: Callable[[], Awaitable[None]]) -> None:
        async def main() -> None:
            (task,) = (asyncio.create_task(each) for each in self.service.tasks().values())
            await asyncio.sleep(1000)
            self.state.request_decision()
            await self.state.wait_for_change(0)
            await test()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        run(main(), loop=self.loop)


def test_the_trace_is_joined_with_the_names_of_users() -> None:
    ports = TracingPorts()
    host = ServiceOnHost(ports)

    async def test() -> None:
        for _ in range(2):
            facts = await host.read()
            assert (facts.level, facts.level_reason, facts.disks) == (WatchLevel.TRACE, "", (A, B))
            assert facts.found is not None
            (access,) = facts.found.value
            assert access.culprit == Culprit("session-3.scope", "vi", 7, "alice's session 3")

    host.run(test)
    assert ports.calls == [
        ("read_trace", (A, B)),
        ("user_name", 1000),
        ("read_trace", (A, B)),
        ("stop_trace",),
    ]


def test_a_user_whose_name_cannot_be_read_is_named_by_number_until_it_can() -> None:
    ports = TracingPorts(name_of_user="")
    host = ServiceOnHost(ports)

    async def test() -> None:
        owners = []
        for ports.name_of_user in ("", "alice"):
            facts = await host.read()
            assert facts.found is not None
            owners += [access.culprit.owner for access in facts.found.value]
        assert owners == ["user 1000's session 3", "alice's session 3"]

    host.run(test)


@pytest.mark.parametrize(
    ("error", "after"),
    [
        (HostError("no helper listens"), 300.0),
        (RefusedByHelperError("no tracefs", FailureCause.FAILED), 3600.0),
    ],
)
def test_a_helper_that_does_not_trace_is_asked_again_later(error: HostError, after: float) -> None:
    ports = TracingPorts(trace=error)
    host = ServiceOnHost(ports)

    def requests() -> int:
        return ports.calls.count(("read_trace", (A, B)))

    async def test() -> None:
        facts = await host.read()
        assert facts.level is WatchLevel.COUNTERS
        assert str(error) in facts.level_reason
        await asyncio.sleep(after - 1)
        assert (await host.read()).level_reason == facts.level_reason
        assert requests() == 1
        await asyncio.sleep(2)
        await host.read()
        assert requests() == 2
        host.service.on_reconfigure()
        await host.read()
        assert requests() == 3

    host.run(test)


@pytest.mark.parametrize("level", ["counters", "cgroups"])
def test_a_lower_level_asks_no_helper(level: str) -> None:
    ports = TracingPorts()
    host = ServiceOnHost(ports, f'[watch]\nlevel = "{level}"\n')

    async def test() -> None:
        assert (await host.read()).level is WatchLevel.COUNTERS

    host.run(test)
    assert ports.calls == []


def unit_counters(root: Path) -> Callable[[int], None]:
    """A unit below cgroup v2, and a function that sets how many reads it has made."""
    group = root / "sys/fs/cgroup"
    unit = group / "system.slice/docker-00.scope"
    unit.mkdir(parents=True)
    for directory in (group, group / "system.slice"):
        (directory / "cgroup.subtree_control").write_text("io")

    def count(reads: int) -> None:
        (unit / "io.stat").write_text(f"8:0 rbytes={reads * 4096} wbytes=0 rios={reads} wios=0\n9:9 rios=9\n")

    return count


def test_units_are_named_by_their_counters(tmp_path: Path) -> None:
    host = ServiceOnHost(TracingPorts(trace=HostError("no helper listens")), root=tmp_path)
    count = unit_counters(tmp_path)

    async def test() -> None:
        count(5)
        first = await host.read()
        assert (first.found and first.found.value, first.level) == ((), WatchLevel.CGROUPS)
        await asyncio.sleep(100)
        count(8)
        facts = await host.read()
        assert facts.found is not None
        (access,) = facts.found.value
        assert (access.disk, access.culprit.unit, access.count, access.size) == (
            A,
            "docker-00.scope",
            3,
            3 * 4096,
        )
        assert (access.operation, access.certainty, access.level) == ("read", "likely", WatchLevel.CGROUPS)
        assert access.last_at - access.first_at == pytest.approx(100)
        count(2)  # the unit was started again
        (access,) = (await host.read()).found.value  # type: ignore[union-attr] # read above
        assert access.count == 2

    host.run(test)


@pytest.mark.parametrize(("traced", "expected"), [(True, []), (False, [90_000])])
def test_counters_of_before_a_trace_are_not_compared(
    tmp_path: Path, expected: list[int], *, traced: bool
) -> None:
    """The trace has shown what happened since then."""
    error = HostError("the helper timed out")
    ports = TracingPorts(trace=error)
    host = ServiceOnHost(ports, root=tmp_path)
    count = unit_counters(tmp_path)

    async def test() -> None:
        count(5)
        await host.read()
        await asyncio.sleep(400)
        if traced:
            ports.trace = TRACE
            assert (await host.read()).level is WatchLevel.TRACE
            ports.trace = error
        count(90_005)
        facts = await host.read()
        assert (facts.level, facts.found is not None) == (WatchLevel.CGROUPS, True)
        assert [access.count for access in facts.found.value] == expected  # type: ignore[union-attr] # above
        count(90_006)
        facts = await host.read()
        assert [access.count for access in facts.found.value] == [1]  # type: ignore[union-attr] # above

    host.run(test)


def test_paths_come_from_the_second_helper_and_no_disk_in_standby_is_read() -> None:
    files = FileReading((FileAccess(7, "/srv/notes", "read", 0, "8:1"),), devices={"8:1": (A,)})
    ports = TracingPorts(file_reading=files)
    host = ServiceOnHost(ports, '[watch]\nlevel = "files"\n')

    async def test() -> None:
        facts = await host.read()
        assert facts.level is WatchLevel.FILES
        assert facts.found is not None
        (access,) = facts.found.value
        assert access.path == "/srv/notes"

    host.run(test)
    assert ports.calls[0] == ("read_files", (A,), (B,))
    assert ports.calls[-2:] == [("stop_trace",), ("read_files", (), ())]


def test_without_the_second_helper_the_trace_is_left() -> None:
    host = ServiceOnHost(TracingPorts(), '[watch]\nlevel = "files"\n')

    async def test() -> None:
        facts = await host.read()
        assert (facts.level, facts.level_reason) == (WatchLevel.TRACE, "no second helper")

    host.run(test)


def test_no_fault_of_a_reading_ends_the_daemon() -> None:
    ports = TracingPorts(trace=TraceReading((None,)))  # type: ignore[arg-type] # the fault
    host = ServiceOnHost(ports)

    async def test() -> None:
        assert "AttributeError" in (await host.read()).level_reason
        ports.trace = TRACE
        assert (await host.read()).level is WatchLevel.TRACE

    host.run(test)


def test_wakes_are_stored_only_when_a_write_disturbs_no_disk() -> None:
    host = ServiceOnHost(TracingPorts())

    async def test() -> None:
        now = host.clock.now()
        at = Moment(now.mono - 10, 0.0, now.wall)
        access = Access(A, Culprit("cron.service", "cron", 7), "read", "/a", certainty="certain")
        report = AttributionReport({A: (Wake(A, at, 60.0, access, WatchLevel.TRACE),)})
        host.may_write = False
        host.decide(report)
        assert host.storage.written == []
        host.may_write = True
        host.decide(report)
        host.decide(report)
        assert len(host.storage.written) == 1

    host.run(test)
