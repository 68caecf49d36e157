from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from facts import new_snapshot
from hypothesis import given
from hypothesis import strategies as st

from powerd.config.disk_options import SmartOptions
from powerd.config.options import Options
from powerd.core.actions import CompletedAction
from powerd.core.domain import Assessment, Context, Merged
from powerd.core.snapshot import Memory
from powerd.core.time import Moment, Reading
from powerd.disks.model import (
    Disk,
    DiskAction,
    DiskActivity,
    DiskId,
    FailureCause,
    PowerMode,
    PowerStatus,
    SpinDown,
)
from powerd.disks.state import DiskReport, DisksReport, DiskState
from powerd.smart.actions import CheckHealth, HealthReading, StartTest
from powerd.smart.model import Health, Severity, SmartRecord
from powerd.smart.policy import MAX_PARALLEL_CHECKS, SmartPlan, assess, has_smart, plan_health
from powerd.smart.policy_drive import IDLE_WAIT, RETRY_AFTER

DAY = 86400.0
HOUR = 3600.0
BERLIN = ZoneInfo("Europe/Berlin")
LAST = datetime(2026, 6, 1, 12, tzinfo=BERLIN)
T0 = 1_000_000.0
OPTIONS = Options()
UNTESTED = replace(
    OPTIONS, smart=replace(SmartOptions(), self_test=replace(SmartOptions().self_test, short=0.0, long=0.0))
)


def moment(after: float) -> Moment:
    """These seconds after the last check."""
    return Moment(T0 + after, 0.0, LAST + timedelta(seconds=after))


def disk(n: int = 1, group: str | None = None, **about: object) -> Disk:
    plain = Disk(DiskId(f"ata-DISK_{n}"), f"sd{chr(96 + n)}", serial=f"S{n}", group=group)
    return replace(plain, **about)  # type: ignore[arg-type]  # the test's own words


def health(at: float = LAST.timestamp(), minutes: tuple[int, int] = (2, 265)) -> Health:
    return Health(checked_at=at, protocol="ata", passed=True, test_minutes=minutes)


def record(**about: object) -> SmartRecord:
    plain = SmartRecord(known_since=LAST.timestamp() - 100 * DAY, last=health())
    return replace(plain, **about)  # type: ignore[arg-type]  # the test's own words


class SmartScenario:
    """Some disks, what is remembered of them, and what is decided."""

    def __init__(self, *disks: Disk, options: Options = UNTESTED) -> None:
        self.disks = disks or (disk(),)
        self.options = options
        self.state = dict.fromkeys((each.id for each in self.disks), DiskState.ACTIVE)
        self.spin_down_at: float | None = None
        self.since = 0.0
        self.moved: float | None = None
        self.suspended = False
        self.records = {each.id: record() for each in self.disks}
        self.results: dict[tuple[type[DiskAction], DiskId], CompletedAction] = {}
        self.running_actions: frozenset[DiskAction] = frozenset()

    def decide(self, after: float, *, leaving: bool = False) -> SmartPlan:
        now = moment(after)
        reports = tuple(
            DiskReport(each, self.state[each.id], moment(self.since), spin_down_at=self.spin_down_at)
            for each in self.disks
        )
        event = tuple(SpinDown(each.id, "ata") for each in self.disks if leaving)
        activity = {}
        if self.moved is not None:
            activity[CHECK.disk] = Reading(
                now.mono, DiskActivity(T0 + self.moved, runtime_suspended=self.suspended)
            )
        snapshot = new_snapshot(
            smart_history=self.records,
            completed_disk_actions=self.results,
            running_actions=self.running_actions,
            activity=activity,
        )
        return plan_health(snapshot, reports, event, self.options, now)

    def add_result(
        self, action: DiskAction, after: float, found: FailureCause | HealthReading, text: str = "said"
    ) -> None:
        ok = not isinstance(found, FailureCause)
        self.results[type(action), action.disk] = CompletedAction(
            action, T0 + after, ok, text, T0 + after - 1, found
        )


CHECK = CheckHealth(DiskId("ata-DISK_1"))
WAKE = CheckHealth(DiskId("ata-DISK_1"), may_wake=True)


