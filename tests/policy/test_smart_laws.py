"""Checks and self-tests among all else that is decided about drives, with records, over weeks."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from policy.disks.shelf import DAY, HOUR, MINUTE, Shelf
from policy.disks.spindle import Spindle, disk
from policy.worlds import T0, house, moment, quiet_memory, silent, sleeps

from powerd.config import parse
from powerd.model import (
    AskPower,
    Checked,
    CheckHealth,
    Decision,
    DiskId,
    DiskOrder,
    Health,
    Outcome,
    Record,
    Severity,
    SpinDown,
    StartTest,
    Trouble,
)
from powerd.policy import decide

laws = settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
WELL = Health(at=0, protocol="ata", passed=True, minutes=(2, 240))
RHYTHM = '[smart]\nself_test = { short = "0s", long = "0s" }\n'


class Ward(Shelf):
    """A shelf whose drives tell of their health; what they tell is remembered, as the daemon does."""

    def __init__(self, *spindles: Spindle, text: str = RHYTHM, known: float = 0.0) -> None:
        super().__init__(*spindles, text=text, rhythm=10 * MINUTE)
        now = self.now.wall.timestamp()
        self.snapshot = replace(
            self.snapshot, records={name: Record(known=now + known, last=None) for name in self.spindles}
        )
        self._heard: dict[int, Outcome] = {}

    def ask(self) -> Decision:
        """As Shelf.ask(), once the outcomes of checks have been remembered."""
        begun = T0 + self.at - self.now.wall.timestamp()
        records = dict(self.snapshot.records)
        for outcome in self.snapshot.disk_outcomes.values():
            if id(outcome) not in self._heard:
                self._heard[id(outcome)] = outcome
                name = outcome.order.disk  # type: ignore[union-attr] # all of them are of disks
                records[name] = remembered(records[name], outcome, outcome.at - begun)
        self.snapshot = replace(self.snapshot, records=records)
        return super().ask()

    def checks(self, n: int = 0) -> list[float]:
        return list(self.spindles.values())[n].of("health")

    def of(self, *kinds: type[DiskOrder]) -> list[tuple[float, DiskOrder]]:
        return [(at, order) for at, order in self.ordered if isinstance(order, kinds)]


def remembered(record: Record, outcome: Outcome, posix: float) -> Record:
    match outcome.order, outcome.found:
        case CheckHealth(), Checked(health=health):
            return replace(record, last=replace(health, at=posix), before=record.last)
        case CheckHealth(wake=True), Trouble.FAILED:
            return replace(record, woken=posix)
        case StartTest(test=test), found if outcome.ok and found is not None:
            return replace(record, tested={**record.tested, test: posix})
    return record


def ward(n: int, text: str = RHYTHM, **about: object) -> Ward:
    return Ward(*(Spindle(disk(i, **about), health=WELL) for i in range(n)), text=text)


def test_a_drive_that_spins_is_checked_once_a_day_just_before_it_stands_by() -> None:
    """It is used for half an hour each evening; the check that is due at noon waits for that."""
    shelf = ward(1)
    shelf.touch(
        0, *(day * DAY + 8 * HOUR + minute * MINUTE for day in range(5) for minute in range(0, 30, 5))
    )
    shelf.live(5 * DAY)
    (spindle,) = shelf.spindles.values()
    downs = spindle.of("ata")
    assert len(downs) == 6
    first, *others = shelf.checks()
    assert first < MINUTE, "one that has never been checked is due at once"
    late = [down - check for check, down in zip(others, downs[2:], strict=True)]
    assert all(0 < each < 10 for each in late), late
    assert spindle.of("up") == [day * DAY + 8 * HOUR for day in range(5)]


def test_a_group_that_nobody_uses_is_woken_once_a_week_as_one_and_stands_by_again_at_once() -> None:
    shelf = ward(3, group="md0", array=True)
    shelf.live(15 * DAY)
    ups = [each.of("up") for each in shelf.spindles.values()]
    assert [len(each) for each in ups] == [2, 2, 2]
    assert max(at[0] for at in ups) - min(at[0] for at in ups) < 1
    assert all(len(shelf.checks(n)) == 3 for n in range(3))
    for spindle in shelf.spindles.values():
        assert not spindle.spins
        assert all(
            down - up < 10 * MINUTE for up, down in zip(spindle.of("up"), spindle.of("ata")[1:], strict=True)
        )
    assert all(not spindle.of("WOKEN BY AN ORDER") for spindle in shelf.spindles.values())


def test_a_drive_that_cannot_be_checked_is_woken_no_oftener() -> None:
    shelf = ward(1)
    (spindle,) = shelf.spindles.values()
    shelf.live(HOUR)
    spindle.ill = (Trouble.FAILED, "no SMART")
    shelf.live(22 * DAY)
    assert len(spindle.of("up")) == 3


def test_a_self_test_keeps_the_disk_spinning_and_the_server_awake_and_is_read_afterwards() -> None:
    shelf = ward(1, '[smart]\nself_test = { short = "0s", long = "1d" }\n')
    shelf.touch(0, DAY + HOUR)
    shelf.live(DAY + 2 * HOUR)
    ((at, _),) = shelf.of(StartTest)
    assert at > DAY
    assert any("tests itself" in text for text in shelf.texts())
    assert shelf.decision is not None
    assert any(reason.keeps_awake for reason in shelf.decision.reasons if "tests itself" in reason.text)
    shelf.live(DAY + 5.9 * HOUR)
    downs = [down for down, order in shelf.of(SpinDown) if down > at]
    assert downs == [], "it takes four hours, and a quarter more with whom it shares the drive"
    shelf.live(DAY + 8 * HOUR)
    after = [check for check in shelf.checks() if check > at]
    (down,) = (down for down, order in shelf.of(SpinDown) if down > at)
    assert after[0] >= at + 5 * HOUR
    assert down >= after[0]


def test_in_observe_mode_nothing_is_ordered_and_all_is_shown() -> None:
    shelf = ward(1)
    shelf.options = replace(shelf.options, mode="observe")
    shelf.live(20 * DAY)
    assert shelf.of(CheckHealth, StartTest) == []
    assert shelf.decision is not None
    (report,) = shelf.decision.smart.values()
    assert report.due is not None
    assert report.healthy is None


def test_a_failing_drive_is_found_so_by_its_first_check() -> None:
    shelf = ward(1)
    (spindle,) = shelf.spindles.values()
    spindle.health = replace(WELL, passed=False)
    shelf.live(HOUR)
    assert shelf.decision is not None
    (report,) = shelf.decision.smart.values()
    assert [finding.severity for finding in report.findings] == [Severity.ALARM]


events = st.lists(
    st.tuples(st.integers(0, 20 * 24), st.sampled_from(["access"] * 4 + ["sleep", "plug", "step"]))
)


@laws
@given(
    st.lists(
        st.sampled_from([None, None, (Trouble.FAILED, "no SMART"), (Trouble.BUSY, "busy")]),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from([None, "md0"]),
    st.booleans(),
    events,
)
def test_no_drive_is_woken_before_its_time_whatever_happens(
    kinds: list[tuple[Trouble, str] | None],
    group: str | None,
    tests: bool,  # noqa: FBT001 - drawn
    happens: list[tuple[int, str]],
) -> None:
    """The shelf itself sees to it that no disk has two orders at once, and that time goes on."""
    spindles = [
        Spindle(disk(n, group=group, array=True), health=WELL, ill=ill) for n, ill in enumerate(kinds)
    ]
    shelf = Ward(*spindles, text="" if tests else RHYTHM)
    for n, (hour, what) in enumerate(happens):
        shelf.when(hour * HOUR, lambda n=n, what=what: happen(shelf, what, n))  # type: ignore[misc] # bound now
    shelf.live(20 * DAY)
    for spindle in shelf.spindles.values():
        assert spindle.of("WOKEN BY AN ORDER") == [], spindle.log
    wakes: dict[DiskId, list[float]] = {}
    for at, order in shelf.of(CheckHealth):
        assert isinstance(order, CheckHealth)
        if order.wake:
            wakes.setdefault(order.disk, []).append(at)
    stepped = any(what in {"step", "sleep"} for _, what in happens)
    for name, times in wakes.items():
        assert times[0] >= 7 * DAY - 1e-3 or stepped  # times are sums of floats
        busy = shelf.spindles[name].ill
        apart = HOUR if busy and busy[0] is Trouble.BUSY else DAY
        assert all(b - a >= apart - 1 or stepped for a, b in pairwise(times)), times


def happen(shelf: Ward, what: str, n: int) -> None:
    spindle = list(shelf.spindles.values())[n % len(shelf.spindles)]
    match what:
        case "access":
            spindle.access(shelf.at)
        case "sleep":
            shelf.sleep(HOUR)
        case "step":
            shelf.step += 9 * HOUR
        case _:
            spindle.disk = replace(spindle.disk, seen=shelf.now.mono)


@pytest.mark.parametrize("count", [1, 3])
def test_the_same_facts_twice_give_no_second_check(count: int) -> None:
    shelf = ward(count)
    shelf.live(1200.6)
    orders = [order for at, order in shelf.of(CheckHealth)]
    assert len(orders) == count
    assert len({order.disk for order in orders}) == count


def asleep_by_now(*begun: DiskOrder, tested: float | None = None, last: Health | None = None) -> bool:
    """Whether a server that nobody has needed for long is put to sleep.

    Args:
        begun: orders under way.
        tested: seconds since a long self-test was begun.
        last: the latest check, which was an hour ago.
    """
    now = moment(T0)
    wall = now.wall.timestamp()
    drive = disk(0)
    checked = replace(last or WELL, at=wall - HOUR)
    record = Record(known=wall - HOUR, last=checked, tested={} if tested is None else {"long": wall - tested})
    empty = house({1: silent(T0, T0 - 50_000)}, at=T0)
    snapshot = replace(empty, disks={drive.id: drive}, records={drive.id: record}, in_flight=frozenset(begun))
    options = parse(b'mode = "enforce"\n[[sleep]]\nidle_for = "10min"\nwarn = "0s"\n', "test")
    return bool(sleeps(decide(snapshot, quiet_memory(now, 40_000), options, now)))


def test_the_servers_own_sleep_waits_for_a_check_and_for_a_self_test() -> None:
    name = disk(0).id
    assert asleep_by_now()
    assert not asleep_by_now(CheckHealth(name))
    assert not asleep_by_now(StartTest(name, "short"))
    assert not asleep_by_now(tested=HOUR / 2)
    assert asleep_by_now(tested=2 * HOUR), "a check since then has found it over"
    assert not asleep_by_now(last=replace(WELL, testing=60)), "somebody else has begun one"
    assert asleep_by_now(tested=5 * DAY, last=WELL)


def test_the_servers_own_sleep_waits_until_an_order_to_a_disk_has_been_obeyed() -> None:
    name = disk(0).id
    assert not asleep_by_now(SpinDown(name, "ata"))
    assert not asleep_by_now(AskPower(name))
