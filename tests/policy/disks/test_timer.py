"""The drive's own timer: set on spinning disks only, checked when it should have run out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from policy.disks.shelf import DAY, HOUR, MINUTE, Shelf, downs, shelf_of
from policy.disks.spindle import Spindle, disk

from powerd.config import parse
from powerd.model import DiskState, Drive, SetApm, SetTimer, Trouble
from powerd.policy.disks import book

TIMER = '[disks]\nmethod = "timer"\nspin_down_after = "10min"\n'
BOTH = '[disks]\nmethod = "both"\nspin_down_after = "10min"\n'


def only(shelf: Shelf) -> Spindle:
    (spindle,) = shelf.spindles.values()
    return spindle


def words(spindle: Spindle) -> list[str]:
    return [what for _, what in spindle.log]


def test_a_timer_is_set_once_and_believed_when_the_drive_says_so() -> None:
    shelf = shelf_of(1, TIMER)
    shelf.touch(0, HOUR)
    shelf.live(3 * HOUR)
    assert words(only(shelf)) == ["ask", "read", "timer 600", "timer", "ask", "up", "timer", "ask"]
    report = shelf.report()
    assert (report.state, report.timer, report.spin_downs, report.spin_ups) == (DiskState.STANDBY, 600, 2, 1)


def test_what_the_timer_really_is_set_to_is_shown() -> None:
    shelf = shelf_of(1, '[disks]\nmethod = "timer"\nspin_down_after = "25min"').live(MINUTE)
    assert shelf.report().timer == 1800


def test_a_doubled_time_is_no_longer_than_a_timer_can_be() -> None:
    """Woken just after each spin-down: 5 h doubled are 10 h, and the drive's timer has 5.5 h at most."""
    spindle = Spindle(disk(0))
    shelf = Shelf(spindle, text='[disks]\nmethod = "timer"\nspin_down_after = "5h"')
    for n in range(1, 4):
        shelf.touch(0, n * (5 * HOUR + 20 * MINUTE))
    shelf.live(20 * HOUR)
    assert shelf.memory.disks[spindle.disk.id].stretch == 1
    report = shelf.report()
    assert (report.spin_down_after, report.timer) == (5.5 * HOUR, 5.5 * HOUR)


def test_a_sleeping_disk_gets_no_timer_until_it_has_been_woken_by_somebody_else() -> None:
    spindle = Spindle(disk(0), spins=False)
    shelf = Shelf(spindle, text=TIMER)
    shelf.touch(0, HOUR)
    shelf.live(2 * HOUR)
    assert words(spindle) == ["ask", "up", "read", "timer 600", "timer", "ask"]


def test_one_that_ignores_its_timer_is_reported() -> None:
    spindle = Spindle(disk(0), ignores_timer=True)
    shelf = Shelf(spindle, text=TIMER).live(DAY)
    assert len(spindle.of("ask")) == 4
    assert shelf.state() is DiskState.ACTIVE
    assert shelf.report().waits == 'ignores its own timer of 10min; take method = "both"'


def test_each_idleness_is_a_new_chance() -> None:
    spindle = Spindle(disk(0), ignores_timer=True)
    shelf = Shelf(spindle, text=TIMER).live(2 * HOUR)
    spindle.ignores_timer = False
    shelf.touch(0, 2 * HOUR + 1)
    shelf.live(3 * HOUR)
    assert shelf.state() is DiskState.STANDBY


def test_both_commands_the_drive_that_ignores_its_timer() -> None:
    spindle = Spindle(disk(0), ignores_timer=True)
    shelf = Shelf(spindle, text=BOTH).live(HOUR)
    assert words(spindle) == ["ask", "read", "timer 600", "ask", "ata", "ask"]
    assert shelf.state() is DiskState.STANDBY


def test_both_leaves_it_to_a_timer_that_works() -> None:
    shelf = shelf_of(1, BOTH).live(HOUR)
    assert downs(only(shelf)) == []
    assert shelf.state() is DiskState.STANDBY


