"""Bridges that lie, disks that are not powerd's, other modes, other clocks; and how often is enough."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from core.snapshot_strategies import T0
from disks.policy.simulation import DAY, HOUR, MINUTE, DiskSimulation, identical_drives, spin_downs
from facts import changed

from powerd.core.actions import CompletedAction
from powerd.disks.model import DiskEvents, FailureCause, Mount, PowerMode, SpinDown
from powerd.disks.state import DisksMemory, DiskState
from powerd.simulation.drive import DriveSimulator, disk
from powerd.smart.actions import CheckHealth

AFTER = 20 * MINUTE


@pytest.mark.long
def test_the_spin_downs_of_a_day_are_limited() -> None:
    drive = DriveSimulator(disk(0))
    simulation = DiskSimulation(drive, config='[disks]\nmax_spin_downs_per_day = 3\nspin_down_after = "5min"')
    simulation.access(0, *(n * 20 * MINUTE for n in range(1, 200)))
    simulation.run_until(5 * HOUR)
    assert len(spin_downs(drive)) == 3
    assert "3 times" in simulation.report().reason
    simulation.run_until(2.5 * DAY)
    times = spin_downs(drive)
    assert all(later - earlier >= DAY for earlier, later in zip(times, times[3:], strict=False))
    assert len(times) > 5


@pytest.mark.long
def test_bounces_double_the_time_and_quiet_days_take_it_back() -> None:
    drive = DriveSimulator(disk(0))
    simulation = DiskSimulation(drive, config='[disks]\nspin_down_after = "10min"')
    at = 0.0
    for _ in range(3):
        simulation.run_until(at + 11 * MINUTE)
        at = simulation.at + 5 * MINUTE
        simulation.access(0, at)
    simulation.run_until(at + 2 * MINUTE)
    assert simulation.report().spin_down_after == 20 * MINUTE
    text = "was used 3 times within 10min of a spin-down, so it spins down after 20min instead of 10min"
    assert text in simulation.reason_texts()
    for _ in range(40):
        simulation.run_until(simulation.at + 90 * MINUTE)
        simulation.access(0, simulation.at + 5 * MINUTE)
    simulation.run_until(simulation.at + 10 * MINUTE)
    assert simulation.report().spin_down_after == 10 * MINUTE


def test_stretching_has_an_end() -> None:
    drive = DriveSimulator(disk(0))
    simulation = DiskSimulation(
        drive, config='[disks]\nspin_down_after = "5min"\nmax_spin_downs_per_day = 1000'
    )
    for _ in range(20):
        simulation.run_until(simulation.at + 2 * MINUTE)
        while simulation.state() is not DiskState.STANDBY:
            simulation.run_until(simulation.at + MINUTE)
        simulation.access(0, simulation.at + 1)
    simulation.run_until(simulation.at + 2 * MINUTE)
    assert simulation.report().spin_down_after == 8 * 5 * MINUTE


def test_a_bridge_that_reports_sleep_is_believed_and_polled_only_once_more() -> None:
    drive = DriveSimulator(disk(0), bridge="sleeps")
    simulation = DiskSimulation(drive).run_until(3 * HOUR)
    assert simulation.state() is DiskState.SLEEPING
    assert len(drive.times_of("ask")) == 3
    assert drive.times_of("up") == []


@pytest.mark.parametrize("bridge", ["", "sleeps"])
def test_a_check_of_its_health_that_wakes_a_disk_is_no_fault_of_its_bridge(bridge: str) -> None:
    drive = DriveSimulator(disk(0), bridge=bridge)
    simulation = DiskSimulation(drive).run_until(HOUR)
    action = CheckHealth(drive.disk.id, may_wake=True)
    done = drive.execute(action, HOUR)
    came_to = CompletedAction(
        action, simulation.now.mono, done.ok, done.message, simulation.now.mono, done.answer
    )
    simulation.snapshot = changed(
        simulation.snapshot, completed_disk_actions={(CheckHealth, drive.disk.id): came_to}
    )
    assert simulation.run_until(HOUR + 2 * MINUTE).state() is DiskState.ACTIVE
    simulation.run_until(2 * HOUR)
    assert (simulation.state().is_stopped, simulation.report().spin_downs, len(spin_downs(drive))) == (
        True,
        2,
        2,
    )


@pytest.mark.long
def test_a_bridge_that_wakes_its_disk_when_it_is_asked_is_found_out_once() -> None:
    drive = DriveSimulator(disk(0), bridge="wakes")
    simulation = DiskSimulation(drive).run_until(2 * DAY)
    assert len(drive.times_of("up")) == 1
    assert simulation.state() is DiskState.UNSUPPORTED
    assert "USB bridge" in simulation.report().reason


def test_a_disk_asleep_at_the_start_is_found_asleep() -> None:
    drive = DriveSimulator(disk(0), spins=False)
    simulation = DiskSimulation(drive).run_until(HOUR)
    assert [what for _, what in drive.log] == ["ask"]
    assert (simulation.state(), simulation.report().spin_downs) == (DiskState.STANDBY, 0)


def test_the_kernel_s_own_is_never_touched() -> None:
    drive = DriveSimulator(disk(0, runtime_pm=True))
    simulation = DiskSimulation(drive).run_until(HOUR)
    drive.suspended = True
    simulation.run_until(2 * HOUR)
    assert (simulation.state(), drive.log) == (DiskState.SUSPENDED, [])
    assert "kernel" in simulation.report().reason
    drive.suspended = False
    simulation.run_until(3 * HOUR)
    assert (simulation.state(), simulation.report().spin_ups) == (DiskState.ACTIVE, 1)


def test_a_drive_that_answers_that_it_is_suspended_is_not_asked_again() -> None:
    simulation = identical_drives(1).run_until(0)
    drive = simulation.only_drive
    drive.power_reply = PowerMode.SUSPENDED
    simulation.run_until(5)
    assert simulation.state() is DiskState.SUSPENDED


@pytest.mark.parametrize(
    ("about", "text", "term"),
    [
        ({"ineligible_reason": "it has no spindle"}, "", "it has no spindle"),
        ({"transport": "usb"}, "", "usb = true"),
    ],
)
def test_what_powerd_has_nothing_to_do_with(about: dict[str, str], text: str, term: str) -> None:
    simulation = identical_drives(1, text, **about).run_until(2 * HOUR)
    assert (simulation.state(), simulation.only_drive.log) == (DiskState.EXCLUDED, [])
    assert term in simulation.report().reason


def remarks(simulation: DiskSimulation) -> list[str]:
    """What is said of the only disk."""
    assert simulation.decision is not None
    return [
        each.text for each in simulation.decision.reasons if each.subject == simulation.only_drive.disk.id
    ]


JOURNAL = ("it holds the journal", "Storage=volatile", "spin_down_after")
SWAPPING = ("it holds swap", "zram", "spin_down_after")
"""What the reasons say: the cause, and two remedies."""
NAMED = '[[disks.rule]]\nmatch = ["*_0"]\n'
"""The first drive's rule, without a time."""


