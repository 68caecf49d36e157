from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.config import Options, Smart
from powerd.model import (
    Activity,
    Checked,
    CheckHealth,
    Disk,
    DiskId,
    DiskOrder,
    DiskReport,
    DiskState,
    Health,
    Moment,
    Outcome,
    Record,
    Seen,
    Severity,
    Snapshot,
    SpinDown,
    StartTest,
    Trouble,
)
from powerd.policy.disks import DiskCourse
from powerd.policy.smart import AT_ONCE, SmartCourse, health_course, talks, with_health
from powerd.policy.smart_turn import PATIENCE, RETRY

DAY = 86400.0
HOUR = 3600.0
BERLIN = ZoneInfo("Europe/Berlin")
LAST = datetime(2026, 6, 1, 12, tzinfo=BERLIN)
T0 = 1_000_000.0
OPTIONS = Options()
UNTESTED = replace(OPTIONS, smart=replace(Smart(), self_test=replace(Smart().self_test, short=0.0, long=0.0)))


def moment(after: float) -> Moment:
    """So many seconds after the last check."""
    return Moment(T0 + after, 0.0, LAST + timedelta(seconds=after))


def disk(n: int = 1, group: str | None = None, **about: object) -> Disk:
    plain = Disk(DiskId(f"ata-DISK_{n}"), f"sd{chr(96 + n)}", serial=f"S{n}", group=group)
    return replace(plain, **about)  # type: ignore[arg-type]  # the test's own words


def health(at: float = LAST.timestamp(), minutes: tuple[int, int] = (2, 265)) -> Health:
    return Health(at=at, protocol="ata", passed=True, minutes=minutes)


def record(**about: object) -> Record:
    plain = Record(known=LAST.timestamp() - 100 * DAY, last=health())
    return replace(plain, **about)  # type: ignore[arg-type]  # the test's own words


class House:
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
        self.outcomes: dict[tuple[type[DiskOrder], DiskId], Outcome] = {}
        self.begun: frozenset[DiskOrder] = frozenset()

    def decide(self, after: float, *, leaving: bool = False) -> SmartCourse:
        now = moment(after)
        reports = tuple(
            DiskReport(each, self.state[each.id], moment(self.since), spin_down_at=self.spin_down_at)
            for each in self.disks
        )
        going = tuple(SpinDown(each.id, "ata") for each in self.disks if leaving)
        activity = {}
        if self.moved is not None:
            activity[CHECK.disk] = Seen(now.mono, Activity(T0 + self.moved, suspended=self.suspended))
        snapshot = Snapshot(
            records=self.records,
            disk_outcomes=self.outcomes,
            in_flight=self.begun,
            activity=activity,
        )
        return health_course(snapshot, reports, going, self.options, now)

    def outcome(self, order: DiskOrder, after: float, found: Trouble | Checked, said: str = "said") -> None:
        ok = not isinstance(found, Trouble)
        self.outcomes[type(order), order.disk] = Outcome(order, T0 + after, ok, said, T0 + after - 1, found)


CHECK = CheckHealth(DiskId("ata-DISK_1"))
WAKE = CheckHealth(DiskId("ata-DISK_1"), wake=True)


def test_nothing_before_it_is_due() -> None:
    course = House().decide(DAY - 60)
    assert (course.orders, course.held, course.reasons) == ((), frozenset(), ())
    assert course.look_again == pytest.approx(T0 + DAY)


def test_a_drive_that_is_never_spun_down_is_checked_when_it_is_due() -> None:
    assert House().decide(DAY).orders == (CHECK,)


def test_a_drive_that_will_be_spun_down_is_checked_just_before() -> None:
    house = House()
    house.spin_down_at = T0 + DAY + 900
    waiting = house.decide(DAY)
    assert waiting.orders == ()
    assert waiting.look_again <= T0 + DAY + HOUR
    leaving = house.decide(DAY + 900, leaving=True)
    assert leaving.orders == (CHECK,)
    assert leaving.held == {CHECK.disk}