def test_without_a_timer_both_commands_and_timer_says_so() -> None:
    refuses = frozenset({"timer"})
    commanded = Shelf(Spindle(disk(0), refuses=refuses), text=BOTH).live(HOUR)
    assert words(only(commanded)) == ["ask", "read", "timer 600", "ata", "ask"]
    alone = Shelf(Spindle(disk(0), refuses=refuses), text=TIMER).live(HOUR)
    assert words(only(alone)) == ["ask", "read", "timer 600"]
    assert alone.report().waits == "its own timer cannot be set: no timer"


def test_a_spent_budget_switches_the_timer_off_until_tomorrow() -> None:
    spindle = Spindle(disk(0))
    shelf = Shelf(spindle, text=TIMER + "max_spin_downs_per_day = 2")
    shelf.touch(0, *(n * HOUR for n in range(1, 40)))
    shelf.live(2.2 * HOUR)
    assert words(spindle)[-2:] == ["up", "timer 0"]
    assert shelf.report().waits == "has been spun down 2 times in 24 hours, as often as it may be"
    shelf.live(DAY)
    assert len(spindle.of("timer")) == 2
    shelf.live(1.5 * DAY)
    assert len(spindle.of("timer")) == 4


def test_extended_power_conditions_are_named() -> None:
    spindle = Spindle(disk(0), drive=Drive(epc=True))
    shelf = Shelf(spindle, text=TIMER).live(MINUTE)
    (said,) = [text for text in shelf.texts() if "EPC" in text]
    assert 'which may overrule its timer; take method = "both"' in said
    shelf = Shelf(spindle).live(MINUTE)
    (said,) = [text for text in shelf.texts() if "EPC" in text]
    assert "it may stop sooner than it is told to; openSeaChest_PowerControl --showEPCSettings" in said


APM = '[[disks.rule]]\nmatch = ["*"]\napm = {}\n'


def test_apm_is_shown_always_and_set_only_where_a_rule_asks_for_it() -> None:
    shelf = shelf_of(1).live(HOUR)
    assert shelf.report().apm == 254
    assert not any(isinstance(order, SetApm) for _, order in shelf.ordered)
    shelf = shelf_of(1, APM.format(127)).live(HOUR)
    assert (shelf.report().apm, only(shelf).of("apm 127") != []) == (127, True)
    assert len(only(shelf).of("apm 127")) == 1


def test_apm_that_is_as_it_should_be_is_left_alone() -> None:
    spindle = Spindle(disk(0), drive=Drive(apm=127, apm_supported=True))
    Shelf(spindle, text=APM.format(127)).live(HOUR)
    assert spindle.of("apm 127") == []


def test_apm_that_is_refused_is_said_and_not_tried_again() -> None:
    spindle = Spindle(disk(0))
    shelf = Shelf(spindle, text=APM.format(254))
    spindle.drive = Drive(apm=128, apm_supported=True)
    shelf.live(10 * HOUR)
    assert len(spindle.of("apm 254")) == 1
    assert "its APM level cannot be set to 254: refused: 254" in shelf.texts()
    assert shelf.state() is DiskState.STANDBY


def test_what_has_no_apm_gets_none() -> None:
    spindle = Spindle(disk(0), drive=Drive())
    shelf = Shelf(spindle, text=APM.format(127)).live(HOUR)
    assert spindle.of("apm 127") == []
    assert "has no APM, so that its level cannot be set to 127; drop apm" in shelf.texts()
    assert shelf.state() is DiskState.STANDBY


LOW = "is at APM level {}, {}: below 128 it may spin down when it likes to{}"
UNASKED = "which no rule asks for"
REMEDY = "; set apm = 254 in a [[disks.rule]]"


