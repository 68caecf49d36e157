"""Drives that spin down by themselves, which no counter shows, and disks that fail after a spin-down."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from disks.policy.simulation import DAY, HOUR, MINUTE, DiskSimulation, spin_downs
from facts import changed

from powerd.core.actions import CompletedAction
from powerd.disks.model import CheckPowerMode, FailureCause, PowerFeatures, SpinDown
from powerd.disks.policy.transitions import reset_failures
from powerd.disks.state import DisksMemory, DiskState
from powerd.simulation.drive import DriveSimulator, disk
from powerd.smart.actions import CheckHealth

USB = "[disks]\nusb = true\n"
LONG = '[disks]\nspin_down_after = "5h"\n'
EPC = PowerFeatures(apm=254, apm_supported=True, epc_enabled=True)
LOW = PowerFeatures(apm=127, apm_supported=True)
VANISHED = "cannot be spun down: it disappeared from the bus after the spin-down command"


def replug(simulation: DiskSimulation) -> None:
    """The disk is gone, and back at once under a new name of the kernel's."""
    one_drive = simulation.only_drive
    one_drive.disk = replace(one_drive.disk, attached_at=simulation.now.mono)
    one_drive.spins = True
    simulation.poll()


def test_a_disk_already_in_standby_verifies_no_method() -> None:
    simulation = DiskSimulation(DriveSimulator(disk(0), self_standby_after=12 * 60)).run_until(HOUR)
    report = simulation.report()
    assert (report.state, report.verified_method, report.spin_downs) == (DiskState.STANDBY, None, 1)
    assert spin_downs(simulation.only_drive) == []
    assert simulation.only_drive.times_of("ask") == simulation.only_drive.times_of("ask")[:1], (
        "its word need not be verified"
    )


def test_the_verified_method_is_retained_for_a_disk_already_in_standby() -> None:
    one_drive = DriveSimulator(disk(0))
    simulation = DiskSimulation(one_drive).run_until(HOUR)
    simulation.schedule(HOUR + 1, lambda: setattr(one_drive, "self_standby_after", 700))
    simulation.access(0, HOUR + 2)
    simulation.run_until(2 * HOUR)
    assert (simulation.report().verified_method, simulation.report().spin_downs) == ("ata", 2)


@pytest.mark.long
@pytest.mark.parametrize("drive", [EPC, LOW])
def test_a_drive_that_may_stop_by_itself_is_asked_ever_more_seldom(drive: PowerFeatures) -> None:
    """Nor after it has stopped."""
    simulation = DiskSimulation(
        DriveSimulator(disk(0), drive=drive, self_standby_after=3 * 3600 + 1), config=LONG
    )
    simulation.access(0, HOUR)
    simulation.run_until(DAY)
    asked = [at - HOUR for at in simulation.only_drive.times_of("ask") if at > HOUR]
    assert asked == pytest.approx([300, 600, 1200, 2400, 4800, 8400, 12000], abs=20)
    assert (simulation.state(), simulation.report().spin_downs, simulation.report().verified_method) == (
        DiskState.STANDBY,
        1,
        None,
    )
    simulation.access(0, simulation.at + 1)
    simulation.run_until(simulation.at + 2 * MINUTE)
    assert (simulation.state(), simulation.report().spin_ups) == (DiskState.ACTIVE, 1)


def test_one_that_never_stops_is_asked_once_an_hour_and_one_refusal_does_not_end_that() -> None:
    one_drive = DriveSimulator(disk(0), drive=LOW)
    simulation = DiskSimulation(one_drive, config='[disks]\nspin_down_after = "48h"\n').run_until(DAY)
    late = [at for at in one_drive.times_of("ask") if at > 3 * HOUR]
    assert all(HOUR - 5 <= b - a <= HOUR + MINUTE for a, b in pairwise(late))
    one_drive.error = (FailureCause.FAILED, "hdparm -C reports no drive state")
    simulation.run_until(one_drive.times_of("ask")[-1] + HOUR + MINUTE)
    one_drive.error = None
    simulation.run_until(simulation.at + 10 * MINUTE)
    assert (len(one_drive.times_of("troubled")), simulation.state()) == (1, DiskState.ACTIVE)


def test_a_drive_that_powerd_alone_stops_is_not_asked() -> None:
    simulation = DiskSimulation(DriveSimulator(disk(0)), config=LONG).run_until(4 * HOUR)
    assert len(simulation.only_drive.times_of("ask")) == 1


def test_a_disk_with_a_timer_of_powerd_is_polled_for_that_alone() -> None:
    """A question more would count as one that the timer has ignored."""
    simulation = DiskSimulation(
        DriveSimulator(disk(0), drive=EPC), config='[disks]\nmethod = "timer"\nspin_down_after = "2h"\n'
    )
    simulation.run_until(HOUR)
    assert len(simulation.only_drive.times_of("ask")) == 1
    assert simulation.run_until(3 * HOUR).state() is DiskState.STANDBY


