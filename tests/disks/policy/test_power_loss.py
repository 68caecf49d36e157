"""Sleep and resume of the server, and hotplug: drives lose their settings, and start without need."""

from __future__ import annotations

from dataclasses import replace

from disks.policy.simulation import HOUR, MINUTE, DiskSimulation, identical_drives, spin_downs

from powerd.disks.model import FailureCause
from powerd.disks.state import DisksMemory, DisksReport, DiskState
from powerd.simulation.drive import DriveSimulator, disk

TIMER = '[disks]\nmethod = "timer"\nspin_down_after = "10min"\n'


def sleep_in_standby(simulation: DiskSimulation, at: float) -> None:
    simulation.schedule(at, lambda: simulation.sleep(8 * HOUR))


def test_a_disk_that_slept_before_the_machine_did_is_put_back_soon() -> None:
    simulation = identical_drives(1)
    sleep_in_standby(simulation, HOUR)
    simulation.run_until(HOUR + 5 * MINUTE)
    (one_drive,) = simulation.drives.values()
    first, second = spin_downs(one_drive)
    assert first < HOUR
    assert HOUR + 30 <= second <= HOUR + 2 * MINUTE
    assert (simulation.state(), simulation.report().spin_ups) == (DiskState.STANDBY, 1)
    assert simulation.memory.part(DisksMemory).disks[one_drive.disk.id].cycles.early_spin_ups == ()


def test_one_that_was_used_since_stays_up_for_the_full_time() -> None:
    simulation = identical_drives(1)
    sleep_in_standby(simulation, HOUR)
    simulation.access(0, HOUR + 20)
    simulation.run_until(3 * HOUR)
    (one_drive,) = simulation.drives.values()
    assert spin_downs(one_drive)[1] >= HOUR + 20 + 20 * MINUTE


def test_an_access_before_the_next_round_after_the_resume_counts_as_use() -> None:
    """The counters are read at the resume, not only at the next round half a minute later."""
    simulation = identical_drives(1)
    sleep_in_standby(simulation, HOUR + 30)
    simulation.access(0, HOUR + 32)
    simulation.run_until(3 * HOUR)
    (one_drive,) = simulation.drives.values()
    assert spin_downs(one_drive)[1] >= HOUR + 32 + 20 * MINUTE


def test_the_counters_are_read_before_the_drive_is_seen_to_spin() -> None:
    simulation = identical_drives(1)
    sleep_in_standby(simulation, HOUR + 30)
    simulation.run_until(HOUR + 30)
    assert simulation.state() is DiskState.UNKNOWN
    assert not [at for at, _ in simulation.actions if at >= HOUR + 30]
    simulation.run_until(HOUR + 31)
    assert simulation.state() is DiskState.ACTIVE
    (memory,) = simulation.memory.part(DisksMemory).disks.values()
    assert memory.restore is not None
    assert memory.restore.baseline is not None


def test_one_whose_counters_cannot_be_read_after_the_resume_counts_as_used() -> None:
    simulation = identical_drives(1)
    (one_drive,) = simulation.drives.values()
    sleep_in_standby(simulation, HOUR + 30)
    simulation.schedule(HOUR + 30, lambda: setattr(one_drive, "counters_error", "sda has no I/O counters"))
    simulation.schedule(HOUR + 90, lambda: setattr(one_drive, "counters_error", ""))
    simulation.run_until(HOUR + 10 * MINUTE)
    assert len(spin_downs(one_drive)) == 1
    simulation.run_until(2 * HOUR)
    assert len(spin_downs(one_drive)) == 2


def test_where_one_of_a_group_was_used_since_none_is_put_back() -> None:
    """A mirror is read from one half; the other one is needed as soon as something is written."""
    simulation = identical_drives(2, group="md0", array=True)
    sleep_in_standby(simulation, HOUR)
    simulation.access(1, HOUR + 20)
    simulation.run_until(HOUR + 15 * MINUTE)
    assert [len(spin_downs(each)) for each in simulation.drives.values()] == [1, 1]
    simulation.run_until(2 * HOUR)
    assert [len(spin_downs(each)) for each in simulation.drives.values()] == [2, 2]


def test_a_group_that_nobody_used_is_put_back_as_one() -> None:
    simulation = identical_drives(2, group="md0", array=True)
    sleep_in_standby(simulation, HOUR)
    simulation.run_until(HOUR + 5 * MINUTE)
    assert [len(spin_downs(each)) for each in simulation.drives.values()] == [2, 2]


def test_a_disk_that_was_active_before_the_sleep_is_not_spun_down_again() -> None:
    simulation = identical_drives(1)
    sleep_in_standby(simulation, 10 * MINUTE)
    simulation.run_until(3 * HOUR)
    (one_drive,) = simulation.drives.values()
    assert len(spin_downs(one_drive)) == 1
    assert spin_downs(one_drive)[0] >= 30 * MINUTE, "the wake-up counts as use"


