"""Which rule may put the server to sleep, when at the earliest, and what has to come before.

A rule's time is the latest of: idle for long enough, up for long enough, its window open, its last
failure far enough back. ``warn`` before that time an announcement is ordered, and only its *outcome*, a
fact, starts the warning period; the order to sleep follows when both are over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from powerd.config import Options, SleepRule, show_duration
from powerd.model import Memory, Moment, Order, Outcome, Phase, Plan, Sleep, Snapshot, Warn
from powerd.policy.idle import Why
from powerd.policy.times import later, opens

SETTLE: Final = 600.0
"""After a step of the wall clock no rule acts for so long, one with windows for its idle_for if longer."""
VAIN_AFTER: Final = 300.0
"""A sleep that was accepted but has not happened within this time has failed."""
RETRY_FIRST: Final = 60.0
RETRY_MOST: Final = 3600.0
STANDS: Final = 300.0
"""An announcement holds for so long beyond its warning period: final looks take time. Then another is due."""
CLOSE_LOOK: Final = 10.0
"""Within a warning period every source looks afresh this often."""

VERBS: Final[Mapping[str, str]] = {
    "suspend": "suspend",
    "hibernate": "hibernate",
    "hybrid-sleep": "go to hybrid sleep",
    "suspend-then-hibernate": "suspend, then hibernate",
    "poweroff": "power off",
    "command": "run the sleep command",
}


class Course(NamedTuple):
    """What follows from nobody being there."""

    orders: tuple[Order, ...]
    plan: Plan | None
    phase: Phase
    look_again: float
    closely: bool
    reasons: tuple[Why, ...]


class Due(NamedTuple):
    """When a rule may act, and what it waits for longest."""

    at: float
    rule: int
    waits: str


def recall(snapshot: Snapshot, memory: Memory, options: Options, now: Moment) -> Memory:
    """Memory with the latest outcome of a sleep taken into account, once."""
    outcome = snapshot.outcomes.get(Sleep)
    if outcome is not None and outcome != memory.outcome and isinstance(outcome.order, Sleep):
        rule = outcome.order.rule
        slept = memory.resumed is not None and memory.resumed >= outcome.begun
        memory = replace(memory, outcome=outcome)
        if not _still_a_rule(outcome.order, options):
            pass
        elif not outcome.ok:
            memory = replace(memory, failures=_failed(memory, rule, outcome.at))
        elif not slept:  # else the answer to the order came after the wake-up, and a new day has begun
            memory = replace(memory, done=memory.done | {rule})
    return _vain(memory, options, now)


def _order(n: int, rule: SleepRule) -> Sleep:
    return Sleep(n, rule.action, rule.command, rule.timeout)


def _still_a_rule(order: Sleep, options: Options) -> bool:
    """Whether the configuration in force would give this very order; it may have been changed since."""
    return order.rule < len(options.sleep) and order == _order(order.rule, options.sleep[order.rule])


def _vain(memory: Memory, options: Options, now: Moment) -> Memory:
    """An accepted sleep that has not happened is a failure; a command's exit is its own proof."""
    last = memory.outcome
    if last is None or not isinstance(last.order, Sleep) or not last.ok or options.mode == "observe":
        return memory
    rule = last.order.rule
    if last.order.action == "command" or rule not in memory.done or now.mono - last.at < VAIN_AFTER:
        return memory
    return replace(memory, done=memory.done - {rule}, failures=_failed(memory, rule, last.at + VAIN_AFTER))


def _failed(memory: Memory, rule: int, at: float) -> Mapping[int, tuple[int, float]]:
    count, _ = memory.failures.get(rule, (0, 0.0))
    return {**memory.failures, rule: (count + 1, at)}


