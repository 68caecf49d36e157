"""The drive's own timer: set on spinning disks only, checked when it should have run out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from disks.policy.simulation import DAY, HOUR, MINUTE, DiskSimulation, identical_drives, spin_downs
from fakes.drive import DriveSimulator, disk

from powerd.config.load import parse
from powerd.disks.model import FailureCause, PowerFeatures, SetApmLevel, SetStandbyTimer
from powerd.disks.policy import history
from powerd.disks.state import DiskState

TIMER = '[disks]\nmethod = "timer"\nspin_down_after = "10min"\n'
BOTH = '[disks]\nmethod = "both"\nspin_down_after = "10min"\n'


def only(shelf: DiskSimulation) -> DriveSimulator:
    (spindle,) = shelf.drives.values()
    return spindle


def timer_settings(spindle: DriveSimulator) -> list[str]:
    return [what for _, what in spindle.log]


def test_a_timer_is_set_once_and_believed_when_the_drive_confirms_it() -> None:
    shelf = identical_drives(1, TIMER)
    shelf.access(0, HOUR)
    shelf.run_until(3 * HOUR)
    assert timer_settings(only(shelf)) == ["ask", "read", "timer 600", "timer", "ask", "up", "timer", "ask"]
    report = shelf.report()
    assert (report.state, report.standby_timer, report.spin_downs, report.spin_ups) == (
        DiskState.STANDBY,
        600,
        2,
        1,
    )


def test_what_the_timer_really_is_set_to_is_shown() -> None:
    shelf = identical_drives(1, '[disks]\nmethod = "timer"\nspin_down_after = "25min"').run_until(MINUTE)
    assert shelf.report().standby_timer == 1800


def test_a_doubled_time_is_no_longer_than_a_timer_can_be() -> None:
    """Woken just after each spin-down: 5 h doubled are 10 h, and the drive's timer has 5.5 h at most."""
    spindle = DriveSimulator(disk(0))
    shelf = DiskSimulation(spindle, config='[disks]\nmethod = "timer"\nspin_down_after = "5h"')
    for n in range(1, 4):
        shelf.access(0, n * (5 * HOUR + 20 * MINUTE))
    shelf.run_until(20 * HOUR)
    assert shelf.memory.disks[spindle.disk.id].cycles.backoff_level == 1
    report = shelf.report()
    assert (report.spin_down_after, report.standby_timer) == (5.5 * HOUR, 5.5 * HOUR)


def test_a_sleeping_disk_gets_no_timer_until_it_has_been_woken_by_somebody_else() -> None:
    spindle = DriveSimulator(disk(0), spins=False)
    shelf = DiskSimulation(spindle, config=TIMER)
    shelf.access(0, HOUR)
    shelf.run_until(2 * HOUR)
    assert timer_settings(spindle) == ["ask", "up", "read", "timer 600", "timer", "ask"]


def test_one_that_ignores_its_timer_is_reported() -> None:
    spindle = DriveSimulator(disk(0), ignores_timer=True)
    shelf = DiskSimulation(spindle, config=TIMER).run_until(DAY)
    assert len(spindle.times_of("ask")) == 4
    assert shelf.state() is DiskState.ACTIVE
    assert shelf.report().reason == 'ignores its own timer of 10min; set method = "both"'


def test_each_idleness_is_a_new_chance() -> None:
    spindle = DriveSimulator(disk(0), ignores_timer=True)
    shelf = DiskSimulation(spindle, config=TIMER).run_until(2 * HOUR)
    spindle.ignores_timer = False
    shelf.access(0, 2 * HOUR + 1)
    shelf.run_until(3 * HOUR)
    assert shelf.state() is DiskState.STANDBY


def test_both_commands_the_drive_that_ignores_its_timer() -> None:
    spindle = DriveSimulator(disk(0), ignores_timer=True)
    shelf = DiskSimulation(spindle, config=BOTH).run_until(HOUR)
    assert timer_settings(spindle) == ["ask", "read", "timer 600", "ask", "ata", "ask"]
    assert shelf.state() is DiskState.STANDBY


def test_both_leaves_it_to_a_timer_that_works() -> None:
    shelf = identical_drives(1, BOTH).run_until(HOUR)
    assert spin_downs(only(shelf)) == []
    assert shelf.state() is DiskState.STANDBY