def test_a_drive_that_is_never_idle_is_checked_after_an_hour() -> None:
    house = House()
    house.spin_down_at = T0 + 9 * DAY
    assert house.decide(DAY + HOUR - 1).orders == ()
    assert house.decide(DAY + HOUR).orders == (CHECK,)


def test_a_drive_that_leaves_before_its_check_is_due_may_leave() -> None:
    course = House().decide(DAY - HOUR, leaving=True)
    assert (course.orders, course.held) == ((), frozenset())


@pytest.mark.parametrize("state", [DiskState.STANDBY, DiskState.SLEEPING])
def test_a_sleeping_drive_is_deferred_and_then_woken_once(state: DiskState) -> None:
    house = House()
    house.state[CHECK.disk] = state
    assert house.decide(7 * DAY - 1).orders == ()
    assert house.decide(7 * DAY).orders == (WAKE,)
    house.begun = frozenset({WAKE})
    again = house.decide(7 * DAY + 1)
    assert again.orders == ()
    assert again.held == {CHECK.disk}
    house.begun = frozenset()
    house.outcome(WAKE, 7 * DAY + 20, Trouble.FAILED)
    assert house.decide(7 * DAY + 30).orders == (), "it is not woken again and again"
    house.records[CHECK.disk] = record(woken=LAST.timestamp() + 7 * DAY + 20)
    assert house.decide(14 * DAY + 19).orders == (), "nor every hour: one that cannot be checked sleeps on"
    assert house.decide(14 * DAY + 20).orders == (WAKE,)


def test_a_helper_that_was_not_there_has_woken_nobody_and_is_asked_again() -> None:
    house = House()
    house.state[CHECK.disk] = DiskState.STANDBY
    house.outcome(WAKE, 7 * DAY, Trouble.UNREACHED)
    assert house.decide(7 * DAY + RETRY - 1).orders == ()
    assert house.decide(7 * DAY + RETRY).orders == (WAKE,)


def test_a_drive_that_the_kernel_has_suspended_is_never_woken() -> None:
    house = House()
    house.state[CHECK.disk] = DiskState.SUSPENDED
    assert house.decide(100 * DAY).orders == ()


@pytest.mark.parametrize("state", [DiskState.EXCLUDED, DiskState.UNSUPPORTED])
def test_one_that_powerd_leaves_alone_may_be_suspended_too(state: DiskState) -> None:
    """A USB disk that is not opted in: its state says nothing of the kernel's sleep, its counters do."""
    house = House(disk(transport="usb"))
    house.state[CHECK.disk] = state
    house.moved, house.suspended = 100 * DAY - 60, True
    assert house.decide(100 * DAY).orders == ()
    house.suspended = False
    assert house.decide(100 * DAY).orders == (CHECK,)
    house.moved = DAY
    assert house.decide(100 * DAY).orders == (WAKE,)


@pytest.mark.parametrize("state", [DiskState.UNKNOWN, DiskState.HUNG, DiskState.SETTLING])
def test_a_drive_of_which_nothing_is_known_is_left_alone(state: DiskState) -> None:
    house = House()
    house.state[CHECK.disk] = state
    house.since = 100 * DAY
    assert house.decide(100 * DAY).orders == ()


def test_a_drive_without_a_spindle_has_nothing_to_wake() -> None:
    house = House(disk(transport="nvme", rotational=False))
    house.state[CHECK.disk] = DiskState.EXCLUDED
    assert house.decide(DAY).orders == (CHECK,)
    house.state[CHECK.disk] = DiskState.SUSPENDED
    assert house.decide(DAY).orders == ()


def test_a_drive_without_a_spindle_that_was_found_suspended_is_asked_again_in_an_hour() -> None:
    """Nobody counts its accesses, so nothing else would tell that it is awake again."""
    house = House(disk(transport="nvme", rotational=False))
    house.state[CHECK.disk] = DiskState.EXCLUDED
    house.outcome(CHECK, DAY, Trouble.ASLEEP)
    waiting = house.decide(DAY + 1)
    assert waiting.orders == ()
    assert waiting.look_again <= T0 + DAY + RETRY
    assert house.decide(DAY + RETRY).orders == (CHECK,)
    assert house.decide(30 * DAY).orders == (CHECK,)