def test_nothing_before_it_is_due() -> None:
    course = SmartScenario().decide(DAY - 60)
    assert (course.actions, course.spindown_blocked, course.reasons) == ((), frozenset(), ())
    assert course.reevaluate_at == pytest.approx(T0 + DAY)


def test_a_drive_that_is_never_spun_down_is_checked_when_it_is_due() -> None:
    assert SmartScenario().decide(DAY).actions == (CHECK,)


def test_a_drive_that_will_be_spun_down_is_checked_just_before() -> None:
    scenario = SmartScenario()
    scenario.spin_down_at = T0 + DAY + 900
    waiting = scenario.decide(DAY)
    assert waiting.actions == ()
    assert waiting.reevaluate_at <= T0 + DAY + HOUR
    leaving = scenario.decide(DAY + 900, leaving=True)
    assert leaving.actions == (CHECK,)
    assert leaving.spindown_blocked == {CHECK.disk}


def test_a_drive_that_is_never_idle_is_checked_after_an_hour() -> None:
    scenario = SmartScenario()
    scenario.spin_down_at = T0 + 9 * DAY
    assert scenario.decide(DAY + HOUR - 1).actions == ()
    assert scenario.decide(DAY + HOUR).actions == (CHECK,)


def test_a_drive_that_leaves_before_its_check_is_due_may_leave() -> None:
    course = SmartScenario().decide(DAY - HOUR, leaving=True)
    assert (course.actions, course.spindown_blocked) == ((), frozenset())


@pytest.mark.parametrize("state", [DiskState.STANDBY, DiskState.SLEEPING])
def test_a_sleeping_drive_is_deferred_and_then_woken_once(state: DiskState) -> None:
    scenario = SmartScenario()
    scenario.state[CHECK.disk] = state
    assert scenario.decide(7 * DAY - 1).actions == ()
    assert scenario.decide(7 * DAY).actions == (WAKE,)
    scenario.running_actions = frozenset({WAKE})
    again = scenario.decide(7 * DAY + 1)
    assert again.actions == ()
    assert again.spindown_blocked == {CHECK.disk}
    scenario.running_actions = frozenset()
    scenario.add_result(WAKE, 7 * DAY + 20, FailureCause.FAILED)
    assert scenario.decide(7 * DAY + 30).actions == (), "it is not woken again and again"
    scenario.records[CHECK.disk] = record(woken_at=LAST.timestamp() + 7 * DAY + 20)
    assert scenario.decide(14 * DAY + 19).actions == (), "nor every hour: a drive that cannot be checked"
    assert scenario.decide(14 * DAY + 20).actions == (WAKE,)


def test_a_helper_that_was_not_there_has_woken_nobody_and_is_asked_again() -> None:
    scenario = SmartScenario()
    scenario.state[CHECK.disk] = DiskState.STANDBY
    scenario.add_result(WAKE, 7 * DAY, FailureCause.HELPER_UNAVAILABLE)
    assert scenario.decide(7 * DAY + RETRY_AFTER - 1).actions == ()
    assert scenario.decide(7 * DAY + RETRY_AFTER).actions == (WAKE,)


def test_a_drive_that_the_kernel_has_suspended_is_never_woken() -> None:
    scenario = SmartScenario()
    scenario.state[CHECK.disk] = DiskState.SUSPENDED
    assert scenario.decide(100 * DAY).actions == ()


@pytest.mark.parametrize("state", [DiskState.EXCLUDED, DiskState.UNSUPPORTED])
def test_one_that_powerd_leaves_alone_may_be_suspended_too(state: DiskState) -> None:
    """A USB disk that is not opted in: its state says nothing of the kernel's sleep, its counters do."""
    scenario = SmartScenario(disk(transport="usb"))
    scenario.state[CHECK.disk] = state
    scenario.moved, scenario.suspended = 100 * DAY - 60, True
    assert scenario.decide(100 * DAY).actions == ()
    scenario.suspended = False
    assert scenario.decide(100 * DAY).actions == (CHECK,)
    scenario.moved = DAY
    assert scenario.decide(100 * DAY).actions == (WAKE,)


