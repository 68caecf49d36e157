from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from powerd.activity.rates import CounterRates

WINDOW = 180.0


def rates(*updates: tuple[float, dict[str, float]]) -> dict[str, float]:
    counters: CounterRates[str] = CounterRates(WINDOW)
    for at, values in updates:
        counters.update(at, values)
    return counters.rates()


def test_the_first_reading_has_no_rate() -> None:
    assert rates((0, {"a": 1e9})) == {"a": 0.0}


def test_the_increase_counts_since_the_first_reading() -> None:
    assert rates((0, {"a": 1e9}), (120, {"a": 1e9 + 1200})) == {"a": 10.0}


def test_the_average_is_that_of_the_window() -> None:
    assert rates((0, {"a": 0}), (300, {"a": 0}), (390, {"a": 900}), (480, {"a": 1800})) == {"a": 10.0}


def test_what_is_new_counts_from_zero() -> None:
    assert rates((0, {}), (100, {"a": 1000})) == {"a": 10.0}


def test_what_is_new_after_a_long_time_may_be_as_young_as_the_window() -> None:
    assert rates((0, {}), (3600, {"a": 1800})) == {"a": 10.0}


def test_a_minute_is_the_shortest_time() -> None:
    assert rates((0, {}), (1, {"a": 600})) == {"a": 10.0}


def test_a_reset_counter_counts_from_zero() -> None:
    assert rates((0, {"a": 5000}), (60, {"a": 6000}), (120, {"a": 200})) == {"a": 10.0}


def test_what_has_disappeared_is_remembered_for_the_window() -> None:
    updates: list[tuple[float, dict[str, float]]] = [(0, {"a": 0}), (60, {"a": 1800})]
    assert rates(*updates, (120, {})) == {"a": 15.0}
    assert rates(*updates, (180, {})) == {"a": 10.0}
    assert rates(*updates, (180, {}), (240, {})) == {}
    assert rates(*updates, (120, {}), (180, {"a": 1800})) == {"a": 20.0}, "it is new again"


def test_frequent_polls_cost_no_memory_and_change_no_average() -> None:
    counters: CounterRates[str] = CounterRates(WINDOW)
    for at in range(1000):
        counters.update(at, {"a": at * 10.0})
    assert counters.rates() == {"a": 10.0}
    assert len(counters._samples["a"]) < 25  # noqa: SLF001 - what it costs in memory


@given(st.lists(st.tuples(st.floats(1, 60), st.floats(0, 1e6)), min_size=1, max_size=40))
def test_no_increase_is_lost_whatever_the_rhythm_of_polls(steps: list[tuple[float, float]]) -> None:
    """The window grows by a poll and by the tenth into which samples are thinned, no more."""
    counters: CounterRates[str] = CounterRates(WINDOW)
    counters.update(0, {"a": 0})
    at, total = 0.0, 0.0
    increases: list[tuple[float, float]] = []
    for seconds, increase in steps:
        at, total = at + seconds, total + increase
        increases.append((at, increase))
        counters.update(at, {"a": total})
    recent = sum(increase for end, increase in increases if end > at - WINDOW)
    rate = counters.rates()["a"]
    assert rate >= recent / (WINDOW * 1.1 + 60) - 1e-6
    assert rate <= total / 60 + 1e-6