def course(snapshot: Snapshot, memory: Memory, options: Options, now: Moment, idle_since: float) -> Course:
    """What to do while nothing has kept the server awake since ``idle_since``."""
    reasons = list(_aftermath(memory, options))
    going = next((order for order in snapshot.in_flight if isinstance(order, Sleep)), None)
    if going is not None:
        reasons.append(Why("sleep", f"about to {VERBS[going.action]}"))
        return Course((), None, "going-down", now.mono + CLOSE_LOOK, closely=False, reasons=tuple(reasons))
    due = min(
        (
            due
            for n, rule in enumerate(options.sleep)
            if (due := _due(n, rule, memory, options, (now, idle_since)))
        ),
        default=None,
    )
    if due is None:
        return Course((), None, "idle", float("inf"), closely=False, reasons=tuple(reasons))
    rule = options.sleep[due.rule]
    warned = _warned(snapshot, memory, due, rule, idle_since)
    reasons.append(Why(f"sleep rule {due.rule + 1}", due.waits, keeps_awake=due.at > now.mono))
    soon = now.mono + CLOSE_LOOK
    order: Order = _order(due.rule, rule)
    orders: tuple[Order, ...] = ()
    phase: Phase
    if warned is None and now.mono < due.at - rule.warn:
        at, phase, look = due.at, "idle", due.at - rule.warn
    elif warned is None and rule.warn > 0:
        order = Warn(due.rule, rule.action, rule.warn)
        orders = () if order in snapshot.in_flight else (order,)
        at, phase, look = now.mono + rule.warn, "warning", soon
    else:
        at = due.at if warned is None else max(due.at, warned.at + rule.warn)
        orders = (order,) if now.mono >= at else ()
        phase, look = "warning", soon if orders else min(at, soon)
    plan = Plan(due.rule, rule.action, later(now, at - now.mono))
    return Course(orders, plan, phase, look, closely=phase == "warning", reasons=tuple(reasons))


def _due(
    n: int, rule: SleepRule, memory: Memory, options: Options, about: tuple[Moment, float]
) -> Due | None:
    """When rule ``n`` may act at the earliest; None = not before something stirs, or never."""
    now, idle_since = about
    if n in memory.done:
        return None
    waits = [
        (idle_since + rule.idle_for, f"waits for {show_duration(rule.idle_for)} of idleness"),
        (
            memory.started.mono + options.awake.after_start,
            f"waits until powerd has been up for {show_duration(options.awake.after_start)}",
        ),
    ]
    if memory.resumed is not None:
        after = options.awake.after_resume
        waits.append((memory.resumed + after, f"waits until {show_duration(after)} after the wake-up"))
    if n in memory.failures:
        count, failed = memory.failures[n]
        pause = min(RETRY_MOST, RETRY_FIRST * 2 ** min(count - 1, 10))
        waits.append((failed + pause, f"tries again {show_duration(pause)} after it failed"))
    if memory.stepped is not None:  # for a rule without windows too, lest it slip in before one that waits
        settle = max(SETTLE, rule.idle_for) if rule.during else SETTLE
        waits.append((memory.stepped + settle, f"waits {show_duration(settle)}: the wall clock was set"))
    at, why = max(waits)
    at = max(at, now.mono)
    window = opens(rule.during, now, at)
    if window is None:
        return None
    if window > at:
        at, why = window, f"waits for its window: {', '.join(str(each) for each in rule.during)}"
    return Due(at, n, why if at > now.mono else "nothing keeps the server awake any more")


def _warned(
    snapshot: Snapshot, memory: Memory, due: Due, rule: SleepRule, idle_since: float
) -> Outcome | None:
    """The announcement that still stands: timely, and made since idle_since and the rule's last failure."""
    outcome = snapshot.outcomes.get(Warn)
    if outcome is None or outcome.order != Warn(due.rule, rule.action, rule.warn):
        return None
    _, failed = memory.failures.get(due.rule, (0, float("-inf")))
    timely = due.at <= outcome.at + rule.warn + STANDS
    return outcome if timely and outcome.at >= max(idle_since, failed) else None


def _aftermath(memory: Memory, options: Options) -> list[Why]:
    """What the last attempt came to."""
    last = memory.outcome
    if last is None or not isinstance(last.order, Sleep) or not _still_a_rule(last.order, options):
        return []
    subject, verb = f"sleep rule {last.order.rule + 1}", VERBS[last.order.action]
    if last.order.rule in memory.failures and last.order.rule not in memory.done:
        vain = "was accepted, but the server did not go to sleep" if last.ok else last.observed
        return [Why(subject, f"could not {verb}: {vain}")]
    if last.order.rule in memory.done:
        return [
            Why(subject, f"{last.observed}; it will act again after something has stirred", keeps_awake=False)
        ]
    return []
