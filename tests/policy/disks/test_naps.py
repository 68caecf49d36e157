"""Drives that stop when they like to, which no counter tells, and disks that do not survive being stopped."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from policy.disks.shelf import DAY, HOUR, MINUTE, Shelf, downs
from policy.disks.spindle import Spindle, disk

from powerd.model import AskPower, CheckHealth, DiskState, Drive, Outcome, SpinDown, Trouble
from powerd.policy.disks import tried_anew

USB = "[disks]\nusb = true\n"
LONG = '[disks]\nspin_down_after = "5h"\n'
EPC = Drive(apm=254, apm_supported=True, epc=True)
LOW = Drive(apm=127, apm_supported=True)
VANISHED = "cannot be made to stand by: it vanished when it was told to stand by"


def only(shelf: Shelf) -> Spindle:
    (spindle,) = shelf.spindles.values()
    return spindle


def replug(shelf: Shelf) -> None:
    """The disk is gone, and back at once under a new name of the kernel's."""
    spindle = only(shelf)
    spindle.disk = replace(spindle.disk, seen=shelf.now.mono)
    spindle.spins = True
    shelf.look()


def test_one_that_slept_already_when_it_was_told_to_proves_no_way() -> None:
    shelf = Shelf(Spindle(disk(0), naps=12 * 60)).live(HOUR)
    report = shelf.report()
    assert (report.state, report.worked, report.spin_downs) == (DiskState.STANDBY, None, 1)
    assert downs(only(shelf)) == []
    assert only(shelf).of("ask") == only(shelf).of("ask")[:1], "its word need not be verified"


def test_the_way_that_has_worked_stays_known_of_one_that_slept_already() -> None:
    spindle = Spindle(disk(0))
    shelf = Shelf(spindle).live(HOUR)
    shelf.when(HOUR + 1, lambda: setattr(spindle, "naps", 700))
    shelf.touch(0, HOUR + 2)
    shelf.live(2 * HOUR)
    assert (shelf.report().worked, shelf.report().spin_downs) == ("ata", 2)


@pytest.mark.parametrize("drive", [EPC, LOW])
def test_a_drive_that_may_stop_by_itself_is_asked_ever_more_seldom(drive: Drive) -> None:
    """And not once it sleeps."""
    shelf = Shelf(Spindle(disk(0), drive=drive, naps=3 * 3600 + 1), text=LONG)
    shelf.touch(0, HOUR)
    shelf.live(DAY)
    asked = [at - HOUR for at in only(shelf).of("ask") if at > HOUR]
    assert asked == pytest.approx([300, 600, 1200, 2400, 4800, 8400, 12000], abs=20)
    assert (shelf.state(), shelf.report().spin_downs, shelf.report().worked) == (DiskState.STANDBY, 1, None)
    shelf.touch(0, shelf.at + 1)
    shelf.live(shelf.at + 2 * MINUTE)
    assert (shelf.state(), shelf.report().spin_ups) == (DiskState.ACTIVE, 1)


def test_one_that_never_stops_is_asked_once_an_hour_and_one_refusal_does_not_end_that() -> None:
    spindle = Spindle(disk(0), drive=LOW)
    shelf = Shelf(spindle, text='[disks]\nspin_down_after = "48h"\n').live(DAY)
    late = [at for at in spindle.of("ask") if at > 3 * HOUR]
    assert all(HOUR - 5 <= b - a <= HOUR + MINUTE for a, b in pairwise(late))
    spindle.trouble = (Trouble.FAILED, "hdparm -C names no drive state")
    shelf.live(spindle.of("ask")[-1] + HOUR + MINUTE)
    spindle.trouble = None
    shelf.live(shelf.at + 10 * MINUTE)
    assert (len(spindle.of("troubled")), shelf.state()) == (1, DiskState.ACTIVE)


def test_a_drive_that_powerd_alone_stops_is_not_asked() -> None:
    shelf = Shelf(Spindle(disk(0)), text=LONG).live(4 * HOUR)
    assert len(only(shelf).of("ask")) == 1


def test_whoever_has_a_timer_of_powerd_s_is_asked_for_that_alone() -> None:
    """A question more would count as one that the timer has ignored."""
    shelf = Shelf(Spindle(disk(0), drive=EPC), text='[disks]\nmethod = "timer"\nspin_down_after = "2h"\n')
    shelf.live(HOUR)
    assert len(only(shelf).of("ask")) == 1
    assert shelf.live(3 * HOUR).state() is DiskState.STANDBY


