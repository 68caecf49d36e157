"""A person's wish that a disk stand by."""

from __future__ import annotations

from dataclasses import replace

from core.snapshot_strategies import T0
from disks.policy.simulation import HOUR, MINUTE, DiskSimulation, identical_drives, spin_downs
from fakes.drive import DriveSimulator, disk

from powerd.config.load import parse
from powerd.disks.model import FailureCause
from powerd.disks.state import DiskState


def request_spin_down(shelf: DiskSimulation) -> None:
    """For all of its disks, on a look of this moment, as the daemon does."""
    shelf.poll()
    shelf.snapshot = replace(shelf.snapshot, spin_down_requests=dict.fromkeys(shelf.drives, T0 + shelf.at))


def reports(shelf: DiskSimulation, n: int = 0) -> list[str]:
    return [what for _, what in list(shelf.drives.values())[n].log]


def test_it_spins_down_at_once_and_is_verified() -> None:
    shelf = identical_drives(2).run_until(5 * MINUTE)
    request_spin_down(shelf)
    shelf.run_until(6 * MINUTE)
    assert [shelf.state(n) for n in range(2)] == [DiskState.STANDBY] * 2
    assert reports(shelf)[-2:] == ["ata", "ask"]


def test_it_holds_for_a_disk_that_is_left_alone_otherwise() -> None:
    shelf = identical_drives(1, '[disks]\nspin_down_after = "0s"\n').run_until(HOUR)
    assert spin_downs(next(iter(shelf.drives.values()))) == []
    request_spin_down(shelf)
    assert shelf.run_until(HOUR + MINUTE).state() is DiskState.STANDBY


def test_an_access_after_it_voids_it() -> None:
    shelf = identical_drives(1).run_until(5 * MINUTE)
    spindle = next(iter(shelf.drives.values()))
    spindle.flying = 1
    shelf.snapshot = replace(shelf.snapshot, spin_down_requests=dict.fromkeys(shelf.drives, T0 + shelf.at))
    shelf.schedule(6 * MINUTE, lambda: setattr(spindle, "flying", 0))
    shelf.run_until(20 * MINUTE)
    assert spin_downs(spindle) == []
    shelf.run_until(30 * MINUTE)
    assert len(spin_downs(spindle)) == 1, "after its usual time"


def test_an_access_to_one_of_its_group_voids_it_for_all() -> None:
    shelf = identical_drives(2, group="md0").run_until(5 * MINUTE)
    data_waits(shelf, (FailureCause.BUSY, "data waits to be written to it"))
    request_spin_down(shelf)
    shelf.access(1, 5.5 * MINUTE)
    shelf.schedule(5.6 * MINUTE, lambda: data_waits(shelf, None))
    shelf.run_until(12 * MINUTE)
    assert [spin_downs(each) for each in shelf.drives.values()] == [[], []]


def data_waits(shelf: DiskSimulation, trouble: tuple[FailureCause, str] | None) -> None:
    for each in shelf.drives.values():
        each.error = trouble


def test_it_is_fulfilled_once() -> None:
    shelf = identical_drives(1).run_until(5 * MINUTE)
    request_spin_down(shelf)
    shelf.access(0, 7 * MINUTE)
    shelf.run_until(15 * MINUTE)
    assert (shelf.state(), reports(shelf).count("ata")) == (DiskState.ACTIVE, 1)


def test_a_drive_that_ignores_the_command_is_tried_again() -> None:
    shelf = DiskSimulation(DriveSimulator(disk(0), ignored_methods=frozenset({"ata"}))).run_until(5 * MINUTE)
    request_spin_down(shelf)
    assert shelf.run_until(10 * MINUTE).state() is DiskState.STANDBY
    assert [word for word in reports(shelf) if word in {"ata", "scsi"}] == ["ata", "ata", "scsi"]


def test_what_goes_on_in_its_array_comes_first() -> None:
    shelf = identical_drives(1, group="md0", busy_reason="md0 resync").run_until(5 * MINUTE)
    request_spin_down(shelf)
    shelf.run_until(8 * MINUTE)
    assert shelf.report().reason == "md0 resync"
    spindle = next(iter(shelf.drives.values()))
    spindle.disk = replace(spindle.disk, busy_reason=None)
    shelf.run_until(10 * MINUTE)
    assert shelf.state() is DiskState.STANDBY


def test_it_lapses_after_ten_minutes() -> None:
    shelf = identical_drives(1, group="md0", busy_reason="md0 resync").run_until(5 * MINUTE)
    request_spin_down(shelf)
    spindle = next(iter(shelf.drives.values()))
    shelf.schedule(15.5 * MINUTE, lambda: setattr(spindle, "disk", replace(spindle.disk, busy_reason=None)))
    shelf.run_until(19 * MINUTE)
    assert spin_downs(spindle) == []


def test_the_daily_budget_holds() -> None:
    shelf = identical_drives(1, "[disks]\nmax_spin_downs_per_day = 1\n").run_until(5 * MINUTE)
    request_spin_down(shelf)
    shelf.access(0, 30 * MINUTE)
    shelf.run_until(40 * MINUTE)
    request_spin_down(shelf)
    shelf.run_until(50 * MINUTE)
    assert reports(shelf).count("ata") == 1
    assert "its daily maximum" in shelf.report().reason


def test_in_observe_mode_it_is_only_spoken_of() -> None:
    shelf = identical_drives(1)
    shelf.options = parse(b"", "test")
    shelf.run_until(5 * MINUTE)
    request_spin_down(shelf)
    shelf.run_until(6 * MINUTE)
    assert reports(shelf) == []
    assert [type(order).__name__ for _, order in shelf.actions] == ["SpinDown"]
