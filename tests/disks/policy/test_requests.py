"""A person's request for a spin-down."""

from __future__ import annotations

from dataclasses import replace

from core.snapshot_strategies import T0
from disks.policy.simulation import HOUR, MINUTE, DiskSimulation, identical_drives, spin_downs
from facts import changed

from powerd.config.load import parse
from powerd.disks.model import FailureCause
from powerd.disks.state import DiskState
from powerd.simulation.drive import DriveSimulator, disk


def request_spin_down(simulation: DiskSimulation) -> None:
    """For all disks, on a reading of this moment, as the service does."""
    simulation.poll()
    simulation.snapshot = changed(
        simulation.snapshot, spin_down_requests=dict.fromkeys(simulation.drives, T0 + simulation.at)
    )


def reports(simulation: DiskSimulation, n: int = 0) -> list[str]:
    return [what for _, what in list(simulation.drives.values())[n].log]


def test_it_spins_down_at_once_and_is_verified() -> None:
    simulation = identical_drives(2).run_until(5 * MINUTE)
    request_spin_down(simulation)
    simulation.run_until(6 * MINUTE)
    assert [simulation.state(n) for n in range(2)] == [DiskState.STANDBY] * 2
    assert reports(simulation)[-2:] == ["ata", "ask"]


def test_it_holds_for_a_disk_that_is_left_alone_otherwise() -> None:
    simulation = identical_drives(1, '[disks]\nspin_down_after = "0s"\n').run_until(HOUR)
    assert spin_downs(next(iter(simulation.drives.values()))) == []
    request_spin_down(simulation)
    assert simulation.run_until(HOUR + MINUTE).state() is DiskState.STANDBY


def test_an_access_after_it_voids_it() -> None:
    simulation = identical_drives(1).run_until(5 * MINUTE)
    drive = next(iter(simulation.drives.values()))
    drive.flying = 1
    simulation.snapshot = changed(
        simulation.snapshot, spin_down_requests=dict.fromkeys(simulation.drives, T0 + simulation.at)
    )
    simulation.schedule(6 * MINUTE, lambda: setattr(drive, "flying", 0))
    simulation.run_until(20 * MINUTE)
    assert spin_downs(drive) == []
    simulation.run_until(30 * MINUTE)
    assert len(spin_downs(drive)) == 1, "after its usual time"


def test_an_access_to_one_of_its_group_voids_it_for_all() -> None:
    simulation = identical_drives(2, group="md0").run_until(5 * MINUTE)
    data_waits(simulation, (FailureCause.BUSY, "data waits to be written to it"))
    request_spin_down(simulation)
    simulation.access(1, 5.5 * MINUTE)
    simulation.schedule(5.6 * MINUTE, lambda: data_waits(simulation, None))
    simulation.run_until(12 * MINUTE)
    assert [spin_downs(each) for each in simulation.drives.values()] == [[], []]


def data_waits(simulation: DiskSimulation, trouble: tuple[FailureCause, str] | None) -> None:
    for each in simulation.drives.values():
        each.error = trouble


def test_it_is_fulfilled_once() -> None:
    simulation = identical_drives(1).run_until(5 * MINUTE)
    request_spin_down(simulation)
    simulation.access(0, 7 * MINUTE)
    simulation.run_until(15 * MINUTE)
    assert (simulation.state(), reports(simulation).count("ata")) == (DiskState.ACTIVE, 1)


def test_a_drive_that_ignores_the_command_is_tried_again() -> None:
    simulation = DiskSimulation(DriveSimulator(disk(0), ignored_methods=frozenset({"ata"}))).run_until(
        5 * MINUTE
    )
    request_spin_down(simulation)
    assert simulation.run_until(10 * MINUTE).state() is DiskState.STANDBY
    assert [text for text in reports(simulation) if text in {"ata", "scsi"}] == ["ata", "ata", "scsi"]


def test_what_goes_on_in_its_array_comes_first() -> None:
    simulation = identical_drives(1, group="md0", busy_reason="md0 resync").run_until(5 * MINUTE)
    request_spin_down(simulation)
    simulation.run_until(8 * MINUTE)
    assert simulation.report().reason == "md0 resync"
    drive = next(iter(simulation.drives.values()))
    drive.disk = replace(drive.disk, busy_reason=None)
    simulation.run_until(10 * MINUTE)
    assert simulation.state() is DiskState.STANDBY


def test_it_lapses_after_ten_minutes() -> None:
    simulation = identical_drives(1, group="md0", busy_reason="md0 resync").run_until(5 * MINUTE)
    request_spin_down(simulation)
    drive = next(iter(simulation.drives.values()))
    simulation.schedule(15.5 * MINUTE, lambda: setattr(drive, "disk", replace(drive.disk, busy_reason=None)))
    simulation.run_until(19 * MINUTE)
    assert spin_downs(drive) == []


def test_the_daily_budget_holds() -> None:
    simulation = identical_drives(1, "[disks]\nmax_spin_downs_per_day = 1\n").run_until(5 * MINUTE)
    request_spin_down(simulation)
    simulation.access(0, 30 * MINUTE)
    simulation.run_until(40 * MINUTE)
    request_spin_down(simulation)
    simulation.run_until(50 * MINUTE)
    assert reports(simulation).count("ata") == 1
    assert "its daily maximum" in simulation.report().reason


def test_in_observe_mode_it_is_only_spoken_of() -> None:
    simulation = identical_drives(1)
    simulation.options = parse(b"", "test")
    simulation.run_until(5 * MINUTE)
    request_spin_down(simulation)
    simulation.run_until(6 * MINUTE)
    assert reports(simulation) == []
    assert [type(action).__name__ for _, action in simulation.actions] == ["SpinDown"]