@pytest.mark.parametrize("state", [DiskState.UNKNOWN, DiskState.UNRESPONSIVE, DiskState.SPINNING_DOWN])
def test_a_drive_of_which_nothing_is_known_is_left_alone(state: DiskState) -> None:
    scenario = SmartScenario()
    scenario.state[CHECK.disk] = state
    scenario.since = 100 * DAY
    assert scenario.decide(100 * DAY).actions == ()


def test_a_drive_without_a_spindle_has_nothing_to_wake() -> None:
    scenario = SmartScenario(disk(transport="nvme", rotational=False))
    scenario.state[CHECK.disk] = DiskState.EXCLUDED
    assert scenario.decide(DAY).actions == (CHECK,)
    scenario.state[CHECK.disk] = DiskState.SUSPENDED
    assert scenario.decide(DAY).actions == ()


def test_a_drive_without_a_spindle_that_was_found_suspended_is_asked_again_in_an_hour() -> None:
    """Nobody counts its accesses, so nothing else would tell that it is awake again."""
    scenario = SmartScenario(disk(transport="nvme", rotational=False))
    scenario.state[CHECK.disk] = DiskState.EXCLUDED
    scenario.add_result(CHECK, DAY, FailureCause.IN_STANDBY)
    waiting = scenario.decide(DAY + 1)
    assert waiting.actions == ()
    assert waiting.reevaluate_at <= T0 + DAY + RETRY_AFTER
    assert scenario.decide(DAY + RETRY_AFTER).actions == (CHECK,)
    assert scenario.decide(30 * DAY).actions == (CHECK,)


def test_all_members_of_a_group_that_are_due_are_woken_with_the_overdue_one() -> None:
    scenario = SmartScenario(disk(1, "md0"), disk(2, "md0"), disk(3, "md0"), disk(4))
    scenario.state = dict.fromkeys(scenario.state, DiskState.STANDBY)
    fresh = LAST.timestamp() + 6.97 * DAY
    due = LAST.timestamp() + 4 * DAY
    scenario.records[DiskId("ata-DISK_2")] = record(last=health(due))
    scenario.records[DiskId("ata-DISK_3")] = record(last=health(fresh))
    scenario.records[DiskId("ata-DISK_4")] = record(last=health(due))
    woken = [action.disk for action in scenario.decide(7 * DAY).actions]
    assert woken == ["ata-DISK_1", "ata-DISK_2"]


def test_a_drive_found_asleep_is_no_failure() -> None:
    scenario = SmartScenario()
    scenario.add_result(CHECK, DAY, FailureCause.IN_STANDBY)
    assert scenario.decide(DAY + 1).reasons == ()
    assert scenario.decide(DAY + 1).actions == ()
    scenario.since = DAY + 2
    assert scenario.decide(DAY + 3).actions == (CHECK,), "it spins again, or was believed to sleep too soon"


@pytest.mark.parametrize("state", [DiskState.EXCLUDED, DiskState.UNSUPPORTED])
def test_a_drive_that_powerd_leaves_alone_and_found_asleep_waits_until_it_is_used(state: DiskState) -> None:
    """Its state says nothing of its spindle, so it is neither asked over and over, nor forgotten."""
    scenario = SmartScenario()
    scenario.state[CHECK.disk] = state
    scenario.moved = DAY - 1
    assert scenario.decide(DAY).actions == (CHECK,)
    scenario.add_result(CHECK, DAY, FailureCause.IN_STANDBY)
    assert scenario.decide(DAY + 1).actions == ()
    assert scenario.decide(2 * DAY - 1).actions == ()
    assert scenario.decide(2 * DAY).actions == (), "a query would start a drive in Sleep"
    scenario.add_result(CHECK, 6 * DAY + 1, FailureCause.IN_STANDBY)
    assert scenario.decide(7 * DAY - 1).actions == ()
    assert scenario.decide(7 * DAY).actions == (WAKE,)
    scenario.add_result(CHECK, 2 * DAY, FailureCause.IN_STANDBY)
    scenario.moved = 2 * DAY + 9
    assert scenario.decide(2 * DAY + 10).actions == (CHECK,)


