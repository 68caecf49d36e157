"""Requests for a health check or a self-test: in both modes, and never of a drive in standby.

Requests to spin a disk down are in tests/disks/test_service_requests.py, Wake-on-LAN requests in
tests/user_requests/test_wake_on_lan.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

import pytest
from simulation.disk_server import SimulatedDiskServer, disk_server

from powerd.config.load import parse
from powerd.core.actions import RequestRefusedError
from powerd.core.storage import Storage
from powerd.daemon import Daemon
from powerd.disks.model import DiskAction, DiskEvents, DiskId
from powerd.disks.service import DiskService
from powerd.requests.model import KeepAwakeFacts
from powerd.simulation.virtual_loop import VirtualLoop, run
from powerd.smart.actions import DiskResult
from powerd.smart.model import Health, SmartReports

WELL = Health(checked_at=0, protocol="ata", passed=True, temperature=31, test_minutes=(2, 240))
CONFIG = b'[clients]\nlearn = "0s"\n[disks]\nspin_down_after = "0s"\n'


class SlowDiskServer(SimulatedDiskServer):
    """Its drives take their time; ``takes`` seconds."""

    takes = 0.3
    breaks = False

    async def execute_disk_action(self, action: DiskAction) -> DiskResult:
        await asyncio.sleep(self.takes)
        if self.breaks:
            raise ZeroDivisionError
        return await super().execute_disk_action(action)


def run_daemon(
    tmp_path: Path, test: Callable[[SlowDiskServer, Daemon], Awaitable[None]], storage: Storage | None = None
) -> None:
    """Observe mode; two drives that have been seen."""
    loop = VirtualLoop()
    nas = disk_server(loop, 2, tmp_path, SlowDiskServer)
    for drive in nas.drives.values():
        drive.health = WELL

    async def main() -> None:
        daemon = Daemon(
            parse(CONFIG, "test"), nas.ports(), nas.clock, storage=storage, on_finding=nas.record_finding
        )
        task = asyncio.create_task(daemon.run())
        await asyncio.sleep(5)
        await test(nas, daemon)
        task.cancel()

    run(main(), loop=loop)
    nas.machine_files().close()


def checked(daemon: Daemon, disk: DiskId) -> Health | None:
    assert daemon.status is not None
    return daemon.status.decision.part(SmartReports).smart[disk].record.last


def test_a_check_is_shown_at_once(tmp_path: Path) -> None:
    async def test(nas: SlowDiskServer, daemon: Daemon) -> None:
        name = await daemon.requests.check_health("sda")
        assert name == next(iter(nas.drives))
        await asyncio.sleep(0.1)
        last = checked(daemon, name)
        assert last is not None
        assert last == replace(WELL, checked_at=last.checked_at)
        assert nas.clock.now().wall.timestamp() - last.checked_at < 1

    run_daemon(tmp_path, test)


def test_a_drive_that_takes_long_is_not_waited_for_and_the_answer_comes_all_the_same(tmp_path: Path) -> None:
    async def test(nas: SlowDiskServer, daemon: Daemon) -> None:
        nas.takes = 45
        start = nas.clock.mono()
        name = await daemon.requests.check_health("sda")
        assert nas.clock.mono() - start == pytest.approx(10, abs=0.1)
        assert checked(daemon, name) is None
        await asyncio.sleep(60)
        assert checked(daemon, name) is not None

    run_daemon(tmp_path, test)


def test_a_drive_in_standby_is_left_alone_and_reported(tmp_path: Path) -> None:
    async def test(nas: SlowDiskServer, daemon: Daemon) -> None:
        drive = next(iter(nas.drives.values()))
        drive.spins = False
        with pytest.raises(RequestRefusedError, match="sleep mode"):
            await daemon.requests.check_health("sda")
        with pytest.raises(RequestRefusedError, match="sleep mode"):
            await daemon.requests.start_self_test("sda", "short")
        assert not drive.spins
        with pytest.raises(RequestRefusedError, match='no disk "sdz"'):
            await daemon.requests.check_health("sdz")

    run_daemon(tmp_path, test)


def test_a_self_test_by_hand_is_remembered(tmp_path: Path) -> None:
    async def test(nas: SlowDiskServer, daemon: Daemon) -> None:
        name = await daemon.requests.check_health("sda")
        await daemon.requests.start_self_test("sda", "short")
        await asyncio.sleep(1)
        assert daemon.status is not None
        report = daemon.status.decision.part(SmartReports).smart[name]
        assert report.testing
        assert set(report.record.test_started_at) == {"short"}
        assert len(nas.drives[name].times_of("short")) == 1

    run_daemon(tmp_path, test)


def test_two_who_ask_at_the_same_time_share_a_check(tmp_path: Path) -> None:
    """Nor is the drive, or the server, put to sleep under the second one."""

    async def test(nas: SlowDiskServer, daemon: Daemon) -> None:
        names = await asyncio.gather(
            *(daemon.requests.check_health(reading) for reading in ("sda", "sda", "sdb"))
        )
        assert names == [*list(nas.drives)[:1] * 2, list(nas.drives)[1]]
        assert [len(drive.times_of("health")) for drive in nas.drives.values()] == [1, 1]
        assert not daemon.state.snapshot().running_actions

    run_daemon(tmp_path, test)


def test_an_internal_failure_is_reported_and_ends_the_request(tmp_path: Path) -> None:
    async def test(nas: SlowDiskServer, daemon: Daemon) -> None:
        nas.breaks = True
        with pytest.raises(RequestRefusedError, match="ZeroDivisionError"):
            await daemon.requests.check_health("sda")
        assert not daemon.state.snapshot().running_actions
        assert not any(attrgetter("requests._disks._source._sampler._running_actions")(daemon).values())

    run_daemon(tmp_path, test)


def test_an_observer_stops_no_disk_for_anybody(tmp_path: Path) -> None:
    async def test(nas: SlowDiskServer, daemon: Daemon) -> None:
        with pytest.raises(RequestRefusedError, match=r'observe.*mode = "enforce"'):
            await daemon.requests.spin_down(next(iter(nas.drives)))
        assert not daemon.state.snapshot().part(DiskEvents).spin_down_requests

    run_daemon(tmp_path, test)


def test_the_end_of_a_keep_does_not_wake_the_disk_with_the_state_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage(tmp_path / "state")
    spins = asyncio.Event()
    monkeypatch.setattr(DiskService, "may_write", lambda _: spins.is_set())

    async def test(nas: SlowDiskServer, daemon: Daemon) -> None:
        del nas
        daemon.requests.keep_awake.add(60, "backup")
        file = tmp_path / "state/keeps.json"
        written = file.read_bytes()
        await asyncio.sleep(600)
        assert daemon.status is not None
        assert not daemon.status.snapshot.part(KeepAwakeFacts).keep_awake
        assert file.read_bytes() == written
        spins.set()
        await asyncio.sleep(600)
        assert b"backup" not in file.read_bytes()

    run_daemon(tmp_path, test, storage)