def test_a_disk_on_usb_that_vanishes_when_it_is_told_to_stand_by_is_told_so_once() -> None:
    shelf = Shelf(Spindle(disk(0, transport="usb")), text=USB).live(20 * MINUTE + 10)
    assert len(downs(only(shelf))) == 1
    replug(shelf)
    shelf.live(2 * DAY)
    assert len(downs(only(shelf))) == 1
    assert (shelf.state(), shelf.report().waits) == (DiskState.UNSUPPORTED, VANISHED)
    assert VANISHED in shelf.texts()


def test_it_stays_so_however_often_it_is_plugged_in_or_the_machine_sleeps() -> None:
    shelf = Shelf(Spindle(disk(0, transport="usb")), text=USB).live(20 * MINUTE + 10)
    replug(shelf)
    shelf.live(HOUR)
    replug(shelf)
    shelf.live(2 * HOUR)
    shelf.sleep(8 * HOUR)
    shelf.live(4 * HOUR)
    assert (shelf.report().waits, len(downs(only(shelf)))) == (VANISHED, 1)


def test_a_changed_configuration_gives_it_another_chance() -> None:
    shelf = Shelf(Spindle(disk(0, transport="usb")), text=USB).live(20 * MINUTE + 10)
    replug(shelf)
    shelf.live(HOUR)
    anew = {name: tried_anew(each) for name, each in shelf.memory.disks.items()}
    shelf.memory = replace(shelf.memory, disks=anew)
    shelf.live(2 * HOUR)
    assert (shelf.state(), len(downs(only(shelf)))) == (DiskState.STANDBY, 2)


def test_neither_a_check_of_its_health_nor_the_kernel_s_own_sleep_makes_it_one_to_be_told() -> None:
    spindle = Spindle(disk(0, transport="usb"))
    shelf = Shelf(spindle, text=USB).live(20 * MINUTE + 10)
    replug(shelf)
    shelf.live(HOUR)
    check = Outcome(CheckHealth(spindle.disk.id), shelf.now.mono, ok=False, observed="", found=Trouble.HUNG)
    shelf.snapshot = replace(shelf.snapshot, disk_outcomes={(CheckHealth, spindle.disk.id): check})
    assert shelf.live(2 * HOUR).report().waits == VANISHED
    spindle.suspended = True
    assert shelf.live(3 * HOUR).state() is DiskState.SUSPENDED
    spindle.suspended = False
    assert shelf.live(4 * HOUR).report().waits == VANISHED
    assert len(shelf.accepted) == 1


@pytest.mark.parametrize("trouble", [Trouble.HUNG, Trouble.FAILED, Trouble.GONE])
def test_it_may_vanish_before_the_order_has_come_to_its_end(trouble: Trouble) -> None:
    """What the order came to is known only after the disk has come back."""
    shelf = Shelf(Spindle(disk(0, transport="usb")), text=USB, takes=40.0).live(20 * MINUTE + 60)
    assert any(isinstance(order, SpinDown) for _, order in shelf.ordered)
    only(shelf).trouble = (trouble, "no such device")
    replug(shelf)
    shelf.live(shelf.at + 60)
    only(shelf).trouble = None
    assert shelf.live(DAY).report().waits == VANISHED


@pytest.mark.parametrize(
    ("about", "minutes", "asleep"),
    [({"transport": "ata"}, 0, False), ({"transport": "usb"}, 3, False), ({"transport": "usb"}, 0, True)],
)
def test_who_is_plugged_in_for_other_reasons_is_not_barred(
    about: dict[str, str], minutes: int, *, asleep: bool
) -> None:
    """In a bay for SATA, long after the order, or because the machine has slept."""
    shelf = Shelf(Spindle(disk(0, **about)), text=USB).live(20 * MINUTE + 10)
    shelf.live(shelf.at + minutes * MINUTE)
    if asleep:
        shelf.sleep(HOUR)
        shelf.live(shelf.at + 5)
    replug(shelf)
    shelf.live(shelf.at + HOUR)
    assert (shelf.state(), len(downs(only(shelf)))) == (DiskState.STANDBY, 2)


def test_a_bridge_that_wakes_its_disk_is_remembered_when_it_is_plugged_in_again() -> None:
    shelf = Shelf(Spindle(disk(0, transport="usb"), bridge="wakes"), text=USB).live(HOUR)
    assert shelf.state() is DiskState.UNSUPPORTED
    asked = len([order for _, order in shelf.ordered if isinstance(order, AskPower)])
    replug(shelf)
    shelf.live(DAY)
    assert "its bridge wakes it at each question" in shelf.report().waits
    assert len([order for _, order in shelf.ordered if isinstance(order, AskPower)]) == asked