@pytest.mark.parametrize("state", [DiskState.EXCLUDED, DiskState.UNSUPPORTED])
def test_a_drive_behind_a_bridge_that_powerd_leaves_alone_is_asked_when_it_has_just_been_used(
    state: DiskState,
) -> None:
    """Even the question whether it spins wakes some drives behind a bridge."""
    scenario = SmartScenario(disk(transport="usb"))
    scenario.state[CHECK.disk] = state
    scenario.moved = DAY - 301
    assert scenario.decide(DAY).actions == ()
    scenario.moved = DAY - 299
    assert scenario.decide(DAY).actions == (CHECK,)
    scenario.disks = (disk(rotational=False),)
    scenario.moved = None
    assert scenario.decide(DAY).actions == (CHECK,), "one without a spindle is always awake"


def test_a_self_test_that_found_the_drive_asleep_waits_until_it_is_used() -> None:
    scenario = SmartScenario(options=OPTIONS)
    scenario.state[CHECK.disk] = DiskState.EXCLUDED
    scenario.records[CHECK.disk] = record(last=health(LAST.timestamp() + DAY))
    start = StartTest(CHECK.disk, "short")
    scenario.add_result(start, DAY + 60, FailureCause.IN_STANDBY)
    assert scenario.decide(DAY + 61).actions == ()
    scenario.moved = DAY + 100
    assert scenario.decide(DAY + 101).actions == (start,)


@pytest.mark.parametrize("state", [DiskState.EXCLUDED, DiskState.UNKNOWN])
@pytest.mark.parametrize("transport", ["ata", "sas"])
def test_a_drive_that_is_not_tracked_is_asked_when_its_check_is_due(state: DiskState, transport: str) -> None:
    """It may have spun since the start without any I/O; the question whether it does wakes nothing."""
    scenario = SmartScenario(disk(transport=transport))
    scenario.state[CHECK.disk] = state
    assert scenario.decide(DAY - 1).actions == ()
    assert scenario.decide(DAY).actions == (CHECK,)
    scenario.add_result(CHECK, DAY, FailureCause.IN_STANDBY)
    again = scenario.decide(DAY + 1)
    assert again.actions == ()
    assert again.reevaluate_at <= T0 + 2 * DAY


@pytest.mark.parametrize("state", [DiskState.EXCLUDED, DiskState.UNKNOWN])
@pytest.mark.parametrize("found", [FailureCause.IN_STANDBY, FailureCause.FAILED, FailureCause.BUSY])
def test_a_drive_that_powerd_leaves_alone_and_did_not_find_spinning_is_asked_again_only_after_io(
    found: FailureCause, state: DiskState
) -> None:
    """In Sleep, where its owner may have put it, any command starts it."""
    scenario = SmartScenario()
    scenario.state[CHECK.disk] = state
    assert scenario.decide(DAY).actions == (CHECK,), "once after the start"
    scenario.add_result(CHECK, DAY, found)
    for hours in range(25, 7 * 24):
        assert scenario.decide(hours * HOUR).actions == (), hours
    scenario.moved = 2 * DAY
    assert scenario.decide(2 * DAY + HOUR).actions == (CHECK,)


@pytest.mark.parametrize("state", [DiskState.EXCLUDED, DiskState.UNKNOWN])
def test_a_drive_that_reports_no_power_mode_is_asked_once_a_day(state: DiskState) -> None:
    scenario = SmartScenario()
    scenario.state[CHECK.disk] = state
    asked = []
    for minutes in range(24 * 60, 6 * 24 * 60, 20):
        scenario.moved = (minutes - 19) * 60
        if scenario.decide(minutes * 60).actions:
            asked.append(minutes / 60)
            scenario.add_result(
                CHECK, minutes * 60, FailureCause.FAILED, "it does not report whether it spins"
            )
    assert asked == [24, 48, 72, 96, 120]


