"""The drive's own timer: set on spinning disks only, checked when it should have run out."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from disks.policy.simulation import DAY, HOUR, MINUTE, DiskSimulation, identical_drives, spin_downs
from facts import changed

from powerd.config.load import parse
from powerd.disks.model import FailureCause, PowerFeatures, SetApmLevel, SetStandbyTimer
from powerd.disks.policy import history
from powerd.disks.state import DisksMemory, DiskState
from powerd.simulation.drive import DriveSimulator, disk

TIMER = '[disks]\nmethod = "timer"\nspin_down_after = "10min"\n'
BOTH = '[disks]\nmethod = "both"\nspin_down_after = "10min"\n'


def timer_settings(one_drive: DriveSimulator) -> list[str]:
    return [what for _, what in one_drive.log]


def test_a_timer_is_set_once_and_believed_when_the_drive_confirms_it() -> None:
    simulation = identical_drives(1, TIMER)
    simulation.access(0, HOUR)
    simulation.run_until(3 * HOUR)
    assert timer_settings(simulation.only_drive) == [
        "ask",
        "read",
        "timer 600",
        "timer",
        "ask",
        "up",
        "timer",
        "ask",
    ]
    report = simulation.report()
    assert (report.state, report.standby_timer, report.spin_downs, report.spin_ups) == (
        DiskState.STANDBY,
        600,
        2,
        1,
    )


def test_what_the_timer_really_is_set_to_is_shown() -> None:
    simulation = identical_drives(1, '[disks]\nmethod = "timer"\nspin_down_after = "25min"').run_until(MINUTE)
    assert simulation.report().standby_timer == 1800


def test_a_doubled_time_is_no_longer_than_a_timer_can_be() -> None:
    """Woken just after each spin-down: 5 h doubled are 10 h, and the drive's timer has 5.5 h at most."""
    one_drive = DriveSimulator(disk(0))
    simulation = DiskSimulation(one_drive, config='[disks]\nmethod = "timer"\nspin_down_after = "5h"')
    for n in range(1, 4):
        simulation.access(0, n * (5 * HOUR + 20 * MINUTE))
    simulation.run_until(20 * HOUR)
    assert simulation.memory.part(DisksMemory).disks[one_drive.disk.id].cycles.backoff_level == 1
    report = simulation.report()
    assert (report.spin_down_after, report.standby_timer) == (5.5 * HOUR, 5.5 * HOUR)


def test_a_sleeping_disk_gets_no_timer_until_it_has_been_woken_by_somebody_else() -> None:
    one_drive = DriveSimulator(disk(0), spins=False)
    simulation = DiskSimulation(one_drive, config=TIMER)
    simulation.access(0, HOUR)
    simulation.run_until(2 * HOUR)
    assert timer_settings(one_drive) == ["ask", "up", "read", "timer 600", "timer", "ask"]


def test_one_that_ignores_its_timer_is_reported() -> None:
    one_drive = DriveSimulator(disk(0), ignores_timer=True)
    simulation = DiskSimulation(one_drive, config=TIMER).run_until(DAY)
    asked = one_drive.times_of("ask")[1:]
    assert len(asked) == 3
    assert all(b - a >= 10 * MINUTE for a, b in pairwise(asked)), "the check may have restarted its timer"
    assert simulation.state() is DiskState.ACTIVE
    assert 'method = "both"' in simulation.report().reason
    simulation.access(0, DAY + HOUR)
    simulation.run_until(DAY + 3 * HOUR)
    assert len(one_drive.times_of("ask")) == 4 + 3, "after each use it is checked as often again"


def test_each_idleness_is_a_new_chance() -> None:
    one_drive = DriveSimulator(disk(0), ignores_timer=True)
    simulation = DiskSimulation(one_drive, config=TIMER).run_until(2 * HOUR)
    one_drive.ignores_timer = False
    simulation.access(0, 2 * HOUR + 1)
    simulation.run_until(3 * HOUR)
    assert simulation.state() is DiskState.STANDBY


def test_both_commands_the_drive_that_ignores_its_timer() -> None:
    one_drive = DriveSimulator(disk(0), ignores_timer=True)
    simulation = DiskSimulation(one_drive, config=BOTH).run_until(HOUR)
    assert timer_settings(one_drive) == ["ask", "read", "timer 600", "ask", "ata", "ask"]
    assert simulation.state() is DiskState.STANDBY


