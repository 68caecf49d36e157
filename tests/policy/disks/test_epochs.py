"""Sleep and wake-up of the machine, hotplug: drives lose their settings, and are woken for nothing."""

from __future__ import annotations

from dataclasses import replace

from policy.disks.shelf import HOUR, MINUTE, Shelf, downs, shelf_of
from policy.disks.spindle import Spindle, disk

from powerd.model import DiskState, Trouble

TIMER = '[disks]\nmethod = "timer"\nspin_down_after = "10min"\n'


def night(shelf: Shelf, at: float) -> None:
    shelf.when(at, lambda: shelf.sleep(8 * HOUR))


def test_a_disk_that_slept_before_the_machine_did_is_put_back_soon() -> None:
    shelf = shelf_of(1)
    night(shelf, HOUR)
    shelf.live(HOUR + 5 * MINUTE)
    (spindle,) = shelf.spindles.values()
    first, second = downs(spindle)
    assert first < HOUR
    assert HOUR + 30 <= second <= HOUR + 2 * MINUTE
    assert (shelf.state(), shelf.report().spin_ups) == (DiskState.STANDBY, 1)
    assert shelf.memory.disks[spindle.disk.id].bounces == ()


def test_one_that_was_used_since_stays_up_for_the_full_time() -> None:
    shelf = shelf_of(1)
    night(shelf, HOUR)
    shelf.touch(0, HOUR + 20)
    shelf.live(3 * HOUR)
    (spindle,) = shelf.spindles.values()
    assert downs(spindle)[1] >= HOUR + 20 + 20 * MINUTE


def test_where_one_of_a_group_was_used_since_none_is_put_back() -> None:
    """A mirror is read from one half; the other one is needed as soon as something is written."""
    shelf = shelf_of(2, group="md0", array=True)
    night(shelf, HOUR)
    shelf.touch(1, HOUR + 20)
    shelf.live(HOUR + 15 * MINUTE)
    assert [len(downs(each)) for each in shelf.spindles.values()] == [1, 1]
    shelf.live(2 * HOUR)
    assert [len(downs(each)) for each in shelf.spindles.values()] == [2, 2]


def test_a_group_that_nobody_used_is_put_back_as_one() -> None:
    shelf = shelf_of(2, group="md0", array=True)
    night(shelf, HOUR)
    shelf.live(HOUR + 5 * MINUTE)
    assert [len(downs(each)) for each in shelf.spindles.values()] == [2, 2]


def test_one_that_spun_before_is_not_put_back() -> None:
    shelf = shelf_of(1)
    night(shelf, 10 * MINUTE)
    shelf.live(3 * HOUR)
    (spindle,) = shelf.spindles.values()
    assert len(downs(spindle)) == 1
    assert downs(spindle)[0] >= 30 * MINUTE, "the wake-up counts as use"


def test_one_that_the_wake_up_did_not_wake_is_found_asleep() -> None:
    shelf = shelf_of(1)
    (spindle,) = shelf.spindles.values()
    night(shelf, HOUR)
    shelf.when(HOUR + 0.001, lambda: setattr(spindle, "spins", False))
    shelf.live(2 * HOUR)
    assert len(downs(spindle)) == 1
    assert shelf.state() is DiskState.STANDBY


def test_settings_are_made_anew_on_those_that_spin() -> None:
    shelf = shelf_of(2, TIMER)
    night(shelf, 5 * MINUTE)
    shelf.live(6 * MINUTE)
    assert [len(each.of("timer 600")) for each in shelf.spindles.values()] == [2, 2]


def test_hooks_that_make_settings_at_each_wake_up_do_not_have_the_last_word() -> None:
    """Debian's sets APM level 254 as soon as the drive answers."""
    shelf = shelf_of(1, TIMER + '[[disks.rule]]\nmatch = ["*"]\napm = 127\n')
    (spindle,) = shelf.spindles.values()
    night(shelf, 5 * MINUTE)
    shelf.when(5 * MINUTE + 20, lambda: setattr(spindle, "drive", replace(spindle.drive, apm=254)))
    shelf.live(5 * MINUTE + 25)
    assert shelf.report().waits == "its settings are made once those who make some at each wake-up have"
    shelf.live(6 * MINUTE)
    assert (spindle.drive.apm, shelf.report().timer) == (127, 600)
    assert all(at >= 5 * MINUTE + 30 for at in spindle.of("apm 127")[1:])


def test_told_to_stand_by_when_the_machine_fell_asleep_it_is_put_back_too() -> None:
    shelf = shelf_of(1)
    night(shelf, 20 * MINUTE + 10)
    shelf.live(25 * MINUTE)
    assert shelf.state() is DiskState.STANDBY


def test_what_hangs_or_is_unsupported_stays_so_over_a_sleep() -> None:
    hung = Spindle(disk(0), trouble=(Trouble.HUNG, "no answer"))
    deaf = Spindle(disk(1), deaf=frozenset({"ata", "scsi"}))
    shelf = Shelf(hung, deaf)
    night(shelf, 3 * HOUR)
    shelf.live(3 * HOUR + 10)
    assert [shelf.state(0), shelf.state(1)] == [DiskState.HUNG, DiskState.UNSUPPORTED]


def test_plugged_in_again_it_is_a_new_chance() -> None:
    deaf = Spindle(disk(0), deaf=frozenset({"ata", "scsi"}))
    shelf = Shelf(deaf).live(2 * HOUR)
    deaf.deaf = frozenset()
    deaf.disk = replace(deaf.disk, seen=shelf.now.mono)
    shelf.live(3 * HOUR)
    assert shelf.state() is DiskState.STANDBY


def test_gone_and_come_back_its_spin_downs_are_remembered() -> None:
    shelf = shelf_of(2).live(HOUR)
    name, spindle = next(iter(shelf.spindles.items()))
    del shelf.spindles[name]
    shelf.live(1.5 * HOUR)
    assert len(shelf.decision.disks if shelf.decision else ()) == 1
    spindle.spins = True
    spindle.disk = replace(spindle.disk, seen=shelf.now.mono)
    shelf.spindles[name] = spindle
    shelf.live(1.6 * HOUR)
    assert shelf.state(1) is DiskState.ACTIVE
    assert shelf.report(1).spin_downs == 1


def test_an_outcome_from_before_the_wake_up_says_nothing_of_after() -> None:
    """The answer "active" was on its way while the machine fell asleep."""
    shelf = shelf_of(1)
    shelf.live(0.4)
    shelf.sleep(8 * HOUR)
    shelf.live(0.5)
    before = shelf.memory.disks[next(iter(shelf.spindles))]
    assert before.resumed is not None
    shelf.live(2)
    assert shelf.state() is DiskState.ACTIVE


def test_only_so_many_that_are_gone_are_remembered() -> None:
    shelf = shelf_of(205).live(MINUTE)
    shelf.spindles.clear()
    shelf.live(3 * MINUTE)
    assert len(shelf.memory.disks) == 200