def test_without_timer_support_both_uses_commands_and_timer_reports_that() -> None:
    refuses = frozenset({"timer"})
    commanded = DiskSimulation(DriveSimulator(disk(0), refused_methods=refuses), config=BOTH).run_until(HOUR)
    assert timer_settings(only(commanded)) == ["ask", "read", "timer 600", "ata", "ask"]
    alone = DiskSimulation(DriveSimulator(disk(0), refused_methods=refuses), config=TIMER).run_until(HOUR)
    assert timer_settings(only(alone)) == ["ask", "read", "timer 600"]
    assert alone.report().reason == "its own timer cannot be set: no timer"


def test_a_spent_budget_switches_the_timer_off_until_tomorrow() -> None:
    spindle = DriveSimulator(disk(0))
    shelf = DiskSimulation(spindle, config=TIMER + "max_spin_downs_per_day = 2")
    shelf.access(0, *(n * HOUR for n in range(1, 40)))
    shelf.run_until(2.2 * HOUR)
    assert timer_settings(spindle)[-2:] == ["up", "timer 0"]
    assert shelf.report().reason == "has been spun down 2 times in 24 hours, its daily maximum"
    shelf.run_until(DAY)
    assert len(spindle.times_of("timer")) == 2
    shelf.run_until(1.5 * DAY)
    assert len(spindle.times_of("timer")) == 4


def test_extended_power_conditions_are_named() -> None:
    spindle = DriveSimulator(disk(0), drive=PowerFeatures(epc_enabled=True))
    shelf = DiskSimulation(spindle, config=TIMER).run_until(MINUTE)
    (said,) = [text for text in shelf.reason_texts() if "EPC" in text]
    assert 'which may overrule its timer; set method = "both"' in said
    shelf = DiskSimulation(spindle).run_until(MINUTE)
    (said,) = [text for text in shelf.reason_texts() if "EPC" in text]
    assert "it may stop sooner than configured; openSeaChest_PowerControl --showEPCSettings" in said


APM = '[[disks.rule]]\nmatch = ["*"]\napm = {}\n'


def test_apm_is_shown_always_and_set_only_where_a_rule_asks_for_it() -> None:
    shelf = identical_drives(1).run_until(HOUR)
    assert shelf.report().apm == 254
    assert not any(isinstance(order, SetApmLevel) for _, order in shelf.actions)
    shelf = identical_drives(1, APM.format(127)).run_until(HOUR)
    assert (shelf.report().apm, only(shelf).times_of("apm 127") != []) == (127, True)
    assert len(only(shelf).times_of("apm 127")) == 1


def test_apm_that_is_as_it_should_be_is_left_alone() -> None:
    spindle = DriveSimulator(disk(0), drive=PowerFeatures(apm=127, apm_supported=True))
    DiskSimulation(spindle, config=APM.format(127)).run_until(HOUR)
    assert spindle.times_of("apm 127") == []


def test_apm_that_is_refused_is_reported_and_not_tried_again() -> None:
    spindle = DriveSimulator(disk(0))
    shelf = DiskSimulation(spindle, config=APM.format(254))
    spindle.drive = PowerFeatures(apm=128, apm_supported=True)
    shelf.run_until(10 * HOUR)
    assert len(spindle.times_of("apm 254")) == 1
    assert "its APM level cannot be set to 254: refused: 254" in shelf.reason_texts()
    assert shelf.state() is DiskState.STANDBY


def test_what_has_no_apm_gets_none() -> None:
    spindle = DriveSimulator(disk(0), drive=PowerFeatures())
    shelf = DiskSimulation(spindle, config=APM.format(127)).run_until(HOUR)
    assert spindle.times_of("apm 127") == []
    assert "has no APM, so its level cannot be set to 127; remove apm from its rule" in shelf.reason_texts()
    assert shelf.state() is DiskState.STANDBY


LOW = "is at APM level {}, {}: below 128 it may spin down by itself{}"
UNASKED = "which no rule sets"
REMEDY = "; set apm = 254 in a [[disks.rule]]"


