from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.sources.disks.commands import Commands, parse

NEVER = float("-inf")


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
    assert parse(text) == count


@given(st.text(st.sampled_from("0123456789abcdefx -_²\t\n"), max_size=24))
def test_any_text_is_borne(text: str) -> None:
    count = parse(text)
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
def test_others_commands_are_told_exactly_where_there_was_no_io(
    rounds: list[tuple[int, int, int, bool, bool]],
) -> None:
    """However own and others' mix; while an order is under way, all are its own."""
    commands, count, last = Commands(), 7, NEVER
    commands.look(count, 0.0, still=False)
    for now, (before, own, after, moves, midway) in enumerate(rounds, start=1):
        count += before
        commands.begin(count)
        count += own
        if midway:
            commands.look(count, float(now), still=not moves, obeying=True)
            last = last if moves or not before else float(now)
            count += own
        commands.end(count)
        count += after
        commands.look(count, now + 0.5, still=not moves)
        others = after if midway else before + after
        last = last if moves or not others else now + 0.5
        assert commands.prodded == last


def test_what_cannot_be_read_tells_nothing_until_it_has_been_read_twice() -> None:
    commands = Commands()
    commands.look(5, 0.0, still=True)
    commands.look(None, 1.0, still=True)
    commands.look(9, 2.0, still=True)
    assert commands.prodded == NEVER
    commands.look(10, 3.0, still=True)
    assert commands.prodded == 3.0


@pytest.mark.parametrize(("begun", "ended"), [(None, 9), (5, None), (None, None)])
def test_an_order_of_which_only_half_is_known_leaves_nothing_to_compare_with(
    begun: int | None, ended: int | None
) -> None:
    commands = Commands()
    commands.look(5, 0.0, still=True)
    commands.begin(begun)
    commands.end(ended)
    commands.look(9, 1.0, still=True)
    assert commands.prodded == NEVER
