"""Waiting for real processes, with a time limit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(
    ask: Callable[[], T],
    what: str,
    within: float = 300,
    every: float = 0.05,
    accept: Callable[[T], object] = bool,
) -> T:
    """The first accepted answer of ``ask``; the failure shows the last one.

    Args:
        ask: called every ``every`` seconds; after an OSError it is called again.
        what: the expected state, for the failure.
        within: seconds until the failure. ``ask`` is called once more after them, for a machine that was
            suspended meanwhile.
        every: seconds between two calls.
        accept: whether an answer is the expected one.
    """
    deadline = time.monotonic() + within
    late = False
    last: object = None
    while not late:
        late = time.monotonic() >= deadline
        try:
            last = answer = ask()
        except OSError as error:
            last = error
        else:
            if accept(answer):
                return answer
        time.sleep(every)
    raise AssertionError(f"waited {within:g} s until {what}; the last answer was {last!r}")


def stays(ask: Callable[[], bool], what: str, seconds: float, every: float = 0.1) -> None:
    """Assert that ``ask`` is true for ``seconds``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert ask(), what
        time.sleep(every)