def test_what_udev_knows_of_apm_is_shown_where_nobody_has_asked_the_drive() -> None:
    spindle = Spindle(disk(0, apm=96), drive=Drive(apm=128, apm_supported=True), spins=False)
    shelf = Shelf(spindle).live(HOUR)
    assert (words(spindle), shelf.report().apm) == (["ask"], 96)
    assert LOW.format(96, UNASKED, REMEDY) in shelf.texts()
    shelf.touch(0, HOUR + 1)
    shelf.live(HOUR + 5 * MINUTE)
    assert "read" in words(spindle)
    assert shelf.report().apm == 128
    assert not any("APM" in text for text in shelf.texts())


def test_observe_mode_shows_apm_and_sends_nothing() -> None:
    spindle = Spindle(disk(0, apm=96))
    shelf = Shelf(spindle)
    shelf.options = replace(shelf.options, mode="observe")
    shelf.live(HOUR)
    assert (words(spindle), shelf.report().apm) == ([], 96)
    assert LOW.format(96, UNASKED, REMEDY) in shelf.texts()
    shelf.options = replace(parse(APM.format(254).encode(), "test"), mode="observe")
    shelf.live(HOUR + MINUTE)
    assert LOW.format(96, "not at 254 as its rule says", '; mode = "enforce" sets it') in shelf.texts()


def test_a_low_level_is_said_once_and_holds_nothing_up() -> None:
    spindle = Spindle(disk(0), drive=Drive(apm=127, apm_supported=True))
    shelf = Shelf(spindle).live(HOUR)
    assert shelf.decision is not None
    (reason,) = [reason for reason in shelf.decision.reasons if "APM" in reason.text]
    assert (reason.subject, reason.text) == (spindle.disk.id, LOW.format(127, UNASKED, REMEDY))
    assert not reason.keeps_awake
    assert shelf.state() is DiskState.STANDBY


@pytest.mark.parametrize(("level", "rule"), [(128, None), (254, None), (96, 96), (None, None)])
def test_a_level_that_is_asked_for_or_harmless_is_not_remarked_on(
    level: int | None, rule: int | None
) -> None:
    spindle = Spindle(disk(0, apm=level), drive=Drive(apm=level, apm_supported=True))
    shelf = Shelf(spindle, text=APM.format(rule) if rule else "").live(HOUR)
    assert not any("APM" in text for text in shelf.texts())


def test_a_low_level_that_stays_though_a_rule_says_otherwise() -> None:
    spindle = Spindle(disk(0))
    shelf = Shelf(spindle, text=APM.format(254))
    spindle.drive = Drive(apm=96, apm_supported=True)
    shelf.live(HOUR)
    assert {text for text in shelf.texts() if "APM" in text} == {
        "its APM level cannot be set to 254: refused: 254",
        LOW.format(96, "not at 254 as its rule says", ""),
    }


def test_excluded_disks_show_their_level_without_a_remark() -> None:
    shelf = shelf_of(1, apm=96, excluded="solid state: there is no spindle").live(MINUTE)
    assert shelf.report().apm == 96
    assert not any("APM" in text for text in shelf.texts())


def test_a_rule_may_ask_for_apm_and_nothing_else() -> None:
    text = APM.format(127) + 'spin_down_after = "0s"'
    shelf = shelf_of(1, text).live(2 * HOUR)
    assert words(only(shelf))[:3] == ["ask", "read", "apm 127"]
    assert set(words(only(shelf))[3:]) == {"ask"}, "whether it has stopped when it liked to"


def test_settings_need_fresh_evidence_that_it_spins() -> None:
    """The method is changed on a disk that nobody has heard of for long: it is asked first."""
    shelf = shelf_of(1, '[disks]\nspin_down_after = "2h"').live(HOUR)
    shelf.options = shelf_of(1, '[disks]\nspin_down_after = "2h"\nmethod = "timer"').options
    shelf.live(HOUR + 5)
    assert words(only(shelf)) == ["ask", "read", "ask", "timer 7200"]


def test_both_for_longer_than_a_timer_can_hold_is_the_command_alone() -> None:
    """A drive's own timer holds 5.5 h: it would have stood by sooner than it was to."""
    shelf = shelf_of(1, '[disks]\nmethod = "both"\nspin_down_after = "8h"').live(9 * HOUR)
    assert only(shelf).of("timer 0")
    assert not only(shelf).of("timer 19800")
    (down,) = downs(only(shelf))
    assert 8 * HOUR <= down <= 8 * HOUR + MINUTE


