"""Drives that stop when they like to, which no counter tells, and disks that do not survive being stopped."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from disks.policy.simulation import DAY, HOUR, MINUTE, DiskSimulation, spin_downs
from fakes.drive import DriveSimulator, disk

from powerd.core.actions import CompletedAction
from powerd.disks.model import CheckPowerMode, FailureCause, PowerFeatures, SpinDown
from powerd.disks.policy.transitions import reset_failures
from powerd.disks.state import DiskState
from powerd.smart.actions import CheckHealth

USB = "[disks]\nusb = true\n"
LONG = '[disks]\nspin_down_after = "5h"\n'
EPC = PowerFeatures(apm=254, apm_supported=True, epc_enabled=True)
LOW = PowerFeatures(apm=127, apm_supported=True)
VANISHED = "cannot be spun down: it disappeared from the bus after the spin-down command"


def only(shelf: DiskSimulation) -> DriveSimulator:
    (spindle,) = shelf.drives.values()
    return spindle


def replug(shelf: DiskSimulation) -> None:
    """The disk is gone, and back at once under a new name of the kernel's."""
    spindle = only(shelf)
    spindle.disk = replace(spindle.disk, attached_at=shelf.now.mono)
    spindle.spins = True
    shelf.poll()


def test_a_disk_already_in_standby_verifies_no_method() -> None:
    shelf = DiskSimulation(DriveSimulator(disk(0), self_standby_after=12 * 60)).run_until(HOUR)
    report = shelf.report()
    assert (report.state, report.verified_method, report.spin_downs) == (DiskState.STANDBY, None, 1)
    assert spin_downs(only(shelf)) == []
    assert only(shelf).times_of("ask") == only(shelf).times_of("ask")[:1], "its word need not be verified"


def test_the_verified_method_is_retained_for_a_disk_already_in_standby() -> None:
    spindle = DriveSimulator(disk(0))
    shelf = DiskSimulation(spindle).run_until(HOUR)
    shelf.schedule(HOUR + 1, lambda: setattr(spindle, "self_standby_after", 700))
    shelf.access(0, HOUR + 2)
    shelf.run_until(2 * HOUR)
    assert (shelf.report().verified_method, shelf.report().spin_downs) == ("ata", 2)


@pytest.mark.parametrize("drive", [EPC, LOW])
def test_a_drive_that_may_stop_by_itself_is_asked_ever_more_seldom(drive: PowerFeatures) -> None:
    """And not once it sleeps."""
    shelf = DiskSimulation(DriveSimulator(disk(0), drive=drive, self_standby_after=3 * 3600 + 1), config=LONG)
    shelf.access(0, HOUR)
    shelf.run_until(DAY)
    asked = [at - HOUR for at in only(shelf).times_of("ask") if at > HOUR]
    assert asked == pytest.approx([300, 600, 1200, 2400, 4800, 8400, 12000], abs=20)
    assert (shelf.state(), shelf.report().spin_downs, shelf.report().verified_method) == (
        DiskState.STANDBY,
        1,
        None,
    )
    shelf.access(0, shelf.at + 1)
    shelf.run_until(shelf.at + 2 * MINUTE)
    assert (shelf.state(), shelf.report().spin_ups) == (DiskState.ACTIVE, 1)


def test_one_that_never_stops_is_asked_once_an_hour_and_one_refusal_does_not_end_that() -> None:
    spindle = DriveSimulator(disk(0), drive=LOW)
    shelf = DiskSimulation(spindle, config='[disks]\nspin_down_after = "48h"\n').run_until(DAY)
    late = [at for at in spindle.times_of("ask") if at > 3 * HOUR]
    assert all(HOUR - 5 <= b - a <= HOUR + MINUTE for a, b in pairwise(late))
    spindle.error = (FailureCause.FAILED, "hdparm -C names no drive state")
    shelf.run_until(spindle.times_of("ask")[-1] + HOUR + MINUTE)
    spindle.error = None
    shelf.run_until(shelf.at + 10 * MINUTE)
    assert (len(spindle.times_of("troubled")), shelf.state()) == (1, DiskState.ACTIVE)


def test_a_drive_that_powerd_alone_stops_is_not_asked() -> None:
    shelf = DiskSimulation(DriveSimulator(disk(0)), config=LONG).run_until(4 * HOUR)
    assert len(only(shelf).times_of("ask")) == 1


def test_a_disk_with_a_timer_of_powerd_is_polled_for_that_alone() -> None:
    """A question more would count as one that the timer has ignored."""
    shelf = DiskSimulation(
        DriveSimulator(disk(0), drive=EPC), config='[disks]\nmethod = "timer"\nspin_down_after = "2h"\n'
    )
    shelf.run_until(HOUR)
    assert len(only(shelf).times_of("ask")) == 1
    assert shelf.run_until(3 * HOUR).state() is DiskState.STANDBY