def test_a_self_test_of_a_drive_without_io_follows_its_check_and_is_read() -> None:
    scenario = SmartScenario(options=OPTIONS)
    scenario.state[CHECK.disk] = DiskState.EXCLUDED
    scenario.add_result(CHECK, DAY, HealthReading(health()))
    checked = record(last=health(LAST.timestamp() + DAY))
    scenario.records[CHECK.disk] = checked
    (start,) = scenario.decide(DAY + 1).actions
    assert isinstance(start, StartTest)
    scenario.results[StartTest, CHECK.disk] = CompletedAction(
        start, T0 + DAY + 2, ok=True, message="started", started_at=0, answer=PowerStatus(PowerMode.ACTIVE)
    )
    scenario.records[CHECK.disk] = replace(checked, test_started_at={start.test: LAST.timestamp() + DAY + 2})
    assert scenario.decide(DAY + 10 * HOUR).actions == (CHECK,)
    scenario.add_result(CHECK, DAY + 10 * HOUR, FailureCause.IN_STANDBY)
    assert scenario.decide(3 * DAY).actions == ()


def test_a_drive_that_powerd_is_about_to_ask_itself_is_left_to_it() -> None:
    scenario = SmartScenario()
    scenario.state[CHECK.disk] = DiskState.UNKNOWN
    scenario.since = 2 * DAY
    early = scenario.decide(2 * DAY + 299)
    assert early.actions == ()
    assert early.reevaluate_at <= T0 + 2 * DAY + 300
    assert scenario.decide(2 * DAY + 300).actions == (CHECK,)


def test_a_drive_with_unknown_state_for_an_hour_may_be_spun_up_when_overdue() -> None:
    scenario = SmartScenario(disk(transport="usb"))
    scenario.state[CHECK.disk] = DiskState.UNKNOWN
    scenario.since = 7 * DAY - IDLE_WAIT + 1
    assert scenario.decide(7 * DAY).actions == ()
    assert scenario.decide(7 * DAY + 1).actions == (WAKE,)


def test_an_action_without_a_result_is_as_one_that_failed() -> None:
    """As it is where the daemon was at fault; without an hour's pause that would go round and round."""
    scenario = SmartScenario()
    scenario.results[CheckHealth, CHECK.disk] = CompletedAction(
        CHECK, T0 + DAY, ok=True, message="would have", started_at=0
    )
    assert scenario.decide(DAY + 1).actions == ()
    assert scenario.decide(DAY + RETRY_AFTER).actions == (CHECK,)


def test_a_hundred_drives_that_are_due_are_checked_a_few_at_a_time() -> None:
    scenario = SmartScenario(*(disk(n) for n in range(100)))
    first = scenario.decide(DAY, leaving=True)
    assert len(first.actions) == MAX_PARALLEL_CHECKS
    assert len(first.spindown_blocked) == 100, "none leaves before its turn"
    scenario.running_actions = frozenset(first.actions[1:])
    assert len(scenario.decide(DAY + 1).actions) == 1


def test_a_large_group_is_woken_as_one_and_groups_one_after_the_other() -> None:
    many = [disk(n, "tank") for n in range(24)] + [disk(n, "pool") for n in range(24, 36)]
    scenario = SmartScenario(*many)
    scenario.state = dict.fromkeys(scenario.state, DiskState.STANDBY)
    woken = scenario.decide(7 * DAY).actions
    assert [action.disk for action in woken] == [each.id for each in many[:24]]
    scenario.running_actions = frozenset(woken)
    assert scenario.decide(7 * DAY + 1).actions == ()


def test_a_check_that_failed_is_reported_and_tried_again_in_an_hour() -> None:
    scenario = SmartScenario()
    scenario.add_result(CHECK, DAY, FailureCause.FAILED, "Unknown USB bridge")
    course = scenario.decide(DAY + 1)
    assert course.actions == ()
    (why,) = course.reasons
    assert why.text.endswith(": Unknown USB bridge")
    assert not why.blocks_sleep
    assert course.reports[CHECK.disk].check_error == "Unknown USB bridge"
    assert course.reevaluate_at <= T0 + DAY + RETRY_AFTER
    assert scenario.decide(DAY + RETRY_AFTER).actions == (CHECK,)
    scenario.add_result(CHECK, 2 * DAY, FailureCause.FAILED)
    assert scenario.decide(2 * DAY + RETRY_AFTER - 1).reevaluate_at == T0 + 2 * DAY + RETRY_AFTER


