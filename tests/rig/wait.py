"""Waiting for the real world: ask until it is so, and never for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(ask: Callable[[], T], what: str, within: float = 120, every: float = 0.05) -> T:
    """The first true answer of ``ask``.

    Args:
        ask: asked every ``every`` seconds; an OSError is an answer of "not yet".
        what: what is waited for, as the failure says it.
        within: seconds after which it is a failure; many, where it proves nothing but that it comes. The last
            question is asked after them: a machine that stood still meanwhile has not said no.
        every: seconds between two questions.
    """
    deadline = time.monotonic() + within
    late = False
    answer: object = None
    while not late:
        late = time.monotonic() >= deadline
        try:
            answer = ask()
        except OSError as error:
            answer = error
        if answer and not isinstance(answer, OSError):
            return answer
        time.sleep(every)
    raise AssertionError(f"waited {within:g} s in vain until {what}; the last answer was {answer!r}")


def stays(ask: Callable[[], bool], what: str, seconds: float, every: float = 0.1) -> None:
    """``ask`` holds all the time for so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert ask(), what
        time.sleep(every)
