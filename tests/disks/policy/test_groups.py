"""Members of a group sleep together, and are guarded while all do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from disks.policy.simulation import HOUR, MINUTE, DiskSimulation, identical_drives, spin_downs
from fakes.drive import DriveSimulator, disk

from powerd.disks.model import GroupWatch
from powerd.disks.state import DiskState


def test_a_group_is_idle_when_all_of_it_is() -> None:
    shelf = identical_drives(2, group="md0")
    shelf.access(1, *(n * 5 * MINUTE for n in range(1, 12)))
    shelf.run_until(55 * MINUTE)
    assert [spin_downs(each) for each in shelf.drives.values()] == [[], []]
    shelf.run_until(2 * HOUR)
    first, second = (spin_downs(each) for each in shelf.drives.values())
    assert abs(first[0] - second[0]) < 5
    assert first[0] >= 55 * MINUTE + 20 * MINUTE


def test_the_longest_time_of_its_members_counts() -> None:
    text = '[[disks.rule]]\nmatch = ["*_1"]\nspin_down_after = "2h"'
    shelf = identical_drives(2, text, group="md0").run_until(3 * HOUR)
    assert all(2 * HOUR <= spin_downs(each)[0] <= 2 * HOUR + 2 for each in shelf.drives.values())


def test_a_member_left_alone_does_not_hold_up_the_others_longer_than_its_use() -> None:
    text = '[[disks.rule]]\nmatch = ["*_1"]\nspin_down_after = "0s"'
    shelf = identical_drives(2, text, group="vg0").run_until(HOUR)
    assert [len(spin_downs(each)) for each in shelf.drives.values()] == [1, 0]


def test_an_excluded_member_does_not_count() -> None:
    ssd = DriveSimulator(disk(1, group="vg0", ineligible_reason="it has no spindle"))
    shelf = DiskSimulation(DriveSimulator(disk(0, group="vg0")), ssd)
    shelf.access(1, *(n * 5 * MINUTE for n in range(1, 20)))
    assert shelf.run_until(HOUR).state(0) is DiskState.STANDBY


def test_members_that_hold_the_journal_are_neither_stopped_nor_guarded_and_the_others_are() -> None:
    holders = [DriveSimulator(disk(n, group="md0", array=True, holds_journal=True)) for n in (0, 1)]
    shelf = DiskSimulation(*holders, DriveSimulator(disk(2)))
    shelf.access(0, *(n * MINUTE for n in range(1, 180)))
    shelf.run_until(3 * HOUR)
    assert [shelf.state(n) for n in range(3)] == [DiskState.EXCLUDED] * 2 + [DiskState.STANDBY]
    assert [each.log for each in holders] == [[], []]
    assert shelf.decision is not None
    assert shelf.decision.watched_groups == ()


def test_a_member_that_is_left_alone_is_used_like_the_others() -> None:
    """A rule lets one disk stand by of a volume group that holds the journal; its lines go to the other."""
    rule = '[[disks.rule]]\nmatch = ["*_0"]\nspin_down_after = "20min"'
    shelf = identical_drives(2, rule, group="vg0", holds_journal=True)
    shelf.access(1, *(n * 5 * MINUTE for n in range(1, 24)))
    shelf.run_until(2 * HOUR)
    assert [shelf.state(n) for n in range(2)] == [DiskState.ACTIVE, DiskState.EXCLUDED]
    shelf.run_until(3 * HOUR)
    assert [shelf.state(n) for n in range(2)] == [DiskState.STANDBY, DiskState.EXCLUDED]


def test_a_resync_keeps_all_of_it_up_and_the_server_awake() -> None:
    shelf = identical_drives(2, group="md0").run_until(MINUTE)
    for each in shelf.drives.values():
        each.disk = replace(each.disk, busy_reason="md0 resync")
    shelf.run_until(2 * HOUR)
    assert [spin_downs(each) for each in shelf.drives.values()] == [[], []]
    assert shelf.report().reason == "md0 resync"
    assert shelf.decision is not None
    stirs = [(each.subject, each.text) for each in shelf.decision.reasons if each.blocks_sleep]
    assert stirs.count(("md0", "md0 resync")) == 1
    for each in shelf.drives.values():
        each.disk = replace(each.disk, busy_reason=None)
    assert shelf.run_until(3 * HOUR).state() is DiskState.STANDBY


def test_while_the_activity_of_one_is_unknown_none_sleeps() -> None:
    shelf = DiskSimulation(
        DriveSimulator(disk(0, group="md0")),
        DriveSimulator(disk(1, group="md0"), counters_error="not counted"),
    )
    shelf.run_until(2 * HOUR)
    assert [spin_downs(each) for each in shelf.drives.values()] == [[], []]
    assert shelf.report(0).reason == "the activity of its group is unknown"


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
    shelf = identical_drives(3, f'[disks]\nwake_group = "{wake}"', group="md0", array=array)
    shelf.run_until(10 * MINUTE)
    assert shelf.decide_now().watched_groups == ()
    shelf.run_until(HOUR)
    names = tuple(shelf.drives)
    assert shelf.decide_now().watched_groups == ((GroupWatch("md0", names),) if guarded else ())


def test_members_are_guarded_once_spin_down_is_requested_though_one_goes_on_spinning() -> None:
    deaf = DriveSimulator(disk(2, group="md0", array=True), ignored_methods=frozenset({"ata", "scsi"}))
    shelf = DiskSimulation(*(DriveSimulator(disk(n, group="md0", array=True)) for n in range(2)), deaf)
    shelf.run_until(20 * MINUTE + 5)
    names = tuple(shelf.drives)
    assert [shelf.state(n) for n in range(3)] == [DiskState.SPINNING_DOWN] * 3
    assert shelf.decide_now().watched_groups == (GroupWatch("md0", names),)
    shelf.run_until(HOUR)
    assert [shelf.state(n) for n in range(3)] == [DiskState.STANDBY] * 2 + [DiskState.UNSUPPORTED]
    assert shelf.decide_now().watched_groups == (GroupWatch("md0", names[:2]),)


def test_a_guard_is_active_while_all_sleep_and_ends_with_the_first_access() -> None:
    shelf = identical_drives(2, group="md0", array=True)
    shelf.access(0, HOUR)
    shelf.run_until(HOUR - 1)
    assert len(shelf.decide_now().watched_groups) == 1
    shelf.run_until(HOUR + MINUTE)
    assert shelf.decide_now().watched_groups == ()


def test_a_disk_alone_and_a_disk_in_observe_mode_are_not_guarded() -> None:
    shelf = identical_drives(1, group="md0", array=True).run_until(HOUR)
    assert shelf.decision is not None
    assert shelf.decision.watched_groups == ()
    shelf = identical_drives(2, group="md0", array=True).run_until(HOUR)
    shelf.options = replace(shelf.options, mode="observe")
    assert shelf.decide_now().watched_groups == ()


def test_whichever_member_is_unknown() -> None:
    shelf = DiskSimulation(
        DriveSimulator(disk(0, group="md0"), counters_error="not counted"),
        DriveSimulator(disk(1, group="md0")),
    )
    shelf.run_until(2 * HOUR)
    assert shelf.report(1).reason == "the activity of its group is unknown"
