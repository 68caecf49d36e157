"""The record of blockers: durations, the night, the limit, and the window of 24 hours."""

from __future__ import annotations

from typing import Final

from core.snapshot_strategies import moment
from hypothesis import given
from hypothesis import strategies as st

from powerd.core.snapshot import Reason
from powerd.core.time import Moment
from powerd.history.model import HOURS, Blocker, BlockerTimes
from powerd.history.policy import MAX_BLOCKERS, record_blockers

START: Final = moment()
TV: Final = Blocker("10.0.0.44", "home")
SMBD: Final = Blocker("smbd", "10.0.0.44 has a file open")
HOUR: Final = 3600.0


def later(seconds: float, slept: float = 0.0) -> Moment:
    return Moment(START.mono + seconds, START.slept + slept, START.wall)


def reasons(*blockers: Blocker) -> list[Reason]:
    return [Reason(*each, START) for each in blockers]


def test_each_blocker_lasts_from_decision_to_decision() -> None:
    times = record_blockers(BlockerTimes(), reasons(TV, SMBD), START)
    times = record_blockers(times, reasons(SMBD), later(60))
    times = record_blockers(times, reasons(TV), later(HOUR))
    times = record_blockers(times, [], later(HOUR + 30))
    times = record_blockers(times, [], later(2 * HOUR))
    assert times.totals(later(2 * HOUR)) == [(SMBD, HOUR), (TV, 90.0)]
    assert times.since == START


def test_a_remark_does_not_count() -> None:
    remark = Reason("sda", "in standby", START, blocks_sleep=False)
    times = record_blockers(BlockerTimes(), [remark], START)
    assert record_blockers(times, [], later(60)).totals(later(60)) == []


def test_time_asleep_does_not_count_and_passes() -> None:
    times = record_blockers(BlockerTimes(), reasons(TV), START)
    times = record_blockers(times, reasons(TV), later(HOUR))
    times = record_blockers(times, reasons(TV), later(HOUR + 10, slept=8 * HOUR))
    assert times.totals(later(HOUR + 10, slept=8 * HOUR)) == [(TV, HOUR + 10)]
    assert times.totals(later(HOUR + 10, slept=24.5 * HOUR)) == [(TV, 10.0)]


def test_what_is_older_than_a_day_is_forgotten() -> None:
    times = record_blockers(BlockerTimes(), reasons(TV), START)
    times = record_blockers(times, reasons(SMBD), later(60))
    for hours in range(1, HOURS + 2):
        times = record_blockers(times, reasons(SMBD), later(hours * HOUR))
    assert set(times.seconds) == {SMBD}
    ((_, seconds),) = times.totals(later((HOURS + 1) * HOUR))
    assert (HOURS - 1) * HOUR <= seconds <= HOURS * HOUR


def test_the_shortest_are_forgotten_first() -> None:
    times = record_blockers(BlockerTimes(), reasons(TV), START)
    times = record_blockers(times, reasons(), later(600))
    for n in range(2 * MAX_BLOCKERS):
        times = record_blockers(times, reasons(Blocker(str(n), "x")), later(600 + n))
    assert len(times.seconds) <= MAX_BLOCKERS
    assert times.totals(later(600 + 2 * MAX_BLOCKERS))[0] == (TV, 600.0)


@given(st.lists(st.tuples(st.floats(0, 7200), st.booleans(), st.booleans()), max_size=40))
def test_the_total_is_the_time_that_it_was_there(steps: list[tuple[float, bool, bool]]) -> None:
    now, times, expected, present = 0.0, BlockerTimes(), 0.0, False
    for seconds, tv, smbd in [*steps, (0.0, False, False)]:
        now += seconds
        expected += seconds if present else 0.0
        present = tv
        times = record_blockers(times, reasons(*[TV] * tv, *[SMBD] * smbd), later(now))
        if now >= 22 * HOUR:
            return
    assert abs(dict(times.totals(later(now))).get(TV, 0.0) - expected) < 1e-6
