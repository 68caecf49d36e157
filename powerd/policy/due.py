"""When a sleep rule may act at the earliest, and what it waits for longest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from powerd.config import Options, SleepRule, show_duration
from powerd.model import Memory, Moment, Snapshot
from powerd.policy import unrest
from powerd.policy.times import later, opens
from powerd.policy.wake import duty

SETTLE: Final = 600.0
"""After a step of the wall clock no rule acts for so long, one with windows for its idle_for if longer."""
RETRY_FIRST: Final = 60.0
RETRY_MOST: Final = 3600.0
_TRIES: Final = 8
"""Windows and wake-ups may push a rule's time on in turn; what is so entangled is looked into again then."""


class Due(NamedTuple):
    """When a rule may act, and what it waits for longest."""

    at: float
    rule: int
    waits: str


def due(
    n: int, snapshot: Snapshot, memory: Memory, options: Options, about: tuple[Moment, float]
) -> Due | None:
    """When rule ``n`` may act at the earliest; None = not before something stirs, or never.

    Args:
        n: the rule's number.
        snapshot: for what the server is to be up for.
        memory: what became of the rule, and what the server waits for besides.
        options: the configuration in force.
        about: the present moment, and since when nothing has kept the server awake.
    """
    if n in memory.done:
        return None
    now, _ = about
    rule = options.sleep[n]
    at, why = max(_waits(n, rule, memory, options, about))
    at = max(at, now.mono)
    for _ in range(_TRIES):
        window = opens(rule.during, now, at)
        if window is None:
            return None
        if window > at:
            at, why = window, f"waits for its window: {', '.join(str(each) for each in rule.during)}"
        busy = duty(snapshot, options, later(now, at - now.mono))
        if busy is None:
            break
        at, why = busy
    return Due(at, n, why if at > now.mono else "nothing keeps the server awake any more")


def _waits(
    n: int, rule: SleepRule, memory: Memory, options: Options, about: tuple[Moment, float]
) -> Iterator[tuple[float, str]]:
    """Each monotonic time before which the rule does not act, and why."""
    now, idle_since = about
    yield idle_since + rule.idle_for, f"waits for {show_duration(rule.idle_for)} of idleness"
    start = options.awake.after_start
    yield memory.started.mono + start, f"waits until powerd has been up for {show_duration(start)}"
    if memory.resumed is not None:
        after = options.awake.after_resume
        yield memory.resumed + after, f"waits until {show_duration(after)} after the wake-up"
    if n in memory.failures:
        count, failed = memory.failures[n]
        pause = min(RETRY_MOST, RETRY_FIRST * 2 ** min(count - 1, 10))
        yield failed + pause, f"tries again {show_duration(pause)} after it failed"
    if memory.stepped is not None:  # for a rule without windows too, lest it slip in before one that waits
        settle = max(SETTLE, rule.idle_for) if rule.during else SETTLE
        yield memory.stepped + settle, f"waits {show_duration(settle)}: the wall clock was set"
    if memory.duty is not None:
        yield memory.duty
    storm = unrest.pause(memory.unrest, now)
    if storm is not None:
        yield storm
