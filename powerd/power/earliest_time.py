"""When a sleep rule may act at the earliest, and the condition that it waits for longest.

A person's request to sleep (SleepRequest) lets rule REQUESTED_RULE act outside its windows and without its
idle time; of that time only KEY_PRESS_WAIT after the last key press remains, because a person may be typing
in another session. Every other delay applies.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from powerd.config.options import SleepRule
from powerd.config.values import format_duration
from powerd.core.actions import Sleep
from powerd.core.domain import Context
from powerd.core.snapshot import Memory, Snapshot
from powerd.core.time import CLOCK_SETTLE_TIME, Moment, add_seconds, is_clock_believable, next_opening
from powerd.power import wake_storm
from powerd.power.blockers import idle_from
from powerd.power.model import LogindFacts, SleepMemory, SleepRequest, SleepRequestFacts
from powerd.power.wake_schedule import busy_until
from powerd.presence.model import RECENT_ROUNDS, ClientState, PresenceFacts, PresenceReport

REQUESTED_RULE: Final = 0
"""The rule by which a request to sleep is carried out: the first."""
KEY_PRESS_WAIT: Final = 60.0
"""Seconds without a key press before a requested sleep, unless idle_for is less."""
CLOCK_STEP_DELAY: Final = 600.0
"""Seconds after a step of the wall clock in which no rule acts; with windows, idle_for if that is longer."""
RETRY_DELAY: Final = 60.0
RETRY_DELAY_MAX: Final = 3600.0
_MAX_PASSES: Final = 8
"""Passes over windows and wake-ups, which may each delay a rule; the next decision continues."""


class EarliestTime(NamedTuple):
    """The earliest time of a rule, and the condition that it waits for longest."""

    at: float
    rule: int
    waits_for: str


def active_request(snapshot: Snapshot, memory: Memory, now: Moment) -> SleepRequest | None:
    """The request to sleep that is in force; it ends with its time, with a sleep, and with a later resume."""
    request, sleep = snapshot.part(SleepRequestFacts).sleep_request, snapshot.completed(Sleep)
    if request is None or request.seconds_left(now) <= 0:
        return None
    has_slept = sleep is not None and sleep.ok and sleep.started_at >= request.since.mono
    has_resumed = memory.resumed_at is not None and memory.resumed_at >= request.since.mono
    return None if has_slept or has_resumed else request


def request_for(n: int, context: Context) -> SleepRequest | None:
    """The request that rule number ``n`` carries out; None = there is none."""
    return active_request(context.snapshot, context.memory, context.now) if n == REQUESTED_RULE else None


def passes_over_clients(context: Context) -> bool:
    """Whether a person has requested a sleep although clients are present."""
    request = request_for(REQUESTED_RULE, context) if context.options.sleep else None
    return request is not None and request.over_clients


def earliest_time(n: int, context: Context, rule: SleepRule | None = None) -> EarliestTime | None:
    """The earliest time at which rule number ``n`` may act; None = not before the next blocker, or never.

    ``rule``: what it would be instead of that in the options.
    """
    now, rule = context.now, rule or context.options.sleep[n]
    request = request_for(n, context)
    is_completed = request is None and n in context.memory.part(SleepMemory).completed_rules
    since = _rule_idle_since(n, rule, context)
    if is_completed or since is None:
        return None
    at, reason = max(_delays(n, rule, since, context))
    at = max(at, now.mono)
    for _ in range(_MAX_PASSES):
        window = at if request else next_opening(rule.during, now, at)
        if window is None:
            return None
        if window > at:
            at, reason = window, f"waits for its window: {', '.join(str(each) for each in rule.during)}"
        busy = busy_until(context.snapshot, context.options, add_seconds(now, at - now.mono))
        if busy is None:
            break
        at, reason = busy
    no_wait = "a person has requested it" if request else "nothing keeps the server awake"
    return EarliestTime(at, n, reason if at > now.mono else no_wait)


def idle_since(context: Context, rule: int | None = None) -> float:
    """The CLOCK_MONOTONIC of the end of the last blocker, of those that hold rule number ``rule``."""
    since = (
        context.memory.part(SleepMemory).quiet_since
        if rule is None
        else _rule_idle_since(rule, context.options.sleep[rule], context)
    )
    return context.now.mono if since is None else since


def _rule_idle_since(n: int, rule: SleepRule, context: Context) -> float | None:
    """CLOCK_MONOTONIC since which the server has been idle for a rule; None = it is not."""
    power, request = context.memory.part(SleepMemory), request_for(n, context)
    if request is not None and request.over_clients:
        return power.free_since
    return power.unused_since if rule.dozing == "ignored" else power.idle_since


def _delays(n: int, rule: SleepRule, since: float, context: Context) -> Iterator[tuple[float, str]]:
    """Each CLOCK_MONOTONIC before which the rule, idle ``since`` then, does not act, and the reason."""
    memory, options, power = context.memory, context.options, context.memory.part(SleepMemory)
    request, key_press = request_for(n, context), context.snapshot.part(LogindFacts).key_press
    if request is None:
        idle_for = format_duration(rule.idle_for)
        yield since + rule.idle_for, f"waits for {idle_for} of idleness"
    elif key_press is not None:
        wait = min(rule.idle_for, KEY_PRESS_WAIT)
        yield idle_from(key_press) + wait, f"waits for {format_duration(wait)} without a key press"
    start = options.awake.after_start
    yield memory.started_at.mono + start, f"waits until powerd has been up for {format_duration(start)}"
    if memory.resumed_at is not None:
        after = options.awake.after_resume
        yield memory.resumed_at + after, f"waits until {format_duration(after)} after the wake-up"
    count, failed_at = power.failures.get(n, (0, float("-inf")))
    if count and (request is None or failed_at >= request.since.mono):
        delay = min(RETRY_DELAY_MAX, RETRY_DELAY * 2 ** min(count - 1, 10))
        yield failed_at + delay, f"tries again {format_duration(delay)} after it failed"
    yield from _clock_delays(n, rule, context)
    if power.busy_until is not None:
        yield power.busy_until
    storm_delay = wake_storm.storm_delay(power.wake_storm, context.now)
    if storm_delay is not None:
        yield storm_delay
    if rule.dozing == "ignored" and dozing_clients(context) and not (request and request.over_clients):
        yield end_of_answers(context)


def _clock_delays(n: int, rule: SleepRule, context: Context) -> Iterator[tuple[float, str]]:
    """The delays while the wall clock may be wrong."""
    stepped_at = context.memory.clock_stepped_at
    if stepped_at is not None:  # a rule without windows would otherwise act before one that waits
        idle_for = rule.idle_for if rule.during and request_for(n, context) is None else 0.0
        delay = max(CLOCK_STEP_DELAY, idle_for)
        yield stepped_at + delay, f"waits {format_duration(delay)}: the wall clock was set"
    # A rule behind one with windows waits too: it would otherwise act before that one.
    if any(each.during for each in context.options.sleep[: n + 1]) and not is_clock_believable(
        context.now, synchronised=context.snapshot.part(PresenceFacts).clock_synchronised
    ):
        yield (
            CLOCK_SETTLE_TIME - context.now.slept,
            f"waits until {format_duration(CLOCK_SETTLE_TIME)} after the boot: the clock may not be set yet",
        )


def dozing_clients(context: Context) -> tuple[str, ...]:
    """What keeps the server awake and may be ignored: dozing clients."""
    return tuple(each.subject for each in context.merged.blockers if each.ignorable)


def end_of_answers(context: Context) -> tuple[float, str]:
    """The CLOCK_MONOTONIC at which no dozing client has answered for a while, and the reason.

    Its user may just have picked it up: only more answers show whether the doze has ended.
    """
    answers = [
        (each.answered_at, each.client.label)
        for each in context.merged.part(PresenceReport).client_statuses
        if each.state is ClientState.DOZING and each.blocks_sleep and each.answered_at is not None
    ]
    at, label = max(answers, default=(float("-inf"), ""))
    return at + RECENT_ROUNDS * context.options.clients.every, f"waits: {label} answers, and may be in use"
