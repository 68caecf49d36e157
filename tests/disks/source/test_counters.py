from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.disks.model import DiskTransfer
from powerd.disks.source.counters import (
    CommandCounter,
    IoCounter,
    IoStat,
    advance_counter,
    includes_passthrough,
    parse_command_count,
    parse_stat,
)
from powerd.disks.source.sampler import DiskSample

TRANSFER = DiskTransfer(800 * 512, 400 * 512, 0.02)


@pytest.mark.parametrize(
    ("text", "stat"),
    [
        ("100 1 800 10 50 2 400 10 0 20 20", IoStat(150, 0, 0, TRANSFER)),
        ("  100 1 800 10 50 2 400 10 2 20 20 7 0 9 9\n", IoStat(157, 2, 0, TRANSFER)),
        ("100 1 800 10 50 2 400 10 0 20 20 7 0 9 9 3 1", IoStat(160, 0, 3, TRANSFER)),
        ("100 1 800 10 50 2 400 10 0 20 20 7 0 9 9 3 1 4 4", IoStat(160, 0, 3, TRANSFER)),
        ("100 1 800 10 50 2 400 10 0 20", None),
        ("100 1 800 10 50 2 400 10 -1 20 20", None),
        ("100 1 800 10 x 2 400 10 0 20 20", None),
        ("", None),
        (None, None),
    ],
)
def test_a_line_of_each_kernel_is_read(text: str | None, stat: IoStat | None) -> None:
    assert parse_stat(text) == stat


@given(st.text(st.sampled_from("0123456789 -²x\t\n"), max_size=80))
def test_any_text_is_borne(text: str) -> None:
    stat = parse_stat(text)
    assert stat is None or (stat.completed >= 0 and stat.in_flight >= 0)


def test_partition_counters_hide_commands_of_the_whole_disk_but_show_flushes() -> None:
    disk = IoStat(500, 1, 3, TRANSFER)
    parts = ["60 0 0 0 40 0 0 0 1 0 0", "50 0 0 0 0 0 0 0 0 0 0"]
    sample = DiskSample(None, None, None, [*parts])
    assert sample.sum_partitions(disk) == IoStat(153, 1, 3, TRANSFER)
    assert sample._replace(partition_stats=[*parts, None]).sum_partitions(disk) is None
    assert sample._replace(partition_stats=[]).sum_partitions(disk) is disk


def test_the_first_poll_counts_as_activity() -> None:
    assert advance_counter(None, IoStat(7, 0), 0, 100.0) == IoCounter(7, 0, 100.0, 0)


def test_stillness_and_movement() -> None:
    first = advance_counter(None, IoStat(7, 0), 0, 100.0)
    still = advance_counter(first, IoStat(7, 0), 0, 160.0)
    moved = advance_counter(still, IoStat(8, 0), 0, 220.0)
    assert (still.last_io_at, moved.last_io_at) == (100.0, 220.0)


def test_what_is_in_flight_moves_though_the_counters_stand_still() -> None:
    first = advance_counter(None, IoStat(7, 0), 0, 100.0)
    assert advance_counter(first, IoStat(7, 1), 0, 160.0) == IoCounter(7, 0, 160.0, 1)


def test_own_commands_are_taken_off() -> None:
    first = advance_counter(None, IoStat(7, 0), 0, 100.0)
    own = advance_counter(first, IoStat(9, 0), 2, 160.0)
    more = advance_counter(own, IoStat(12, 0), 2, 220.0)
    assert (own.last_io_at, own.foreign_completed) == (100.0, 7)
    assert (more.last_io_at, more.foreign_completed) == (220.0, 8)


def test_own_commands_that_the_counters_do_not_hold_hide_nothing_later() -> None:
    first = advance_counter(None, IoStat(7, 0), 0, 100.0)
    noted = advance_counter(first, IoStat(7, 0), 2, 160.0)
    assert noted == IoCounter(7, 0, 100.0, 0)
    assert advance_counter(noted, IoStat(8, 0), 0, 220.0).last_io_at == 220.0


def test_reset_counters_are_a_first_poll() -> None:
    first = advance_counter(None, IoStat(700, 0), 0, 100.0)
    assert advance_counter(first, IoStat(3, 0), 1, 160.0) == IoCounter(3, 0, 160.0, 0)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 1)), min_size=1))
def test_only_what_others_did_moves(rounds: list[tuple[int, int, int]]) -> None:
    """For any mixture of foreign and own requests, I/O is detected exactly when there was some."""
    count = advance_counter(None, IoStat(50, 0), 0, 0.0)
    raw, theirs, last = 50, 50, 0.0
    for n, (others, own, in_flight) in enumerate(rounds, start=1):
        raw, theirs = raw + others + own, theirs + others
        last = float(n) if others or in_flight else last
        count = advance_counter(count, IoStat(raw, in_flight), own, float(n))
        assert (count.last_io_at, count.foreign_completed) == (last, theirs)


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
    assert includes_passthrough(release, passthrough) is counted


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0x1f3", 499),
        ("0x0", 0),
        ("0xffffffff80000000", 0xFFFFFFFF80000000),
        ("499", None),
        ("0x", None),
        ("0x1f3 0x1", None),
        ("0x-1", None),
        ("", None),
        (None, None),
    ],
)
def test_the_kernel_s_hexadecimal_is_read(text: str | None, count: int | None) -> None:
    assert parse_command_count(text) == count


@given(st.text(st.sampled_from("0123456789abcdefx -_²\t\n"), max_size=24))
def test_any_text_of_a_command_count_is_borne(text: str) -> None:
    count = parse_command_count(text)
    assert count is None or count >= 0


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),  # others' before an order
            st.integers(0, 3),  # the order's own
            st.integers(0, 2),  # others' after it
            st.booleans(),  # I/O, too
            st.booleans(),  # the look comes while it is under way
        )
    )
)
def test_foreign_commands_are_detected_exactly_without_io(
    rounds: list[tuple[int, int, int, bool, bool]],
) -> None:
    """However own and others' mix; while an order is under way, all are its own."""
    commands, count, last = CommandCounter(), 7, None
    commands.update(count, 0.0, no_io=False)
    for now, (before, own, after, moves, midway) in enumerate(rounds, start=1):
        count += before
        commands.begin_own(count)
        count += own
        if midway:
            commands.update(count, float(now), no_io=not moves, own_running=True)
            last = last if moves or not before else float(now)
            count += own
        commands.end_own(count)
        count += after
        commands.update(count, now + 0.5, no_io=not moves)
        others = after if midway else before + after
        last = last if moves or not others else now + 0.5
        assert commands.last_passthrough_at == last


def test_an_unreadable_counter_is_no_baseline_until_read_twice() -> None:
    commands = CommandCounter()
    commands.update(5, 0.0, no_io=True)
    commands.update(None, 1.0, no_io=True)
    commands.update(9, 2.0, no_io=True)
    assert commands.last_passthrough_at is None
    commands.update(10, 3.0, no_io=True)
    assert commands.last_passthrough_at == 3.0


@pytest.mark.parametrize(("started", "ended"), [(None, 9), (5, None), (None, None)])
def test_a_half_recorded_action_leaves_no_baseline(started: int | None, ended: int | None) -> None:
    commands = CommandCounter()
    commands.update(5, 0.0, no_io=True)
    commands.begin_own(started)
    commands.end_own(ended)
    commands.update(9, 1.0, no_io=True)
    assert commands.last_passthrough_at is None
