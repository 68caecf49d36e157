"""The method "command": sent, verified, retried with the other method, given up."""

from __future__ import annotations

import pytest
from disks.policy.simulation import DAY, HOUR, MINUTE, DiskSimulation, identical_drives, spin_downs
from facts import changed

from powerd.disks.model import SpinDown
from powerd.disks.policy.transitions import reset_failures
from powerd.disks.state import DisksMemory, DiskState
from powerd.simulation.drive import DriveSimulator, disk

AFTER = 20 * MINUTE


def test_an_idle_disk_is_spun_down_and_verified() -> None:
    simulation = identical_drives(1).run_until(AFTER + MINUTE)
    words = [what for _, what in simulation.only_drive.log]
    assert words == ["ask", "read", "ata", "ask"]
    texts, asked = simulation.only_drive.times_of("ata")[0], simulation.only_drive.times_of("ask")[1]
    assert AFTER <= texts <= AFTER + 2
    assert 15 <= asked - texts <= 30
    assert (simulation.state(), simulation.report().verified_method) == (DiskState.STANDBY, "ata")


def test_a_due_spin_down_takes_one_poll_and_one_decision() -> None:
    """Between two rounds, for all disks that are due together; no decision finds its reading too old."""
    simulation = identical_drives(3, '[disks]\nspin_down_after = "1230s"').run_until(1229)
    before = simulation.decisions
    simulation.run_until(1230.1)
    assert [action for at, action in simulation.actions if at >= 1230] == [
        SpinDown(name, "ata") for name in simulation.drives
    ]
    assert simulation.decisions - before == 3, "run_until() makes one at its begin and one at its end"


def test_a_sleeping_disk_is_left_in_peace() -> None:
    simulation = identical_drives(3).run_until(30 * MINUTE)
    before = [list(each.log) for each in simulation.drives.values()]
    decisions = simulation.decisions
    simulation.run_until(30 * MINUTE + DAY)
    assert [each.log for each in simulation.drives.values()] == before
    assert simulation.decisions - decisions <= DAY / MINUTE + 2, "one decision for each look, and no more"


def test_until_the_drive_has_confirmed_it_it_is_not_called_asleep() -> None:
    simulation = identical_drives(1).run_until(AFTER + 10)
    assert simulation.state() is DiskState.SPINNING_DOWN
    assert "check" in simulation.report().reason


def test_an_access_wakes_it_and_it_goes_down_again_after_the_full_time() -> None:
    simulation = identical_drives(1)
    simulation.access(0, HOUR, HOUR + 90)
    simulation.run_until(HOUR + 10 * MINUTE)
    report = simulation.report()
    assert (report.state, report.spin_ups, report.spin_downs) == (DiskState.ACTIVE, 1, 1)
    assert report.last_spin_up is not None
    assert report.spin_down_at == pytest.approx(report.idle_since + AFTER) if report.idle_since else False
    assert "20min" in report.reason
    simulation.run_until(2 * HOUR)
    first, second = spin_downs(simulation.only_drive)
    assert first < HOUR
    assert HOUR + 90 + AFTER <= second <= HOUR + 90 + AFTER + 65


def test_without_a_reading_that_shows_it_idle_no_action_is_decided() -> None:
    """The command needs a reading of this moment, so an additional poll comes first."""
    drive = DriveSimulator(disk(0))
    DiskSimulation(drive, poll_every=30 * MINUTE).run_until(AFTER + MINUTE)
    assert AFTER <= spin_downs(drive)[0] <= AFTER + 2


@pytest.mark.long
def test_an_ignored_command_is_retried_then_the_other_method_then_given_up() -> None:
    drive = DriveSimulator(disk(0), ignored_methods=frozenset({"ata", "scsi"}))
    simulation = DiskSimulation(drive).run_until(3 * HOUR)
    methods = [what for _, what in drive.log if what in {"ata", "scsi"}]
    assert methods == ["ata", "ata", "scsi"]
    assert simulation.state() is DiskState.UNSUPPORTED
    assert "still spins" in simulation.report().reason
    simulation.run_until(2 * DAY)
    assert len(spin_downs(drive)) == 3, "never tried again"


def test_a_refused_setting_is_given_up_with_the_text_of_the_drive() -> None:
    simulation = DiskSimulation(
        DriveSimulator(disk(0), refused_methods=frozenset({"ata", "scsi"}))
    ).run_until(2 * HOUR)
    assert simulation.report().reason.endswith(": scsi refused")
    assert simulation.report().spin_downs == 0


def test_the_verified_method_is_tried_first() -> None:
    drive = DriveSimulator(disk(0), ignored_methods=frozenset({"ata"}))
    simulation = DiskSimulation(drive)
    simulation.access(0, 2 * HOUR)
    simulation.run_until(4 * HOUR)
    assert [what for _, what in drive.log if what in {"ata", "scsi"}] == ["ata", "ata", "scsi", "scsi"]
    assert simulation.report().verified_method == "scsi"
    drive.ignored_methods = frozenset({"scsi"})
    simulation.access(0, 4 * HOUR + 1)
    simulation.run_until(6 * HOUR)
    assert [what for _, what in drive.log][-6:] == ["scsi", "ask", "scsi", "ask", "ata", "ask"]
    assert simulation.report().verified_method == "ata"


@pytest.mark.parametrize("transport", ["sas", "other"])
def test_what_knows_no_ata_is_only_ever_stopped_by_scsi(transport: str) -> None:
    drive = DriveSimulator(disk(0, transport=transport), ignored_methods=frozenset({"scsi"}))
    DiskSimulation(drive).run_until(2 * HOUR)
    assert [what for _, what in drive.log if what in {"ata", "scsi"}] == ["scsi"] * 3


def test_a_disk_that_hides_its_power_mode_cannot_be_verified() -> None:
    """Unknown is not standby."""
    simulation = DiskSimulation(DriveSimulator(disk(0), hides_power_mode=True))
    simulation.run_until(10)
    assert simulation.state() is DiskState.UNKNOWN
    simulation.run_until(3 * HOUR)
    assert simulation.state() is DiskState.UNSUPPORTED
    assert "not report" in simulation.report().reason


def test_a_change_of_the_configuration_tries_it_anew() -> None:
    drive = DriveSimulator(disk(0), ignored_methods=frozenset({"ata", "scsi"}))
    simulation = DiskSimulation(drive).run_until(2 * HOUR)
    drive.ignored_methods = frozenset()
    disks = {name: reset_failures(each) for name, each in simulation.memory.part(DisksMemory).disks.items()}
    simulation.memory = changed(simulation.memory, disks=disks)
    simulation.run_until(3 * HOUR)
    assert simulation.state() is DiskState.STANDBY