def test_all_members_of_a_group_that_are_due_are_woken_with_the_overdue_one() -> None:
    house = House(disk(1, "md0"), disk(2, "md0"), disk(3, "md0"), disk(4))
    house.state = dict.fromkeys(house.state, DiskState.STANDBY)
    fresh = LAST.timestamp() + 6.97 * DAY
    due = LAST.timestamp() + 4 * DAY
    house.records[DiskId("ata-DISK_2")] = record(last=health(due))
    house.records[DiskId("ata-DISK_3")] = record(last=health(fresh))
    house.records[DiskId("ata-DISK_4")] = record(last=health(due))
    woken = [order.disk for order in house.decide(7 * DAY).orders]
    assert woken == ["ata-DISK_1", "ata-DISK_2"]


def test_a_drive_found_asleep_is_no_failure() -> None:
    house = House()
    house.outcome(CHECK, DAY, Trouble.ASLEEP)
    assert house.decide(DAY + 1).reasons == ()
    assert house.decide(DAY + 1).orders == ()
    house.since = DAY + 2
    assert house.decide(DAY + 3).orders == (CHECK,), "it spins again, or was believed to sleep too soon"


@pytest.mark.parametrize("state", [DiskState.EXCLUDED, DiskState.UNSUPPORTED])
def test_a_drive_that_powerd_leaves_alone_and_found_asleep_waits_until_it_is_used(state: DiskState) -> None:
    """Its state says nothing of its spindle, so it is neither asked over and over, nor forgotten."""
    house = House()
    house.state[CHECK.disk] = state
    house.moved = DAY - 1
    assert house.decide(DAY).orders == (CHECK,)
    house.outcome(CHECK, DAY, Trouble.ASLEEP)
    assert house.decide(DAY + 1).orders == ()
    assert house.decide(7 * DAY - 1).orders == ()
    assert house.decide(7 * DAY).orders == (WAKE,)
    house.moved = 2 * DAY
    assert house.decide(2 * DAY + 1).orders == (CHECK,)


@pytest.mark.parametrize("state", [DiskState.EXCLUDED, DiskState.UNSUPPORTED])
def test_a_drive_that_powerd_leaves_alone_is_asked_when_it_has_just_been_used(state: DiskState) -> None:
    """Even the question whether it spins wakes some drives behind a bridge."""
    house = House()
    house.state[CHECK.disk] = state
    house.moved = DAY - 301
    assert house.decide(DAY).orders == ()
    house.moved = DAY - 299
    assert house.decide(DAY).orders == (CHECK,)
    house.disks = (disk(rotational=False),)
    house.moved = None
    assert house.decide(DAY).orders == (CHECK,), "one without a spindle is always awake"


def test_a_self_test_that_found_the_drive_asleep_waits_until_it_is_used() -> None:
    house = House(options=OPTIONS)
    house.state[CHECK.disk] = DiskState.EXCLUDED
    house.records[CHECK.disk] = record(last=health(LAST.timestamp() + DAY))
    start = StartTest(CHECK.disk, "short")
    house.outcome(start, DAY + 60, Trouble.ASLEEP)
    assert house.decide(DAY + 61).orders == ()
    house.moved = DAY + 100
    assert house.decide(DAY + 101).orders == (start,)


def test_a_drive_that_has_not_said_for_an_hour_whether_it_spins_may_be_woken_when_it_must() -> None:
    house = House()
    house.state[CHECK.disk] = DiskState.UNKNOWN
    house.since = 7 * DAY - PATIENCE + 1
    assert house.decide(7 * DAY).orders == ()
    assert house.decide(7 * DAY + 1).orders == (WAKE,)


def test_an_order_that_came_to_nothing_is_as_one_that_failed() -> None:
    """As it is where the daemon was at fault; without an hour's pause that would go round and round."""
    house = House()
    house.outcomes[CheckHealth, CHECK.disk] = Outcome(
        CHECK, T0 + DAY, ok=True, observed="would have", begun=0
    )
    assert house.decide(DAY + 1).orders == ()
    assert house.decide(DAY + RETRY).orders == (CHECK,)