@pytest.mark.parametrize(
    ("about", "terms"),
    [
        ({"holds_journal": True}, JOURNAL),
        ({"swap_in_use": True}, SWAPPING),
        (
            {"holds_journal": True, "swap_in_use": True, "group": "md0"},
            ("its group holds the journal", *JOURNAL[1:]),
        ),
        ({"swap_in_use": True, "group": "md0"}, ("its group holds swap", *SWAPPING[1:])),
    ],
)
@pytest.mark.parametrize("text", ["", f"{NAMED}apm = 127"])
def test_an_expected_early_spin_up_prevents_its_spin_down(
    about: dict[str, Any], terms: tuple[str, ...], text: str
) -> None:
    """Neither a time for all disks nor a rule that says something else is a word about this one."""
    simulation = identical_drives(1, text, **about)
    simulation.access(0, HOUR)
    simulation.run_until(2 * HOUR)
    assert (simulation.state(), simulation.only_drive.log) == (DiskState.EXCLUDED, [])
    assert all(term in simulation.report().reason for term in terms)
    assert remarks(simulation) == []


@pytest.mark.parametrize(
    ("about", "begins"),
    [
        ({"holds_journal": True}, {"holds the journal"}),
        ({"swap_in_use": True}, {"holds swap"}),
        ({"swap_in_use": True, "mounts": (Mount("[SWAP]", "swap"),)}, {"holds swap"}),
        ({"holds_journal": True, "swap_in_use": True}, {"holds the journal", "holds swap"}),
    ],
)
def test_a_rule_with_a_time_allows_its_spin_down_with_a_warning(
    about: dict[str, Any], begins: set[str]
) -> None:
    simulation = identical_drives(1, f'{NAMED}spin_down_after = "20min"', **about).run_until(HOUR)
    assert simulation.state() is DiskState.STANDBY
    assert {begin for begin in begins for text in remarks(simulation) if text.startswith(begin)} == begins
    assert len(remarks(simulation)) == len(begins)