def test_a_usb_disk_that_vanishes_on_spin_down_is_spun_down_only_once() -> None:
    shelf = DiskSimulation(DriveSimulator(disk(0, transport="usb")), config=USB).run_until(20 * MINUTE + 10)
    assert len(spin_downs(only(shelf))) == 1
    replug(shelf)
    shelf.run_until(2 * DAY)
    assert len(spin_downs(only(shelf))) == 1
    assert (shelf.state(), shelf.report().reason) == (DiskState.UNSUPPORTED, VANISHED)
    assert VANISHED in shelf.reason_texts()


def test_it_stays_so_however_often_it_is_plugged_in_or_the_machine_sleeps() -> None:
    shelf = DiskSimulation(DriveSimulator(disk(0, transport="usb")), config=USB).run_until(20 * MINUTE + 10)
    replug(shelf)
    shelf.run_until(HOUR)
    replug(shelf)
    shelf.run_until(2 * HOUR)
    shelf.sleep(8 * HOUR)
    shelf.run_until(4 * HOUR)
    assert (shelf.report().reason, len(spin_downs(only(shelf)))) == (VANISHED, 1)


def test_a_changed_configuration_gives_it_another_chance() -> None:
    shelf = DiskSimulation(DriveSimulator(disk(0, transport="usb")), config=USB).run_until(20 * MINUTE + 10)
    replug(shelf)
    shelf.run_until(HOUR)
    anew = {name: reset_failures(each) for name, each in shelf.memory.disks.items()}
    shelf.memory = replace(shelf.memory, disks=anew)
    shelf.run_until(2 * HOUR)
    assert (shelf.state(), len(spin_downs(only(shelf)))) == (DiskState.STANDBY, 2)


def test_neither_a_health_check_nor_a_kernel_suspend_makes_it_eligible_again() -> None:
    spindle = DriveSimulator(disk(0, transport="usb"))
    shelf = DiskSimulation(spindle, config=USB).run_until(20 * MINUTE + 10)
    replug(shelf)
    shelf.run_until(HOUR)
    check = CompletedAction(
        CheckHealth(spindle.disk.id), shelf.now.mono, ok=False, message="", answer=FailureCause.UNRESPONSIVE
    )
    shelf.snapshot = replace(shelf.snapshot, completed_disk_actions={(CheckHealth, spindle.disk.id): check})
    assert shelf.run_until(2 * HOUR).report().reason == VANISHED
    spindle.suspended = True
    assert shelf.run_until(3 * HOUR).state() is DiskState.SUSPENDED
    spindle.suspended = False
    assert shelf.run_until(4 * HOUR).report().reason == VANISHED
    assert len(shelf.accepted_spin_downs) == 1


@pytest.mark.parametrize("trouble", [FailureCause.UNRESPONSIVE, FailureCause.FAILED, FailureCause.GONE])
def test_it_may_vanish_before_the_action_has_ended(trouble: FailureCause) -> None:
    """What the order came to is known only after the disk has come back."""
    shelf = DiskSimulation(
        DriveSimulator(disk(0, transport="usb")), config=USB, action_duration=40.0
    ).run_until(20 * MINUTE + 60)
    assert any(isinstance(order, SpinDown) for _, order in shelf.actions)
    only(shelf).error = (trouble, "no such device")
    replug(shelf)
    shelf.run_until(shelf.at + 60)
    only(shelf).error = None
    assert shelf.run_until(DAY).report().reason == VANISHED


@pytest.mark.parametrize(
    ("about", "minutes", "asleep"),
    [({"transport": "ata"}, 0, False), ({"transport": "usb"}, 3, False), ({"transport": "usb"}, 0, True)],
)
def test_who_is_plugged_in_for_other_reasons_is_not_barred(
    about: dict[str, str], minutes: int, *, asleep: bool
) -> None:
    """In a bay for SATA, long after the order, or because the machine has slept."""
    shelf = DiskSimulation(DriveSimulator(disk(0, **about)), config=USB).run_until(20 * MINUTE + 10)
    shelf.run_until(shelf.at + minutes * MINUTE)
    if asleep:
        shelf.sleep(HOUR)
        shelf.run_until(shelf.at + 5)
    replug(shelf)
    shelf.run_until(shelf.at + HOUR)
    assert (shelf.state(), len(spin_downs(only(shelf)))) == (DiskState.STANDBY, 2)


def test_a_bridge_that_wakes_its_disk_is_remembered_when_it_is_plugged_in_again() -> None:
    shelf = DiskSimulation(DriveSimulator(disk(0, transport="usb"), bridge="wakes"), config=USB).run_until(
        HOUR
    )
    assert shelf.state() is DiskState.UNSUPPORTED
    asked = len([order for _, order in shelf.actions if isinstance(order, CheckPowerMode)])
    replug(shelf)
    shelf.run_until(DAY)
    assert "its USB bridge starts it at each power mode check" in shelf.report().reason
    assert len([order for _, order in shelf.actions if isinstance(order, CheckPowerMode)]) == asked
