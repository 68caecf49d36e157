"""Bridges that lie, disks that are not powerd's, other modes, other clocks; and how often is enough."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from core.snapshot_strategies import T0
from disks.policy.simulation import DAY, HOUR, MINUTE, DiskSimulation, identical_drives, spin_downs
from fakes.drive import DriveSimulator, disk

from powerd.core.actions import CompletedAction
from powerd.disks.model import FailureCause, GroupSpinUp, Mount, PowerMode, SpinDown
from powerd.disks.state import DiskState
from powerd.smart.actions import CheckHealth

AFTER = 20 * MINUTE


def only(shelf: DiskSimulation) -> DriveSimulator:
    (spindle,) = shelf.drives.values()
    return spindle


def test_the_spin_downs_of_a_day_are_limited() -> None:
    spindle = DriveSimulator(disk(0))
    shelf = DiskSimulation(spindle, config='[disks]\nmax_spin_downs_per_day = 3\nspin_down_after = "5min"')
    shelf.access(0, *(n * 20 * MINUTE for n in range(1, 200)))
    shelf.run_until(5 * HOUR)
    assert len(spin_downs(spindle)) == 3
    assert shelf.report().reason == "has been spun down 3 times in 24 hours, its daily maximum"
    shelf.run_until(2.5 * DAY)
    times = spin_downs(spindle)
    assert all(later - earlier >= DAY for earlier, later in zip(times, times[3:], strict=False))
    assert len(times) > 5


def test_bounces_double_the_time_and_quiet_days_take_it_back() -> None:
    spindle = DriveSimulator(disk(0))
    shelf = DiskSimulation(spindle, config='[disks]\nspin_down_after = "10min"')
    at = 0.0
    for _ in range(3):
        shelf.run_until(at + 11 * MINUTE)
        at = shelf.at + 5 * MINUTE
        shelf.access(0, at)
    shelf.run_until(at + 2 * MINUTE)
    assert shelf.report().spin_down_after == 20 * MINUTE
    text = "was used 3 times within 10min of a spin-down, so it spins down after 20min instead of 10min"
    assert text in shelf.reason_texts()
    for _ in range(40):
        shelf.run_until(shelf.at + 90 * MINUTE)
        shelf.access(0, shelf.at + 5 * MINUTE)
    shelf.run_until(shelf.at + 10 * MINUTE)
    assert shelf.report().spin_down_after == 10 * MINUTE


def test_stretching_has_an_end() -> None:
    spindle = DriveSimulator(disk(0))
    shelf = DiskSimulation(spindle, config='[disks]\nspin_down_after = "5min"\nmax_spin_downs_per_day = 1000')
    for _ in range(20):
        shelf.run_until(shelf.at + 2 * MINUTE)
        while shelf.state() is not DiskState.STANDBY:
            shelf.run_until(shelf.at + MINUTE)
        shelf.access(0, shelf.at + 1)
    shelf.run_until(shelf.at + 2 * MINUTE)
    assert shelf.report().spin_down_after == 8 * 5 * MINUTE


def test_a_bridge_that_reports_sleep_is_believed_and_polled_only_once_more() -> None:
    spindle = DriveSimulator(disk(0), bridge="sleeps")
    shelf = DiskSimulation(spindle).run_until(3 * HOUR)
    assert shelf.state() is DiskState.SLEEPING
    assert len(spindle.times_of("ask")) == 3
    assert spindle.times_of("up") == []


@pytest.mark.parametrize("bridge", ["", "sleeps"])
def test_a_check_of_its_health_that_wakes_a_disk_is_no_fault_of_its_bridge(bridge: str) -> None:
    spindle = DriveSimulator(disk(0), bridge=bridge)
    shelf = DiskSimulation(spindle).run_until(HOUR)
    order = CheckHealth(spindle.disk.id, may_wake=True)
    done = spindle.execute(order, HOUR)
    came_to = CompletedAction(order, shelf.now.mono, done.ok, done.message, shelf.now.mono, done.answer)
    shelf.snapshot = replace(shelf.snapshot, completed_disk_actions={(CheckHealth, spindle.disk.id): came_to})
    assert shelf.run_until(HOUR + 2 * MINUTE).state() is DiskState.ACTIVE
    shelf.run_until(2 * HOUR)
    assert (shelf.state().is_stopped, shelf.report().spin_downs, len(spin_downs(spindle))) == (True, 2, 2)


def test_a_bridge_that_wakes_its_disk_when_it_is_asked_is_found_out_once() -> None:
    spindle = DriveSimulator(disk(0), bridge="wakes")
    shelf = DiskSimulation(spindle).run_until(2 * DAY)
    assert len(spindle.times_of("up")) == 1
    assert shelf.state() is DiskState.UNSUPPORTED
    assert "its USB bridge starts it at each power mode check" in shelf.report().reason


def test_a_disk_asleep_at_the_start_is_found_asleep() -> None:
    spindle = DriveSimulator(disk(0), spins=False)
    shelf = DiskSimulation(spindle).run_until(HOUR)
    assert [what for _, what in spindle.log] == ["ask"]
    assert (shelf.state(), shelf.report().spin_downs) == (DiskState.STANDBY, 0)


def test_the_kernel_s_own_is_never_touched() -> None:
    spindle = DriveSimulator(disk(0, runtime_pm=True))
    shelf = DiskSimulation(spindle).run_until(HOUR)
    spindle.suspended = True
    shelf.run_until(2 * HOUR)
    assert (shelf.state(), spindle.log) == (DiskState.SUSPENDED, [])
    assert "kernel" in shelf.report().reason
    spindle.suspended = False
    shelf.run_until(3 * HOUR)
    assert (shelf.state(), shelf.report().spin_ups) == (DiskState.ACTIVE, 1)


def test_a_drive_that_answers_that_it_is_suspended_is_not_asked_again() -> None:
    shelf = identical_drives(1).run_until(0)
    spindle = only(shelf)
    spindle.power_reply = PowerMode.SUSPENDED
    shelf.run_until(5)
    assert shelf.state() is DiskState.SUSPENDED


@pytest.mark.parametrize(
    ("about", "text", "why"),
    [
        ({"ineligible_reason": "it has no spindle"}, "", "it has no spindle"),
        ({"transport": "usb"}, "", "it is on USB; usb = true in a [[disks.rule]] lets it spin down"),
    ],
)
def test_what_powerd_has_nothing_to_do_with(about: dict[str, str], text: str, why: str) -> None:
    shelf = identical_drives(1, text, **about).run_until(2 * HOUR)
    assert (shelf.state(), shelf.report().reason, only(shelf).log) == (DiskState.EXCLUDED, why, [])


def remarks(shelf: DiskSimulation) -> list[str]:
    """What is said of the only disk."""
    assert shelf.decision is not None
    return [each.text for each in shelf.decision.reasons if each.subject == only(shelf).disk.id]


JOURNAL = (
    "it holds the journal, and each of its lines would start the disk; Storage=volatile (journald.conf(5)), "
    "or spin_down_after in a [[disks.rule]] for it, lets it spin down"
)
SWAPPING = (
    "it holds swap space in use, and swapping would start the disk; swap space on an SSD or zram, or "
    "spin_down_after in a [[disks.rule]] for it, lets it spin down"
)
NAMED = '[[disks.rule]]\nmatch = ["*_0"]\n'
"""The first drive's rule, without a time."""


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ({"holds_journal": True}, JOURNAL),
        ({"swap_in_use": True}, SWAPPING),
        (
            {"holds_journal": True, "swap_in_use": True, "group": "md0"},
            JOURNAL.replace("it holds", "its group holds"),
        ),
        ({"swap_in_use": True, "group": "md0"}, SWAPPING.replace("it holds", "its group holds")),
    ],
)
@pytest.mark.parametrize("text", ["", f"{NAMED}apm = 127"])
def test_an_expected_early_wake_prevents_its_spin_down(about: dict[str, Any], why: str, text: str) -> None:
    """Neither a time for all disks nor a rule that says something else is a word about this one."""
    shelf = identical_drives(1, text, **about)
    shelf.access(0, HOUR)
    shelf.run_until(2 * HOUR)
    assert (shelf.state(), shelf.report().reason, only(shelf).log) == (DiskState.EXCLUDED, why, [])
    assert remarks(shelf) == []