@pytest.mark.parametrize("text", ['[disks]\nspin_down_after = "0s"', f'{NAMED}spin_down_after = "0s"'])
def test_one_that_is_to_be_left_alone_anyway_needs_no_reason_more(text: str) -> None:
    simulation = identical_drives(1, text, holds_journal=True, swap_in_use=True).run_until(MINUTE)
    assert 'spin_down_after = "0s"' in simulation.report().reason
    assert remarks(simulation) == [simulation.report().reason]


def test_a_disk_used_for_swap_for_a_while_spins_down_before_and_after() -> None:
    simulation = identical_drives(1, "").run_until(HOUR)
    drive = simulation.only_drive
    assert simulation.state() is DiskState.STANDBY
    simulation.access(0, HOUR + MINUTE)
    simulation.schedule(HOUR + MINUTE, lambda: setattr(drive, "disk", replace(drive.disk, swap_in_use=True)))
    assert simulation.run_until(3 * HOUR).state() is DiskState.EXCLUDED
    assert len(spin_downs(drive)) == 1
    simulation.schedule(3 * HOUR, lambda: setattr(drive, "disk", replace(drive.disk, swap_in_use=False)))
    assert simulation.run_until(4 * HOUR).state() is DiskState.STANDBY


@pytest.mark.parametrize("hangs", [False, True])
def test_its_timer_is_taken_from_one_that_is_left_alone_in_the_middle_of_a_spin_down(*, hangs: bool) -> None:
    """powerd checks it no more, but its use proves that it spins, and its timer would stop it."""
    text = '[disks]\nmethod = "both"\nspin_down_after = "10min"\n'
    drive = DriveSimulator(disk(0), ignores_timer=True)
    simulation = DiskSimulation(drive, config=text)
    while simulation.state() is not DiskState.SPINNING_DOWN if simulation.decision else True:
        simulation.run_until(simulation.at + 1)
    if hangs:
        drive.error = (FailureCause.UNRESPONSIVE, "no answer")
        simulation.run_until(simulation.at + 30)
        assert simulation.state() is DiskState.UNRESPONSIVE
        drive.error = None
    drive.ignores_timer = False
    drive.disk = replace(drive.disk, swap_in_use=True)
    simulation.access(0, *(simulation.at + n * 5 * MINUTE for n in range(1, 12)))
    simulation.run_until(simulation.at + HOUR)
    assert simulation.state() is DiskState.EXCLUDED
    assert (drive.spins, drive.timer) == (True, 0)


def test_usb_may_be_opted_in() -> None:
    text = '[[disks.rule]]\nmatch = ["WDC WD40*"]\nusb = true'
    assert identical_drives(1, text, transport="usb").run_until(HOUR).state() is DiskState.STANDBY


def test_left_alone_by_the_configuration_it_is_not_even_asked() -> None:
    simulation = identical_drives(1, '[disks]\nspin_down_after = "0s"').run_until(3 * HOUR)
    assert simulation.only_drive.log == []
    assert 'spin_down_after = "0s"' in simulation.report().reason


@pytest.mark.parametrize(
    ("after", "fs", "is_reported"), [("20min", "swap", True), ("0s", "swap", False), ("20min", "ext4", False)]
)
def test_swap_space_on_a_disk_with_spin_down_is_a_warning(after: str, fs: str, *, is_reported: bool) -> None:
    mounts = (Mount("/srv", "ext4"), Mount("[SWAP]", fs))
    simulation = identical_drives(1, f'[disks]\nspin_down_after = "{after}"', mounts=mounts).run_until(MINUTE)
    assert any("swap" in text for text in simulation.reason_texts()) is is_reported


