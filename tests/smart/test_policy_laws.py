"""Checks and self-tests among all else that is decided about drives, with records, over weeks."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from core.snapshot_strategies import T0, idle_memory, make_snapshot, moment, silent, sleep_actions
from disks.policy.simulation import DAY, HOUR, MINUTE, DiskSimulation
from facts import changed, decide, disk_results
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from rig.examples import examples

from powerd.config.load import parse
from powerd.core.actions import CompletedAction
from powerd.core.snapshot import Decision
from powerd.disks.model import CheckPowerMode, DiskAction, DiskId, FailureCause, SpinDown
from powerd.simulation.drive import DriveSimulator, disk
from powerd.smart.actions import CheckHealth, HealthReading, StartTest
from powerd.smart.model import Health, Severity, SmartFacts, SmartRecord, SmartReports

laws = settings(
    max_examples=examples(12), deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)
HEALTHY = Health(checked_at=0, protocol="ata", passed=True, test_minutes=(2, 240))
NO_SELF_TESTS = '[smart]\nself_test = { short = "0s", long = "0s" }\n'


class SmartSimulation(DiskSimulation):
    """A shelf whose drives tell of their health; what they tell is remembered, as the daemon does."""

    def __init__(self, *drives: DriveSimulator, config: str = NO_SELF_TESTS, known: float = 0.0) -> None:
        super().__init__(*drives, config=config, poll_every=10 * MINUTE)
        now = self.now.wall.timestamp()
        self.snapshot = changed(
            self.snapshot,
            smart_history={name: SmartRecord(known_since=now + known, last=None) for name in self.drives},
        )
        self._recorded: dict[int, CompletedAction] = {}

    def decide_now(self) -> Decision:
        """As Shelf.ask(), once the outcomes of checks have been remembered."""
        start = T0 + self.at - self.now.wall.timestamp()
        records = dict(self.snapshot.part(SmartFacts).smart_history)
        for result in disk_results(self.snapshot).values():
            if id(result) not in self._recorded:
                self._recorded[id(result)] = result
                assert isinstance(result.action, DiskAction)
                name = result.action.disk
                records[name] = updated_record(records[name], result, result.ended_at - start)
        self.snapshot = changed(self.snapshot, smart_history=records)
        return super().decide_now()

    def checks(self, n: int = 0) -> list[float]:
        return list(self.drives.values())[n].times_of("health")

    def actions_of(self, *kinds: type[DiskAction]) -> list[tuple[float, DiskAction]]:
        return [(at, action) for at, action in self.actions if isinstance(action, kinds)]


def updated_record(record: SmartRecord, result: CompletedAction, posix: float) -> SmartRecord:
    match result.action, result.answer:
        case CheckHealth(), HealthReading(health=health):
            return replace(record, last=replace(health, checked_at=posix), previous=record.last)
        case CheckHealth(may_wake=True), FailureCause.FAILED:
            return replace(record, woken_at=posix)
        case StartTest(test=test), found if result.ok and found is not None:
            return replace(record, test_started_at={**record.test_started_at, test: posix})
    return record


def smart_simulation(n: int, config: str = NO_SELF_TESTS, **about: object) -> SmartSimulation:
    return SmartSimulation(
        *(DriveSimulator(disk(i, **about), health=HEALTHY) for i in range(n)), config=config
    )


def test_an_active_drive_is_checked_once_a_day_just_before_its_spin_down() -> None:
    """It is used for half an hour each evening; the check that is due at noon waits for that."""
    simulation = smart_simulation(1)
    simulation.access(
        0, *(day * DAY + 8 * HOUR + minute * MINUTE for day in range(5) for minute in range(0, 30, 5))
    )
    simulation.run_until(5 * DAY)
    (drive,) = simulation.drives.values()
    downs = drive.times_of("ata")
    assert len(downs) == 6
    first, *others = simulation.checks()
    assert first < MINUTE, "one that has never been checked is due at once"
    late = [down - check for check, down in zip(others, downs[2:], strict=True)]
    assert all(0 < each < 10 for each in late), late
    assert drive.times_of("up") == [day * DAY + 8 * HOUR for day in range(5)]


@pytest.mark.long
def test_an_unused_group_is_spun_up_once_a_week_together_and_spun_down_at_once() -> None:
    simulation = smart_simulation(3, group="md0", array=True)
    simulation.run_until(15 * DAY)
    ups = [each.times_of("up") for each in simulation.drives.values()]
    assert [len(each) for each in ups] == [2, 2, 2]
    assert max(at[0] for at in ups) - min(at[0] for at in ups) < 1
    assert all(len(simulation.checks(n)) == 3 for n in range(3))
    for drive in simulation.drives.values():
        assert not drive.spins
        assert all(
            down - up < 10 * MINUTE
            for up, down in zip(drive.times_of("up"), drive.times_of("ata")[1:], strict=True)
        )
    assert all(not drive.times_of("asked in standby") for drive in simulation.drives.values())


LEFT_ALONE = '[disks]\nspin_down_after = "0s"\n' + NO_SELF_TESTS


@pytest.mark.parametrize("accesses", [(), tuple(hour * HOUR for hour in range(1, 5 * 24, 6))])
def test_a_drive_that_is_left_alone_and_spins_is_checked_every_day(accesses: tuple[float, ...]) -> None:
    simulation = smart_simulation(1, LEFT_ALONE)
    simulation.access(0, *accesses)
    simulation.run_until(5 * DAY)
    assert simulation.checks()[0] < HOUR
    assert len(simulation.checks()) in {5, 6}
    assert all(later - earlier <= DAY + HOUR for earlier, later in pairwise(simulation.checks()))


def test_a_drive_that_is_left_alone_and_unused_is_asked_once_and_not_woken_before_its_time() -> None:
    """Its owner may have put it into Sleep, where any command starts it."""
    simulation = smart_simulation(1, LEFT_ALONE)
    (drive,) = simulation.drives.values()
    drive.spins = False
    simulation.run_until(6 * DAY)
    assert drive.times_of("up") == []
    assert len(drive.times_of("asked in standby")) <= 1
    simulation.run_until(8 * DAY)
    assert len(drive.times_of("up")) == 1, "max_defer is over"


@pytest.mark.long
def test_a_drive_that_cannot_be_checked_is_not_spun_up_more_often() -> None:
    simulation = smart_simulation(1)
    (drive,) = simulation.drives.values()
    simulation.run_until(HOUR)
    drive.check_error = (FailureCause.FAILED, "no SMART")
    simulation.run_until(22 * DAY)
    assert len(drive.times_of("up")) == 3


def test_a_self_test_keeps_the_disk_spinning_and_the_server_awake_and_is_read_afterwards() -> None:
    simulation = smart_simulation(1, '[smart]\nself_test = { short = "0s", long = "1d" }\n')
    simulation.access(0, DAY + HOUR)
    simulation.run_until(DAY + 2 * HOUR)
    ((at, _),) = simulation.actions_of(StartTest)
    assert at > DAY
    assert any("tests itself" in text for text in simulation.reason_texts())
    assert simulation.decision is not None
    assert any(reason.blocks_sleep for reason in simulation.decision.reasons if "tests itself" in reason.text)
    simulation.run_until(DAY + 5.9 * HOUR)
    downs = [down for down, action in simulation.actions_of(SpinDown) if down > at]
    assert downs == [], "it takes four hours, and a quarter more with whom it shares the drive"
    simulation.run_until(DAY + 8 * HOUR)
    after = [check for check in simulation.checks() if check > at]
    (down,) = (down for down, action in simulation.actions_of(SpinDown) if down > at)
    assert after[0] >= at + 5 * HOUR
    assert down >= after[0]


@pytest.mark.long
def test_in_observe_mode_no_action_is_executed_and_all_is_shown() -> None:
    simulation = smart_simulation(1)
    simulation.options = replace(simulation.options, mode="observe")
    simulation.run_until(20 * DAY)
    assert simulation.actions_of(CheckHealth, StartTest) == []
    assert simulation.decision is not None
    (report,) = simulation.decision.part(SmartReports).smart.values()
    assert report.next_check_at is not None
    assert report.healthy is None


def test_a_failing_drive_is_found_so_by_its_first_check() -> None:
    simulation = smart_simulation(1)
    (drive,) = simulation.drives.values()
    drive.health = replace(HEALTHY, passed=False)
    simulation.run_until(HOUR)
    assert simulation.decision is not None
    (report,) = simulation.decision.part(SmartReports).smart.values()
    assert [finding.severity for finding in report.findings] == [Severity.ALARM]


events = st.lists(
    st.tuples(st.integers(0, 20 * 24), st.sampled_from(["access"] * 4 + ["sleep", "plug", "step"]))
)


@pytest.mark.long
@laws
@given(
    st.lists(
        st.sampled_from([None, None, (FailureCause.FAILED, "no SMART"), (FailureCause.BUSY, "busy")]),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from([None, "md0"]),
    st.booleans(),
    events,
)
def test_no_drive_is_woken_before_its_time_whatever_happens(
    kinds: list[tuple[FailureCause, str] | None],
    group: str | None,
    tests: bool,  # noqa: FBT001 - drawn
    happens: list[tuple[int, str]],
) -> None:
    """The shelf itself sees to it that no disk has two orders at once, and that time goes on."""
    spindles = [
        DriveSimulator(disk(n, group=group, array=True), health=HEALTHY, check_error=ill)
        for n, ill in enumerate(kinds)
    ]
    simulation = SmartSimulation(*spindles, config="" if tests else NO_SELF_TESTS)
    for n, (hour, what) in enumerate(happens):
        simulation.schedule(hour * HOUR, lambda n=n, what=what: happen(simulation, what, n))  # type: ignore[misc] # bound now
    simulation.run_until(20 * DAY)
    for drive in simulation.drives.values():
        assert drive.times_of("WOKEN BY AN ORDER") == drive.times_of("asked in standby") == [], drive.log
    wakes: dict[DiskId, list[float]] = {}
    for at, action in simulation.actions_of(CheckHealth):
        assert isinstance(action, CheckHealth)
        if action.may_wake:
            wakes.setdefault(action.disk, []).append(at)
    stepped = any(what in {"step", "sleep"} for _, what in happens)
    for name, times in wakes.items():
        assert times[0] >= 7 * DAY - 1e-3 or stepped  # times are sums of floats
        busy = simulation.drives[name].check_error
        apart = HOUR if busy and busy[0] is FailureCause.BUSY else DAY
        assert all(b - a >= apart - 1 or stepped for a, b in pairwise(times)), times


def happen(simulation: SmartSimulation, what: str, n: int) -> None:
    drive = list(simulation.drives.values())[n % len(simulation.drives)]
    match what:
        case "access":
            drive.access(simulation.at)
        case "sleep":
            simulation.sleep(HOUR)
        case "step":
            simulation.step += 9 * HOUR
        case _:
            drive.disk = replace(drive.disk, attached_at=simulation.now.mono)


@pytest.mark.parametrize("count", [1, 3])
def test_the_same_facts_twice_give_no_second_check(count: int) -> None:
    simulation = smart_simulation(count)
    simulation.run_until(1200.6)
    actions = [action for at, action in simulation.actions_of(CheckHealth)]
    assert len(actions) == count
    assert len({action.disk for action in actions}) == count


def asleep_by_now(*start: DiskAction, tested: float | None = None, last: Health | None = None) -> bool:
    """Whether a server that nobody has needed for long is put to sleep.

    Args:
        begun: orders under way.
        tested: seconds since a long self-test was begun.
        last: the latest check, which was an hour ago.
    """
    now = moment(T0)
    wall = now.wall.timestamp()
    drive = disk(0)
    checked = replace(last or HEALTHY, checked_at=wall - HOUR)
    record = SmartRecord(
        known_since=wall - HOUR,
        last=checked,
        test_started_at={} if tested is None else {"long": wall - tested},
    )
    empty = make_snapshot({1: silent(T0, T0 - 50_000)}, at=T0)
    snapshot = changed(
        empty, disks={drive.id: drive}, smart_history={drive.id: record}, running_actions=frozenset(start)
    )
    options = parse(b'mode = "enforce"\n[[sleep]]\nidle_for = "10min"\nwarn = "0s"\n', "test")
    return bool(sleep_actions(decide(snapshot, idle_memory(now, 40_000), options, now)))


def test_the_servers_own_sleep_waits_for_a_check_and_for_a_self_test() -> None:
    name = disk(0).id
    assert asleep_by_now()
    assert not asleep_by_now(CheckHealth(name))
    assert not asleep_by_now(StartTest(name, "short"))
    assert not asleep_by_now(tested=HOUR / 2)
    assert asleep_by_now(tested=2 * HOUR), "a check since then has found it over"
    assert not asleep_by_now(last=replace(HEALTHY, test_remaining_percent=60)), (
        "another program has started one"
    )
    assert asleep_by_now(tested=5 * DAY, last=HEALTHY)


def test_the_server_s_sleep_waits_for_running_disk_actions() -> None:
    name = disk(0).id
    assert not asleep_by_now(SpinDown(name, "ata"))
    assert not asleep_by_now(CheckPowerMode(name))