def test_what_udev_knows_of_apm_is_shown_where_nobody_has_asked_the_drive() -> None:
    spindle = DriveSimulator(disk(0, apm=96), drive=PowerFeatures(apm=128, apm_supported=True), spins=False)
    shelf = DiskSimulation(spindle).run_until(HOUR)
    assert (timer_settings(spindle), shelf.report().apm) == (["ask"], 96)
    assert LOW.format(96, UNASKED, REMEDY) in shelf.reason_texts()
    shelf.access(0, HOUR + 1)
    shelf.run_until(HOUR + 5 * MINUTE)
    assert "read" in timer_settings(spindle)
    assert shelf.report().apm == 128
    assert not any("APM" in text for text in shelf.reason_texts())


def test_observe_mode_shows_apm_and_sends_nothing() -> None:
    spindle = DriveSimulator(disk(0, apm=96))
    shelf = DiskSimulation(spindle)
    shelf.options = replace(shelf.options, mode="observe")
    shelf.run_until(HOUR)
    assert (timer_settings(spindle), shelf.report().apm) == ([], 96)
    assert LOW.format(96, UNASKED, REMEDY) in shelf.reason_texts()
    shelf.options = replace(parse(APM.format(254).encode(), "test"), mode="observe")
    shelf.run_until(HOUR + MINUTE)
    assert LOW.format(96, "not at 254 as its rule says", '; mode = "enforce" sets it') in shelf.reason_texts()


def test_a_low_level_is_reported_once_and_blocks_nothing() -> None:
    spindle = DriveSimulator(disk(0), drive=PowerFeatures(apm=127, apm_supported=True))
    shelf = DiskSimulation(spindle).run_until(HOUR)
    assert shelf.decision is not None
    (reason,) = [reason for reason in shelf.decision.reasons if "APM" in reason.text]
    assert (reason.subject, reason.text) == (spindle.disk.id, LOW.format(127, UNASKED, REMEDY))
    assert not reason.blocks_sleep
    assert shelf.state() is DiskState.STANDBY


@pytest.mark.parametrize(("level", "rule"), [(128, None), (254, None), (96, 96), (None, None)])
def test_a_requested_or_harmless_level_is_no_warning(level: int | None, rule: int | None) -> None:
    spindle = DriveSimulator(disk(0, apm=level), drive=PowerFeatures(apm=level, apm_supported=True))
    shelf = DiskSimulation(spindle, config=APM.format(rule) if rule else "").run_until(HOUR)
    assert not any("APM" in text for text in shelf.reason_texts())


def test_a_low_level_that_persists_against_a_rule() -> None:
    spindle = DriveSimulator(disk(0))
    shelf = DiskSimulation(spindle, config=APM.format(254))
    spindle.drive = PowerFeatures(apm=96, apm_supported=True)
    shelf.run_until(HOUR)
    assert {text for text in shelf.reason_texts() if "APM" in text} == {
        "its APM level cannot be set to 254: refused: 254",
        LOW.format(96, "not at 254 as its rule says", ""),
    }


def test_excluded_disks_show_their_level_without_a_warning() -> None:
    shelf = identical_drives(1, apm=96, ineligible_reason="solid state: there is no spindle").run_until(
        MINUTE
    )
    assert shelf.report().apm == 96
    assert not any("APM" in text for text in shelf.reason_texts())


def test_a_rule_may_ask_for_apm_and_nothing_else() -> None:
    text = APM.format(127) + 'spin_down_after = "0s"'
    shelf = identical_drives(1, text).run_until(2 * HOUR)
    assert timer_settings(only(shelf))[:3] == ["ask", "read", "apm 127"]
    assert set(timer_settings(only(shelf))[3:]) == {"ask"}, "whether it has stopped when it liked to"


def test_settings_need_fresh_evidence_that_it_spins() -> None:
    """The method is changed on a disk that nobody has heard of for long: it is asked first."""
    shelf = identical_drives(1, '[disks]\nspin_down_after = "2h"').run_until(HOUR)
    shelf.options = identical_drives(1, '[disks]\nspin_down_after = "2h"\nmethod = "timer"').options
    shelf.run_until(HOUR + 5)
    assert timer_settings(only(shelf)) == ["ask", "read", "ask", "timer 7200"]