def test_a_hundred_drives_that_are_due_are_checked_a_few_at_a_time() -> None:
    house = House(*(disk(n) for n in range(100)))
    first = house.decide(DAY, leaving=True)
    assert len(first.orders) == AT_ONCE
    assert len(first.held) == 100, "none leaves before its turn"
    house.begun = frozenset(first.orders[1:])
    assert len(house.decide(DAY + 1).orders) == 1


def test_a_large_group_is_woken_as_one_and_groups_one_after_the_other() -> None:
    many = [disk(n, "tank") for n in range(24)] + [disk(n, "pool") for n in range(24, 36)]
    house = House(*many)
    house.state = dict.fromkeys(house.state, DiskState.STANDBY)
    woken = house.decide(7 * DAY).orders
    assert [order.disk for order in woken] == [each.id for each in many[:24]]
    house.begun = frozenset(woken)
    assert house.decide(7 * DAY + 1).orders == ()


def test_a_check_that_failed_is_said_and_tried_again_in_an_hour() -> None:
    house = House()
    house.outcome(CHECK, DAY, Trouble.FAILED, "Unknown USB bridge")
    course = house.decide(DAY + 1)
    assert course.orders == ()
    assert [(why.text, why.keeps_awake) for why in course.reasons] == [
        ("its health cannot be read: Unknown USB bridge", False)
    ]
    assert course.reports[CHECK.disk].why == "Unknown USB bridge"
    assert course.look_again <= T0 + DAY + RETRY
    assert house.decide(DAY + RETRY).orders == (CHECK,)


def test_a_check_under_way_keeps_the_server_awake() -> None:
    house = House()
    house.begun = frozenset({CHECK})
    course = house.decide(DAY + 1)
    assert [(why.subject, why.text, why.keeps_awake) for why in course.reasons] == [
        ("sda", "its health is being read", True)
    ]
    assert course.orders == ()


def test_self_tests_are_begun_on_spinning_drives_and_keep_them_and_the_server_awake() -> None:
    house = House(options=OPTIONS)
    recent = record(last=health(LAST.timestamp() + DAY), known=LAST.timestamp())
    house.records[CHECK.disk] = recent
    start = StartTest(CHECK.disk, "short")
    assert house.decide(1.2 * DAY).orders == ()
    house.records[CHECK.disk] = replace(recent, known=LAST.timestamp() - 8 * DAY)
    assert house.decide(1.2 * DAY).orders == (start,)
    house.state[CHECK.disk] = DiskState.STANDBY
    assert house.decide(1.2 * DAY).orders == ()
    house.state[CHECK.disk] = DiskState.ACTIVE
    house.begun = frozenset({start})
    assert house.decide(1.2 * DAY).reasons[0].text == "is told to test itself"
    house.begun = frozenset()
    house.records[CHECK.disk] = replace(recent, tested={"short": LAST.timestamp() + 1.2 * DAY})
    running = house.decide(1.2 * DAY + 60, leaving=True)
    assert running.held == {CHECK.disk}
    assert [(why.text, why.keeps_awake) for why in running.reasons] == [
        ("tests itself (short self-test)", True)
    ]
    assert running.reports[CHECK.disk].testing
    over = house.decide(1.2 * DAY + 151)
    assert over.reasons == ()
    assert over.orders == (CHECK,), "what came of it is read"


def test_a_self_test_that_a_check_finds_over_holds_nothing_up() -> None:
    house = House(options=OPTIONS)
    begun = LAST.timestamp() + DAY
    house.records[CHECK.disk] = record(last=health(begun + 60), tested={"long": begun})
    assert house.decide(DAY + 120).held == frozenset()
    still = replace(health(begun + 60), testing=90)
    house.records[CHECK.disk] = record(last=still, tested={"long": begun})
    assert house.decide(DAY + 120).held == {CHECK.disk}


def test_a_self_test_that_could_not_be_begun_is_tried_again_in_an_hour() -> None:
    house = House(options=OPTIONS)
    house.records[CHECK.disk] = record(last=health(LAST.timestamp() + DAY))
    start = StartTest(CHECK.disk, "short")
    house.outcome(start, DAY + 60, Trouble.FAILED)
    assert house.decide(DAY + 120).orders == ()
    assert [type(order) for order in house.decide(DAY + 60 + RETRY).orders] == [StartTest]


