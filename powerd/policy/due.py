"""When a sleep rule may act at the earliest, and what it waits for longest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from powerd.config import Options, SleepRule, format_duration
from powerd.model import Memory, Moment, Snapshot
from powerd.policy import unrest
from powerd.policy.times import add_seconds, next_opening
from powerd.policy.wake import busy_until

CLOCK_STEP_DELAY: Final = 600.0
"""After a step of the wall clock no rule acts for so long, one with windows for its idle_for if longer."""
RETRY_DELAY: Final = 60.0
RETRY_DELAY_MAX: Final = 3600.0
_MAX_PASSES: Final = 8
"""Windows and wake-ups may push a rule's time on in turn; what is so entangled is looked into again then."""


class EarliestTime(NamedTuple):
    """When a rule may act, and what it waits for longest."""

    at: float
    rule: int
    waits_for: str


def earliest_time(
    n: int, snapshot: Snapshot, memory: Memory, options: Options, timing: tuple[Moment, float]
) -> EarliestTime | None:
    """When rule ``n`` may act at the earliest; None = not before something stirs, or never.

    Args:
        n: the rule's number.
        snapshot: for what the server is to be up for.
        memory: what became of the rule, and what the server waits for besides.
        options: the configuration in force.
        about: the present moment, and since when nothing has kept the server awake.
    """
    if n in memory.completed_rules:
        return None
    now, _ = timing
    rule = options.sleep[n]
    at, reason = max(_delays(n, rule, memory, options, timing))
    at = max(at, now.mono)
    for _ in range(_MAX_PASSES):
        window = next_opening(rule.during, now, at)
        if window is None:
            return None
        if window > at:
            at, reason = window, f"waits for its window: {', '.join(str(each) for each in rule.during)}"
        busy = busy_until(snapshot, options, add_seconds(now, at - now.mono))
        if busy is None:
            break
        at, reason = busy
    return EarliestTime(at, n, reason if at > now.mono else "nothing keeps the server awake any more")


def _delays(
    n: int, rule: SleepRule, memory: Memory, options: Options, timing: tuple[Moment, float]
) -> Iterator[tuple[float, str]]:
    """Each monotonic time before which the rule does not act, and why."""
    now, idle_since = timing
    yield idle_since + rule.idle_for, f"waits for {format_duration(rule.idle_for)} of idleness"
    start = options.awake.after_start
    yield memory.started_at.mono + start, f"waits until powerd has been up for {format_duration(start)}"
    if memory.resumed_at is not None:
        after = options.awake.after_resume
        yield memory.resumed_at + after, f"waits until {format_duration(after)} after the wake-up"
    if n in memory.failures:
        count, failed_at = memory.failures[n]
        delay = min(RETRY_DELAY_MAX, RETRY_DELAY * 2 ** min(count - 1, 10))
        yield failed_at + delay, f"tries again {format_duration(delay)} after it failed"
    if (
        memory.clock_stepped_at is not None
    ):  # for a rule without windows too, lest it slip in before one that waits
        delay_after_step = max(CLOCK_STEP_DELAY, rule.idle_for) if rule.during else CLOCK_STEP_DELAY
        yield (
            memory.clock_stepped_at + delay_after_step,
            f"waits {format_duration(delay_after_step)}: the wall clock was set",
        )
    if memory.busy_until is not None:
        yield memory.busy_until
    storm_delay = unrest.storm_delay(memory.wake_storm, now)
    if storm_delay is not None:
        yield storm_delay