def test_both_leaves_it_to_a_timer_that_works() -> None:
    simulation = identical_drives(1, BOTH).run_until(HOUR)
    assert spin_downs(simulation.only_drive) == []
    assert simulation.state() is DiskState.STANDBY


def test_without_timer_support_both_uses_commands_and_timer_reports_that() -> None:
    refuses = frozenset({"timer"})
    commanded = DiskSimulation(DriveSimulator(disk(0), refused_methods=refuses), config=BOTH).run_until(HOUR)
    assert timer_settings(commanded.only_drive) == ["ask", "read", "timer 600", "ata", "ask"]
    alone = DiskSimulation(DriveSimulator(disk(0), refused_methods=refuses), config=TIMER).run_until(HOUR)
    assert timer_settings(alone.only_drive) == ["ask", "read", "timer 600"]
    assert "no timer" in alone.report().reason


def test_a_spent_budget_switches_the_timer_off_until_tomorrow() -> None:
    one_drive = DriveSimulator(disk(0))
    simulation = DiskSimulation(one_drive, config=TIMER + "max_spin_downs_per_day = 2")
    simulation.access(0, *(n * HOUR for n in range(1, 40)))
    simulation.run_until(2.2 * HOUR)
    assert timer_settings(one_drive)[-2:] == ["up", "timer 0"]
    assert "2 times" in simulation.report().reason
    simulation.run_until(DAY)
    assert len(one_drive.times_of("timer")) == 2
    simulation.run_until(1.5 * DAY)
    assert len(one_drive.times_of("timer")) == 4


def test_extended_power_conditions_are_named() -> None:
    one_drive = DriveSimulator(disk(0), drive=PowerFeatures(epc_enabled=True))
    simulation = DiskSimulation(one_drive, config=TIMER).run_until(MINUTE)
    (message,) = [text for text in simulation.reason_texts() if "EPC" in text]
    assert 'method = "both"' in message
    simulation = DiskSimulation(one_drive).run_until(MINUTE)
    (message,) = [text for text in simulation.reason_texts() if "EPC" in text]
    assert "openSeaChest_PowerControl --showEPCSettings" in message
    assert "method =" not in message


APM = '[[disks.rule]]\nmatch = ["*"]\napm = {}\n'


def test_apm_is_shown_always_and_set_only_where_a_rule_asks_for_it() -> None:
    simulation = identical_drives(1).run_until(HOUR)
    assert simulation.report().apm == 254
    assert not any(isinstance(action, SetApmLevel) for _, action in simulation.actions)
    simulation = identical_drives(1, APM.format(127)).run_until(HOUR)
    assert (simulation.report().apm, simulation.only_drive.times_of("apm 127") != []) == (127, True)
    assert len(simulation.only_drive.times_of("apm 127")) == 1


def test_apm_that_is_as_it_should_be_is_left_alone() -> None:
    one_drive = DriveSimulator(disk(0), drive=PowerFeatures(apm=127, apm_supported=True))
    DiskSimulation(one_drive, config=APM.format(127)).run_until(HOUR)
    assert one_drive.times_of("apm 127") == []


def test_apm_that_is_refused_is_reported_and_not_tried_again() -> None:
    one_drive = DriveSimulator(disk(0))
    simulation = DiskSimulation(one_drive, config=APM.format(254))
    one_drive.drive = PowerFeatures(apm=128, apm_supported=True)
    simulation.run_until(10 * HOUR)
    assert len(one_drive.times_of("apm 254")) == 1
    (text,) = apm_texts(simulation)
    assert "refused: 254" in text
    assert simulation.state() is DiskState.STANDBY


def test_what_has_no_apm_gets_none() -> None:
    one_drive = DriveSimulator(disk(0), drive=PowerFeatures())
    simulation = DiskSimulation(one_drive, config=APM.format(127)).run_until(HOUR)
    assert one_drive.times_of("apm 127") == []
    (text,) = apm_texts(simulation)
    assert "127" in text
    assert simulation.state() is DiskState.STANDBY


def apm_texts(simulation: DiskSimulation) -> list[str]:
    return [text for text in simulation.reason_texts() if "APM" in text]


LEVEL_RULE, LEVEL_MODE = "apm = 254", 'mode = "enforce"'
"""The remedies of a low level: a rule that sets it, or the mode in which a rule is applied."""