@pytest.mark.parametrize(
    ("about", "begins"),
    [
        ({"holds_journal": True}, {"holds the journal, and each of its lines starts the disk"}),
        ({"swap_in_use": True}, {"holds swap space in use"}),
        ({"swap_in_use": True, "mounts": (Mount("[SWAP]", "swap"),)}, {"holds swap space in use"}),
        (
            {"holds_journal": True, "swap_in_use": True},
            {"holds the journal, and each of its lines starts the disk", "holds swap space in use"},
        ),
    ],
)
def test_a_rule_with_a_time_allows_its_spin_down_with_a_warning(
    about: dict[str, Any], begins: set[str]
) -> None:
    shelf = identical_drives(1, f'{NAMED}spin_down_after = "20min"', **about).run_until(HOUR)
    assert shelf.state() is DiskState.STANDBY
    assert {begin for begin in begins for text in remarks(shelf) if text.startswith(begin)} == begins
    assert len(remarks(shelf)) == len(begins)


@pytest.mark.parametrize("text", ['[disks]\nspin_down_after = "0s"', f'{NAMED}spin_down_after = "0s"'])
def test_one_that_is_to_be_left_alone_anyway_needs_no_reason_more(text: str) -> None:
    shelf = identical_drives(1, text, holds_journal=True, swap_in_use=True).run_until(MINUTE)
    assert shelf.report().reason == 'spin_down_after = "0s" leaves it alone'
    assert remarks(shelf) == [shelf.report().reason]


