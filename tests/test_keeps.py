"""Keeps: for how long they last, and what of them outlives a restart, a reboot and a clock that is set."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.board import Board
from powerd.keeps import LONGEST, MOST, Keeps, Lasting, revive
from powerd.model import Moment, RefusedError

EVENING = datetime(2026, 3, 28, 20, 0, tzinfo=UTC)


class Time:
    """A clock that goes when it is told to."""

    def __init__(self, mono: float = 1000.0, wall: datetime = EVENING) -> None:
        self.moment = Moment(mono, 0.0, wall)

    def now(self) -> Moment:
        return self.moment

    def go(self, awake: float = 0.0, asleep: float = 0.0, step: float = 0.0) -> None:
        was = self.moment
        wall = was.wall + timedelta(seconds=awake + asleep + step)
        self.moment = Moment(was.mono + awake, was.slept + asleep, wall)


class House:
    """Keeps on a board of their own, and all that they have written and told."""

    def __init__(self, time: Time, document: object = None, boot: str = "this") -> None:
        self.time = time
        self.board = Board()
        self.written: list[str] = []
        self.heard: list[Lasting] = []
        self.keeps = Keeps(
            self.board,
            time,
            boot,
            document=document,
            remember=lambda data: self.written.append(json.dumps(data)),
            hear=self.heard.append,
        )

    def ids(self) -> list[str]:
        return list(self.board.snapshot().keeps)

    def lefts(self) -> list[float]:
        return [round(keep.left(self.time.now()), 3) for keep in self.board.snapshot().keeps.values()]

    def again(self, time: Time, boot: str = "this") -> House:
        """The same after a restart: with nothing but what was written last."""
        return House(time, json.loads(self.written[-1]), boot)


@pytest.fixture
def house() -> House:
    return House(Time())


def test_a_keep_lasts_until_it_ends(house: House) -> None:
    keep = house.keeps.add(7200, "backup")
    assert (keep.id, keep.because, keep.left(house.time.now())) == ("1", "backup", 7200)
    assert keep.until is not None
    assert keep.until.wall == EVENING + timedelta(hours=2)
    house.time.go(awake=7199)
    house.keeps.tidy()
    assert house.ids() == ["1"]
    house.time.go(awake=1)
    house.keeps.tidy()
    assert house.ids() == []


def test_time_asleep_counts(house: House) -> None:
    house.keeps.add(7200, "")
    house.time.go(asleep=7200)
    house.keeps.tidy()
    assert house.ids() == []


@pytest.mark.parametrize("step", [9 * 3600, -9 * 3600, 40 * 365 * 86400, -40 * 365 * 86400])
def test_setting_the_wall_clock_ends_nothing_and_is_told(house: House, step: float) -> None:
    house.keeps.add(7200, "backup")
    house.time.go(awake=60, step=step)
    house.keeps.tidy()
    (keep,) = house.board.snapshot().keeps.values()
    assert keep.left(house.time.now()) == 7140
    assert keep.until is not None
    assert keep.until.wall == house.time.now().wall + timedelta(seconds=7140)
    after = Time(5.0, house.time.now().wall + timedelta(seconds=40))
    assert house.again(after, "the next").lefts() == [7100]


def test_a_clock_that_is_slewed_changes_nothing(house: House) -> None:
    house.keeps.add(7200, "")
    before = house.board.snapshot()
    house.time.go(awake=1000, step=0.5)
    house.keeps.tidy()
    assert house.board.snapshot() is before


def test_dropped_before_its_time(house: House) -> None:
    house.keeps.add(60, "a")
    house.keeps.add(60, "b")
    assert house.keeps.drop("1").because == "a"
    assert house.ids() == ["2"]
    assert house.again(house.time).ids() == ["2"]


def test_numbers_are_not_given_twice(house: House) -> None:
    house.keeps.add(60, "")
    house.keeps.drop("1")
    assert house.keeps.add(60, "").id == "2"
    house.keeps.drop("2")
    assert house.again(house.time).keeps.add(60, "").id == "3"


def test_what_cannot_be_dropped_is_told(house: House) -> None:
    with pytest.raises(RefusedError, match=r'there is no keep "7"') as caught:
        house.keeps.drop("7")
    assert caught.value.unknown
    with house.keeps.hold("rsync"), pytest.raises(RefusedError, match="ends with its command") as caught:
        house.keeps.drop("h1")
    assert not caught.value.unknown


@pytest.mark.parametrize("seconds", [0, -1, LONGEST + 1, float("inf"), float("nan")])
def test_a_length_that_is_none_is_refused(house: House, seconds: float) -> None:
    with pytest.raises(RefusedError, match="30 days at the most"):
        house.keeps.add(seconds, "")


def test_very_many_are_refused(house: House) -> None:
    for _ in range(MOST):
        house.keeps.add(60, "")
    with pytest.raises(RefusedError, match="already"):
        house.keeps.add(60, "")
    with pytest.raises(RefusedError, match="already"), house.keeps.hold("x"):
        pass


def test_a_hold_lasts_as_long_as_somebody_holds_it(house: House) -> None:
    with house.keeps.hold("rsync"), house.keeps.hold("rsync"):
        house.time.go(awake=10 * 86400)
        house.keeps.tidy()
        assert house.ids() == ["h1", "h2"]
        assert house.lefts() == [float("inf")] * 2
    assert house.ids() == []
    assert house.written == [], "holds end with the daemon, so none is written"


def test_a_hold_is_let_go_whatever_happens(house: House) -> None:
    async def cancelled() -> None:
        with house.keeps.hold("rsync"):
            await asyncio.Event().wait()

    async def scene() -> None:
        task = asyncio.create_task(cancelled())
        await asyncio.sleep(0)
        assert house.ids() == ["h1"]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scene())
    assert house.ids() == []


def test_whoever_hears_is_told_each_change(house: House) -> None:
    house.keeps.add(60, "")
    with house.keeps.hold("rsync"):
        pass
    house.keeps.tidy()
    house.time.go(awake=60)
    house.keeps.tidy()
    assert [list(lasting) for lasting in house.heard] == [["1"], ["1", "h1"], ["1"], []]


def test_over_a_restart_the_clock_of_the_boot_counts(house: House) -> None:
    house.keeps.add(7200, "backup")
    house.time.go(awake=100, step=9 * 3600)  # set between the last decision and the restart
    heir = house.again(house.time)
    assert heir.lefts() == [7100]
    assert heir.heard[-1] == heir.board.snapshot().keeps
    house.time.go(awake=7100)
    assert house.again(house.time).ids() == []


def test_over_a_reboot_civil_time_counts(house: House) -> None:
    house.keeps.add(7200, "backup")
    assert house.again(Time(5.0, EVENING + timedelta(seconds=600)), "the next").lefts() == [6600]
    assert house.again(Time(5.0, EVENING + timedelta(seconds=7200)), "the next").ids() == []


def test_a_board_without_a_battery_keeps_no_longer_than_was_asked_for(house: House) -> None:
    house.keeps.add(7200, "backup")
    assert house.again(Time(5.0, datetime(1970, 1, 1, tzinfo=UTC)), "the next").lefts() == [7200]


def test_an_unknown_boot_is_not_the_same_as_another_unknown_boot() -> None:
    house = House(Time(), boot="")
    house.keeps.add(7200, "backup")
    assert house.again(Time(5.0, EVENING + timedelta(seconds=600)), "").lefts() == [6600]


def test_nothing_is_written_while_nothing_changes(house: House) -> None:
    house.keeps.add(7200, "")
    for _ in range(100):
        house.time.go(awake=60)
        house.keeps.tidy()
    assert len(house.written) == 1


def test_two_writers_are_a_fault(house: House) -> None:
    with pytest.raises(RuntimeError, match="two writers"):
        Keeps(house.board, house.time)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)
rows = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["1", "-1", "x", "²", "", "9" * 5000]) | anything,
        "because": st.just("b") | anything,
        "since": st.floats() | anything,
        "until": st.floats() | anything,
        "boottime": st.floats() | anything,
    }
)
documents = anything | st.fixed_dictionaries(
    {"boot": st.just("this") | anything, "last": anything, "keeps": st.lists(rows | anything) | anything}
)


@given(documents)
def test_a_garbled_document_is_no_trouble(document: object) -> None:
    now = Time().now()
    last, keeps = revive(document, "this", now)
    assert last >= 0
    for keep in keeps.values():
        assert 0 < keep.left(now) <= LONGEST
        assert int(keep.id) <= last


@given(st.integers(1, int(LONGEST)), st.floats(0, 1), st.booleans())
def test_what_is_left_survives(seconds: int, part: float, same: bool) -> None:  # noqa: FBT001 - drawn
    house = House(Time())
    house.keeps.add(seconds, "backup")
    house.time.go(awake=seconds * part)
    heir = house.again(house.time, "this" if same else "the next")
    left = seconds * (1 - part)
    assert heir.lefts() == [pytest.approx(left, abs=0.01)] if left > 0.01 else len(heir.ids()) <= 1