def test_one_that_the_wake_up_did_not_wake_is_found_asleep() -> None:
    simulation = identical_drives(1)
    (one_drive,) = simulation.drives.values()
    sleep_in_standby(simulation, HOUR)
    simulation.schedule(HOUR + 0.001, lambda: setattr(one_drive, "spins", False))
    simulation.run_until(2 * HOUR)
    assert len(spin_downs(one_drive)) == 1
    assert simulation.state() is DiskState.STANDBY


def test_settings_are_made_anew_on_those_that_spin() -> None:
    simulation = identical_drives(2, TIMER)
    sleep_in_standby(simulation, 5 * MINUTE)
    simulation.run_until(6 * MINUTE)
    assert [len(each.times_of("timer 600")) for each in simulation.drives.values()] == [2, 2]


def test_settings_made_by_wake_up_hooks_are_overridden() -> None:
    """Debian's sets APM level 254 as soon as the drive answers."""
    simulation = identical_drives(1, TIMER + '[[disks.rule]]\nmatch = ["*"]\napm = 127\n')
    (one_drive,) = simulation.drives.values()
    sleep_in_standby(simulation, 5 * MINUTE)
    simulation.schedule(
        5 * MINUTE + 20, lambda: setattr(one_drive, "drive", replace(one_drive.drive, apm=254))
    )
    simulation.run_until(5 * MINUTE + 25)
    assert "resume hooks" in simulation.report().reason
    simulation.run_until(6 * MINUTE)
    assert (one_drive.drive.apm, simulation.report().standby_timer) == (127, 600)
    assert all(at >= 5 * MINUTE + 30 for at in one_drive.times_of("apm 127")[1:])


def test_a_disk_being_spun_down_when_the_machine_slept_is_spun_down_again_too() -> None:
    simulation = identical_drives(1)
    sleep_in_standby(simulation, 20 * MINUTE + 10)
    simulation.run_until(25 * MINUTE)
    assert simulation.state() is DiskState.STANDBY


def test_what_hangs_or_is_unsupported_stays_so_over_a_sleep() -> None:
    unresponsive = DriveSimulator(disk(0), error=(FailureCause.UNRESPONSIVE, "no answer"))
    ignoring = DriveSimulator(disk(1), ignored_methods=frozenset({"ata", "scsi"}))
    simulation = DiskSimulation(unresponsive, ignoring)
    sleep_in_standby(simulation, 3 * HOUR)
    simulation.run_until(3 * HOUR + 10)
    assert [simulation.state(0), simulation.state(1)] == [DiskState.UNRESPONSIVE, DiskState.UNSUPPORTED]


def test_plugged_in_again_it_is_a_new_chance() -> None:
    ignoring = DriveSimulator(disk(0), ignored_methods=frozenset({"ata", "scsi"}))
    simulation = DiskSimulation(ignoring).run_until(2 * HOUR)
    ignoring.ignored_methods = frozenset()
    ignoring.disk = replace(ignoring.disk, attached_at=simulation.now.mono)
    simulation.run_until(3 * HOUR)
    assert simulation.state() is DiskState.STANDBY


def test_gone_and_come_back_its_spin_downs_are_remembered() -> None:
    simulation = identical_drives(2).run_until(HOUR)
    name, one_drive = next(iter(simulation.drives.items()))
    del simulation.drives[name]
    simulation.run_until(1.5 * HOUR)
    assert len(simulation.decision.part(DisksReport).disks if simulation.decision else ()) == 1
    one_drive.spins = True
    one_drive.disk = replace(one_drive.disk, attached_at=simulation.now.mono)
    simulation.drives[name] = one_drive
    simulation.run_until(1.6 * HOUR)
    assert simulation.state(1) is DiskState.ACTIVE
    assert simulation.report(1).spin_downs == 1


def test_a_result_from_before_the_wake_up_proves_nothing_after_it() -> None:
    """The answer "active" was on its way while the machine fell asleep."""
    simulation = identical_drives(1)
    simulation.run_until(0.4)
    simulation.sleep(8 * HOUR)
    simulation.run_until(0.5)
    before = simulation.memory.part(DisksMemory).disks[next(iter(simulation.drives))]
    assert before.resumed_at is not None
    simulation.run_until(2)
    assert simulation.state() is DiskState.ACTIVE


def test_only_so_many_that_are_gone_are_remembered() -> None:
    simulation = identical_drives(205).run_until(MINUTE)
    simulation.drives.clear()
    simulation.run_until(3 * MINUTE)
    assert len(simulation.memory.part(DisksMemory).disks) == 200