def test_a_disk_used_for_swap_for_a_while_spins_down_before_and_after() -> None:
    shelf = identical_drives(1, "").run_until(HOUR)
    spindle = only(shelf)
    assert shelf.state() is DiskState.STANDBY
    shelf.access(0, HOUR + MINUTE)
    shelf.schedule(HOUR + MINUTE, lambda: setattr(spindle, "disk", replace(spindle.disk, swap_in_use=True)))
    assert shelf.run_until(3 * HOUR).state() is DiskState.EXCLUDED
    assert len(spin_downs(spindle)) == 1
    shelf.schedule(3 * HOUR, lambda: setattr(spindle, "disk", replace(spindle.disk, swap_in_use=False)))
    assert shelf.run_until(4 * HOUR).state() is DiskState.STANDBY


@pytest.mark.parametrize("hangs", [False, True])
def test_its_timer_is_taken_from_one_that_is_left_alone_in_the_middle_of_a_spin_down(*, hangs: bool) -> None:
    """It is asked no more; but its use tells that it spins, and its timer would stop it all the same."""
    text = '[disks]\nmethod = "both"\nspin_down_after = "10min"\n'
    spindle = DriveSimulator(disk(0), ignores_timer=True)
    shelf = DiskSimulation(spindle, config=text)
    while shelf.state() is not DiskState.SPINNING_DOWN if shelf.decision else True:
        shelf.run_until(shelf.at + 1)
    if hangs:
        spindle.error = (FailureCause.UNRESPONSIVE, "no answer")
        shelf.run_until(shelf.at + 30)
        assert shelf.state() is DiskState.UNRESPONSIVE
        spindle.error = None
    spindle.ignores_timer = False
    spindle.disk = replace(spindle.disk, swap_in_use=True)
    shelf.access(0, *(shelf.at + n * 5 * MINUTE for n in range(1, 12)))
    shelf.run_until(shelf.at + HOUR)
    assert shelf.state() is DiskState.EXCLUDED
    assert (spindle.spins, spindle.timer) == (True, 0)


def test_usb_may_be_opted_in() -> None:
    text = '[[disks.rule]]\nmatch = ["WDC WD40*"]\nusb = true'
    assert identical_drives(1, text, transport="usb").run_until(HOUR).state() is DiskState.STANDBY


def test_left_alone_by_the_configuration_it_is_not_even_asked() -> None:
    shelf = identical_drives(1, '[disks]\nspin_down_after = "0s"').run_until(3 * HOUR)
    assert only(shelf).log == []
    assert shelf.report().reason == 'spin_down_after = "0s" leaves it alone'


@pytest.mark.parametrize(
    ("after", "fs", "said"), [("20min", "swap", True), ("0s", "swap", False), ("20min", "ext4", False)]
)
def test_swap_space_on_a_disk_with_spin_down_is_a_warning(after: str, fs: str, *, said: bool) -> None:
    mounts = (Mount("/srv", "ext4"), Mount("[SWAP]", fs))
    shelf = identical_drives(1, f'[disks]\nspin_down_after = "{after}"', mounts=mounts).run_until(MINUTE)
    assert any(text.startswith("has swap space on it") for text in shelf.reason_texts()) is said


