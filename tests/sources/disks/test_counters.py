from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.sources.disks.counters import Count, Stat, advance, by_partitions, counts_commands, parse


@pytest.mark.parametrize(
    ("text", "stat"),
    [
        ("100 1 800 10 50 2 400 10 0 20 20", Stat(150, 0)),
        ("  100 1 800 10 50 2 400 10 2 20 20 7 0 9 9\n", Stat(157, 2)),
        ("100 1 800 10 50 2 400 10 0 20 20 7 0 9 9 3 1", Stat(160, 0, 3)),
        ("100 1 800 10 50 2 400 10 0 20 20 7 0 9 9 3 1 4 4", Stat(160, 0, 3)),
        ("100 1 800 10 50 2 400 10 0 20", None),
        ("100 1 800 10 50 2 400 10 -1 20 20", None),
        ("100 1 800 10 x 2 400 10 0 20 20", None),
        ("", None),
        (None, None),
    ],
)
def test_a_line_of_each_kernel_is_read(text: str | None, stat: Stat | None) -> None:
    assert parse(text) == stat


@given(st.text(st.sampled_from("0123456789 -²x\t\n"), max_size=80))
def test_any_text_is_borne(text: str) -> None:
    stat = parse(text)
    assert stat is None or (stat.ios >= 0 and stat.in_flight >= 0)


def test_by_partitions_a_disk_s_own_commands_are_not_seen_but_its_flushes_are() -> None:
    assert by_partitions(Stat(500, 1, 3), [Stat(100, 1), Stat(50, 0)]) == Stat(153, 1, 3)


def test_the_first_look_counts_as_movement() -> None:
    assert advance(None, Stat(7, 0), 0, 100.0) == Count(7, 0, 100.0, 0)


def test_stillness_and_movement() -> None:
    first = advance(None, Stat(7, 0), 0, 100.0)
    still = advance(first, Stat(7, 0), 0, 160.0)
    moved = advance(still, Stat(8, 0), 0, 220.0)
    assert (still.moved, moved.moved) == (100.0, 220.0)


def test_what_is_in_flight_moves_though_the_counters_stand_still() -> None:
    first = advance(None, Stat(7, 0), 0, 100.0)
    assert advance(first, Stat(7, 1), 0, 160.0) == Count(7, 0, 160.0, 1)


def test_own_commands_are_taken_off() -> None:
    first = advance(None, Stat(7, 0), 0, 100.0)
    own = advance(first, Stat(9, 0), 2, 160.0)
    more = advance(own, Stat(12, 0), 2, 220.0)
    assert (own.moved, own.ios) == (100.0, 7)
    assert (more.moved, more.ios) == (220.0, 8)


def test_own_commands_that_the_counters_do_not_hold_hide_nothing_later() -> None:
    first = advance(None, Stat(7, 0), 0, 100.0)
    noted = advance(first, Stat(7, 0), 2, 160.0)
    assert noted == Count(7, 0, 100.0, 0)
    assert advance(noted, Stat(8, 0), 0, 220.0).moved == 220.0


def test_counters_that_begin_anew_are_a_first_look() -> None:
    first = advance(None, Stat(700, 0), 0, 100.0)
    assert advance(first, Stat(3, 0), 1, 160.0) == Count(3, 0, 160.0, 0)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 1)), min_size=1))
def test_only_what_others_did_moves(rounds: list[tuple[int, int, int]]) -> None:
    """However others' requests and ours mix, movement is told exactly where there was some."""
    count = advance(None, Stat(50, 0), 0, 0.0)
    raw, theirs, last = 50, 50, 0.0
    for n, (others, own, in_flight) in enumerate(rounds, start=1):
        raw, theirs = raw + others + own, theirs + others
        last = float(n) if others or in_flight else last
        count = advance(count, Stat(raw, in_flight), own, float(n))
        assert (count.moved, count.ios) == (last, theirs)


@pytest.mark.parametrize(
    ("release", "passthrough", "counted"),
    [
        ("5.10.0-28-amd64", None, True),
        ("5.17.15", None, True),
        ("5.18.0-rc1", None, False),
        ("6.1.0-18-amd64", None, False),
        ("6.18.1", "0", False),
        ("6.18.1", "1", True),
        ("garbage", None, False),
    ],
)
def test_which_kernels_count_commands(release: str, passthrough: str | None, *, counted: bool) -> None:
    assert counts_commands(release, passthrough) is counted
