"""The disks' part of the daemon: guards, looks out of turn, and the book, on virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from faces.house import decision
from policy.disks.spindle import disk
from rig.hardware import Hardware
from scripted import LoopClock

from powerd import disks
from powerd.board import Board
from powerd.disks import Disks, Guards
from powerd.helper.messages.bounds import MOVING, TURN
from powerd.host.machine import Machine
from powerd.host.values import HostError
from powerd.model import (
    Activity,
    Answered,
    AskPower,
    Decision,
    DiskId,
    DiskMemory,
    DiskReport,
    DiskState,
    Done,
    Guard,
    Mount,
    Power,
    Seen,
    Sleep,
    SpinDown,
    Trouble,
)
from powerd.rehearse.loop import run
from powerd.store import Store

A, B = DiskId("ata-a"), DiskId("ata-b")
MD0, MD1 = Guard("md0", (A, B)), Guard("md1", (A, B))


class Bell:
    """A guard's hand that rings when the test says so."""

    def __init__(self) -> None:
        self.standing: list[tuple[DiskId, ...]] = []
        self.begun = 0
        self.error: HostError | None = None
        self.rings = asyncio.Event()

    async def guard(self, disks: tuple[DiskId, ...]) -> tuple[DiskId, tuple[DiskId, ...], float]:
        self.begun += 1
        if self.error is not None:
            raise self.error
        self.standing.append(disks)
        try:
            await self.rings.wait()
        finally:
            self.standing.remove(disks)
        return disks[0], disks[1:], 1.5


class Post:
    """Guards, what they do, and what is said of it."""

    def __init__(self) -> None:
        self.bell, self.board, self.said = Bell(), Board(), list[str]()
        self.guards = Guards(self.bell, self.board, LoopClock(), self.said.append)


def played(test: Callable[[Post], Awaitable[None]]) -> None:
    async def main() -> None:
        await test(Post())

    run(main())


def test_guards_stand_for_as_long_as_they_are_wanted() -> None:
    async def test(post: Post) -> None:
        post.guards.want((MD0, MD1))
        await asyncio.sleep(1)
        post.guards.want((MD1, MD0))
        await asyncio.sleep(1)
        assert (len(post.bell.standing), post.bell.begun) == (2, 2)
        post.guards.want((MD1,))
        await asyncio.sleep(1)
        assert len(post.bell.standing) == 1
        post.guards.want(())
        await asyncio.sleep(1)
        assert post.bell.standing == []

    played(test)


def test_what_a_guard_saw_is_told_and_it_is_not_begun_again_before_somebody_wants_it_anew() -> None:
    async def test(post: Post) -> None:
        post.guards.want((MD0,))
        await asyncio.sleep(7)
        post.bell.rings.set()
        await asyncio.sleep(1)
        roused = post.board.snapshot().roused["md0"]
        assert (roused.disk, roused.others, roused.seconds) == (A, (B,), 1.5)
        assert 7 <= roused.at <= 7.1
        post.guards.want((MD0,))
        await asyncio.sleep(1)
        assert post.bell.begun == 1
        post.guards.want(())
        post.guards.want((MD0,))
        await asyncio.sleep(1)
        assert post.bell.begun == 2
        post.guards.want(())

    played(test)


def test_a_guard_that_cannot_stand_is_complained_of_and_tried_again_after_a_while() -> None:
    async def test(post: Post) -> None:
        post.bell.error = HostError("no helper listens")
        for _ in range(10):
            post.guards.want((MD0,))
            await asyncio.sleep(60)
        assert post.bell.begun == 2
        assert post.said == ["md0: its disks will wake one by one: no helper listens"] * 2

    played(test)


def test_a_guard_is_tried_again_only_when_the_helper_is_done_with_the_last_one() -> None:
    assert TURN + MOVING < disks._PATIENCE  # noqa: SLF001 - the two are counted by two processes


class House:
    """The disks of a machine of two, with a book."""

    def __init__(self, root: Path, store: Store | None) -> None:
        hardware = Hardware(root)
        self.name = DiskId(hardware.sata(0, "WD-1"))
        self.board, self.clock, self.said = Board(), LoopClock(), list[str]()
        self.machine = Machine(root)
        self.disks = Disks(
            self.machine, Bell(), self.clock, self.board, store=store, complain=self.said.append, boot="b1"
        )
        self.looks: list[float] = []

    async def looked(self, seconds: float) -> list[float]:
        """When it looks, within so long."""
        life = asyncio.create_task(self.disks.run())
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end:
            await self.board.changed_or(end)
            self.looks.append(round(asyncio.get_running_loop().time(), 1))
        life.cancel()
        return self.looks

    def told(
        self,
        when: float = float("inf"),
        *,
        downs: int = 0,
        ups: int = 0,
        state: DiskState = DiskState.ACTIVE,
    ) -> Decision:
        """A decision on a disk that carries the book."""
        now = self.clock.now()
        memory = DiskMemory(state, now, downs=_times(downs), ups=_times(ups))
        shown = DiskReport(disk(0, mounts=(Mount("/", "ext4"),)), state, now)
        if downs:  # it has just been used
            used = {shown.disk.id: Seen(now.mono, Activity(now.mono))}
            self.board._put(replace(self.board.snapshot(), activity=used))  # noqa: SLF001 - the source's part
        plain = decision()
        made = replace(
            plain,
            look_at_disks=when,
            disks=(shown,),
            memory=replace(plain.memory, disks={self.name: memory}),
        )
        self.disks.told(made)
        return made


