"""Members of a group sleep together, and are guarded while all do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from policy.disks.shelf import HOUR, MINUTE, Shelf, downs, shelf_of
from policy.disks.spindle import Spindle, disk

from powerd.model import DiskState, Guard


def test_a_group_is_idle_when_all_of_it_is() -> None:
    shelf = shelf_of(2, group="md0")
    shelf.touch(1, *(n * 5 * MINUTE for n in range(1, 12)))
    shelf.live(55 * MINUTE)
    assert [downs(each) for each in shelf.spindles.values()] == [[], []]
    shelf.live(2 * HOUR)
    first, second = (downs(each) for each in shelf.spindles.values())
    assert abs(first[0] - second[0]) < 5
    assert first[0] >= 55 * MINUTE + 20 * MINUTE


def test_the_longest_time_of_its_members_counts() -> None:
    text = '[[disks.rule]]\nmatch = ["*_1"]\nspin_down_after = "2h"'
    shelf = shelf_of(2, text, group="md0").live(3 * HOUR)
    assert all(2 * HOUR <= downs(each)[0] <= 2 * HOUR + 2 for each in shelf.spindles.values())


def test_a_member_left_alone_does_not_hold_up_the_others_longer_than_its_use() -> None:
    text = '[[disks.rule]]\nmatch = ["*_1"]\nspin_down_after = "0s"'
    shelf = shelf_of(2, text, group="vg0").live(HOUR)
    assert [len(downs(each)) for each in shelf.spindles.values()] == [1, 0]


def test_an_excluded_member_does_not_count() -> None:
    ssd = Spindle(disk(1, group="vg0", excluded="it has no spindle"))
    shelf = Shelf(Spindle(disk(0, group="vg0")), ssd)
    shelf.touch(1, *(n * 5 * MINUTE for n in range(1, 20)))
    assert shelf.live(HOUR).state(0) is DiskState.STANDBY


def test_members_that_hold_the_journal_are_neither_stopped_nor_guarded_and_the_others_are() -> None:
    holders = [Spindle(disk(n, group="md0", array=True, journal=True)) for n in (0, 1)]
    shelf = Shelf(*holders, Spindle(disk(2)))
    shelf.touch(0, *(n * MINUTE for n in range(1, 180)))
    shelf.live(3 * HOUR)
    assert [shelf.state(n) for n in range(3)] == [DiskState.EXCLUDED] * 2 + [DiskState.STANDBY]
    assert [each.log for each in holders] == [[], []]
    assert shelf.decision is not None
    assert shelf.decision.guards == ()


def test_a_member_that_is_left_alone_is_used_like_the_others() -> None:
    """A rule lets one disk stand by of a volume group that holds the journal; its lines go to the other."""
    rule = '[[disks.rule]]\nmatch = ["*_0"]\nspin_down_after = "20min"'
    shelf = shelf_of(2, rule, group="vg0", journal=True)
    shelf.touch(1, *(n * 5 * MINUTE for n in range(1, 24)))
    shelf.live(2 * HOUR)
    assert [shelf.state(n) for n in range(2)] == [DiskState.ACTIVE, DiskState.EXCLUDED]
    shelf.live(3 * HOUR)
    assert [shelf.state(n) for n in range(2)] == [DiskState.STANDBY, DiskState.EXCLUDED]


def test_a_resync_keeps_all_of_it_up_and_the_server_awake() -> None:
    shelf = shelf_of(2, group="md0").live(MINUTE)
    for each in shelf.spindles.values():
        each.disk = replace(each.disk, busy="md0 resync")
    shelf.live(2 * HOUR)
    assert [downs(each) for each in shelf.spindles.values()] == [[], []]
    assert shelf.report().waits == "md0 resync"
    assert shelf.decision is not None
    stirs = [(each.subject, each.text) for each in shelf.decision.reasons if each.keeps_awake]
    assert stirs.count(("md0", "md0 resync")) == 1
    for each in shelf.spindles.values():
        each.disk = replace(each.disk, busy=None)
    assert shelf.live(3 * HOUR).state() is DiskState.STANDBY


def test_while_the_activity_of_one_is_unknown_none_sleeps() -> None:
    shelf = Shelf(Spindle(disk(0, group="md0")), Spindle(disk(1, group="md0"), blind="not counted"))
    shelf.live(2 * HOUR)
    assert [downs(each) for each in shelf.spindles.values()] == [[], []]
    assert shelf.report(0).waits == "the activity of its group is unknown"


@pytest.mark.parametrize(
    ("wake", "array", "guarded"),
    [
        ("arrays", True, True),
        ("arrays", False, False),
        ("all", False, True),
        ("never", True, False),
    ],
)
def test_which_groups_are_guarded(wake: str, array: bool, guarded: bool) -> None:  # noqa: FBT001 - a table's columns
    shelf = shelf_of(3, f'[disks]\nwake_group = "{wake}"', group="md0", array=array)
    shelf.live(10 * MINUTE)
    assert shelf.ask().guards == ()
    shelf.live(HOUR)
    names = tuple(shelf.spindles)
    assert shelf.ask().guards == ((Guard("md0", names),) if guarded else ())


def test_members_are_guarded_as_soon_as_they_are_told_and_though_one_goes_on_spinning() -> None:
    deaf = Spindle(disk(2, group="md0", array=True), deaf=frozenset({"ata", "scsi"}))
    shelf = Shelf(*(Spindle(disk(n, group="md0", array=True)) for n in range(2)), deaf)
    shelf.live(20 * MINUTE + 5)
    names = tuple(shelf.spindles)
    assert [shelf.state(n) for n in range(3)] == [DiskState.SETTLING] * 3
    assert shelf.ask().guards == (Guard("md0", names),)
    shelf.live(HOUR)
    assert [shelf.state(n) for n in range(3)] == [DiskState.STANDBY] * 2 + [DiskState.UNSUPPORTED]
    assert shelf.ask().guards == (Guard("md0", names[:2]),)


def test_a_guard_stands_while_all_sleep_and_goes_with_the_first_access() -> None:
    shelf = shelf_of(2, group="md0", array=True)
    shelf.touch(0, HOUR)
    shelf.live(HOUR - 1)
    assert len(shelf.ask().guards) == 1
    shelf.live(HOUR + MINUTE)
    assert shelf.ask().guards == ()


def test_a_disk_alone_and_a_disk_in_observe_mode_are_not_guarded() -> None:
    shelf = shelf_of(1, group="md0", array=True).live(HOUR)
    assert shelf.decision is not None
    assert shelf.decision.guards == ()
    shelf = shelf_of(2, group="md0", array=True).live(HOUR)
    shelf.options = replace(shelf.options, mode="observe")
    assert shelf.ask().guards == ()


def test_whichever_member_is_unknown() -> None:
    shelf = Shelf(Spindle(disk(0, group="md0"), blind="not counted"), Spindle(disk(1, group="md0")))
    shelf.live(2 * HOUR)
    assert shelf.report(1).waits == "the activity of its group is unknown"