def test_back_to_command_the_timer_that_powerd_set_is_taken_away() -> None:
    shelf = shelf_of(1, TIMER).live(MINUTE)
    shelf.options = shelf_of(1, '[disks]\nspin_down_after = "10min"').options
    shelf.live(2 * MINUTE)
    assert words(only(shelf))[-1] == "timer 0"


def restarted(shelf: Shelf, text: str, boot: str = "b1") -> Shelf:
    """The same drives under a daemon that has been started anew, with another configuration."""
    written = book.dated(book.document(shelf.memory.disks), "b1", shelf.now)
    again = Shelf(*shelf.spindles.values(), text=text)
    again.at, again.slept = shelf.at, shelf.slept
    again.memory = replace(again.memory, disks=book.revived(written, boot, again.now))
    for spindle in again.spindles.values():
        spindle.log.clear()
    return again


@pytest.mark.parametrize(("after", "then"), [("10min", ["ask", "read"]), ("0s", [])])
def test_a_timer_of_an_earlier_run_is_taken_away_when_it_is_wanted_no_longer(
    after: str, then: list[str]
) -> None:
    """And the run after that knows that it has been."""
    shelf = shelf_of(1, TIMER).live(MINUTE)
    assert only(shelf).timer == 600
    again = restarted(shelf, f'[disks]\nspin_down_after = "{after}"').live(2 * MINUTE)
    assert words(only(again)) == ["ask", "read", "timer 0"]
    assert not again.memory.disks[only(again).disk.id].ours
    third = restarted(again, f'[disks]\nspin_down_after = "{after}"').live(3 * MINUTE)
    assert words(only(third)) == then


def test_a_timer_of_an_earlier_run_is_taken_away_only_when_the_disk_has_been_woken_by_somebody_else() -> None:
    shelf = shelf_of(1, TIMER).live(HOUR)
    assert shelf.state() is DiskState.STANDBY
    again = restarted(shelf, '[disks]\nspin_down_after = "0s"')
    again.touch(0, 2 * HOUR)
    again.live(2 * HOUR - 1)
    assert words(only(again)) == ["ask"]
    again.live(2 * HOUR + 5 * MINUTE)
    assert words(only(again)) == ["ask", "up", "read", "timer 0"]


def test_a_timer_that_is_still_wanted_is_set_by_each_run_anew() -> None:
    """For what it was set to is not known any more, should the drive have been plugged in again meanwhile."""
    shelf = shelf_of(1, TIMER).live(MINUTE)
    again = restarted(shelf, TIMER).live(2 * MINUTE)
    assert words(only(again)) == ["ask", "read", "timer 600"]


def test_after_a_start_of_the_machine_no_timer_is_taken_away() -> None:
    shelf = shelf_of(1, TIMER).live(MINUTE)
    again = restarted(shelf, '[disks]\nspin_down_after = "0s"', boot="b2").live(2 * MINUTE)
    assert words(only(again)) == []


def test_a_drive_that_was_plugged_in_again_has_no_timer_of_ours() -> None:
    shelf = shelf_of(1, TIMER).live(MINUTE)
    spindle = only(shelf)
    spindle.disk = replace(spindle.disk, seen=shelf.now.mono)
    spindle.timer = 0
    shelf.look()
    shelf.options = shelf_of(1, '[disks]\nspin_down_after = "0s"').options
    spindle.log.clear()
    shelf.live(HOUR)
    assert words(spindle) == []


def test_a_timer_that_cannot_be_taken_away_is_tried_once() -> None:
    shelf = shelf_of(1, TIMER).live(MINUTE)
    only(shelf).refuses = frozenset({"timer"})
    again = restarted(shelf, '[disks]\nspin_down_after = "0s"').live(DAY)
    assert words(only(again)).count("timer 0") == 1