def _times(number: int) -> tuple[float, ...]:
    return tuple(float(n) for n in range(number))


def at_home(tmp_path: Path, test: Callable[[House], Awaitable[None]], store: Store | None = None) -> None:
    async def main() -> None:
        house = House(tmp_path / "root", store)
        await test(house)
        house.disks.close()
        house.machine.close()

    (tmp_path / "root").mkdir()
    run(main())


def test_a_look_out_of_turn_comes_when_it_is_wanted_and_moves_no_beat(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        house.told(100)
        house.told(90)
        looks = await house.looked(200)
        assert [at for at in looks if at < 200] == [0, 60, 90, 120, 180]

    at_home(tmp_path, test)


def test_looks_out_of_turn_are_never_closer_than_five_seconds(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        life = asyncio.create_task(house.looked(31))
        for _ in range(310):
            house.told(0)
            await asyncio.sleep(0.1)
        await life
        assert len(house.looks) <= 9

    at_home(tmp_path, test)


def test_the_rhythm_follows_that_of_the_other_sources(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        house.disks.rhythm(30)
        assert (await house.looked(70))[:3] == [0, 30, 60]

    at_home(tmp_path, test)


def test_powerd_s_own_commands_are_told_to_the_source(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        noted: list[tuple[DiskId, int]] = []
        source = house.disks._source  # noqa: SLF001 - counters that nothing shows
        source.begin = lambda disk: noted.append((disk, -1))  # type: ignore[method-assign] # as it is counted there
        source.end = lambda *about: noted.append(about)  # type: ignore[method-assign] # as above
        for order, done in (
            (AskPower(A), Done(True, "", Answered(Power.ACTIVE, 2), 2)),
            (AskPower(A), Done(False, "", Trouble.BUSY, 0)),
            (SpinDown(B, "ata"), Done(False, "a self-test runs", Trouble.BUSY, 3)),
            (AskPower(A), Done(False, "broken off")),
            (Sleep(0, "suspend"), Done(True, "slept")),
        ):
            house.disks.begun(order)
            house.disks.obeyed(order, done)
        assert noted == [(A, -1), (A, 2), (A, -1), (A, 0), (B, -1), (B, 3), (A, -1), (A, 0)]
        await asyncio.sleep(0)

    at_home(tmp_path, test)


def test_the_book_is_written_only_where_that_disturbs_no_disk(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    file = tmp_path / "state/disks.json"

    async def test(house: House) -> None:
        house.told(downs=1, state=DiskState.STANDBY)
        assert not file.exists()
        house.told(downs=1)
        assert json.loads(file.read_text())["disks"][house.name]["downs"] == [0.0]
        written = file.stat().st_mtime_ns
        house.told(downs=1)
        assert file.stat().st_mtime_ns == written
        house.told(downs=2, state=DiskState.STANDBY)
        assert file.stat().st_mtime_ns == written
        await asyncio.sleep(0)

    at_home(tmp_path, test, store)
    assert len(next(iter(json.loads(file.read_text())["disks"].values()))["downs"]) == 2, "at the end at last"


def test_at_the_end_a_disk_is_woken_for_a_spin_down_that_would_be_forgotten_and_for_nothing_else(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path / "state")
    file = tmp_path / "state/disks.json"

    async def ends(house: House, downs: int, state: DiskState) -> list[int]:
        house.told(downs=1)
        house.told(downs=downs, ups=5, state=state)
        house.disks.close()
        row = json.loads(file.read_text())["disks"][house.name]
        await asyncio.sleep(0)
        return [len(row["downs"]), len(row["ups"])]

    async def test(house: House) -> None:
        assert await ends(house, 1, DiskState.STANDBY) == [1, 0]
        assert await ends(house, 1, DiskState.HUNG) == [1, 5]
        assert await ends(house, 2, DiskState.STANDBY) == [2, 5]

    at_home(tmp_path, test, store)


def test_what_is_no_longer_so_is_not_written_at_the_end(tmp_path: Path) -> None:
    """A disk that is known no more before what happened to it could be written."""
    store = Store(tmp_path / "state")
    file = tmp_path / "state/disks.json"

    async def test(house: House) -> None:
        house.told(downs=1)
        house.told(downs=1, ups=5, state=DiskState.HUNG)
        house.told(downs=1)
        house.disks.close()
        assert json.loads(file.read_text())["disks"][house.name]["ups"] == []
        await asyncio.sleep(0)

    at_home(tmp_path, test, store)


def test_what_the_book_says_is_remembered_at_the_next_start(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")

    async def write(house: House) -> None:
        house.told(downs=3)
        await asyncio.sleep(0)

    async def read(house: House) -> None:
        await asyncio.sleep(0)
        again = House(tmp_path / "again", store)
        assert len(again.disks.memory[house.name].downs) == 3
        again.machine.close()

    (tmp_path / "again").mkdir()
    at_home(tmp_path, write, store)
    (tmp_path / "second").mkdir()
    at_home(tmp_path / "second", read, store)


def test_a_book_that_cannot_be_written_is_complained_of_once(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")

    async def test(house: House) -> None:
        house.told(downs=1)
        house.told(downs=1)
        assert len(house.said) == 1
        assert "cannot be written" in house.said[0]
        await asyncio.sleep(0)

    at_home(tmp_path, test, Store(tmp_path / "state"))