def test_a_check_under_way_keeps_the_server_awake() -> None:
    scenario = SmartScenario()
    scenario.running_actions = frozenset({CHECK})
    course = scenario.decide(DAY + 1)
    assert [(why.subject, why.blocks_sleep) for why in course.reasons] == [("sda", True)]
    assert course.actions == ()


def test_self_tests_are_started_on_spinning_drives_and_keep_them_and_the_server_awake() -> None:
    scenario = SmartScenario(options=OPTIONS)
    recent = record(last=health(LAST.timestamp() + DAY), known_since=LAST.timestamp())
    scenario.records[CHECK.disk] = recent
    start = StartTest(CHECK.disk, "short")
    assert scenario.decide(1.2 * DAY).actions == ()
    scenario.records[CHECK.disk] = replace(recent, known_since=LAST.timestamp() - 8 * DAY)
    assert scenario.decide(1.2 * DAY).actions == (start,)
    scenario.state[CHECK.disk] = DiskState.STANDBY
    assert scenario.decide(1.2 * DAY).actions == ()
    scenario.state[CHECK.disk] = DiskState.ACTIVE
    scenario.running_actions = frozenset({start})
    assert "self-test is being started" in scenario.decide(1.2 * DAY).reasons[0].text
    scenario.running_actions = frozenset()
    scenario.records[CHECK.disk] = replace(recent, test_started_at={"short": LAST.timestamp() + 1.2 * DAY})
    running = scenario.decide(1.2 * DAY + 60, leaving=True)
    assert running.spindown_blocked == {CHECK.disk}
    assert [(why.text, why.blocks_sleep) for why in running.reasons] == [
        ("tests itself (short self-test)", True)
    ]
    assert running.reports[CHECK.disk].testing
    over = scenario.decide(1.2 * DAY + 151)
    assert over.reasons == ()
    assert over.actions == (CHECK,), "what came of it is read"


def test_a_self_test_that_a_check_finds_over_holds_nothing_up() -> None:
    scenario = SmartScenario(options=OPTIONS)
    start = LAST.timestamp() + DAY
    scenario.records[CHECK.disk] = record(last=health(start + 60), test_started_at={"long": start})
    assert scenario.decide(DAY + 120).spindown_blocked == frozenset()
    still = replace(health(start + 60), test_remaining_percent=90)
    scenario.records[CHECK.disk] = record(last=still, test_started_at={"long": start})
    assert scenario.decide(DAY + 120).spindown_blocked == {CHECK.disk}


def test_a_self_test_that_could_not_be_started_is_tried_again_in_an_hour() -> None:
    scenario = SmartScenario(options=OPTIONS)
    scenario.records[CHECK.disk] = record(last=health(LAST.timestamp() + DAY))
    start = StartTest(CHECK.disk, "short")
    scenario.add_result(start, DAY + 60, FailureCause.FAILED)
    assert scenario.decide(DAY + 120).actions == ()
    assert [type(action) for action in scenario.decide(DAY + 60 + RETRY_AFTER).actions] == [StartTest]


def test_what_is_shown() -> None:
    scenario = SmartScenario()
    scenario.records[CHECK.disk] = record(last=replace(health(), passed=False))
    report = scenario.decide(HOUR).reports[CHECK.disk]
    assert report.findings[0].severity is Severity.ALARM
    assert report.healthy is False
    assert f"{report.next_check_at:%m-%d %H:%M}" == "06-02 12:00"
    scenario.records[CHECK.disk] = record()
    assert scenario.decide(HOUR).reports[CHECK.disk].healthy is True
    scenario.records[CHECK.disk] = record(last=None)
    assert scenario.decide(HOUR).reports[CHECK.disk].healthy is None
    scenario.options = replace(UNTESTED, smart=replace(UNTESTED.smart, every=0.0))
    never = scenario.decide(1000 * DAY)
    assert (never.actions, never.reports[CHECK.disk].next_check_at, never.reevaluate_at) == (
        (),
        None,
        float("inf"),
    )