def test_what_udev_knows_of_apm_is_shown_where_nobody_has_asked_the_drive() -> None:
    one_drive = DriveSimulator(disk(0, apm=96), drive=PowerFeatures(apm=128, apm_supported=True), spins=False)
    simulation = DiskSimulation(one_drive).run_until(HOUR)
    assert (timer_settings(one_drive), simulation.report().apm) == (["ask"], 96)
    (text,) = apm_texts(simulation)
    assert {"96", LEVEL_RULE} == {term for term in ("96", LEVEL_RULE, LEVEL_MODE) if term in text}
    simulation.access(0, HOUR + 1)
    simulation.run_until(HOUR + 5 * MINUTE)
    assert "read" in timer_settings(one_drive)
    assert simulation.report().apm == 128
    assert apm_texts(simulation) == []


def test_observe_mode_shows_apm_and_sends_nothing() -> None:
    one_drive = DriveSimulator(disk(0, apm=96))
    simulation = DiskSimulation(one_drive)
    simulation.options = replace(simulation.options, mode="observe")
    simulation.run_until(HOUR)
    assert (timer_settings(one_drive), simulation.report().apm) == ([], 96)
    (text,) = apm_texts(simulation)
    assert {"96", LEVEL_RULE} == {term for term in ("96", LEVEL_RULE, LEVEL_MODE) if term in text}
    simulation.options = replace(parse(APM.format(254).encode(), "test"), mode="observe")
    simulation.run_until(HOUR + MINUTE)
    (text,) = apm_texts(simulation)
    assert {"96", "254", LEVEL_MODE} == {
        term for term in ("96", "254", LEVEL_RULE, LEVEL_MODE) if term in text
    }


def test_a_low_level_is_reported_once_and_blocks_nothing() -> None:
    one_drive = DriveSimulator(disk(0), drive=PowerFeatures(apm=127, apm_supported=True))
    simulation = DiskSimulation(one_drive).run_until(HOUR)
    assert simulation.decision is not None
    (reason,) = [reason for reason in simulation.decision.reasons if "APM" in reason.text]
    assert reason.subject == one_drive.disk.id
    assert "127" in reason.text
    assert LEVEL_RULE in reason.text
    assert not reason.blocks_sleep
    assert simulation.state() is DiskState.STANDBY


@pytest.mark.parametrize(("level", "rule"), [(128, None), (254, None), (96, 96), (None, None)])
def test_a_requested_or_harmless_level_is_no_warning(level: int | None, rule: int | None) -> None:
    one_drive = DriveSimulator(disk(0, apm=level), drive=PowerFeatures(apm=level, apm_supported=True))
    simulation = DiskSimulation(one_drive, config=APM.format(rule) if rule else "").run_until(HOUR)
    assert apm_texts(simulation) == []


def test_a_low_level_that_persists_against_a_rule() -> None:
    one_drive = DriveSimulator(disk(0))
    simulation = DiskSimulation(one_drive, config=APM.format(254))
    one_drive.drive = PowerFeatures(apm=96, apm_supported=True)
    simulation.run_until(HOUR)
    failure, level = sorted(apm_texts(simulation), key=lambda text: "96" in text)
    assert "refused: 254" in failure
    assert {"96", "254"} == {term for term in ("96", "254", LEVEL_RULE, LEVEL_MODE) if term in level}


def test_excluded_disks_show_their_level_without_a_warning() -> None:
    simulation = identical_drives(1, apm=96, ineligible_reason="solid state: nothing to spin down").run_until(
        MINUTE
    )
    assert simulation.report().apm == 96
    assert apm_texts(simulation) == []


def test_a_rule_may_ask_for_apm_and_nothing_else() -> None:
    text = APM.format(127) + 'spin_down_after = "0s"'
    simulation = identical_drives(1, text).run_until(2 * HOUR)
    assert timer_settings(simulation.only_drive)[:3] == ["ask", "read", "apm 127"]
    assert set(timer_settings(simulation.only_drive)[3:]) == {"ask"}, (
        "whether it has stopped when it liked to"
    )


def test_settings_need_fresh_evidence_that_it_spins() -> None:
    """The method changes for a disk whose last report is old: powerd checks it first."""
    simulation = identical_drives(1, '[disks]\nspin_down_after = "2h"').run_until(HOUR)
    simulation.options = identical_drives(1, '[disks]\nspin_down_after = "2h"\nmethod = "timer"').options
    simulation.run_until(HOUR + 5)
    assert timer_settings(simulation.only_drive) == ["ask", "read", "ask", "timer 7200"]


