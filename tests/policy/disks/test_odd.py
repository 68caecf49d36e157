"""Bridges that lie, disks that are not powerd's, other modes, other clocks; and how often is enough."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from policy.disks.shelf import DAY, HOUR, MINUTE, Shelf, downs, shelf_of
from policy.disks.spindle import Spindle, disk
from policy.worlds import T0

from powerd.model import CheckHealth, DiskState, Mount, Outcome, Power, Roused, SpinDown, Trouble

AFTER = 20 * MINUTE


def only(shelf: Shelf) -> Spindle:
    (spindle,) = shelf.spindles.values()
    return spindle


def test_more_than_so_many_spin_downs_in_a_day_are_not_ordered() -> None:
    spindle = Spindle(disk(0))
    shelf = Shelf(spindle, text='[disks]\nmax_spin_downs_per_day = 3\nspin_down_after = "5min"')
    shelf.touch(0, *(n * 20 * MINUTE for n in range(1, 200)))
    shelf.live(5 * HOUR)
    assert len(downs(spindle)) == 3
    assert shelf.report().waits == "has been spun down 3 times in 24 hours, as often as it may be"
    shelf.live(2.5 * DAY)
    times = downs(spindle)
    assert all(later - earlier >= DAY for earlier, later in zip(times, times[3:], strict=False))
    assert len(times) > 5


def test_bounces_double_the_time_and_quiet_days_take_it_back() -> None:
    spindle = Spindle(disk(0))
    shelf = Shelf(spindle, text='[disks]\nspin_down_after = "10min"')
    at = 0.0
    for _ in range(3):
        shelf.live(at + 11 * MINUTE)
        at = shelf.at + 5 * MINUTE
        shelf.touch(0, at)
    shelf.live(at + 2 * MINUTE)
    assert shelf.report().spin_down_after == 20 * MINUTE
    text = "was woken 3 times within 10min of a spin-down, so it stands by after 20min instead of 10min"
    assert text in shelf.texts()
    for _ in range(40):
        shelf.live(shelf.at + 90 * MINUTE)
        shelf.touch(0, shelf.at + 5 * MINUTE)
    shelf.live(shelf.at + 10 * MINUTE)
    assert shelf.report().spin_down_after == 10 * MINUTE


def test_stretching_has_an_end() -> None:
    spindle = Spindle(disk(0))
    shelf = Shelf(spindle, text='[disks]\nspin_down_after = "5min"\nmax_spin_downs_per_day = 1000')
    for _ in range(20):
        shelf.live(shelf.at + 2 * MINUTE)
        while shelf.state() is not DiskState.STANDBY:
            shelf.live(shelf.at + MINUTE)
        shelf.touch(0, shelf.at + 1)
    shelf.live(shelf.at + 2 * MINUTE)
    assert shelf.report().spin_down_after == 8 * 5 * MINUTE


def test_a_bridge_that_says_sleep_is_believed_and_asked_only_once_more() -> None:
    spindle = Spindle(disk(0), bridge="sleeps")
    shelf = Shelf(spindle).live(3 * HOUR)
    assert shelf.state() is DiskState.SLEEPING
    assert len(spindle.of("ask")) == 3
    assert spindle.of("up") == []


@pytest.mark.parametrize("bridge", ["", "sleeps"])
def test_a_check_of_its_health_that_wakes_a_disk_is_no_fault_of_its_bridge(bridge: str) -> None:
    spindle = Spindle(disk(0), bridge=bridge)
    shelf = Shelf(spindle).live(HOUR)
    order = CheckHealth(spindle.disk.id, wake=True)
    done = spindle.obey(order, HOUR)
    came_to = Outcome(order, shelf.now.mono, done.ok, done.observed, shelf.now.mono, done.found)
    shelf.snapshot = replace(shelf.snapshot, disk_outcomes={(CheckHealth, spindle.disk.id): came_to})
    assert shelf.live(HOUR + 2 * MINUTE).state() is DiskState.ACTIVE
    shelf.live(2 * HOUR)
    assert (shelf.state().asleep, shelf.report().spin_downs, len(downs(spindle))) == (True, 2, 2)


def test_a_bridge_that_wakes_its_disk_when_it_is_asked_is_found_out_once() -> None:
    spindle = Spindle(disk(0), bridge="wakes")
    shelf = Shelf(spindle).live(2 * DAY)
    assert len(spindle.of("up")) == 1
    assert shelf.state() is DiskState.UNSUPPORTED
    assert "its bridge wakes it at each question" in shelf.report().waits


def test_a_disk_asleep_at_the_start_is_found_asleep() -> None:
    spindle = Spindle(disk(0), spins=False)
    shelf = Shelf(spindle).live(HOUR)
    assert [what for _, what in spindle.log] == ["ask"]
    assert (shelf.state(), shelf.report().spin_downs) == (DiskState.STANDBY, 0)


def test_the_kernel_s_own_is_never_touched() -> None:
    spindle = Spindle(disk(0, runtime_pm=True))
    shelf = Shelf(spindle).live(HOUR)
    spindle.suspended = True
    shelf.live(2 * HOUR)
    assert (shelf.state(), spindle.log) == (DiskState.SUSPENDED, [])
    assert "kernel" in shelf.report().waits
    spindle.suspended = False
    shelf.live(3 * HOUR)
    assert (shelf.state(), shelf.report().spin_ups) == (DiskState.ACTIVE, 1)


def test_a_drive_that_answers_that_it_is_suspended_is_not_asked_again() -> None:
    shelf = shelf_of(1).live(0)
    spindle = only(shelf)
    spindle.answer = Power.SUSPENDED
    shelf.live(5)
    assert shelf.state() is DiskState.SUSPENDED


@pytest.mark.parametrize(
    ("about", "text", "why"),
    [
        ({"excluded": "it has no spindle"}, "", "it has no spindle"),
        ({"transport": "usb"}, "", "it is on USB; with usb = true in a [[disks.rule]] it may stand by"),
    ],
)
def test_what_powerd_has_nothing_to_do_with(about: dict[str, str], text: str, why: str) -> None:
    shelf = shelf_of(1, text, **about).live(2 * HOUR)
    assert (shelf.state(), shelf.report().waits, only(shelf).log) == (DiskState.EXCLUDED, why, [])


def remarks(shelf: Shelf) -> list[str]:
    """What is said of the only disk."""
    assert shelf.decision is not None
    return [each.text for each in shelf.decision.reasons if each.subject == only(shelf).disk.id]


JOURNAL = (
    "it holds the journal, whose lines would wake it; with Storage=volatile (journald.conf(5)), or "
    "spin_down_after in a [[disks.rule]] for it, it may stand by"
)
SWAPPING = (
    "it holds swap space in use, which would wake it; with that on an SSD or zram, or "
    "spin_down_after in a [[disks.rule]] for it, it may stand by"
)
NAMED = '[[disks.rule]]\nmatch = ["*_0"]\n'
"""The first drive's rule, without a time."""


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ({"journal": True}, JOURNAL),
        ({"swapping": True}, SWAPPING),
        ({"journal": True, "swapping": True, "group": "md0"}, JOURNAL.replace("it holds", "its group holds")),
        ({"swapping": True, "group": "md0"}, SWAPPING.replace("it holds", "its group holds")),
    ],
)
@pytest.mark.parametrize("text", ["", f"{NAMED}apm = 127"])
def test_what_would_wake_it_soon_keeps_it_from_standing_by(
    about: dict[str, Any], why: str, text: str
) -> None:
    """Neither a time for all disks nor a rule that says something else is a word about this one."""
    shelf = shelf_of(1, text, **about)
    shelf.touch(0, HOUR)
    shelf.live(2 * HOUR)
    assert (shelf.state(), shelf.report().waits, only(shelf).log) == (DiskState.EXCLUDED, why, [])
    assert remarks(shelf) == []


