"""Told to stand by, asked whether it did, tried again another way, given up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from policy.disks.shelf import DAY, HOUR, MINUTE, Shelf, downs, shelf_of
from policy.disks.spindle import Spindle, disk

from powerd.model import DiskState
from powerd.policy.disks import tried_anew

AFTER = 20 * MINUTE


def only(shelf: Shelf) -> Spindle:
    (spindle,) = shelf.spindles.values()
    return spindle


def test_an_idle_disk_is_told_to_stand_by_and_asked_whether_it_did() -> None:
    shelf = shelf_of(1).live(AFTER + MINUTE)
    words = [what for _, what in only(shelf).log]
    assert words == ["ask", "read", "ata", "ask"]
    told, asked = only(shelf).of("ata")[0], only(shelf).of("ask")[1]
    assert AFTER <= told <= AFTER + 2
    assert 15 <= asked - told <= 30
    assert (shelf.state(), shelf.report().worked) == (DiskState.STANDBY, "ata")


def test_a_sleeping_disk_is_left_in_peace() -> None:
    shelf = shelf_of(3).live(30 * MINUTE)
    before = [list(each.log) for each in shelf.spindles.values()]
    decisions = shelf.decisions
    shelf.live(30 * MINUTE + DAY)
    assert [each.log for each in shelf.spindles.values()] == before
    assert shelf.decisions - decisions <= DAY / MINUTE + 2, "one decision for each look, and no more"


def test_until_the_drive_has_confirmed_it_it_is_not_called_asleep() -> None:
    shelf = shelf_of(1).live(AFTER + 10)
    assert shelf.state() is DiskState.SETTLING
    assert "asked whether it did" in shelf.report().waits


def test_an_access_wakes_it_and_it_goes_down_again_after_the_full_time() -> None:
    shelf = shelf_of(1)
    shelf.touch(0, HOUR, HOUR + 90)
    shelf.live(HOUR + 10 * MINUTE)
    report = shelf.report()
    assert (report.state, report.spin_ups, report.spin_downs) == (DiskState.ACTIVE, 1, 1)
    assert report.last_wake is not None
    assert report.spin_down_at == pytest.approx(report.idle_since + AFTER) if report.idle_since else False
    assert report.waits == "waits for 20min of idleness"
    shelf.live(2 * HOUR)
    first, second = downs(only(shelf))
    assert first < HOUR
    assert HOUR + 90 + AFTER <= second <= HOUR + 90 + AFTER + 65


def test_without_a_look_that_finds_it_idle_nothing_is_ordered() -> None:
    """The order is given on a look of this moment; at its time one is asked for, out of turn."""
    spindle = Spindle(disk(0))
    Shelf(spindle, rhythm=30 * MINUTE).live(AFTER + MINUTE)
    assert AFTER <= downs(spindle)[0] <= AFTER + 2


def test_one_that_ignores_the_command_is_tried_again_then_the_other_way_then_given_up() -> None:
    spindle = Spindle(disk(0), deaf=frozenset({"ata", "scsi"}))
    shelf = Shelf(spindle).live(3 * HOUR)
    ways = [what for _, what in spindle.log if what in {"ata", "scsi"}]
    assert ways == ["ata", "ata", "scsi"]
    assert shelf.state() is DiskState.UNSUPPORTED
    assert shelf.report().waits == "cannot be made to stand by: it still spun after it was told to stand by"
    shelf.live(2 * DAY)
    assert len(downs(spindle)) == 3, "never tried again"


def test_what_the_drive_refuses_is_given_up_in_its_words() -> None:
    shelf = Shelf(Spindle(disk(0), refuses=frozenset({"ata", "scsi"}))).live(2 * HOUR)
    assert shelf.report().waits == "cannot be made to stand by: scsi refused"
    assert shelf.report().spin_downs == 0


def test_the_way_that_worked_is_the_first_to_be_tried() -> None:
    spindle = Spindle(disk(0), deaf=frozenset({"ata"}))
    shelf = Shelf(spindle)
    shelf.touch(0, 2 * HOUR)
    shelf.live(4 * HOUR)
    assert [what for _, what in spindle.log if what in {"ata", "scsi"}] == ["ata", "ata", "scsi", "scsi"]
    assert shelf.report().worked == "scsi"
    spindle.deaf = frozenset({"scsi"})
    shelf.touch(0, 4 * HOUR + 1)
    shelf.live(6 * HOUR)
    assert [what for _, what in spindle.log][-6:] == ["scsi", "ask", "scsi", "ask", "ata", "ask"]
    assert shelf.report().worked == "ata"


@pytest.mark.parametrize("transport", ["sas", "other"])
def test_what_knows_no_ata_is_only_ever_stopped_by_scsi(transport: str) -> None:
    spindle = Spindle(disk(0, transport=transport), deaf=frozenset({"scsi"}))
    Shelf(spindle).live(2 * HOUR)
    assert [what for _, what in spindle.log if what in {"ata", "scsi"}] == ["scsi"] * 3


def test_one_that_never_says_whether_it_spins_cannot_be_verified() -> None:
    """Unknown is not standby."""
    shelf = Shelf(Spindle(disk(0), dumb=True))
    shelf.live(10)
    assert shelf.state() is DiskState.UNKNOWN
    shelf.live(3 * HOUR)
    assert shelf.state() is DiskState.UNSUPPORTED
    assert "does not say whether it spins" in shelf.report().waits


def test_a_change_of_the_configuration_tries_it_anew() -> None:
    spindle = Spindle(disk(0), deaf=frozenset({"ata", "scsi"}))
    shelf = Shelf(spindle).live(2 * HOUR)
    spindle.deaf = frozenset()
    disks = {name: tried_anew(each) for name, each in shelf.memory.disks.items()}
    shelf.memory = replace(shelf.memory, disks=disks)
    shelf.live(3 * HOUR)
    assert shelf.state() is DiskState.STANDBY