def test_both_for_longer_than_a_timer_can_hold_is_the_command_alone() -> None:
    """The longest timer of a drive is 5.5 h: it would spin down too early."""
    simulation = identical_drives(1, '[disks]\nmethod = "both"\nspin_down_after = "8h"').run_until(9 * HOUR)
    assert simulation.only_drive.times_of("timer 0")
    assert not simulation.only_drive.times_of("timer 19800")
    (down,) = spin_downs(simulation.only_drive)
    assert 8 * HOUR <= down <= 8 * HOUR + MINUTE


def test_back_to_command_the_timer_that_powerd_set_is_taken_away() -> None:
    simulation = identical_drives(1, TIMER).run_until(MINUTE)
    simulation.options = identical_drives(1, '[disks]\nspin_down_after = "10min"').options
    simulation.run_until(2 * MINUTE)
    assert timer_settings(simulation.only_drive)[-1] == "timer 0"


def restarted(simulation: DiskSimulation, text: str, boot: str = "b1") -> DiskSimulation:
    """The same drives after a restart of the daemon with another configuration."""
    stored = history.stored_disks(simulation.memory.part(DisksMemory).disks)
    written = history.make_document(stored, "b1", simulation.now)
    again = DiskSimulation(*simulation.drives.values(), config=text)
    again.at, again.slept = simulation.at, simulation.slept
    again.memory = changed(again.memory, disks=history.restore(written, boot, again.now))
    for one_drive in again.drives.values():
        one_drive.log.clear()
    return again


@pytest.mark.parametrize(("after", "then"), [("10min", ["ask", "read"]), ("0s", [])])
def test_a_timer_of_an_earlier_run_is_taken_away_when_it_is_wanted_no_longer(
    after: str, then: list[str]
) -> None:
    """And the run after that knows that it has been."""
    simulation = identical_drives(1, TIMER).run_until(MINUTE)
    assert simulation.only_drive.timer == 600
    again = restarted(simulation, f'[disks]\nspin_down_after = "{after}"').run_until(2 * MINUTE)
    assert timer_settings(again.only_drive) == ["ask", "read", "timer 0"]
    assert not again.memory.part(DisksMemory).disks[again.only_drive.disk.id].settings.timer_set_by_us
    third = restarted(again, f'[disks]\nspin_down_after = "{after}"').run_until(3 * MINUTE)
    assert timer_settings(third.only_drive) == then


def test_a_timer_of_an_earlier_run_is_taken_away_only_when_the_disk_has_been_woken_by_somebody_else() -> None:
    simulation = identical_drives(1, TIMER).run_until(HOUR)
    assert simulation.state() is DiskState.STANDBY
    again = restarted(simulation, '[disks]\nspin_down_after = "0s"')
    again.access(0, 2 * HOUR)
    again.run_until(2 * HOUR - 1)
    assert timer_settings(again.only_drive) == ["ask"]
    again.run_until(2 * HOUR + 5 * MINUTE)
    assert timer_settings(again.only_drive) == ["ask", "up", "read", "timer 0"]


def test_a_timer_that_is_still_wanted_is_set_by_each_run_anew() -> None:
    """The setting is unknown if the drive has been plugged in again."""
    simulation = identical_drives(1, TIMER).run_until(MINUTE)
    again = restarted(simulation, TIMER).run_until(2 * MINUTE)
    assert timer_settings(again.only_drive) == ["ask", "read", "timer 600"]


def test_after_a_start_of_the_machine_no_timer_is_taken_away() -> None:
    simulation = identical_drives(1, TIMER).run_until(MINUTE)
    again = restarted(simulation, '[disks]\nspin_down_after = "0s"', boot="b2").run_until(2 * MINUTE)
    assert timer_settings(again.only_drive) == []


def test_a_replugged_drive_has_no_timer_of_powerd() -> None:
    simulation = identical_drives(1, TIMER).run_until(MINUTE)
    one_drive = simulation.only_drive
    one_drive.disk = replace(one_drive.disk, attached_at=simulation.now.mono)
    one_drive.timer = 0
    simulation.poll()
    simulation.options = identical_drives(1, '[disks]\nspin_down_after = "0s"').options
    one_drive.log.clear()
    simulation.run_until(HOUR)
    assert timer_settings(one_drive) == []


def test_a_timer_that_cannot_be_taken_away_is_tried_once() -> None:
    simulation = identical_drives(1, TIMER).run_until(MINUTE)
    simulation.only_drive.refused_methods = frozenset({"timer"})
    again = restarted(simulation, '[disks]\nspin_down_after = "0s"').run_until(DAY)
    assert timer_settings(again.only_drive).count("timer 0") == 1