def test_both_for_longer_than_a_timer_can_hold_is_the_command_alone() -> None:
    """A drive's own timer holds 5.5 h: it would have stood by sooner than it was to."""
    shelf = identical_drives(1, '[disks]\nmethod = "both"\nspin_down_after = "8h"').run_until(9 * HOUR)
    assert only(shelf).times_of("timer 0")
    assert not only(shelf).times_of("timer 19800")
    (down,) = spin_downs(only(shelf))
    assert 8 * HOUR <= down <= 8 * HOUR + MINUTE


def test_back_to_command_the_timer_that_powerd_set_is_taken_away() -> None:
    shelf = identical_drives(1, TIMER).run_until(MINUTE)
    shelf.options = identical_drives(1, '[disks]\nspin_down_after = "10min"').options
    shelf.run_until(2 * MINUTE)
    assert timer_settings(only(shelf))[-1] == "timer 0"


def restarted(shelf: DiskSimulation, text: str, boot: str = "b1") -> DiskSimulation:
    """The same drives under a daemon that has been started anew, with another configuration."""
    written = history.with_clocks(history.serialise(shelf.memory.disks), "b1", shelf.now)
    again = DiskSimulation(*shelf.drives.values(), config=text)
    again.at, again.slept = shelf.at, shelf.slept
    again.memory = replace(again.memory, disks=history.restore(written, boot, again.now))
    for spindle in again.drives.values():
        spindle.log.clear()
    return again


@pytest.mark.parametrize(("after", "then"), [("10min", ["ask", "read"]), ("0s", [])])
def test_a_timer_of_an_earlier_run_is_taken_away_when_it_is_wanted_no_longer(
    after: str, then: list[str]
) -> None:
    """And the run after that knows that it has been."""
    shelf = identical_drives(1, TIMER).run_until(MINUTE)
    assert only(shelf).timer == 600
    again = restarted(shelf, f'[disks]\nspin_down_after = "{after}"').run_until(2 * MINUTE)
    assert timer_settings(only(again)) == ["ask", "read", "timer 0"]
    assert not again.memory.disks[only(again).disk.id].settings.timer_set_by_us
    third = restarted(again, f'[disks]\nspin_down_after = "{after}"').run_until(3 * MINUTE)
    assert timer_settings(only(third)) == then


def test_a_timer_of_an_earlier_run_is_taken_away_only_when_the_disk_has_been_woken_by_somebody_else() -> None:
    shelf = identical_drives(1, TIMER).run_until(HOUR)
    assert shelf.state() is DiskState.STANDBY
    again = restarted(shelf, '[disks]\nspin_down_after = "0s"')
    again.access(0, 2 * HOUR)
    again.run_until(2 * HOUR - 1)
    assert timer_settings(only(again)) == ["ask"]
    again.run_until(2 * HOUR + 5 * MINUTE)
    assert timer_settings(only(again)) == ["ask", "up", "read", "timer 0"]


def test_a_timer_that_is_still_wanted_is_set_by_each_run_anew() -> None:
    """For what it was set to is not known any more, should the drive have been plugged in again meanwhile."""
    shelf = identical_drives(1, TIMER).run_until(MINUTE)
    again = restarted(shelf, TIMER).run_until(2 * MINUTE)
    assert timer_settings(only(again)) == ["ask", "read", "timer 600"]


def test_after_a_start_of_the_machine_no_timer_is_taken_away() -> None:
    shelf = identical_drives(1, TIMER).run_until(MINUTE)
    again = restarted(shelf, '[disks]\nspin_down_after = "0s"', boot="b2").run_until(2 * MINUTE)
    assert timer_settings(only(again)) == []


def test_a_replugged_drive_has_no_timer_of_powerd() -> None:
    shelf = identical_drives(1, TIMER).run_until(MINUTE)
    spindle = only(shelf)
    spindle.disk = replace(spindle.disk, attached_at=shelf.now.mono)
    spindle.timer = 0
    shelf.poll()
    shelf.options = identical_drives(1, '[disks]\nspin_down_after = "0s"').options
    spindle.log.clear()
    shelf.run_until(HOUR)
    assert timer_settings(spindle) == []


def test_a_timer_that_cannot_be_taken_away_is_tried_once() -> None:
    shelf = identical_drives(1, TIMER).run_until(MINUTE)
    only(shelf).refused_methods = frozenset({"timer"})
    again = restarted(shelf, '[disks]\nspin_down_after = "0s"').run_until(DAY)
    assert timer_settings(only(again)).count("timer 0") == 1


