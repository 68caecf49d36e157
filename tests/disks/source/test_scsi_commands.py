from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.disks.source.scsi_commands import CommandCounter, parse_count


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
    assert parse_count(text) == count


@given(st.text(st.sampled_from("0123456789abcdefx -_²\t\n"), max_size=24))
def test_any_text_is_borne(text: str) -> None:
    count = parse_count(text)
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