@pytest.mark.parametrize(
    ("about", "begins"),
    [
        ({"journal": True}, {"holds the journal, whose lines wake it"}),
        ({"swapping": True}, {"holds swap space in use"}),
        ({"swapping": True, "mounts": (Mount("[SWAP]", "swap"),)}, {"holds swap space in use"}),
        (
            {"journal": True, "swapping": True},
            {"holds the journal, whose lines wake it", "holds swap space in use"},
        ),
    ],
)
def test_a_rule_that_gives_it_a_time_lets_it_stand_by_with_a_remark(
    about: dict[str, Any], begins: set[str]
) -> None:
    shelf = shelf_of(1, f'{NAMED}spin_down_after = "20min"', **about).live(HOUR)
    assert shelf.state() is DiskState.STANDBY
    assert {begin for begin in begins for text in remarks(shelf) if text.startswith(begin)} == begins
    assert len(remarks(shelf)) == len(begins)


@pytest.mark.parametrize("text", ['[disks]\nspin_down_after = "0s"', f'{NAMED}spin_down_after = "0s"'])
def test_one_that_is_to_be_left_alone_anyway_needs_no_reason_more(text: str) -> None:
    shelf = shelf_of(1, text, journal=True, swapping=True).live(MINUTE)
    assert shelf.report().waits == 'spin_down_after = "0s" leaves it alone'
    assert remarks(shelf) == [shelf.report().waits]


