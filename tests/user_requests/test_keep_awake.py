"""Keeps: for how long they last, and what of them outlives a restart, a reboot and a clock that is set."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from fakes.storage import MemoryStorage
from hypothesis import given
from hypothesis import strategies as st

from powerd.core.actions import RequestRefusedError
from powerd.core.state import StateStore
from powerd.core.time import Moment
from powerd.requests.keep_awake import MAX_REQUESTS, ActiveRequests, KeepAwakeRequests
from powerd.requests.model import KeepAwakeFacts

EVENING = datetime(2026, 3, 28, 20, 0, tzinfo=UTC)


class FakeClock:
    """A clock that the test advances."""

    def __init__(self, mono: float = 1000.0, wall: datetime = EVENING) -> None:
        self.moment = Moment(mono, 0.0, wall)

    def now(self) -> Moment:
        return self.moment

    def advance(self, awake: float = 0.0, asleep: float = 0.0, step: float = 0.0) -> None:
        was = self.moment
        wall = was.wall + timedelta(seconds=awake + asleep + step)
        self.moment = Moment(was.mono + awake, was.slept + asleep, wall)


class KeepAwakeFixture:
    """Keep-awake requests with a state store of their own, and what they write and publish."""

    def __init__(self, time: FakeClock, storage: MemoryStorage | None = None, boot: str = "this") -> None:
        self.time = time
        self.store = StateStore()
        self.storage = storage or MemoryStorage()
        self.changes: list[ActiveRequests] = []
        self.may_write = True
        self.keeps = KeepAwakeRequests(
            self.store,
            time,
            self.storage,
            boot,
            self.changes.append,
            may_write=lambda: self.may_write,
        )

    def ids(self) -> list[str]:
        return list(self.store.snapshot().part(KeepAwakeFacts).keep_awake)

    def remaining_times(self) -> list[float]:
        return [
            round(keep.seconds_left(self.time.now()), 3)
            for keep in self.store.snapshot().part(KeepAwakeFacts).keep_awake.values()
        ]

    def restarted(self, time: FakeClock, boot: str = "this") -> KeepAwakeFixture:
        """The same after a restart: with nothing but what was written last."""
        return KeepAwakeFixture(time, MemoryStorage({"keeps": self.storage.written[-1]}), boot)


@pytest.fixture
def fixture() -> KeepAwakeFixture:
    return KeepAwakeFixture(FakeClock())


def test_a_keep_lasts_until_it_ends(fixture: KeepAwakeFixture) -> None:
    keep = fixture.keeps.add(7200, "backup")
    assert (keep.id, keep.reason, keep.seconds_left(fixture.time.now())) == ("1", "backup", 7200)
    assert keep.until is not None
    assert keep.until.wall == EVENING + timedelta(hours=2)
    fixture.time.advance(awake=7199)
    fixture.keeps.remove_expired()
    assert fixture.ids() == ["1"]
    fixture.time.advance(awake=1)
    fixture.keeps.remove_expired()
    assert fixture.ids() == []


def test_time_asleep_counts(fixture: KeepAwakeFixture) -> None:
    fixture.keeps.add(7200, "")
    fixture.time.advance(asleep=7200)
    fixture.keeps.remove_expired()
    assert fixture.ids() == []


@pytest.mark.parametrize("step", [9 * 3600, -9 * 3600, 40 * 365 * 86400, -40 * 365 * 86400])
def test_setting_the_wall_clock_ends_nothing_and_is_reported(fixture: KeepAwakeFixture, step: float) -> None:
    fixture.keeps.add(7200, "backup")
    fixture.time.advance(awake=60, step=step)
    fixture.keeps.remove_expired()
    (keep,) = fixture.store.snapshot().part(KeepAwakeFacts).keep_awake.values()
    assert keep.seconds_left(fixture.time.now()) == 7140
    assert keep.until is not None
    assert keep.until.wall == fixture.time.now().wall + timedelta(seconds=7140)
    after = FakeClock(5.0, fixture.time.now().wall + timedelta(seconds=40))
    assert fixture.restarted(after, "the next").remaining_times() == [7100]


def test_a_clock_that_is_slewed_changes_nothing(fixture: KeepAwakeFixture) -> None:
    fixture.keeps.add(7200, "")
    before = fixture.store.snapshot()
    fixture.time.advance(awake=1000, step=0.5)
    fixture.keeps.remove_expired()
    assert fixture.store.snapshot() is before


def test_dropped_before_its_time(fixture: KeepAwakeFixture) -> None:
    fixture.keeps.add(60, "a")
    fixture.keeps.add(60, "b")
    assert fixture.keeps.drop("1").reason == "a"
    assert fixture.ids() == ["2"]
    assert fixture.restarted(fixture.time).ids() == ["2"]


def test_numbers_are_not_given_twice(fixture: KeepAwakeFixture) -> None:
    fixture.keeps.add(60, "")
    fixture.keeps.drop("1")
    assert fixture.keeps.add(60, "").id == "2"
    fixture.keeps.drop("2")
    assert fixture.restarted(fixture.time).keeps.add(60, "").id == "3"


def test_what_cannot_be_dropped_is_reported(fixture: KeepAwakeFixture) -> None:
    with pytest.raises(RequestRefusedError, match='"7"') as caught:
        fixture.keeps.drop("7")
    assert caught.value.not_found
    with (
        fixture.keeps.hold("rsync"),
        pytest.raises(RequestRefusedError, match="ends with its command") as caught,
    ):
        fixture.keeps.drop("h1")
    assert not caught.value.not_found


@pytest.mark.parametrize("seconds", [0, -1, 30 * 86400 + 1, float("inf"), float("nan")])
def test_a_length_that_is_none_is_refused(fixture: KeepAwakeFixture, seconds: float) -> None:
    with pytest.raises(RequestRefusedError, match="at most 30 days"):
        fixture.keeps.add(seconds, "")


def test_very_many_are_refused(fixture: KeepAwakeFixture) -> None:
    for _ in range(MAX_REQUESTS):
        fixture.keeps.add(60, "")
    with pytest.raises(RequestRefusedError, match="already"):
        fixture.keeps.add(60, "")
    with pytest.raises(RequestRefusedError, match="already"), fixture.keeps.hold("x"):
        pass


def test_a_hold_lasts_as_long_as_somebody_holds_it(fixture: KeepAwakeFixture) -> None:
    with fixture.keeps.hold("rsync"), fixture.keeps.hold("rsync"):
        fixture.time.advance(awake=10 * 86400)
        fixture.keeps.remove_expired()
        assert fixture.ids() == ["h1", "h2"]
        assert fixture.remaining_times() == [float("inf")] * 2
    assert fixture.ids() == []
    assert fixture.storage.written == [], "holds end with the daemon, so none is written"


def test_a_hold_is_let_go_whatever_happens(fixture: KeepAwakeFixture) -> None:
    async def cancelled() -> None:
        with fixture.keeps.hold("rsync"):
            await asyncio.Event().wait()

    async def scene() -> None:
        task = asyncio.create_task(cancelled())
        await asyncio.sleep(0)
        assert fixture.ids() == ["h1"]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scene())
    assert fixture.ids() == []


def test_each_change_is_reported_to_the_listener(fixture: KeepAwakeFixture) -> None:
    fixture.keeps.add(60, "")
    with fixture.keeps.hold("rsync"):
        pass
    fixture.keeps.remove_expired()
    fixture.time.advance(awake=60)
    fixture.keeps.remove_expired()
    assert [list(lasting) for lasting in fixture.changes] == [["1"], ["1", "h1"], ["1"], []]


def test_over_a_restart_the_clock_of_the_boot_counts(fixture: KeepAwakeFixture) -> None:
    fixture.keeps.add(7200, "backup")
    fixture.time.advance(awake=100, step=9 * 3600)  # set between the last decision and the restart
    successor = fixture.restarted(fixture.time)
    assert successor.remaining_times() == [7100]
    assert successor.changes[-1] == successor.store.snapshot().part(KeepAwakeFacts).keep_awake
    fixture.time.advance(awake=7100)
    assert fixture.restarted(fixture.time).ids() == []


def test_over_a_reboot_civil_time_counts(fixture: KeepAwakeFixture) -> None:
    fixture.keeps.add(7200, "backup")
    assert fixture.restarted(
        FakeClock(5.0, EVENING + timedelta(seconds=600)), "the next"
    ).remaining_times() == [6600]
    assert fixture.restarted(FakeClock(5.0, EVENING + timedelta(seconds=7200)), "the next").ids() == []


def test_an_rtc_without_a_battery_extends_no_keep(fixture: KeepAwakeFixture) -> None:
    fixture.keeps.add(7200, "backup")
    assert fixture.restarted(
        FakeClock(5.0, datetime(1970, 1, 1, tzinfo=UTC)), "the next"
    ).remaining_times() == [7200]


def test_an_unknown_boot_is_not_the_same_as_another_unknown_boot() -> None:
    fixture = KeepAwakeFixture(FakeClock(), boot="")
    fixture.keeps.add(7200, "backup")
    assert fixture.restarted(FakeClock(5.0, EVENING + timedelta(seconds=600)), "").remaining_times() == [6600]


def test_nothing_is_written_while_nothing_changes(fixture: KeepAwakeFixture) -> None:
    fixture.keeps.add(7200, "")
    for _ in range(100):
        fixture.time.advance(awake=60)
        fixture.keeps.remove_expired()
    assert len(fixture.storage.written) == 1


@pytest.mark.parametrize("asleep", [0.0, 600.0])
def test_the_end_of_a_keep_is_stored_once_the_disk_may_be_written(
    fixture: KeepAwakeFixture, asleep: float
) -> None:
    fixture.keeps.add(60, "")
    fixture.keeps.add(7200, "")
    fixture.may_write = False
    fixture.time.advance(awake=60, asleep=asleep)
    with fixture.keeps.hold("rsync"):
        fixture.keeps.remove_expired()
        assert fixture.ids() == ["2", "h1"], "it ends at once"
    assert len(fixture.storage.written) == 2
    assert fixture.restarted(fixture.time).ids() == ["2"]
    fixture.may_write = True
    for _ in range(2):
        fixture.keeps.remove_expired()
    assert [keep["id"] for keep in fixture.storage.written[-1]["keeps"]] == ["2"]
    assert len(fixture.storage.written) == 3


def test_the_end_of_a_keep_is_stored_with_the_next_request(fixture: KeepAwakeFixture) -> None:
    fixture.keeps.add(60, "")
    fixture.may_write = False
    fixture.time.advance(awake=60)
    fixture.keeps.remove_expired()
    fixture.keeps.add(60, "")
    assert [keep["id"] for keep in fixture.storage.written[-1]["keeps"]] == ["2"]
    fixture.may_write = True
    fixture.keeps.remove_expired()
    assert len(fixture.storage.written) == 2


def test_a_keep_holds_before_it_is_stored(fixture: KeepAwakeFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[list[str]] = []

    def save(*_: object, **__: object) -> str:
        found.append(fixture.ids())
        return "no space"

    monkeypatch.setattr(fixture.storage, "save", save)
    assert fixture.keeps.add(60, "").not_stored == "no space"
    assert fixture.keeps.drop("1").not_stored == "no space"
    assert found == [["1"], []]


def test_a_user_learns_that_the_disk_does_not_have_a_keep(
    fixture: KeepAwakeFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sync(_: str) -> str:
        return "I/O error"

    monkeypatch.setattr(fixture.storage, "sync", sync)
    keep = fixture.keeps.add(60, "")
    assert asyncio.run(fixture.keeps.sync(keep)).not_stored == "I/O error"


def test_two_writers_are_a_fault(fixture: KeepAwakeFixture) -> None:
    with pytest.raises(RuntimeError, match="two writers"):
        KeepAwakeRequests(fixture.store, fixture.time, MemoryStorage())


@given(st.integers(1, 30 * 86400), st.floats(0, 1), st.booleans())
def test_what_is_left_survives(seconds: int, part: float, same: bool) -> None:  # noqa: FBT001 - drawn
    fixture = KeepAwakeFixture(FakeClock())
    fixture.keeps.add(seconds, "backup")
    fixture.time.advance(awake=seconds * part)
    successor = fixture.restarted(fixture.time, "this" if same else "the next")
    left = seconds * (1 - part)
    assert (
        successor.remaining_times() == [pytest.approx(left, abs=0.01)]
        if left > 0.01
        else len(successor.ids()) <= 1
    )
