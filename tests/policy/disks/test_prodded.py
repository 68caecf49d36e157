"""Disks to which others send commands that no counter of I/O tells of: some wake it, some only ask it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from policy.disks.shelf import DAY, HOUR, MINUTE, Shelf, downs, shelf_of
from policy.disks.spindle import Spindle, disk
from policy.worlds import T0

from powerd.model import AskPower, DiskState, Trouble

PRODDED = (
    "was woken by a command that is no I/O, such as smartctl's without --nocheck=standby; powerd check names "
    "programs that send such"
)


def only(shelf: Shelf) -> Spindle:
    (spindle,) = shelf.spindles.values()
    return spindle


def prod(shelf: Shelf, *at: float) -> None:
    for each in at:
        shelf.when(each, lambda each=each: only(shelf).prod(each))  # type: ignore[misc] # bound now


def poll(shelf: Shelf, every: float, until: float) -> None:
    """A sensor asks whether it spins from now on."""
    for n in range(1, int((until - shelf.at) / every)):
        at = shelf.at + n * every
        shelf.when(at, lambda at=at: only(shelf).poll(at))  # type: ignore[misc] # bound now


def test_one_that_others_have_woken_is_asked_and_counts_as_used_when_they_did() -> None:
    """The look at 18,000 s finds what came since the one before; 20 minutes later it stands by again."""
    shelf = shelf_of(1)
    prod(shelf, 5 * HOUR - 30)
    shelf.live(5 * HOUR + 5)
    report = shelf.report()
    assert (report.state, report.spin_ups, report.last_wake) == (DiskState.ACTIVE, 1, report.since)
    assert [report.since.mono, report.idle_since] == pytest.approx([T0 + 5 * HOUR] * 2, abs=0.01)
    assert PRODDED in shelf.texts()
    shelf.live(6 * HOUR)
    assert (shelf.state(), shelf.report().spin_downs) == (DiskState.STANDBY, 2)
    assert downs(only(shelf)) == pytest.approx([20 * MINUTE, 5 * HOUR + 20 * MINUTE], abs=30)
    assert PRODDED not in shelf.texts()
    assert len(only(shelf).of("ask")) == 4, "once at the start, after each spin-down, and for the command"


def test_once_it_is_used_nobody_is_told_of_the_command_any_more() -> None:
    shelf = shelf_of(1)
    prod(shelf, HOUR)
    shelf.touch(0, HOUR + 5 * MINUTE)
    shelf.live(HOUR + 4 * MINUTE)
    assert PRODDED in shelf.texts()
    assert PRODDED not in shelf.live(HOUR + 7 * MINUTE).texts()


@pytest.mark.parametrize("bridge", ["", "sleeps"])
def test_a_sensor_that_polls_has_it_asked_every_five_minutes_and_changes_nothing(bridge: str) -> None:
    shelf = Shelf(Spindle(disk(0), bridge=bridge)).live(HOUR)
    before = shelf.report()
    assert before.state.asleep
    poll(shelf, MINUTE, 5 * HOUR)
    shelf.live(4 * HOUR)
    assert shelf.report() == before._replace(idle_since=shelf.report().idle_since)
    late = [at for at in only(shelf).of("ask") if at > HOUR]
    assert len(late) >= 30
    assert all(300 <= b - a <= 300 + 2 * MINUTE for a, b in pairwise(late))


def test_a_quiet_disk_is_asked_nothing() -> None:
    shelf = shelf_of(1).live(HOUR)
    asked = len(only(shelf).of("ask"))
    assert len(only(shelf.live(3 * DAY)).of("ask")) == asked


def test_one_refusal_after_many_answers_does_not_end_it() -> None:
    shelf = shelf_of(1).live(HOUR)
    poll(shelf, MINUTE, 3 * HOUR)
    shelf.live(2 * HOUR)
    only(shelf).trouble = (Trouble.FAILED, "hdparm -C names no drive state")
    shelf.live(2 * HOUR + 4 * MINUTE)
    assert len(only(shelf).of("troubled")) == 1
    only(shelf).trouble = None
    assert shelf.live(3 * HOUR).state() is DiskState.STANDBY


def test_who_wakes_it_soon_after_each_spin_down_has_it_stand_by_later_as_by_any_other_use() -> None:
    """A start wears it out whoever causes it."""
    shelf = shelf_of(1)
    prod(shelf, *(n * 25 * MINUTE for n in range(1, 4)))
    shelf.live(3 * 25 * MINUTE + 2 * MINUTE)
    assert shelf.report().spin_down_after == 40 * MINUTE
    assert shelf.report().spin_ups == 3


def test_a_command_may_keep_a_whole_group_up_no_longer_than_an_access() -> None:
    shelf = shelf_of(2, group="md0", array=True).live(HOUR)
    first = next(iter(shelf.spindles.values()))
    shelf.when(HOUR + 10, lambda: first.prod(HOUR + 10))
    shelf.live(HOUR + 2 * MINUTE)
    assert [shelf.state(n) for n in range(2)] == [DiskState.ACTIVE, DiskState.STANDBY]
    shelf.live(HOUR + 25 * MINUTE)
    assert [shelf.state(n) for n in range(2)] == [DiskState.STANDBY, DiskState.STANDBY]
    assert [len(downs(each)) for each in shelf.spindles.values()] == [2, 1]


def test_where_powerd_is_to_send_nothing_nobody_knows_whether_it_spins() -> None:
    """Of one that it has put to sleep before it was told to observe."""
    shelf = shelf_of(1).live(HOUR)
    shelf.options = replace(shelf.options, mode="observe")
    assert shelf.live(2 * HOUR).state() is DiskState.STANDBY
    prod(shelf, 2 * HOUR + 10)
    asked = len(only(shelf).of("ask"))
    shelf.live(3 * HOUR)
    report = shelf.report()
    assert report.state is DiskState.UNKNOWN
    assert report.since.mono == pytest.approx(T0 + 2 * HOUR + MINUTE, abs=0.01)
    assert len(only(shelf).of("ask")) == asked
    shelf.touch(0, 3 * HOUR + 10)
    assert shelf.live(3 * HOUR + 2 * MINUTE).state() is DiskState.ACTIVE


def test_one_that_the_kernel_has_suspended_or_that_must_not_be_asked_is_not() -> None:
    shelf = Shelf(
        Spindle(disk(0)), Spindle(disk(1, transport="usb"), bridge="wakes"), text="[disks]\nusb = true\n"
    ).live(HOUR)
    slept, barred = shelf.spindles.values()
    slept.suspended = True
    shelf.live(HOUR + 2 * MINUTE)
    assert [shelf.state(n) for n in range(2)] == [DiskState.SUSPENDED, DiskState.UNSUPPORTED]
    asked = len([order for _, order in shelf.ordered if isinstance(order, AskPower)])
    for each in (slept, barred):
        shelf.when(2 * HOUR, lambda each=each: each.poll(2 * HOUR))  # type: ignore[misc] # bound now
    shelf.live(3 * HOUR)
    assert len([order for _, order in shelf.ordered if isinstance(order, AskPower)]) == asked


@pytest.mark.parametrize(
    ("deaf", "state", "told"),
    [
        (frozenset[str](), DiskState.STANDBY, ["ata"]),
        (frozenset({"ata"}), DiskState.STANDBY, ["ata", "ata", "scsi"]),
        (frozenset({"ata", "scsi"}), DiskState.UNSUPPORTED, ["ata", "ata", "scsi"]),
    ],
)
def test_a_sensor_that_polls_often_is_no_excuse_for_a_drive_that_does_not_obey(
    deaf: frozenset[str], state: DiskState, told: list[str]
) -> None:
    """Some ask for the temperature oftener than a drive is asked after its spin-down."""
    spindle = Spindle(disk(0), deaf=deaf)
    shelf = Shelf(spindle)
    poll(shelf, 10, 3 * HOUR)
    shelf.live(2 * HOUR)
    assert shelf.state() is state
    assert [what for _, what in spindle.log if what in {"ata", "scsi"}] == told
    assert shelf.report().spin_ups == 0
