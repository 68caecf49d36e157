"""The disk service: group watches, additional polls and the state file, on virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from facts import changed
from fakes.unused_ports import UnusedPorts
from rig.hardware import Hardware
from ui.statuses import decision, status

from powerd.config.load import parse
from powerd.config.options import Options
from powerd.core.service import Environment
from powerd.core.snapshot import Decision
from powerd.core.state import StateStore
from powerd.core.storage import Storage
from powerd.core.time import Reading
from powerd.disks import service
from powerd.disks.model import (
    CheckPowerMode,
    DiskAction,
    DiskActivity,
    DiskEvents,
    DiskId,
    FailureCause,
    GroupSpinUp,
    GroupWatch,
    Mount,
    PowerMode,
    PowerStatus,
    SpinDown,
)
from powerd.disks.service import DiskService, GroupWatches
from powerd.disks.state import DiskMemory, DiskReport, DisksMemory, DiskState, SpinCycles
from powerd.helper.protocol.deadlines import MOTOR_COMMAND, QUEUE_TIMEOUT
from powerd.linux.files import HostFiles
from powerd.linux.values import HostError, RefusedByHelperError
from powerd.simulation.clock import SimulatedClock
from powerd.simulation.drive import disk
from powerd.simulation.virtual_loop import run
from powerd.smart.actions import DiskResult

A, B = DiskId("ata-a"), DiskId("ata-b")
MD0, MD1 = GroupWatch("md0", (A, B)), GroupWatch("md1", (A, B))


class FakeGuardPort(UnusedPorts):
    """A helper whose first access the test triggers.

    Attributes:
        disk_result: of each action; None = it never ends.
    """

    def __init__(self) -> None:
        self.disk_result: PowerStatus | HostError | None = None
        self.waiting: list[tuple[DiskId, ...]] = []
        self.started = 0
        self.error: HostError | None = None
        self.triggered = asyncio.Event()

    async def wait_first_access(self, disks: tuple[DiskId, ...]) -> GroupSpinUp:
        self.started += 1
        if self.error is not None:
            raise self.error
        self.waiting.append(disks)
        try:
            await self.triggered.wait()
        finally:
            self.waiting.remove(disks)
        return GroupSpinUp(disks[0], disks[1:], (), 1.5)

    async def execute_disk_action(self, action: DiskAction) -> DiskResult:
        del action
        if self.disk_result is None:
            await asyncio.Event().wait()
        elif isinstance(self.disk_result, HostError):
            raise self.disk_result
        assert isinstance(self.disk_result, PowerStatus)
        return self.disk_result


class GuardFixture:
    """Guards, what they do, and what is said of it."""

    def __init__(self) -> None:
        self.port, self.state, self.messages = FakeGuardPort(), StateStore(), list[str]()
        self.guards = GroupWatches(self.port, self.state, SimulatedClock(), self.messages.append)


def run_guards(test: Callable[[GuardFixture], Awaitable[None]]) -> None:
    async def main() -> None:
        await test(GuardFixture())

    run(main())


def test_guards_run_while_they_are_wanted() -> None:
    async def test(post: GuardFixture) -> None:
        post.guards.update((MD0, MD1))
        await asyncio.sleep(1)
        post.guards.update((MD1, MD0))
        await asyncio.sleep(1)
        assert (len(post.port.waiting), post.port.started) == (2, 2)
        post.guards.update((MD1,))
        await asyncio.sleep(1)
        assert len(post.port.waiting) == 1
        post.guards.update(())
        await asyncio.sleep(1)
        assert post.port.waiting == []

    run_guards(test)


def test_a_guard_event_is_published_and_the_guard_restarts_only_on_demand() -> None:
    async def test(post: GuardFixture) -> None:
        post.guards.update((MD0,))
        await asyncio.sleep(7)
        post.port.triggered.set()
        await asyncio.sleep(1)
        spin_up = post.state.snapshot().part(DiskEvents).group_spin_ups["md0"]
        assert spin_up.value == GroupSpinUp(A, (B,), (), 1.5)
        assert 7 <= spin_up.at <= 7.1
        post.guards.update((MD0,))
        await asyncio.sleep(1)
        assert post.port.started == 1
        post.guards.update(())
        post.guards.update((MD0,))
        await asyncio.sleep(1)
        assert post.port.started == 2
        post.guards.update(())

    run_guards(test)


def test_a_failed_guard_is_reported_and_retried_after_a_while() -> None:
    async def test(post: GuardFixture) -> None:
        post.port.error = HostError("no helper listens")
        for _ in range(10):
            post.guards.update((MD0,))
            await asyncio.sleep(60)
        assert post.port.started == 2
        assert len(post.messages) == 2
        for message in post.messages:
            assert message.startswith("md0: ")
            assert message.endswith(": no helper listens")

    run_guards(test)


def test_a_guard_is_tried_again_only_when_the_helper_is_done_with_the_last_one() -> None:
    assert QUEUE_TIMEOUT + MOTOR_COMMAND < service._WATCH_RETRY_AFTER  # noqa: SLF001 - the two are counted by two processes


class DiskServiceFixture:
    """The disks of a machine of two, with a book."""

    def __init__(self, root: Path, store: Storage | None) -> None:
        hardware = Hardware(root)
        self.name = DiskId(hardware.sata(0, "WD-1"))
        self.state_store, self.clock, self.message = StateStore(), SimulatedClock(), list[str]()
        self.machine = HostFiles(root)
        self.helper = FakeGuardPort()
        self.options = Options()
        self.disks = DiskService(
            self.machine,
            self.helper,
            Environment(
                self.clock,
                self.state_store,
                lambda: self.options,
                store or Storage(None),
                self.message.append,
                "b1",
            ),
        )
        self.polls: list[float] = []

    async def poll_age(self, seconds: float) -> list[float]:
        """The times of its polls within this duration."""
        task = asyncio.create_task(self.disks.pollers[0].run())
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end:
            await self.state_store.wait_for_change(end)
            self.polls.append(round(asyncio.get_running_loop().time(), 1))
        task.cancel()
        return self.polls

    def decided(
        self,
        when: float = float("inf"),
        *,
        downs: int = 0,
        ups: int = 0,
        state: DiskState = DiskState.ACTIVE,
    ) -> Decision:
        """A decision on a disk that carries the book."""
        now = self.clock.now()
        memory = DiskMemory(state, now, cycles=SpinCycles(spin_downs=_times(downs), spin_ups=_times(ups)))
        shown = DiskReport(disk(0, mounts=(Mount("/", "ext4"),)), state, now)
        if downs:  # it has just been used
            used = {shown.disk.id: Reading(now.mono, DiskActivity(now.mono))}
            self.state_store._set(changed(self.state_store.snapshot(), activity=used))  # noqa: SLF001 - the source's part
        plain = decision()
        made = changed(
            plain,
            next_disk_poll_at=when,
            disks=(shown,),
            memory=changed(plain.memory, disks={self.name: memory}),
        )
        self.disks.on_decision(status(made))
        return made


def _times(number: int) -> tuple[float, ...]:
    return tuple(float(n) for n in range(number))


def run_service(
    tmp_path: Path, test: Callable[[DiskServiceFixture], Awaitable[None]], store: Storage | None = None
) -> None:
    async def main() -> None:
        fixture = DiskServiceFixture(tmp_path / "root", store)
        await test(fixture)
        fixture.disks.close()
        fixture.machine.close()

    (tmp_path / "root").mkdir()
    run(main())


def test_an_extra_poll_comes_on_demand_and_does_not_move_the_schedule(tmp_path: Path) -> None:
    async def test(fixture: DiskServiceFixture) -> None:
        fixture.decided(100)
        fixture.decided(90)
        polls = await fixture.poll_age(200)
        assert [at for at in polls if at < 200] == [0, 60, 90, 120, 180]

    run_service(tmp_path, test)


def test_extra_polls_are_at_least_five_seconds_apart(tmp_path: Path) -> None:
    async def test(fixture: DiskServiceFixture) -> None:
        task = asyncio.create_task(fixture.poll_age(31))
        for _ in range(310):
            fixture.decided(0)
            await asyncio.sleep(0.1)
        await task
        assert len(fixture.polls) <= 9

    run_service(tmp_path, test)


def test_the_rhythm_follows_that_of_the_other_sources(tmp_path: Path) -> None:
    async def test(fixture: DiskServiceFixture) -> None:
        fixture.options = parse(b'[clients]\nevery = "30s"', "test")
        fixture.disks.on_reconfigure()
        assert (await fixture.poll_age(70))[:3] == [0, 30, 60]

    run_service(tmp_path, test)


def test_own_commands_are_announced_to_the_source(tmp_path: Path) -> None:
    async def test(fixture: DiskServiceFixture) -> None:
        noted: list[tuple[DiskId, int]] = []
        source = fixture.disks._source  # noqa: SLF001 - counters that nothing shows
        source.begin_action = lambda disk: noted.append((disk, -1))  # type: ignore[method-assign] # as it is counted there
        source.end_action = lambda *about: noted.append(about)  # type: ignore[method-assign] # as it is counted there
        for action, result in (
            (CheckPowerMode(A), PowerStatus(PowerMode.ACTIVE, 2)),
            (CheckPowerMode(A), RefusedByHelperError("it is busy", FailureCause.BUSY, 0)),
            (SpinDown(B, "ata"), RefusedByHelperError("a self-test runs", FailureCause.BUSY, 3)),
        ):
            fixture.helper.disk_result = result
            await fixture.disks.execute(action)
        fixture.helper.disk_result = None
        broken_off = asyncio.create_task(fixture.disks.execute(CheckPowerMode(A)))
        await asyncio.sleep(1)
        broken_off.cancel()
        await asyncio.wait({broken_off})
        assert noted == [(A, -1), (A, 2), (A, -1), (A, 0), (B, -1), (B, 3), (A, -1), (A, 0)]
        await asyncio.sleep(0)

    run_service(tmp_path, test)


def test_the_history_is_written_only_where_that_wakes_no_disk(tmp_path: Path) -> None:
    store = Storage(tmp_path / "state")
    file = tmp_path / "state/disks.json"

    async def test(fixture: DiskServiceFixture) -> None:
        fixture.decided(downs=1, state=DiskState.STANDBY)
        assert not file.exists()
        fixture.decided(downs=1)
        assert json.loads(file.read_text())["disks"][fixture.name]["downs"] == [0.0]
        written = file.stat().st_mtime_ns
        fixture.decided(downs=1)
        assert file.stat().st_mtime_ns == written
        fixture.decided(downs=2, state=DiskState.STANDBY)
        assert file.stat().st_mtime_ns == written
        await asyncio.sleep(0)

    run_service(tmp_path, test, store)
    assert len(next(iter(json.loads(file.read_text())["disks"].values()))["downs"]) == 2, "at the end at last"


def test_at_the_end_a_disk_is_woken_for_a_spin_down_that_would_be_forgotten_and_for_nothing_else(
    tmp_path: Path,
) -> None:
    store = Storage(tmp_path / "state")
    file = tmp_path / "state/disks.json"

    async def ends(fixture: DiskServiceFixture, downs: int, state: DiskState) -> list[int]:
        fixture.decided(downs=1)
        fixture.decided(downs=downs, ups=5, state=state)
        fixture.disks.close()
        row = json.loads(file.read_text())["disks"][fixture.name]
        await asyncio.sleep(0)
        return [len(row["downs"]), len(row["ups"])]

    async def test(fixture: DiskServiceFixture) -> None:
        assert await ends(fixture, 1, DiskState.STANDBY) == [1, 0]
        assert await ends(fixture, 1, DiskState.UNRESPONSIVE) == [1, 5]
        assert await ends(fixture, 2, DiskState.STANDBY) == [2, 5]

    run_service(tmp_path, test, store)


def test_what_is_no_longer_so_is_not_written_at_the_end(tmp_path: Path) -> None:
    """A disk that is known no more before what happened to it could be written."""
    store = Storage(tmp_path / "state")
    file = tmp_path / "state/disks.json"

    async def test(fixture: DiskServiceFixture) -> None:
        fixture.decided(downs=1)
        fixture.decided(downs=1, ups=5, state=DiskState.UNRESPONSIVE)
        fixture.decided(downs=1)
        fixture.disks.close()
        assert json.loads(file.read_text())["disks"][fixture.name]["ups"] == []
        await asyncio.sleep(0)

    run_service(tmp_path, test, store)


def test_the_history_is_loaded_at_the_next_start(tmp_path: Path) -> None:
    store = Storage(tmp_path / "state")

    async def write(fixture: DiskServiceFixture) -> None:
        fixture.decided(downs=3)
        await asyncio.sleep(0)

    async def read(fixture: DiskServiceFixture) -> None:
        await asyncio.sleep(0)
        again = DiskServiceFixture(tmp_path / "again", store)
        (memory,) = again.disks.memory
        assert isinstance(memory, DisksMemory)
        assert len(memory.disks[fixture.name].cycles.spin_downs) == 3
        again.machine.close()

    (tmp_path / "again").mkdir()
    run_service(tmp_path, write, store)
    (tmp_path / "second").mkdir()
    run_service(tmp_path / "second", read, store)


def test_a_failed_write_of_the_history_is_reported_once(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    errors: list[str] = []

    async def test(fixture: DiskServiceFixture) -> None:
        fixture.decided(downs=1)
        fixture.decided(downs=1)
        assert [text for text in errors if "cannot be written" in text] == errors[1:]
        assert len(errors) == 2
        await asyncio.sleep(0)

    run_service(tmp_path, test, Storage(tmp_path / "state", errors.append))
