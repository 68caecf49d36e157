"""Disks that are busy, hang, cannot be asked, or are woken at a bad moment."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from policy.disks.shelf import DAY, HOUR, MINUTE, Shelf, downs
from policy.disks.spindle import Spindle, disk

from powerd.model import DiskState, Seen, Trouble

AFTER = 20 * MINUTE


def only(shelf: Shelf) -> Spindle:
    (spindle,) = shelf.spindles.values()
    return spindle


def test_a_disk_that_is_busy_is_waited_for_and_asked_again_in_a_minute() -> None:
    spindle = Spindle(disk(0))
    shelf = Shelf(spindle).live(MINUTE)
    spindle.trouble = (Trouble.BUSY, "12 kB are yet to be written to it")
    shelf.live(AFTER + 10 * MINUTE)
    tries = spindle.of("troubled")
    assert all(59 <= b - a <= 66 for a, b in pairwise(tries))
    assert (shelf.state(), shelf.report().waits) == (DiskState.ACTIVE, "12 kB are yet to be written to it")
    spindle.trouble = None
    shelf.live(AFTER + 12 * MINUTE)
    assert shelf.state() is DiskState.STANDBY
    assert shelf.report().worked == "ata", "it was no failure of the disk's"


def test_a_disk_that_hangs_is_asked_ever_later_and_others_go_on() -> None:
    shelf = Shelf(Spindle(disk(0)), Spindle(disk(1))).live(MINUTE)
    hung, well = shelf.spindles.values()
    hung.trouble = (Trouble.HUNG, "hdparm did not answer within 40 s")
    shelf.live(5 * HOUR)
    assert shelf.state(0) is DiskState.HUNG
    assert shelf.report(0).waits.startswith("does not answer, and is asked again ever later")
    assert shelf.state(1) is DiskState.STANDBY
    waited = [round((b - a) / MINUTE) for a, b in pairwise(hung.of("troubled"))]
    assert waited == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    hung.trouble = None
    shelf.live(6.5 * HOUR)
    assert shelf.state(0) is DiskState.STANDBY
    assert downs(well) == downs(well)[:1]


def test_a_drive_that_starts_slowly_after_the_wake_up_is_not_left_alone_for_an_hour() -> None:
    spindle = Spindle(disk(0))
    shelf = Shelf(spindle).live(HOUR)
    shelf.sleep(8 * HOUR)
    spindle.trouble = (Trouble.HUNG, "hdparm did not answer within 10 s")
    shelf.live(HOUR + 15)
    assert shelf.state() is DiskState.HUNG
    spindle.trouble = None
    shelf.live(HOUR + 5 * MINUTE)
    assert shelf.state() is DiskState.STANDBY, "asked again after a minute, and put back to sleep"


def test_one_that_hangs_for_years_can_still_be_reckoned_with() -> None:
    spindle = Spindle(disk(0), trouble=(Trouble.HUNG, "no answer"))
    Shelf(spindle, rhythm=DAY).live(60 * DAY)
    assert len(spindle.of("troubled")) == pytest.approx(60 * 24, abs=10)


@pytest.mark.parametrize("trouble", [Trouble.UNREACHED, Trouble.GONE])
def test_without_a_helper_no_disk_is_to_blame(trouble: Trouble) -> None:
    spindle = Spindle(disk(0), trouble=(trouble, "no helper listens"))
    shelf = Shelf(spindle).live(3 * HOUR)
    assert shelf.report().waits == "no helper listens"
    assert len(spindle.log) <= 37, "every five minutes"
    spindle.trouble = None
    shelf.live(4 * HOUR)
    assert shelf.state() is DiskState.STANDBY


def test_a_question_that_fails_is_asked_again_ever_later_and_then_no_more() -> None:
    spindle = Spindle(disk(0), trouble=(Trouble.FAILED, "hdparm -C names no drive state"))
    shelf = Shelf(spindle).live(DAY)
    assert len(spindle.log) == 3
    assert shelf.report().waits == "cannot be made to stand by: hdparm -C names no drive state"


@pytest.mark.parametrize("rhythm", [5.0, 60.0])
@pytest.mark.parametrize("after", [3, 10, 19, 21, 35])
@pytest.mark.parametrize("bridge", ["", "sleeps"])
def test_one_woken_before_it_could_be_verified_has_not_failed(rhythm: float, after: int, bridge: str) -> None:
    """Nor is its bridge one that wakes it: the look before may be a whole round old."""
    spindle = Spindle(disk(0), bridge=bridge)
    shelf = Shelf(spindle, rhythm=rhythm)
    for n in range(3):
        shelf.touch(0, (n + 1) * (AFTER + 120) - 120 + after)
        shelf.live((n + 1) * (AFTER + 120) - 20)
        memory = shelf.memory.disks[spindle.disk.id]
        assert (memory.state, memory.failures, memory.why) == (DiskState.ACTIVE, 0, "")
    assert (memory.barred, len(memory.ups), memory.stretch) == ("", 3, 1)


def test_one_that_spins_on_while_nobody_can_tell_why_is_not_to_blame() -> None:
    spindle = Spindle(disk(0), deaf=frozenset({"ata"}))
    shelf = Shelf(spindle).live(AFTER + 10)
    spindle.blind = "sda is not counted"
    shelf.live(2 * HOUR)
    assert (shelf.state(), shelf.report().waits) == (DiskState.ACTIVE, "sda is not counted")
    assert (len(spindle.of("ask")), shelf.memory.disks[spindle.disk.id].failures) == (2, 0)
    spindle.blind = ""
    shelf.live(4 * HOUR)
    assert shelf.state() is DiskState.STANDBY, "by the other way"


def test_a_hasty_wake_up_is_seen_although_the_look_before_it_was_before_the_verification() -> None:
    """Dirty data that was written at +33 s: the look before was at +0, the drive's word at +20."""
    spindle = Spindle(disk(0))
    shelf = Shelf(spindle)
    shelf.touch(0, AFTER + 33)
    shelf.live(AFTER + 5 * MINUTE)
    assert (shelf.state(), shelf.report().spin_ups) == (DiskState.ACTIVE, 1)
    assert len(shelf.memory.disks[spindle.disk.id].bounces) == 1


def test_a_disk_whose_counters_cannot_be_read_is_left_alone() -> None:
    spindle = Spindle(disk(0), blind="sda is not counted")
    shelf = Shelf(spindle).live(2 * HOUR)
    assert downs(spindle) == []
    assert shelf.report().waits == "sda is not counted"


def test_io_under_way_is_waited_for() -> None:
    spindle = Spindle(disk(0))
    shelf = Shelf(spindle).live(5)
    spindle.flying = 1
    shelf.live(2 * HOUR)
    assert downs(spindle) == []


def test_in_flight_io_that_counts_as_no_movement_is_waited_for_too() -> None:
    spindle = Spindle(disk(0))
    shelf = Shelf(spindle).live(AFTER - 30)
    name = spindle.disk.id
    seen = shelf.snapshot.activity[name]
    assert isinstance(seen, Seen)
    flying = replace(seen, at=seen.at + 90, value=replace(seen.value, in_flight=2))
    shelf.at += 61
    shelf.snapshot = replace(shelf.snapshot, activity={name: flying})
    decision = shelf.ask()
    assert decision.disks[0].waits == "it has I/O under way"
    assert decision.orders == ()
