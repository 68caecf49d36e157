"""Members of a group spin down together, and are watched while all are stopped."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core.snapshot_strategies import T0, idle_memory, make_snapshot, moment
from disks.policy.simulation import HOUR, MINUTE, DiskSimulation, identical_drives, spin_downs
from facts import assess_all, changed, idle_activity, new_snapshot

from powerd.activity.model import Activity, ActivityFacts, CheckId, CheckResult, CheckState
from powerd.config.load import parse
from powerd.config.options import Options
from powerd.core.domain import Assessment, Context
from powerd.core.reasons import UndatedReason
from powerd.disks.model import GroupWatch
from powerd.disks.policy import plan
from powerd.disks.state import DisksReport, DiskState
from powerd.simulation.drive import DriveSimulator, disk


def test_a_group_is_idle_when_all_of_it_is() -> None:
    simulation = identical_drives(2, group="md0")
    simulation.access(1, *(n * 5 * MINUTE for n in range(1, 12)))
    simulation.run_until(55 * MINUTE)
    assert [spin_downs(each) for each in simulation.drives.values()] == [[], []]
    simulation.run_until(2 * HOUR)
    first, second = (spin_downs(each) for each in simulation.drives.values())
    assert abs(first[0] - second[0]) < 5
    assert first[0] >= 55 * MINUTE + 20 * MINUTE


def test_the_longest_time_of_its_members_counts() -> None:
    text = '[[disks.rule]]\nmatch = ["*_1"]\nspin_down_after = "2h"'
    simulation = identical_drives(2, text, group="md0").run_until(3 * HOUR)
    assert all(2 * HOUR <= spin_downs(each)[0] <= 2 * HOUR + 2 for each in simulation.drives.values())


def test_a_member_left_alone_does_not_hold_up_the_others_longer_than_its_use() -> None:
    text = '[[disks.rule]]\nmatch = ["*_1"]\nspin_down_after = "0s"'
    simulation = identical_drives(2, text, group="vg0").run_until(HOUR)
    assert [len(spin_downs(each)) for each in simulation.drives.values()] == [1, 0]


def test_an_excluded_member_does_not_count() -> None:
    ssd = DriveSimulator(disk(1, group="vg0", ineligible_reason="it has no spindle"))
    simulation = DiskSimulation(DriveSimulator(disk(0, group="vg0")), ssd)
    simulation.access(1, *(n * 5 * MINUTE for n in range(1, 20)))
    assert simulation.run_until(HOUR).state(0) is DiskState.STANDBY


def test_members_that_hold_the_journal_are_neither_stopped_nor_guarded_and_the_others_are() -> None:
    holders = [DriveSimulator(disk(n, group="md0", array=True, holds_journal=True)) for n in (0, 1)]
    simulation = DiskSimulation(*holders, DriveSimulator(disk(2)))
    simulation.access(0, *(n * MINUTE for n in range(1, 180)))
    simulation.run_until(3 * HOUR)
    assert [simulation.state(n) for n in range(3)] == [DiskState.EXCLUDED] * 2 + [DiskState.STANDBY]
    assert [each.log for each in holders] == [[], []]
    assert simulation.decision is not None
    assert simulation.decision.part(DisksReport).watched_groups == ()


def test_a_member_that_is_left_alone_is_used_like_the_others() -> None:
    """A rule lets one disk of a volume group with the journal spin down; the journal is on the other one."""
    rule = '[[disks.rule]]\nmatch = ["*_0"]\nspin_down_after = "20min"'
    simulation = identical_drives(2, rule, group="vg0", holds_journal=True)
    simulation.access(1, *(n * 5 * MINUTE for n in range(1, 24)))
    simulation.run_until(2 * HOUR)
    assert [simulation.state(n) for n in range(2)] == [DiskState.ACTIVE, DiskState.EXCLUDED]
    simulation.run_until(3 * HOUR)
    assert [simulation.state(n) for n in range(2)] == [DiskState.STANDBY, DiskState.EXCLUDED]


def test_a_resync_keeps_all_of_it_up_and_the_server_awake() -> None:
    simulation = identical_drives(2, group="md0").run_until(MINUTE)
    for each in simulation.drives.values():
        each.disk = replace(each.disk, busy_reason="md0 resync")
    simulation.run_until(2 * HOUR)
    assert [spin_downs(each) for each in simulation.drives.values()] == [[], []]
    assert simulation.report().reason == "md0 resync"
    assert simulation.decision is not None
    blockers = [(each.subject, each.text) for each in simulation.decision.reasons if each.blocks_sleep]
    assert blockers.count(("md0", "md0 resync")) == 1
    for each in simulation.drives.values():
        each.disk = replace(each.disk, busy_reason=None)
    assert simulation.run_until(3 * HOUR).state() is DiskState.STANDBY


MEMORY = idle_memory(moment(), 3600.0)
MEASURED = CheckResult(T0, CheckState.MEASURED)
RESHAPES = Activity("md0", "reshape of the array runs", keeps_awake=True)


@pytest.mark.parametrize(
    ("group", "operation"),
    [("md0", "reshape"), ("btrfs:photos", "scrub"), ("btrfs:my photos", "device add")],
)
@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("[activity.storage]\nenabled = false", None),
        ('[activity]\non_error = "ignore"', replace(MEASURED, state=CheckState.FAILED)),
        ('[activity.storage]\non_error = "ignore"', replace(MEASURED, state=CheckState.FAILED)),
        ("", MEASURED),
        ("", replace(MEASURED, activities=(RESHAPES,))),
    ],
    ids=["off", "ignored", "ignored by its table", "nothing measured", "measured"],
)
def test_whatever_the_check_finds_maintenance_keeps_the_server_awake_for_one_reason(
    text: str, result: CheckResult | None, group: str, operation: str
) -> None:
    options = parse(f"{text}\n[[sleep]]\nidle_for = '10min'\nwarn = '0s'".encode(), "test")
    busy_reason = f"{group} {operation}"
    members = [disk(n, group=group, busy_reason=busy_reason) for n in range(2)]
    facts = {**idle_activity(T0).results, **({} if result is None else {CheckId("storage"): result})}
    snapshot = changed(make_snapshot({}, at=T0), disks={each.id: each for each in members})
    merged = assess_all(snapshot.with_parts(ActivityFacts(facts)), MEMORY, options, moment())
    named = bool(result and result.activities) and group == "md0"
    expected = ("md0", RESHAPES.text) if named else (group, busy_reason)
    blockers = [(each.subject, each.text) for each in merged.blockers if each.blocks_sleep]
    assert [each for each in blockers if each[0] == group] == [expected]


def test_a_client_with_the_name_of_an_array_hides_no_maintenance() -> None:
    members = {each.id: each for each in [disk(0, group="md0", busy_reason="md0 check")]}
    dozing = Assessment(blockers=(UndatedReason("md0", "home, dozes", ignorable=True),))
    context = Context(changed(new_snapshot(), disks=members), MEMORY, Options(), moment())
    assert [each.text for each in plan.assess(context.add(dozing)).blockers] == ["md0 check"]


def test_while_the_activity_of_one_is_unknown_none_sleeps() -> None:
    simulation = DiskSimulation(
        DriveSimulator(disk(0, group="md0")),
        DriveSimulator(disk(1, group="md0"), counters_error="not counted"),
    )
    simulation.run_until(2 * HOUR)
    assert [spin_downs(each) for each in simulation.drives.values()] == [[], []]
    assert "group is unknown" in simulation.report(0).reason


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
    simulation = identical_drives(3, f'[disks]\nwake_group = "{wake}"', group="md0", array=array)
    simulation.run_until(10 * MINUTE)
    assert simulation.decide_now().part(DisksReport).watched_groups == ()
    simulation.run_until(HOUR)
    names = tuple(simulation.drives)
    assert simulation.decide_now().part(DisksReport).watched_groups == (
        (GroupWatch("md0", names),) if guarded else ()
    )


def test_members_are_guarded_once_spin_down_is_requested_though_one_goes_on_spinning() -> None:
    ignoring = DriveSimulator(disk(2, group="md0", array=True), ignored_methods=frozenset({"ata", "scsi"}))
    simulation = DiskSimulation(
        *(DriveSimulator(disk(n, group="md0", array=True)) for n in range(2)), ignoring
    )
    simulation.run_until(20 * MINUTE + 5)
    names = tuple(simulation.drives)
    assert [simulation.state(n) for n in range(3)] == [DiskState.SPINNING_DOWN] * 3
    assert simulation.decide_now().part(DisksReport).watched_groups == (GroupWatch("md0", names),)
    simulation.run_until(HOUR)
    assert [simulation.state(n) for n in range(3)] == [DiskState.STANDBY] * 2 + [DiskState.UNSUPPORTED]
    assert simulation.decide_now().part(DisksReport).watched_groups == (GroupWatch("md0", names[:2]),)


def test_a_guard_is_active_while_all_sleep_and_ends_with_the_first_access() -> None:
    simulation = identical_drives(2, group="md0", array=True)
    simulation.access(0, HOUR)
    simulation.run_until(HOUR - 1)
    assert len(simulation.decide_now().part(DisksReport).watched_groups) == 1
    simulation.run_until(HOUR + MINUTE)
    assert simulation.decide_now().part(DisksReport).watched_groups == ()


def test_a_disk_alone_and_a_disk_in_observe_mode_are_not_guarded() -> None:
    simulation = identical_drives(1, group="md0", array=True).run_until(HOUR)
    assert simulation.decision is not None
    assert simulation.decision.part(DisksReport).watched_groups == ()
    simulation = identical_drives(2, group="md0", array=True).run_until(HOUR)
    simulation.options = replace(simulation.options, mode="observe")
    assert simulation.decide_now().part(DisksReport).watched_groups == ()


def test_whichever_member_is_unknown() -> None:
    simulation = DiskSimulation(
        DriveSimulator(disk(0, group="md0"), counters_error="not counted"),
        DriveSimulator(disk(1, group="md0")),
    )
    simulation.run_until(2 * HOUR)
    assert "group is unknown" in simulation.report(1).reason