@pytest.mark.parametrize(
    ("name", "about"),
    [("wakes", {}), ("sleeps", {}), ("", {"self_standby_after": 600}), ("", {"hides_power_mode": True})],
)
def test_left_alone_it_is_unknown_once_it_has_not_been_used_for_long(
    name: str, about: dict[str, Any]
) -> None:
    """Whatever it is: nobody knows who else gives it orders."""
    shelf = DiskSimulation(
        DriveSimulator(disk(0), bridge=name, **about), config='[disks]\nspin_down_after = "0s"'
    )
    shelf.access(0, HOUR)
    shelf.run_until(HOUR + 4 * MINUTE)
    assert shelf.state() is DiskState.ACTIVE
    shelf.run_until(HOUR + 6 * MINUTE)
    assert shelf.state() is DiskState.UNKNOWN
    assert shelf.report().since.mono == pytest.approx(T0 + HOUR, abs=MINUTE)
    assert shelf.report().reason == 'spin_down_after = "0s" leaves it alone'
    shelf.access(0, 2 * HOUR)
    shelf.run_until(2 * HOUR + 1 * MINUTE)
    assert shelf.state() is DiskState.ACTIVE
    assert only(shelf).times_of("ask") == []


def test_in_observe_mode_it_is_reported_once_per_idle_period_and_nothing_is_done() -> None:
    shelf = identical_drives(1)
    shelf.options = replace(shelf.options, mode="observe")
    shelf.access(0, 2 * HOUR)
    shelf.run_until(4 * HOUR)
    assert only(shelf).log == []
    assert [type(order) for _, order in shelf.actions] == [SpinDown, SpinDown]
    assert shelf.report().reason == 'would have been spun down, but the mode is "observe"'
    assert shelf.state() is DiskState.UNKNOWN, "which nobody has asked"


def test_a_usb_disk_without_a_spin_down_has_not_vanished_because_of_one() -> None:
    """In observe mode it is plugged in again a minute after it would have been told."""
    shelf = identical_drives(1, "[disks]\nusb = true", transport="usb")
    shelf.options = replace(shelf.options, mode="observe")
    shelf.run_until(AFTER + MINUTE)
    spindle = only(shelf)
    assert shelf.report().reason == 'would have been spun down, but the mode is "observe"'
    spindle.disk = replace(spindle.disk, attached_at=shelf.now.mono)
    shelf.run_until(HOUR)
    memory = shelf.memory.disks[spindle.disk.id]
    assert (memory.state, memory.excluded_reason) == (DiskState.UNKNOWN, "")


def test_a_usb_disk_already_in_standby_has_not_vanished_because_of_a_spin_down() -> None:
    """Its own timer was first, and then somebody took it along."""
    spindle = DriveSimulator(disk(0, transport="usb"), self_standby_after=int(AFTER))
    shelf = DiskSimulation(spindle, config="[disks]\nusb = true").run_until(AFTER + MINUTE)
    assert (shelf.state(), spindle.times_of("rests") != []) == (DiskState.STANDBY, True)
    spindle.disk = replace(spindle.disk, attached_at=shelf.now.mono)
    shelf.run_until(AFTER + 2 * MINUTE)
    assert (shelf.state(), shelf.memory.disks[spindle.disk.id].excluded_reason) == (DiskState.STANDBY, "")


def test_a_wall_clock_that_is_set_changes_nothing() -> None:
    plain, stepped = identical_drives(2), identical_drives(2)
    for shelf in (plain, stepped):
        shelf.access(0, 2 * HOUR, 3 * HOUR)
    stepped.schedule(HOUR, lambda: setattr(stepped, "step", 9 * HOUR))
    stepped.schedule(2.5 * HOUR, lambda: setattr(stepped, "step", -30 * DAY))
    plain.run_until(5 * HOUR)
    stepped.run_until(5 * HOUR)
    logs = [[each.log for each in shelf.drives.values()] for shelf in (plain, stepped)]
    assert logs[0] == logs[1]


def test_the_guard_of_the_group_reports_at_once_which_disks_were_spun_up() -> None:
    shelf = identical_drives(2, group="md0", array=True).run_until(HOUR)
    first, second = shelf.drives
    for each in shelf.drives.values():
        each.spins = True
    shelf.group_spin_up("md0", first, second)
    shelf.decide_now()
    assert [shelf.state(0), shelf.state(1)] == [DiskState.ACTIVE] * 2
    assert [shelf.report(n).spin_ups for n in (0, 1)] == [1, 1]


def test_members_that_were_not_spun_up_are_still_in_standby() -> None:
    shelf = identical_drives(2, group="md0", array=True).run_until(HOUR)
    first, _ = shelf.drives
    shelf.group_spin_up("md0", first)
    shelf.decide_now()
    assert [shelf.state(0), shelf.state(1)] == [DiskState.ACTIVE, DiskState.STANDBY]
    assert isinstance(shelf.snapshot.group_spin_ups["md0"], GroupSpinUp)
