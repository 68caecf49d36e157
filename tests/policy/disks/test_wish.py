"""A person's wish that a disk stand by."""

from __future__ import annotations

from dataclasses import replace

from policy.disks.shelf import HOUR, MINUTE, Shelf, downs, shelf_of
from policy.disks.spindle import Spindle, disk
from policy.worlds import T0

from powerd.config import parse
from powerd.model import DiskState, Trouble


def wish(shelf: Shelf) -> None:
    """For all of its disks, on a look of this moment, as the daemon does."""
    shelf.look()
    shelf.snapshot = replace(shelf.snapshot, standby_wishes=dict.fromkeys(shelf.spindles, T0 + shelf.at))


def words(shelf: Shelf, n: int = 0) -> list[str]:
    return [what for _, what in list(shelf.spindles.values())[n].log]


def test_it_stands_by_at_once_and_is_asked_whether_it_did() -> None:
    shelf = shelf_of(2).live(5 * MINUTE)
    wish(shelf)
    shelf.live(6 * MINUTE)
    assert [shelf.state(n) for n in range(2)] == [DiskState.STANDBY] * 2
    assert words(shelf)[-2:] == ["ata", "ask"]


def test_it_holds_for_a_disk_that_is_left_alone_otherwise() -> None:
    shelf = shelf_of(1, '[disks]\nspin_down_after = "0s"\n').live(HOUR)
    assert downs(next(iter(shelf.spindles.values()))) == []
    wish(shelf)
    assert shelf.live(HOUR + MINUTE).state() is DiskState.STANDBY


def test_an_access_after_it_voids_it() -> None:
    shelf = shelf_of(1).live(5 * MINUTE)
    spindle = next(iter(shelf.spindles.values()))
    spindle.flying = 1
    shelf.snapshot = replace(shelf.snapshot, standby_wishes=dict.fromkeys(shelf.spindles, T0 + shelf.at))
    shelf.when(6 * MINUTE, lambda: setattr(spindle, "flying", 0))
    shelf.live(20 * MINUTE)
    assert downs(spindle) == []
    shelf.live(30 * MINUTE)
    assert len(downs(spindle)) == 1, "after its usual time"


def test_an_access_to_one_of_its_group_voids_it_for_all() -> None:
    shelf = shelf_of(2, group="md0").live(5 * MINUTE)
    data_waits(shelf, (Trouble.BUSY, "data waits to be written to it"))
    wish(shelf)
    shelf.touch(1, 5.5 * MINUTE)
    shelf.when(5.6 * MINUTE, lambda: data_waits(shelf, None))
    shelf.live(12 * MINUTE)
    assert [downs(each) for each in shelf.spindles.values()] == [[], []]


def data_waits(shelf: Shelf, trouble: tuple[Trouble, str] | None) -> None:
    for each in shelf.spindles.values():
        each.trouble = trouble


def test_it_is_fulfilled_once() -> None:
    shelf = shelf_of(1).live(5 * MINUTE)
    wish(shelf)
    shelf.touch(0, 7 * MINUTE)
    shelf.live(15 * MINUTE)
    assert (shelf.state(), words(shelf).count("ata")) == (DiskState.ACTIVE, 1)


def test_a_drive_that_ignores_the_command_is_tried_again() -> None:
    shelf = Shelf(Spindle(disk(0), deaf=frozenset({"ata"}))).live(5 * MINUTE)
    wish(shelf)
    assert shelf.live(10 * MINUTE).state() is DiskState.STANDBY
    assert [word for word in words(shelf) if word in {"ata", "scsi"}] == ["ata", "ata", "scsi"]


def test_what_goes_on_in_its_array_comes_first() -> None:
    shelf = shelf_of(1, group="md0", busy="md0 resync").live(5 * MINUTE)
    wish(shelf)
    shelf.live(8 * MINUTE)
    assert shelf.report().waits == "md0 resync"
    spindle = next(iter(shelf.spindles.values()))
    spindle.disk = replace(spindle.disk, busy=None)
    shelf.live(10 * MINUTE)
    assert shelf.state() is DiskState.STANDBY


def test_it_lapses_after_ten_minutes() -> None:
    shelf = shelf_of(1, group="md0", busy="md0 resync").live(5 * MINUTE)
    wish(shelf)
    spindle = next(iter(shelf.spindles.values()))
    shelf.when(15.5 * MINUTE, lambda: setattr(spindle, "disk", replace(spindle.disk, busy=None)))
    shelf.live(19 * MINUTE)
    assert downs(spindle) == []


def test_the_daily_budget_holds() -> None:
    shelf = shelf_of(1, "[disks]\nmax_spin_downs_per_day = 1\n").live(5 * MINUTE)
    wish(shelf)
    shelf.touch(0, 30 * MINUTE)
    shelf.live(40 * MINUTE)
    wish(shelf)
    shelf.live(50 * MINUTE)
    assert words(shelf).count("ata") == 1
    assert "as often as it may be" in shelf.report().waits


def test_in_observe_mode_it_is_only_spoken_of() -> None:
    shelf = shelf_of(1)
    shelf.options = parse(b"", "test")
    shelf.live(5 * MINUTE)
    wish(shelf)
    shelf.live(6 * MINUTE)
    assert words(shelf) == []
    assert [type(order).__name__ for _, order in shelf.ordered] == ["SpinDown"]
