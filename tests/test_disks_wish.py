"""A person's wish that a disk stand by, on its way from the faces to the board."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from faces.house import decision
from rig.hardware import Hardware
from scripted import LoopClock

from powerd.board import Board
from powerd.disks import Disks
from powerd.host.machine import Machine
from powerd.model import DiskId, DiskReport, DiskState, RefusedError, Seen, Snapshot


class Unguarded:
    """No group is guarded here."""

    async def guard(self, disks: tuple[DiskId, ...]) -> tuple[DiskId, tuple[DiskId, ...], float]:
        raise NotImplementedError(disks)


def wished(
    hardware: Hardware, wish: Callable[[Disks], Awaitable[object]], state: DiskState = DiskState.ACTIVE
) -> Snapshot:
    """What stands on the board after a wish, where all disks are in ``state``."""

    async def story() -> Snapshot:
        board, clock, machine = Board(), LoopClock(), Machine(hardware.root)
        disks = Disks(machine, Unguarded(), clock, board, store=None, complain=print, boot="")
        looking = asyncio.create_task(disks.run())
        async with asyncio.timeout(5):
            while not board.snapshot().disks:
                await board.changed_or(float("inf"))
        reports = tuple(
            DiskReport(disk, state if disk.excluded is None else DiskState.EXCLUDED, clock.now(), waits="why")
            for disk in board.snapshot().disks.values()
        )
        disks.told(replace(decision(), disks=reports))
        try:
            await wish(disks)
        finally:
            looking.cancel()
            disks.close()
            machine.close()
        return board.snapshot()

    return asyncio.run(story())


@pytest.fixture
def hardware(tmp_path: Path) -> Hardware:
    """An array of two, a disk alone, and an SSD."""
    hardware = Hardware(tmp_path)
    for n in range(3):
        hardware.sata(n, f"WCC{n}")
    hardware.md("md0", 0, ["sda", "sdb"])
    hardware.sata(3, "SSD", model="Samsung SSD", rotational="0")
    return hardware


def id_of(n: int) -> DiskId:
    return DiskId(f"ata-WDC_WD20EFRX-68EUZN0_WCC{n}")


def test_a_disk_alone_is_wished_for_alone_and_looked_at_first(hardware: Hardware) -> None:
    snapshot = wished(hardware, lambda disks: disks.stand_by(id_of(2)))
    assert list(snapshot.standby_wishes) == [id_of(2)]
    look = snapshot.activity[id_of(2)]
    assert isinstance(look, Seen)
    assert look.value.moved <= look.at <= snapshot.standby_wishes[id_of(2)]


@pytest.mark.parametrize("word", ["sdc", "WCC2"])
def test_a_disk_goes_by_any_of_its_names(hardware: Hardware, word: str) -> None:
    assert list(wished(hardware, lambda disks: disks.stand_by(word)).standby_wishes) == [id_of(2)]


def test_a_word_for_two_disks_makes_neither_stand_by(hardware: Hardware) -> None:
    hardware.sata(4, "WCC2", model="Another")
    with pytest.raises(RefusedError, match='"WCC2" may be sdc or sde'):
        wished(hardware, lambda disks: disks.stand_by("WCC2"))


def test_a_member_takes_its_whole_group_along(hardware: Hardware) -> None:
    told: list[object] = []

    async def wish(disks: Disks) -> None:
        told.extend(await disks.stand_by(id_of(0)))

    assert set(wished(hardware, wish).standby_wishes) == {id_of(0), id_of(1)} == set(told)


def test_a_wish_does_not_undo_another(hardware: Hardware) -> None:
    async def wish(disks: Disks) -> None:
        await disks.stand_by(id_of(2))
        await disks.stand_by(id_of(1))

    assert set(wished(hardware, wish).standby_wishes) == {id_of(0), id_of(1), id_of(2)}


@pytest.mark.parametrize(
    ("name", "state", "text", "unknown"),
    [
        ("sdz", DiskState.ACTIVE, 'there is no disk "sdz"; `powerd disks` names those that there are', True),
        (id_of(0), DiskState.HUNG, "sda will not stand by: why", False),
        (id_of(0), DiskState.UNSUPPORTED, "sda will not stand by: why", False),
        (id_of(0), DiskState.SUSPENDED, "sda will not stand by: why", False),
        ("ata-Samsung_SSD_SSD", DiskState.ACTIVE, "sdd will not stand by: why", False),
    ],
)
def test_what_cannot_be_is_refused(
    hardware: Hardware, name: str, state: DiskState, text: str, *, unknown: bool
) -> None:
    with pytest.raises(RefusedError) as caught:
        wished(hardware, lambda disks: disks.stand_by(name), state)
    assert (str(caught.value), caught.value.unknown) == (text, unknown)