@pytest.mark.parametrize(
    ("name", "about"),
    [("wakes", {}), ("sleeps", {}), ("", {"self_standby_after": 600}), ("", {"hides_power_mode": True})],
)
def test_left_alone_it_is_unknown_once_it_has_not_been_used_for_long(
    name: str, about: dict[str, Any]
) -> None:
    """For any state: another program may command it."""
    simulation = DiskSimulation(
        DriveSimulator(disk(0), bridge=name, **about), config='[disks]\nspin_down_after = "0s"'
    )
    simulation.access(0, HOUR)
    simulation.run_until(HOUR + 4 * MINUTE)
    assert simulation.state() is DiskState.ACTIVE
    simulation.run_until(HOUR + 6 * MINUTE)
    assert simulation.state() is DiskState.UNKNOWN
    assert simulation.report().since.mono == pytest.approx(T0 + HOUR, abs=MINUTE)
    assert 'spin_down_after = "0s"' in simulation.report().reason
    simulation.access(0, 2 * HOUR)
    simulation.run_until(2 * HOUR + 1 * MINUTE)
    assert simulation.state() is DiskState.ACTIVE
    assert simulation.only_drive.times_of("ask") == []


def test_in_observe_mode_it_is_reported_once_per_idle_period_and_nothing_is_done() -> None:
    simulation = identical_drives(1)
    simulation.options = replace(simulation.options, mode="observe")
    simulation.access(0, 2 * HOUR)
    simulation.run_until(4 * HOUR)
    assert simulation.only_drive.log == []
    assert [type(action) for _, action in simulation.actions] == [SpinDown, SpinDown]
    assert '"observe"' in simulation.report().reason
    assert simulation.state() is DiskState.UNKNOWN, "which nobody has asked"


def test_a_usb_disk_without_a_spin_down_has_not_vanished_because_of_one() -> None:
    """In mode "observe" it is attached again a minute after the announced spin-down."""
    simulation = identical_drives(1, "[disks]\nusb = true", transport="usb")
    simulation.options = replace(simulation.options, mode="observe")
    simulation.run_until(AFTER + MINUTE)
    drive = simulation.only_drive
    assert '"observe"' in simulation.report().reason
    drive.disk = replace(drive.disk, attached_at=simulation.now.mono)
    simulation.run_until(HOUR)
    memory = simulation.memory.part(DisksMemory).disks[drive.disk.id]
    assert (memory.state, memory.excluded_reason) == (DiskState.UNKNOWN, "")


def test_a_usb_disk_already_in_standby_has_not_vanished_because_of_a_spin_down() -> None:
    """Its own timer was first, and then somebody took it along."""
    drive = DriveSimulator(disk(0, transport="usb"), self_standby_after=int(AFTER))
    simulation = DiskSimulation(drive, config="[disks]\nusb = true").run_until(AFTER + MINUTE)
    assert (simulation.state(), drive.times_of("rests") != []) == (DiskState.STANDBY, True)
    drive.disk = replace(drive.disk, attached_at=simulation.now.mono)
    simulation.run_until(AFTER + 2 * MINUTE)
    assert (simulation.state(), simulation.memory.part(DisksMemory).disks[drive.disk.id].excluded_reason) == (
        DiskState.STANDBY,
        "",
    )


def test_a_wall_clock_that_is_set_changes_nothing() -> None:
    plain, stepped = identical_drives(2), identical_drives(2)
    for simulation in (plain, stepped):
        simulation.access(0, 2 * HOUR, 3 * HOUR)
    stepped.schedule(HOUR, lambda: setattr(stepped, "step", 9 * HOUR))
    stepped.schedule(2.5 * HOUR, lambda: setattr(stepped, "step", -30 * DAY))
    plain.run_until(5 * HOUR)
    stepped.run_until(5 * HOUR)
    logs = [[each.log for each in simulation.drives.values()] for simulation in (plain, stepped)]
    assert logs[0] == logs[1]


def test_the_guard_of_the_group_reports_at_once_which_disks_were_spun_up() -> None:
    simulation = identical_drives(2, group="md0", array=True).run_until(HOUR)
    first, second = simulation.drives
    for each in simulation.drives.values():
        each.spins = True
    simulation.group_spin_up("md0", first, second)
    simulation.decide_now()
    assert [simulation.state(0), simulation.state(1)] == [DiskState.ACTIVE] * 2
    assert [simulation.report(n).spin_ups for n in (0, 1)] == [1, 1]


def test_members_that_were_not_spun_up_are_still_in_standby() -> None:
    simulation = identical_drives(2, group="md0", array=True).run_until(HOUR)
    first, _ = simulation.drives
    simulation.group_spin_up("md0", first)
    simulation.decide_now()
    assert [simulation.state(0), simulation.state(1)] == [DiskState.ACTIVE, DiskState.STANDBY]
    assert "md0" in simulation.snapshot.part(DiskEvents).group_spin_ups
