"""A person has a drive checked, or has it test itself: in whatever mode, and never one that sleeps.

Wishes that a disk stand by are in tests/test_disks_wish.py, and that a client wake up in tests/test_wake.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

import pytest
from rehearse.households import BERLIN, daily, person
from rehearse.test_disks_week import Nas

from powerd.config import parse
from powerd.daemon import Daemon
from powerd.model import DiskId, DiskOrder, Found, Health, RefusedError
from powerd.rehearse.house import local
from powerd.rehearse.loop import VirtualLoop, run

WELL = Health(at=0, protocol="ata", passed=True, temperature=31, minutes=(2, 240))
CONFIG = b'[clients]\nlearn = "0s"\n[disks]\nspin_down_after = "0s"\n'


class Slow(Nas):
    """Its drives take their time; ``takes`` seconds."""

    takes = 0.3
    breaks = False

    async def disk(self, order: DiskOrder) -> Found:
        await asyncio.sleep(self.takes)
        if self.breaks:
            raise ZeroDivisionError
        return await super().disk(order)


def live(tmp_path: Path, test: Callable[[Slow, Daemon], Awaitable[None]]) -> None:
    """Observe mode; two drives that have been seen."""
    loop = VirtualLoop()
    nas = Slow(loop.time, [person("anna", 11, daily(0, 24))], BERLIN, local(BERLIN, "2026-06-01 12:00"))
    nas.plug(2, tmp_path)
    for spindle in nas.drives.values():
        spindle.health = WELL

    async def main() -> None:
        daemon = Daemon(parse(CONFIG, "test"), nas, nas, nas, alert=nas.alert)
        life = asyncio.create_task(daemon.live())
        await asyncio.sleep(5)
        await test(nas, daemon)
        life.cancel()

    run(main(), loop=loop)
    nas.eyes().close()


def checked(daemon: Daemon, disk: DiskId) -> Health | None:
    assert daemon.status is not None
    return daemon.status.decision.smart[disk].record.last


def test_a_check_is_shown_at_once(tmp_path: Path) -> None:
    async def test(nas: Slow, daemon: Daemon) -> None:
        name = await daemon.wishes.check("sda")
        assert name == next(iter(nas.drives))
        await asyncio.sleep(0.1)
        last = checked(daemon, name)
        assert last is not None
        assert last == replace(WELL, at=last.at)
        assert nas.now().wall.timestamp() - last.at < 1

    live(tmp_path, test)


def test_a_drive_that_takes_long_is_not_waited_for_and_the_answer_comes_all_the_same(tmp_path: Path) -> None:
    async def test(nas: Slow, daemon: Daemon) -> None:
        nas.takes = 45
        begun = nas.time()
        name = await daemon.wishes.check("sda")
        assert nas.time() - begun == pytest.approx(10, abs=0.1)
        assert checked(daemon, name) is None
        await asyncio.sleep(60)
        assert checked(daemon, name) is not None

    live(tmp_path, test)


def test_a_drive_that_sleeps_is_left_alone_and_said_so(tmp_path: Path) -> None:
    async def test(nas: Slow, daemon: Daemon) -> None:
        spindle = next(iter(nas.drives.values()))
        spindle.spins = False
        with pytest.raises(RefusedError, match="sleeps"):
            await daemon.wishes.check("sda")
        with pytest.raises(RefusedError, match="sleeps"):
            await daemon.wishes.test("sda", "short")
        assert not spindle.spins
        with pytest.raises(RefusedError, match='no disk "sdz"'):
            await daemon.wishes.check("sdz")

    live(tmp_path, test)


def test_a_self_test_by_hand_is_remembered(tmp_path: Path) -> None:
    async def test(nas: Slow, daemon: Daemon) -> None:
        name = await daemon.wishes.check("sda")
        await daemon.wishes.test("sda", "short")
        await asyncio.sleep(1)
        assert daemon.status is not None
        report = daemon.status.decision.smart[name]
        assert report.testing
        assert set(report.record.tested) == {"short"}
        assert len(nas.drives[name].of("short")) == 1

    live(tmp_path, test)


def test_two_who_ask_at_the_same_time_share_a_check(tmp_path: Path) -> None:
    """Nor is the drive, or the server, put to sleep under the second one."""

    async def test(nas: Slow, daemon: Daemon) -> None:
        names = await asyncio.gather(*(daemon.wishes.check(word) for word in ("sda", "sda", "sdb")))
        assert names == [*list(nas.drives)[:1] * 2, list(nas.drives)[1]]
        assert [len(spindle.of("health")) for spindle in nas.drives.values()] == [1, 1]
        assert not daemon.board.snapshot().in_flight

    live(tmp_path, test)


def test_what_fails_inside_powerd_is_said_and_is_under_way_no_more(tmp_path: Path) -> None:
    async def test(nas: Slow, daemon: Daemon) -> None:
        nas.breaks = True
        with pytest.raises(RefusedError, match="it failed inside powerd: ZeroDivisionError"):
            await daemon.wishes.check("sda")
        assert not daemon.board.snapshot().in_flight
        assert not any(attrgetter("_disks._source._meters._orders")(daemon).values())

    live(tmp_path, test)


def test_an_observer_stops_no_disk_for_anybody(tmp_path: Path) -> None:
    async def test(nas: Slow, daemon: Daemon) -> None:
        with pytest.raises(RefusedError, match=r'observes only.*mode = "enforce" lets it'):
            await daemon.wishes.stand_by(next(iter(nas.drives)))
        assert not daemon.board.snapshot().standby_wishes

    live(tmp_path, test)