def test_a_disk_that_is_swapped_to_for_a_while_stands_by_before_and_after() -> None:
    shelf = shelf_of(1, "").live(HOUR)
    spindle = only(shelf)
    assert shelf.state() is DiskState.STANDBY
    shelf.touch(0, HOUR + MINUTE)
    shelf.when(HOUR + MINUTE, lambda: setattr(spindle, "disk", replace(spindle.disk, swapping=True)))
    assert shelf.live(3 * HOUR).state() is DiskState.EXCLUDED
    assert len(downs(spindle)) == 1
    shelf.when(3 * HOUR, lambda: setattr(spindle, "disk", replace(spindle.disk, swapping=False)))
    assert shelf.live(4 * HOUR).state() is DiskState.STANDBY


@pytest.mark.parametrize("hangs", [False, True])
def test_its_timer_is_taken_from_one_that_is_left_alone_in_the_middle_of_a_spin_down(*, hangs: bool) -> None:
    """It is asked no more; but its use tells that it spins, and its timer would stop it all the same."""
    text = '[disks]\nmethod = "both"\nspin_down_after = "10min"\n'
    spindle = Spindle(disk(0), ignores_timer=True)
    shelf = Shelf(spindle, text=text)
    while shelf.state() is not DiskState.SETTLING if shelf.decision else True:
        shelf.live(shelf.at + 1)
    if hangs:
        spindle.trouble = (Trouble.HUNG, "no answer")
        shelf.live(shelf.at + 30)
        assert shelf.state() is DiskState.HUNG
        spindle.trouble = None
    spindle.ignores_timer = False
    spindle.disk = replace(spindle.disk, swapping=True)
    shelf.touch(0, *(shelf.at + n * 5 * MINUTE for n in range(1, 12)))
    shelf.live(shelf.at + HOUR)
    assert shelf.state() is DiskState.EXCLUDED
    assert (spindle.spins, spindle.timer) == (True, 0)


def test_usb_may_be_opted_in() -> None:
    text = '[[disks.rule]]\nmatch = ["WDC WD40*"]\nusb = true'
    assert shelf_of(1, text, transport="usb").live(HOUR).state() is DiskState.STANDBY


def test_left_alone_by_the_configuration_it_is_not_even_asked() -> None:
    shelf = shelf_of(1, '[disks]\nspin_down_after = "0s"').live(3 * HOUR)
    assert only(shelf).log == []
    assert shelf.report().waits == 'spin_down_after = "0s" leaves it alone'


@pytest.mark.parametrize(
    ("after", "fs", "said"), [("20min", "swap", True), ("0s", "swap", False), ("20min", "ext4", False)]
)
def test_swap_space_on_a_disk_that_is_to_stand_by_is_remarked_on(after: str, fs: str, *, said: bool) -> None:
    mounts = (Mount("/srv", "ext4"), Mount("[SWAP]", fs))
    shelf = shelf_of(1, f'[disks]\nspin_down_after = "{after}"', mounts=mounts).live(MINUTE)
    assert any(text.startswith("has swap space on it") for text in shelf.texts()) is said