@pytest.mark.long
def test_a_usb_disk_that_vanishes_on_spin_down_is_spun_down_only_once() -> None:
    simulation = DiskSimulation(DriveSimulator(disk(0, transport="usb")), config=USB).run_until(
        20 * MINUTE + 10
    )
    assert len(spin_downs(simulation.only_drive)) == 1
    replug(simulation)
    simulation.run_until(2 * DAY)
    assert len(spin_downs(simulation.only_drive)) == 1
    assert (simulation.state(), simulation.report().reason) == (DiskState.UNSUPPORTED, VANISHED)
    assert VANISHED in simulation.reason_texts()


def test_it_stays_so_however_often_it_is_plugged_in_or_the_machine_sleeps() -> None:
    simulation = DiskSimulation(DriveSimulator(disk(0, transport="usb")), config=USB).run_until(
        20 * MINUTE + 10
    )
    replug(simulation)
    simulation.run_until(HOUR)
    replug(simulation)
    simulation.run_until(2 * HOUR)
    simulation.sleep(8 * HOUR)
    simulation.run_until(4 * HOUR)
    assert (simulation.report().reason, len(spin_downs(simulation.only_drive))) == (VANISHED, 1)


def test_a_changed_configuration_gives_it_another_chance() -> None:
    simulation = DiskSimulation(DriveSimulator(disk(0, transport="usb")), config=USB).run_until(
        20 * MINUTE + 10
    )
    replug(simulation)
    simulation.run_until(HOUR)
    anew = {name: reset_failures(each) for name, each in simulation.memory.part(DisksMemory).disks.items()}
    simulation.memory = changed(simulation.memory, disks=anew)
    simulation.run_until(2 * HOUR)
    assert (simulation.state(), len(spin_downs(simulation.only_drive))) == (DiskState.STANDBY, 2)


def test_neither_a_health_check_nor_a_kernel_suspend_makes_it_eligible_again() -> None:
    one_drive = DriveSimulator(disk(0, transport="usb"))
    simulation = DiskSimulation(one_drive, config=USB).run_until(20 * MINUTE + 10)
    replug(simulation)
    simulation.run_until(HOUR)
    check = CompletedAction(
        CheckHealth(one_drive.disk.id),
        simulation.now.mono,
        ok=False,
        message="",
        answer=FailureCause.UNRESPONSIVE,
    )
    simulation.snapshot = changed(
        simulation.snapshot, completed_disk_actions={(CheckHealth, one_drive.disk.id): check}
    )
    assert simulation.run_until(2 * HOUR).report().reason == VANISHED
    one_drive.suspended = True
    assert simulation.run_until(3 * HOUR).state() is DiskState.SUSPENDED
    one_drive.suspended = False
    assert simulation.run_until(4 * HOUR).report().reason == VANISHED
    assert len(simulation.accepted_spin_downs) == 1


@pytest.mark.long
@pytest.mark.parametrize("trouble", [FailureCause.UNRESPONSIVE, FailureCause.FAILED, FailureCause.GONE])
def test_it_may_vanish_before_the_action_has_ended(trouble: FailureCause) -> None:
    """What the order came to is known only after the disk has come back."""
    simulation = DiskSimulation(
        DriveSimulator(disk(0, transport="usb")), config=USB, action_duration=40.0
    ).run_until(20 * MINUTE + 60)
    assert any(isinstance(action, SpinDown) for _, action in simulation.actions)
    simulation.only_drive.error = (trouble, "no such device")
    replug(simulation)
    simulation.run_until(simulation.at + 60)
    simulation.only_drive.error = None
    assert simulation.run_until(DAY).report().reason == VANISHED


@pytest.mark.parametrize(
    ("about", "minutes", "asleep"),
    [({"transport": "ata"}, 0, False), ({"transport": "usb"}, 3, False), ({"transport": "usb"}, 0, True)],
)
def test_who_is_plugged_in_for_other_reasons_is_not_barred(
    about: dict[str, str], minutes: int, *, asleep: bool
) -> None:
    """In a bay for SATA, long after the order, or because the machine has slept."""
    simulation = DiskSimulation(DriveSimulator(disk(0, **about)), config=USB).run_until(20 * MINUTE + 10)
    simulation.run_until(simulation.at + minutes * MINUTE)
    if asleep:
        simulation.sleep(HOUR)
        simulation.run_until(simulation.at + 5)
    replug(simulation)
    simulation.run_until(simulation.at + HOUR)
    assert (simulation.state(), len(spin_downs(simulation.only_drive))) == (DiskState.STANDBY, 2)


def test_a_bridge_that_wakes_its_disk_is_remembered_when_it_is_plugged_in_again() -> None:
    simulation = DiskSimulation(
        DriveSimulator(disk(0, transport="usb"), bridge="wakes"), config=USB
    ).run_until(HOUR)
    assert simulation.state() is DiskState.UNSUPPORTED
    asked = len([action for _, action in simulation.actions if isinstance(action, CheckPowerMode)])
    replug(simulation)
    simulation.run_until(DAY)
    assert "USB bridge" in simulation.report().reason
    assert len([action for _, action in simulation.actions if isinstance(action, CheckPowerMode)]) == asked
