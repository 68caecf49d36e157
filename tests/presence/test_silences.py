"""The limit of silence by the distribution of the naps."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.core.codec import codec_of
from powerd.presence.silences import (
    LOWER_LIMIT,
    MEMORY,
    START_LIMIT,
    SURPRISE_PERIOD,
    UPPER_LIMIT,
    Silences,
    add_nap,
    add_surprise,
    learned_limit,
    may_be_phone,
    shift_times,
)

DAY, NOW = 86400.0, 1_800_000_000.0


def learned(lengths: list[float], *, days: float = 20.0, before: Silences | None = None) -> Silences:
    """The silences of a client with these naps, spread evenly over the last ``days``."""
    silences = before or Silences(since=NOW - days * DAY)
    for number, length in enumerate(lengths, 1):
        silences = add_nap(silences, length, NOW - days * DAY * (1 - number / len(lengths)))
    return silences


def limit_of(silences: Silences, now: float = NOW, *, phone: bool = True) -> float:
    return learned_limit(silences, now, may_be_phone=phone).seconds


def uniform(count: int, low: float, high: float) -> list[float]:
    draw = random.Random(1)  # noqa: S311 - repeatable
    return [draw.uniform(low, high) for _ in range(count)]


def test_of_a_client_of_which_nothing_is_known() -> None:
    assert limit_of(Silences()) == UPPER_LIMIT
    assert limit_of(Silences(), phone=False) == START_LIMIT


def test_a_first_nap_may_be_that_of_a_phone() -> None:
    assert limit_of(add_nap(Silences(since=NOW), 400, NOW), phone=False) == UPPER_LIMIT


def test_a_client_that_always_answers_has_the_least_limit() -> None:
    steady = Silences(since=NOW - 11 * DAY, answered=13 * 3600.0)
    assert limit_of(steady, phone=False) == LOWER_LIMIT
    assert limit_of(steady) > LOWER_LIMIT, "a phone may answer by day and doze at night"
    assert limit_of(replace(steady, answered=80 * 3600.0)) == LOWER_LIMIT


def test_a_sharp_bound_needs_a_small_margin() -> None:
    limit = limit_of(learned(uniform(1000, 120, 900)))
    assert 900 < limit < 900 * 1.15


def test_a_long_tail_needs_a_large_one() -> None:
    draw = random.Random(2)  # noqa: S311 - repeatable
    lengths = [draw.expovariate(1 / 200) for _ in range(1000)]
    assert 1.25 * max(lengths) < limit_of(learned(lengths)) < 1.5 * max(lengths)


def test_a_limit_falls_with_each_nap_and_each_day() -> None:
    limits = [limit_of(learned(uniform(count, 120, 900))) for count in (1, 20, 100, 300)]
    assert limits == sorted(limits, reverse=True)
    assert limits[0] > 3500
    assert limit_of(learned(uniform(300, 120, 900), days=1)) > 3000


@pytest.mark.parametrize("length", [2400.0, 3500.0])
def test_one_walk_with_a_dozing_phone_is_no_nap(length: float) -> None:
    regular = learned(uniform(1000, 120, 900))
    assert limit_of(add_nap(regular, length, NOW)) == pytest.approx(limit_of(regular), rel=0.01)
    equal = learned([300.0] * 300)
    assert limit_of(add_nap(equal, length, NOW)) == pytest.approx(limit_of(equal), rel=0.01)


def test_two_lengths_of_nap_both_count() -> None:
    """By day up to 5 minutes, at night 40: neither is rare."""
    assert limit_of(learned([240.0] * 900 + [2400.0] * 100)) > 2400


def test_a_surprise_gives_the_greatest_limit_for_some_days() -> None:
    surprised = add_surprise(learned(uniform(1000, 120, 900)), NOW)
    assert limit_of(surprised) == limit_of(surprised, NOW + SURPRISE_PERIOD - 1) == UPPER_LIMIT
    assert limit_of(surprised, NOW + SURPRISE_PERIOD) < 1100
    assert surprised.surprises == 1


def test_longer_habits_count_at_once_and_old_ones_are_forgotten() -> None:
    silences = learned(uniform(1000, 120, 900))
    silences = learned([1800.0] * 100, days=1, before=silences)
    assert limit_of(silences) > 1800
    later = NOW + MEMORY + DAY
    for hour in range(24 * 28):
        silences = add_nap(silences, 300, NOW + DAY + hour * 3600)
    assert limit_of(silences, later) < 500


def test_learning_restarts_once_the_last_nap_is_forgotten() -> None:
    """A guest that comes back, and a phone that was exchanged for one that does not nap for some weeks."""
    guest = replace(learned(uniform(400, 300, 1200)), answered=80 * 3600.0, last=NOW)
    assert limit_of(guest, NOW + MEMORY - DAY) < 2000
    back = NOW + MEMORY + DAY
    assert limit_of(guest, back) == UPPER_LIMIT
    assert limit_of(add_nap(guest, 400, back), back) == UPPER_LIMIT
    still_there = replace(guest, last=back)
    assert limit_of(still_there, back) == UPPER_LIMIT


def test_learning_restarts_after_a_long_absence() -> None:
    steady = Silences(since=NOW - 20 * DAY, answered=80 * 3600.0, last=NOW)
    assert limit_of(steady) == LOWER_LIMIT
    assert limit_of(steady, NOW + MEMORY + DAY) == UPPER_LIMIT


@pytest.mark.parametrize("second", [2400.0, 3000.0])
def test_outliers_of_two_days_count(second: float) -> None:
    silences = Silences(since=NOW - 30 * DAY)
    for day in range(28):
        at = NOW + (day - 28) * DAY
        for number, length in enumerate(uniform(100, 200, 360)):
            silences = add_nap(silences, length, at + 500 * number)
        if day in {6, 13}:
            silences = add_nap(silences, 2400.0 if day == 6 else second, at + 60_000)
        if day == 7:
            assert limit_of(silences, at) < 1000
        if day > 13:
            assert limit_of(silences, at) > second


def test_after_two_surprises_no_nap_is_an_outlier() -> None:
    regular = learned(uniform(1000, 120, 700))
    once = add_surprise(add_nap(regular, 1500, NOW), NOW)
    assert limit_of(once, NOW + 5 * DAY) < 1000
    twice = add_surprise(add_nap(once, 3500, NOW + 5 * DAY), NOW + 5 * DAY)
    assert limit_of(twice, NOW + 10 * DAY) >= 3500


def test_times_after_the_present_are_those_of_a_clock_that_was_ahead() -> None:
    ahead = shift_times(add_surprise(learned([300.0]), NOW), 365 * DAY, NOW + 365 * DAY)
    clamped = shift_times(ahead, 0.0, NOW)
    assert (clamped.since, clamped.surprised_at, clamped.nap_classes[0].last) == (NOW, NOW, NOW)
    assert limit_of(clamped, NOW) == UPPER_LIMIT


@given(st.lists(st.floats(180, 3599), max_size=60), st.floats(0, 60 * DAY), st.booleans())
def test_every_limit_is_within_its_bounds(lengths: list[float], later: float, phone: bool) -> None:  # noqa: FBT001 - drawn
    silences = learned(lengths)
    limit = learned_limit(silences, NOW + later, may_be_phone=phone)
    assert LOWER_LIMIT <= limit.seconds <= UPPER_LIMIT
    assert codec_of(Silences).decode(codec_of(Silences).encode(silences)) == silences
    assert len(silences.nap_classes) <= 25


def test_times_are_relative_to_the_present_after_a_restart() -> None:
    surprised = add_surprise(learned([300.0]), NOW)
    assert learned_limit(
        shift_times(surprised, 500, NOW + 500), NOW + 500, may_be_phone=True
    ) == learned_limit(surprised, NOW, may_be_phone=True)


@pytest.mark.parametrize(
    ("mac", "stations", "expected"),
    [
        ("da:a1:19:00:00:01", set(), True),
        ("00:1b:21:00:00:01", set(), False),
        ("00:1b:21:00:00:01", {"00:1b:21:00:00:01"}, True),
    ],
)
def test_what_may_be_a_phone(mac: str, stations: set[str], *, expected: bool) -> None:
    assert may_be_phone((mac,), frozenset(stations)) is expected