def test_left_alone_the_timer_that_powerd_set_is_taken_away() -> None:
    shelf = identical_drives(1, TIMER).run_until(MINUTE)
    shelf.options = identical_drives(1, '[disks]\nspin_down_after = "0s"').options
    shelf.run_until(2 * MINUTE)
    assert timer_settings(only(shelf))[-1] == "timer 0"
    assert shelf.report().reason == 'spin_down_after = "0s" leaves it alone'


def swapped_to(shelf: DiskSimulation) -> None:
    spindle = only(shelf)
    spindle.disk = replace(spindle.disk, swap_in_use=True)


def test_excluded_it_has_the_timer_that_powerd_set_taken_away_once_it_surely_spins() -> None:
    shelf = identical_drives(1, TIMER).run_until(5 * MINUTE)
    swapped_to(shelf)
    shelf.run_until(9 * MINUTE)
    assert timer_settings(only(shelf)) == ["ask", "read", "timer 600"], "it may have stopped since"
    shelf.access(0, 9.5 * MINUTE)
    shelf.run_until(HOUR)
    assert timer_settings(only(shelf)) == ["ask", "read", "timer 600", "timer 0"]
    assert (shelf.state(), shelf.report().standby_timer) == (DiskState.EXCLUDED, 0)


@pytest.mark.parametrize(
    "unwell",
    [
        {"error": (FailureCause.FAILED, "it refuses")},
        {"error": (FailureCause.HELPER_UNAVAILABLE, "no helper listens")},
        {"counters_error": "not counted"},
    ],
)
def test_excluded_it_is_not_pressed_to_have_its_timer_taken_away(unwell: dict[str, Any]) -> None:
    shelf = identical_drives(1, TIMER).run_until(MINUTE)
    swapped_to(shelf)
    for name, value in unwell.items():
        setattr(only(shelf), name, value)
    shelf.access(0, *(n * MINUTE for n in range(2, 7)))
    shelf.run_until(6 * MINUTE)
    tries = [order for _, order in shelf.actions if order == SetStandbyTimer(only(shelf).disk.id, 0)]
    assert len(tries) == ("error" in unwell)


def test_excluded_in_observe_mode_or_for_good_it_is_sent_nothing() -> None:
    for about in ({"mode": "observe"}, {"ineligible_reason": "it has no spindle"}):
        shelf = identical_drives(1, TIMER).run_until(MINUTE)
        swapped_to(shelf)
        if "mode" in about:
            shelf.options = replace(shelf.options, mode="observe")
        else:
            only(shelf).disk = replace(only(shelf).disk, ineligible_reason=about["ineligible_reason"])
        shelf.access(0, 2 * MINUTE)
        shelf.run_until(5 * MINUTE)
        assert timer_settings(only(shelf)) == ["ask", "read", "timer 600"]


def test_reading_what_it_can_do_may_fail() -> None:
    spindle = DriveSimulator(disk(0), hides_settings=True)
    shelf = DiskSimulation(spindle).run_until(HOUR)
    assert len(spindle.times_of("read")) == 1
    assert (shelf.state(), shelf.report().apm) == (DiskState.STANDBY, None)


def test_a_very_short_time_is_a_warning() -> None:
    shelf = identical_drives(1, '[disks]\nspin_down_after = "2min"').run_until(MINUTE)
    assert any("shorter than 5min" in text for text in shelf.reason_texts())


def test_a_disk_that_hides_its_power_mode_is_not_polled_for_ever() -> None:
    spindle = DriveSimulator(disk(0))
    shelf = DiskSimulation(spindle, config=TIMER).run_until(MINUTE)
    spindle.hides_power_mode = True
    shelf.run_until(DAY)
    assert len(spindle.times_of("ask")) == 4
    text = "may spin down by its own timer of 10min: it does not report whether it spins"
    assert shelf.report().reason == text


def test_both_gives_up_on_a_disk_that_hides_its_power_mode() -> None:
    spindle = DriveSimulator(disk(0))
    shelf = DiskSimulation(spindle, config=BOTH).run_until(MINUTE)
    spindle.hides_power_mode = True
    shelf.run_until(DAY)
    assert len(spin_downs(spindle)) == 3
    assert shelf.state() is DiskState.UNSUPPORTED