def test_what_is_shown() -> None:
    house = House()
    house.records[CHECK.disk] = record(last=replace(health(), passed=False))
    report = house.decide(HOUR).reports[CHECK.disk]
    assert report.findings[0].severity is Severity.ALARM
    assert report.healthy is False
    assert f"{report.due:%m-%d %H:%M}" == "06-02 12:00"
    house.records[CHECK.disk] = record()
    assert house.decide(HOUR).reports[CHECK.disk].healthy is True
    house.records[CHECK.disk] = record(last=None)
    assert house.decide(HOUR).reports[CHECK.disk].healthy is None
    house.options = replace(UNTESTED, smart=replace(UNTESTED.smart, every=0.0))
    never = house.decide(1000 * DAY)
    assert (never.orders, never.reports[CHECK.disk].due, never.look_again) == ((), None, float("inf"))


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
    assert talks(replace(disk(), **about)) is talking  # type: ignore[arg-type]  # the table's words


def test_a_disk_without_a_record_waits_for_it() -> None:
    house = House()
    house.records = {}
    assert house.decide(1000 * DAY) == SmartCourse()


states = st.sampled_from(list(DiskState))
found = st.sampled_from([Trouble.ASLEEP, Trouble.FAILED, Trouble.HUNG, Checked(health())])


@given(
    st.lists(states, min_size=1, max_size=4),
    st.floats(0, 60 * DAY),
    st.booleans(),
    st.none() | found,
    st.sampled_from([None, "md0"]),
    st.booleans(),
)
def test_no_order_wakes_a_drive_before_its_time(  # noqa: PLR0913, PLR0917 - what a world is made of
    kinds: list[DiskState],
    after: float,
    leaving: bool,  # noqa: FBT001 - drawn
    last: Trouble | Checked | None,
    group: str | None,
    testing: bool,  # noqa: FBT001 - drawn
) -> None:
    disks = [disk(n, group) for n in range(1, len(kinds) + 1)]
    house = House(*disks, options=OPTIONS)
    house.state = {each.id: kind for each, kind in zip(disks, kinds, strict=True)}
    if last is not None:
        house.outcome(CHECK, after - 600, last)
    if testing:
        house.records[CHECK.disk] = record(tested={"long": LAST.timestamp() + after - 60})
    course = house.decide(after, leaving=leaving)
    assert course.look_again > moment(after).mono
    for order in course.orders:
        assert order.disk in course.held
        if house.state[order.disk].asleep:
            assert isinstance(order, CheckHealth)
            assert order.wake
            assert after >= 7 * DAY
    assert len({order.disk for order in course.orders}) == len(course.orders)
    house.begun = frozenset(course.orders)
    assert house.decide(after, leaving=leaving).orders == (), "the same moment twice: no new order"


@pytest.mark.parametrize(
    ("last", "waits"),
    [
        (replace(health(), testing=50), "tests itself (a self-test that somebody else began)"),
        (health(), "its health is to be read first"),
    ],
)
def test_a_disk_that_would_stand_by_says_what_it_waits_for(last: Health, waits: str) -> None:
    now = moment(60 if last.testing else DAY + 60)
    shown = DiskReport(disk(), DiskState.ACTIVE, now, spin_down_after=600.0)
    alone = DiskReport(disk(2), DiskState.ACTIVE, now, spin_down_after=0.0)
    course = DiskCourse(
        orders=(SpinDown(CHECK.disk, "ata"),),
        reports=(shown, alone),
        stirs=(),
        remarks=(),
        holds=False,
        guards=(),
        look_again=float("inf"),
        look_at_disks=float("inf"),
        memory={},
    )
    snapshot = Snapshot(records={CHECK.disk: record(last=last)})
    acting = replace(UNTESTED, mode="enforce")
    first, other = with_health(course, snapshot, acting, now).reports
    assert (first.waits, other.waits) == (waits, "")
    observed, _ = with_health(course, snapshot, replace(UNTESTED, mode="observe"), now).reports
    assert observed.waits == ""