@pytest.mark.parametrize(
    ("name", "about"), [("wakes", {}), ("sleeps", {}), ("", {"naps": 600}), ("", {"dumb": True})]
)
def test_left_alone_it_is_unknown_once_it_has_not_been_used_for_long(
    name: str, about: dict[str, Any]
) -> None:
    """Whatever it is: nobody knows who else gives it orders."""
    shelf = Shelf(Spindle(disk(0), bridge=name, **about), text='[disks]\nspin_down_after = "0s"')
    shelf.touch(0, HOUR)
    shelf.live(HOUR + 4 * MINUTE)
    assert shelf.state() is DiskState.ACTIVE
    shelf.live(HOUR + 6 * MINUTE)
    assert shelf.state() is DiskState.UNKNOWN
    assert shelf.report().since.mono == pytest.approx(T0 + HOUR, abs=MINUTE)
    assert shelf.report().waits == 'spin_down_after = "0s" leaves it alone'
    shelf.touch(0, 2 * HOUR)
    shelf.live(2 * HOUR + 1 * MINUTE)
    assert shelf.state() is DiskState.ACTIVE
    assert only(shelf).of("ask") == []


def test_in_observe_mode_it_is_said_once_per_idleness_and_nothing_is_touched() -> None:
    shelf = shelf_of(1)
    shelf.options = replace(shelf.options, mode="observe")
    shelf.touch(0, 2 * HOUR)
    shelf.live(4 * HOUR)
    assert only(shelf).log == []
    assert [type(order) for _, order in shelf.ordered] == [SpinDown, SpinDown]
    assert shelf.report().waits == "would have been told to stand by, were this not observe mode"
    assert shelf.state() is DiskState.UNKNOWN, "which nobody has asked"


def test_a_usb_disk_that_was_told_nothing_has_not_vanished_for_it() -> None:
    """In observe mode it is plugged in again a minute after it would have been told."""
    shelf = shelf_of(1, "[disks]\nusb = true", transport="usb")
    shelf.options = replace(shelf.options, mode="observe")
    shelf.live(AFTER + MINUTE)
    spindle = only(shelf)
    assert shelf.report().waits == "would have been told to stand by, were this not observe mode"
    spindle.disk = replace(spindle.disk, seen=shelf.now.mono)
    shelf.live(HOUR)
    memory = shelf.memory.disks[spindle.disk.id]
    assert (memory.state, memory.barred) == (DiskState.UNKNOWN, "")


def test_a_usb_disk_that_stood_by_already_has_not_vanished_for_it() -> None:
    """Its own timer was first, and then somebody took it along."""
    spindle = Spindle(disk(0, transport="usb"), naps=int(AFTER))
    shelf = Shelf(spindle, text="[disks]\nusb = true").live(AFTER + MINUTE)
    assert (shelf.state(), spindle.of("rests") != []) == (DiskState.STANDBY, True)
    spindle.disk = replace(spindle.disk, seen=shelf.now.mono)
    shelf.live(AFTER + 2 * MINUTE)
    assert (shelf.state(), shelf.memory.disks[spindle.disk.id].barred) == (DiskState.STANDBY, "")


def test_a_wall_clock_that_is_set_changes_nothing() -> None:
    plain, stepped = shelf_of(2), shelf_of(2)
    for shelf in (plain, stepped):
        shelf.touch(0, 2 * HOUR, 3 * HOUR)
    stepped.when(HOUR, lambda: setattr(stepped, "step", 9 * HOUR))
    stepped.when(2.5 * HOUR, lambda: setattr(stepped, "step", -30 * DAY))
    plain.live(5 * HOUR)
    stepped.live(5 * HOUR)
    logs = [[each.log for each in shelf.spindles.values()] for shelf in (plain, stepped)]
    assert logs[0] == logs[1]


def test_the_group_s_guard_tells_at_once_who_was_woken() -> None:
    shelf = shelf_of(2, group="md0", array=True).live(HOUR)
    first, second = shelf.spindles
    for each in shelf.spindles.values():
        each.spins = True
    shelf.rouse("md0", first, second)
    shelf.ask()
    assert [shelf.state(0), shelf.state(1)] == [DiskState.ACTIVE] * 2
    assert [shelf.report(n).spin_ups for n in (0, 1)] == [1, 1]


def test_who_was_not_roused_still_sleeps() -> None:
    shelf = shelf_of(2, group="md0", array=True).live(HOUR)
    first, _ = shelf.spindles
    shelf.rouse("md0", first)
    shelf.ask()
    assert [shelf.state(0), shelf.state(1)] == [DiskState.ACTIVE, DiskState.STANDBY]
    assert isinstance(shelf.snapshot.roused["md0"], Roused)
