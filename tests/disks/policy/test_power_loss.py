"""Sleep and wake-up of the machine, hotplug: drives lose their settings, and are woken for nothing."""

from __future__ import annotations

from dataclasses import replace

from disks.policy.simulation import HOUR, MINUTE, DiskSimulation, identical_drives, spin_downs
from fakes.drive import DriveSimulator, disk

from powerd.disks.model import FailureCause
from powerd.disks.state import DiskState

TIMER = '[disks]\nmethod = "timer"\nspin_down_after = "10min"\n'


def night(shelf: DiskSimulation, at: float) -> None:
    shelf.schedule(at, lambda: shelf.sleep(8 * HOUR))


def test_a_disk_that_slept_before_the_machine_did_is_put_back_soon() -> None:
    shelf = identical_drives(1)
    night(shelf, HOUR)
    shelf.run_until(HOUR + 5 * MINUTE)
    (spindle,) = shelf.drives.values()
    first, second = spin_downs(spindle)
    assert first < HOUR
    assert HOUR + 30 <= second <= HOUR + 2 * MINUTE
    assert (shelf.state(), shelf.report().spin_ups) == (DiskState.STANDBY, 1)
    assert shelf.memory.disks[spindle.disk.id].cycles.early_wakes == ()


def test_one_that_was_used_since_stays_up_for_the_full_time() -> None:
    shelf = identical_drives(1)
    night(shelf, HOUR)
    shelf.access(0, HOUR + 20)
    shelf.run_until(3 * HOUR)
    (spindle,) = shelf.drives.values()
    assert spin_downs(spindle)[1] >= HOUR + 20 + 20 * MINUTE


def test_where_one_of_a_group_was_used_since_none_is_put_back() -> None:
    """A mirror is read from one half; the other one is needed as soon as something is written."""
    shelf = identical_drives(2, group="md0", array=True)
    night(shelf, HOUR)
    shelf.access(1, HOUR + 20)
    shelf.run_until(HOUR + 15 * MINUTE)
    assert [len(spin_downs(each)) for each in shelf.drives.values()] == [1, 1]
    shelf.run_until(2 * HOUR)
    assert [len(spin_downs(each)) for each in shelf.drives.values()] == [2, 2]


def test_a_group_that_nobody_used_is_put_back_as_one() -> None:
    shelf = identical_drives(2, group="md0", array=True)
    night(shelf, HOUR)
    shelf.run_until(HOUR + 5 * MINUTE)
    assert [len(spin_downs(each)) for each in shelf.drives.values()] == [2, 2]


def test_a_disk_that_was_active_before_the_sleep_is_not_spun_down_again() -> None:
    shelf = identical_drives(1)
    night(shelf, 10 * MINUTE)
    shelf.run_until(3 * HOUR)
    (spindle,) = shelf.drives.values()
    assert len(spin_downs(spindle)) == 1
    assert spin_downs(spindle)[0] >= 30 * MINUTE, "the wake-up counts as use"


def test_one_that_the_wake_up_did_not_wake_is_found_asleep() -> None:
    shelf = identical_drives(1)
    (spindle,) = shelf.drives.values()
    night(shelf, HOUR)
    shelf.schedule(HOUR + 0.001, lambda: setattr(spindle, "spins", False))
    shelf.run_until(2 * HOUR)
    assert len(spin_downs(spindle)) == 1
    assert shelf.state() is DiskState.STANDBY


def test_settings_are_made_anew_on_those_that_spin() -> None:
    shelf = identical_drives(2, TIMER)
    night(shelf, 5 * MINUTE)
    shelf.run_until(6 * MINUTE)
    assert [len(each.times_of("timer 600")) for each in shelf.drives.values()] == [2, 2]


def test_settings_made_by_wake_up_hooks_are_overridden() -> None:
    """Debian's sets APM level 254 as soon as the drive answers."""
    shelf = identical_drives(1, TIMER + '[[disks.rule]]\nmatch = ["*"]\napm = 127\n')
    (spindle,) = shelf.drives.values()
    night(shelf, 5 * MINUTE)
    shelf.schedule(5 * MINUTE + 20, lambda: setattr(spindle, "drive", replace(spindle.drive, apm=254)))
    shelf.run_until(5 * MINUTE + 25)
    assert shelf.report().reason == "powerd sets it after the resume hooks of other programs"
    shelf.run_until(6 * MINUTE)
    assert (spindle.drive.apm, shelf.report().standby_timer) == (127, 600)
    assert all(at >= 5 * MINUTE + 30 for at in spindle.times_of("apm 127")[1:])


def test_a_disk_being_spun_down_when_the_machine_slept_is_spun_down_again_too() -> None:
    shelf = identical_drives(1)
    night(shelf, 20 * MINUTE + 10)
    shelf.run_until(25 * MINUTE)
    assert shelf.state() is DiskState.STANDBY


def test_what_hangs_or_is_unsupported_stays_so_over_a_sleep() -> None:
    hung = DriveSimulator(disk(0), error=(FailureCause.UNRESPONSIVE, "no answer"))
    deaf = DriveSimulator(disk(1), ignored_methods=frozenset({"ata", "scsi"}))
    shelf = DiskSimulation(hung, deaf)
    night(shelf, 3 * HOUR)
    shelf.run_until(3 * HOUR + 10)
    assert [shelf.state(0), shelf.state(1)] == [DiskState.UNRESPONSIVE, DiskState.UNSUPPORTED]


def test_plugged_in_again_it_is_a_new_chance() -> None:
    deaf = DriveSimulator(disk(0), ignored_methods=frozenset({"ata", "scsi"}))
    shelf = DiskSimulation(deaf).run_until(2 * HOUR)
    deaf.ignored_methods = frozenset()
    deaf.disk = replace(deaf.disk, attached_at=shelf.now.mono)
    shelf.run_until(3 * HOUR)
    assert shelf.state() is DiskState.STANDBY


def test_gone_and_come_back_its_spin_downs_are_remembered() -> None:
    shelf = identical_drives(2).run_until(HOUR)
    name, spindle = next(iter(shelf.drives.items()))
    del shelf.drives[name]
    shelf.run_until(1.5 * HOUR)
    assert len(shelf.decision.disks if shelf.decision else ()) == 1
    spindle.spins = True
    spindle.disk = replace(spindle.disk, attached_at=shelf.now.mono)
    shelf.drives[name] = spindle
    shelf.run_until(1.6 * HOUR)
    assert shelf.state(1) is DiskState.ACTIVE
    assert shelf.report(1).spin_downs == 1


def test_a_result_from_before_the_wake_up_proves_nothing_after_it() -> None:
    """The answer "active" was on its way while the machine fell asleep."""
    shelf = identical_drives(1)
    shelf.run_until(0.4)
    shelf.sleep(8 * HOUR)
    shelf.run_until(0.5)
    before = shelf.memory.disks[next(iter(shelf.drives))]
    assert before.resumed_at is not None
    shelf.run_until(2)
    assert shelf.state() is DiskState.ACTIVE


def test_only_so_many_that_are_gone_are_remembered() -> None:
    shelf = identical_drives(205).run_until(MINUTE)
    shelf.drives.clear()
    shelf.run_until(3 * MINUTE)
    assert len(shelf.memory.disks) == 200
