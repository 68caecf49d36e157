from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from powerd.simulation.timeline import Timeline, union

INTERVALS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=6)
TIMES = range(-1, 32)


def times(intervals: list[tuple[int, int]]) -> set[int]:
    return {at for begin, end in intervals for at in range(begin, end)}


@given(INTERVALS, INTERVALS)
def test_timelines_are_sets_of_times(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    a, b = Timeline(one), Timeline(other)
    for combined, expected in (
        (a | b, times(one) | times(other)),
        (a & b, times(one) & times(other)),
        (a - b, times(one) - times(other)),
        (union([a, b]), times(one) | times(other)),
    ):
        assert {at for at in TIMES if at in combined} == expected
        assert {at for at in reversed(TIMES) if at in combined} == expected
        assert combined.seconds() == len(expected)


@given(INTERVALS, st.integers(-1, 31))
def test_begins(intervals: list[tuple[int, int]], at: int) -> None:
    timeline, inside = Timeline(intervals), times(intervals)
    begins = sorted(each for each in inside if each - 1 not in inside)
    assert timeline.next_begin(at) == min((each for each in begins if each > at), default=float("inf"))
    edge = timeline.begin_of(at)
    assert all((each in inside) == (at in inside) for each in range(int(max(edge, -1)), at))
    shortened = Timeline(intervals).shortened(2)
    assert all(each in inside and each - 2 in inside for each in TIMES if each in shortened)