def test_left_alone_the_timer_that_powerd_set_is_taken_away() -> None:
    shelf = shelf_of(1, TIMER).live(MINUTE)
    shelf.options = shelf_of(1, '[disks]\nspin_down_after = "0s"').options
    shelf.live(2 * MINUTE)
    assert words(only(shelf))[-1] == "timer 0"
    assert shelf.report().waits == 'spin_down_after = "0s" leaves it alone'


def swapped_to(shelf: Shelf) -> None:
    spindle = only(shelf)
    spindle.disk = replace(spindle.disk, swapping=True)


def test_excluded_it_has_the_timer_that_powerd_set_taken_away_once_it_surely_spins() -> None:
    shelf = shelf_of(1, TIMER).live(5 * MINUTE)
    swapped_to(shelf)
    shelf.live(9 * MINUTE)
    assert words(only(shelf)) == ["ask", "read", "timer 600"], "it may have stopped since"
    shelf.touch(0, 9.5 * MINUTE)
    shelf.live(HOUR)
    assert words(only(shelf)) == ["ask", "read", "timer 600", "timer 0"]
    assert (shelf.state(), shelf.report().timer) == (DiskState.EXCLUDED, 0)


@pytest.mark.parametrize(
    "unwell",
    [
        {"trouble": (Trouble.FAILED, "it refuses")},
        {"trouble": (Trouble.UNREACHED, "no helper listens")},
        {"blind": "not counted"},
    ],
)
def test_excluded_it_is_not_pressed_to_have_its_timer_taken_away(unwell: dict[str, Any]) -> None:
    shelf = shelf_of(1, TIMER).live(MINUTE)
    swapped_to(shelf)
    for name, value in unwell.items():
        setattr(only(shelf), name, value)
    shelf.touch(0, *(n * MINUTE for n in range(2, 7)))
    shelf.live(6 * MINUTE)
    tries = [order for _, order in shelf.ordered if order == SetTimer(only(shelf).disk.id, 0)]
    assert len(tries) == ("trouble" in unwell)


def test_excluded_in_observe_mode_or_for_good_it_is_sent_nothing() -> None:
    for about in ({"mode": "observe"}, {"excluded": "it has no spindle"}):
        shelf = shelf_of(1, TIMER).live(MINUTE)
        swapped_to(shelf)
        if "mode" in about:
            shelf.options = replace(shelf.options, mode="observe")
        else:
            only(shelf).disk = replace(only(shelf).disk, excluded=about["excluded"])
        shelf.touch(0, 2 * MINUTE)
        shelf.live(5 * MINUTE)
        assert words(only(shelf)) == ["ask", "read", "timer 600"]


def test_reading_what_it_can_do_may_fail() -> None:
    spindle = Spindle(disk(0), mute_drive=True)
    shelf = Shelf(spindle).live(HOUR)
    assert len(spindle.of("read")) == 1
    assert (shelf.state(), shelf.report().apm) == (DiskState.STANDBY, None)


def test_a_very_short_time_is_remarked_on() -> None:
    shelf = shelf_of(1, '[disks]\nspin_down_after = "2min"').live(MINUTE)
    assert any("shorter than 5min" in text for text in shelf.texts())


def test_one_that_never_says_whether_its_timer_has_run_out_is_not_asked_for_ever() -> None:
    spindle = Spindle(disk(0))
    shelf = Shelf(spindle, text=TIMER).live(MINUTE)
    spindle.dumb = True
    shelf.live(DAY)
    assert len(spindle.of("ask")) == 4
    text = "may stand by on its own timer of 10min: it does not say whether it spins"
    assert shelf.report().waits == text


def test_both_gives_up_on_one_that_never_says_whether_it_stands_by() -> None:
    spindle = Spindle(disk(0))
    shelf = Shelf(spindle, text=BOTH).live(MINUTE)
    spindle.dumb = True
    shelf.live(DAY)
    assert len(downs(spindle)) == 3
    assert shelf.state() is DiskState.UNSUPPORTED