@pytest.mark.parametrize(
    ("about", "talking"),
    [
        ({}, True),
        ({"transport": "usb"}, True),
        ({"transport": "virtio"}, False),
        ({"transport": "mmc"}, False),
        ({"removable": True}, False),
        ({"serial": ""}, False),
    ],
)
def test_whose_health_is_asked_for(about: dict[str, object], talking: bool) -> None:  # noqa: FBT001 - a table's column
    assert has_smart(replace(disk(), **about)) is talking  # type: ignore[arg-type]  # the table's words


def test_a_disk_without_a_record_waits_for_it() -> None:
    scenario = SmartScenario()
    scenario.records = {}
    assert scenario.decide(1000 * DAY) == SmartPlan()


states = st.sampled_from(list(DiskState))
found = st.sampled_from(
    [FailureCause.IN_STANDBY, FailureCause.FAILED, FailureCause.UNRESPONSIVE, HealthReading(health())]
)


@given(
    st.lists(states, min_size=1, max_size=4),
    st.floats(0, 60 * DAY),
    st.booleans(),
    st.none() | found,
    st.sampled_from([None, "md0"]),
    st.booleans(),
)
def test_no_action_wakes_a_drive_before_its_time(  # noqa: PLR0913, PLR0917 - what a world is made of
    kinds: list[DiskState],
    after: float,
    leaving: bool,  # noqa: FBT001 - drawn
    last: FailureCause | HealthReading | None,
    group: str | None,
    testing: bool,  # noqa: FBT001 - drawn
) -> None:
    disks = [disk(n, group) for n in range(1, len(kinds) + 1)]
    scenario = SmartScenario(*disks, options=OPTIONS)
    scenario.state = {each.id: kind for each, kind in zip(disks, kinds, strict=True)}
    if last is not None:
        scenario.add_result(CHECK, after - 600, last)
    if testing:
        scenario.records[CHECK.disk] = record(test_started_at={"long": LAST.timestamp() + after - 60})
    course = scenario.decide(after, leaving=leaving)
    assert course.reevaluate_at > moment(after).mono
    for action in course.actions:
        assert action.disk in course.spindown_blocked
        if scenario.state[action.disk].is_stopped:
            assert isinstance(action, CheckHealth)
            assert action.may_wake
            assert after >= 7 * DAY
    assert len({action.disk for action in course.actions}) == len(course.actions)
    scenario.running_actions = frozenset(course.actions)
    assert scenario.decide(after, leaving=leaving).actions == (), "the same moment twice: no new order"


@pytest.mark.parametrize(
    ("last", "waits"),
    [
        (
            replace(health(), test_remaining_percent=50),
            "tests itself (a self-test that another program started)",
        ),
        (health(), "its health check comes first"),
    ],
)
def test_a_disk_that_would_spin_down_reports_what_it_waits_for(last: Health, waits: str) -> None:
    now = moment(60 if last.test_remaining_percent else DAY + 60)
    shown = DiskReport(disk(), DiskState.ACTIVE, now, spin_down_after=600.0)
    alone = DiskReport(disk(2), DiskState.ACTIVE, now, spin_down_after=0.0)
    snapshot = new_snapshot(smart_history={CHECK.disk: record(last=last)})
    acting = replace(UNTESTED, mode="enforce")
    before = Assessment(actions=(SpinDown(CHECK.disk, "ata"),), parts=(DisksReport((shown, alone)),))

    def assessed(options: Options) -> Merged:
        context = Context(snapshot, Memory.initial(now), options, now).add(before)
        return context.add(assess(context)).merged

    merged = assessed(acting)
    first, other = merged.part(DisksReport).disks
    assert (first.reason, other.reason) == (waits, "")
    assert not any(isinstance(each, SpinDown) for each in merged.actions)
    observed, _ = assessed(replace(UNTESTED, mode="observe")).part(DisksReport).disks
    assert observed.reason == ""