def test_left_alone_the_timer_that_powerd_set_is_taken_away() -> None:
    simulation = identical_drives(1, TIMER).run_until(MINUTE)
    simulation.options = identical_drives(1, '[disks]\nspin_down_after = "0s"').options
    simulation.run_until(2 * MINUTE)
    assert timer_settings(simulation.only_drive)[-1] == "timer 0"
    assert 'spin_down_after = "0s"' in simulation.report().reason


def swapped_to(simulation: DiskSimulation) -> None:
    one_drive = simulation.only_drive
    one_drive.disk = replace(one_drive.disk, swap_in_use=True)


def test_excluded_it_has_the_timer_that_powerd_set_taken_away_once_it_surely_spins() -> None:
    simulation = identical_drives(1, TIMER).run_until(5 * MINUTE)
    swapped_to(simulation)
    simulation.run_until(9 * MINUTE)
    assert timer_settings(simulation.only_drive) == ["ask", "read", "timer 600"], "it may have stopped since"
    simulation.access(0, 9.5 * MINUTE)
    simulation.run_until(HOUR)
    assert timer_settings(simulation.only_drive) == ["ask", "read", "timer 600", "timer 0"]
    assert (simulation.state(), simulation.report().standby_timer) == (DiskState.EXCLUDED, 0)


@pytest.mark.parametrize(
    "unwell",
    [
        {"error": (FailureCause.FAILED, "it refuses")},
        {"error": (FailureCause.HELPER_UNAVAILABLE, "no helper listens")},
        {"counters_error": "not counted"},
    ],
)
def test_excluded_it_is_not_pressed_to_have_its_timer_taken_away(unwell: dict[str, Any]) -> None:
    simulation = identical_drives(1, TIMER).run_until(MINUTE)
    swapped_to(simulation)
    for name, value in unwell.items():
        setattr(simulation.only_drive, name, value)
    simulation.access(0, *(n * MINUTE for n in range(2, 7)))
    simulation.run_until(6 * MINUTE)
    tries = [
        action
        for _, action in simulation.actions
        if action == SetStandbyTimer(simulation.only_drive.disk.id, 0)
    ]
    assert len(tries) == ("error" in unwell)


def test_excluded_in_observe_mode_or_for_good_it_is_sent_nothing() -> None:
    for about in ({"mode": "observe"}, {"ineligible_reason": "it has no spindle"}):
        simulation = identical_drives(1, TIMER).run_until(MINUTE)
        swapped_to(simulation)
        if "mode" in about:
            simulation.options = replace(simulation.options, mode="observe")
        else:
            simulation.only_drive.disk = replace(
                simulation.only_drive.disk, ineligible_reason=about["ineligible_reason"]
            )
        simulation.access(0, 2 * MINUTE)
        simulation.run_until(5 * MINUTE)
        assert timer_settings(simulation.only_drive) == ["ask", "read", "timer 600"]


def test_reading_what_it_can_do_may_fail() -> None:
    one_drive = DriveSimulator(disk(0), hides_settings=True)
    simulation = DiskSimulation(one_drive).run_until(HOUR)
    assert len(one_drive.times_of("read")) == 1
    assert (simulation.state(), simulation.report().apm) == (DiskState.STANDBY, None)


def test_a_very_short_time_is_a_warning() -> None:
    simulation = identical_drives(1, '[disks]\nspin_down_after = "2min"').run_until(MINUTE)
    assert any("shorter than 5min" in text for text in simulation.reason_texts())


def test_a_disk_that_hides_its_power_mode_is_not_polled_for_ever() -> None:
    one_drive = DriveSimulator(disk(0))
    simulation = DiskSimulation(one_drive, config=TIMER).run_until(MINUTE)
    one_drive.hides_power_mode = True
    simulation.run_until(DAY)
    assert len(one_drive.times_of("ask")) == 4
    text = "may spin down by its own timer of 10min: it does not report whether it spins"
    assert simulation.report().reason == text


def test_both_gives_up_on_a_disk_that_hides_its_power_mode() -> None:
    one_drive = DriveSimulator(disk(0))
    simulation = DiskSimulation(one_drive, config=BOTH).run_until(MINUTE)
    one_drive.hides_power_mode = True
    simulation.run_until(DAY)
    assert len(spin_downs(one_drive)) == 3
    assert simulation.state() is DiskState.UNSUPPORTED
