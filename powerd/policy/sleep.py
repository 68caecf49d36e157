"""Which rule may put the server to sleep, when at the earliest, and what has to come before.

``warn`` before a rule's time (due.py) an announcement is ordered, and only its *outcome*, a fact, starts the
warning period; the order to sleep follows when both are over. Shortly before the announcement everything is
looked at afresh, lest somebody who is typing be told again and again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from powerd.config import Options, SleepRule
from powerd.model import LOGIND, Memory, Moment, Order, Outcome, Phase, Plan, Sleep, Snapshot, Warn
from powerd.policy.due import Due, due
from powerd.policy.machine import at_keyboard, pressed
from powerd.policy.times import later
from powerd.policy.why import Why, day_and_time

VAIN_AFTER: Final = 300.0
"""A sleep that was accepted but has not happened within this time has failed."""
STANDS: Final = 300.0
"""An announcement holds for so long beyond its warning period: final looks take time. Then another is due."""
CLOSE_LOOK: Final = 10.0
"""Within a warning period every source looks afresh this often, and once so long before it, seconds."""
_LEAST: Final = 0.1
"""Seconds until the next question at the least."""

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
        why = Why("sleep", about_to(going, idle_since, now))  # first, as what is taken for the cause
        look = now.mono + CLOSE_LOOK
        return Course((), None, "going-down", look, closely=False, reasons=(why, *reasons))
    about = (now, idle_since)
    dues = [due(n, snapshot, memory, options, about) for n in range(len(options.sleep))]
    first = min((each for each in dues if each is not None), default=None)
    if first is None:
        return Course((), None, "idle", float("inf"), closely=False, reasons=tuple(reasons))
    typed = _typed(snapshot, idle_since)
    if typed is not None:
        reasons.append(typed._replace(keeps_awake=first.at > now.mono))
    reasons.append(Why(f"sleep rule {first.rule + 1}", first.waits, keeps_awake=first.at > now.mono))
    step = _step(snapshot, memory, first, options.sleep[first.rule], about)
    return step._replace(reasons=tuple(reasons))


def about_to(order: Sleep, idle_since: float | None, now: Moment) -> str:
    """Why the server goes down by an order of powerd's; it says the same until it is down.

    Args:
        order: under way, or accepted.
        idle_since: CLOCK_MONOTONIC; None = somebody has come since the order was given.
        now: the present moment.
    """
    text = f"about to {VERBS[order.action]} by sleep rule {order.rule + 1}"
    if idle_since is None:
        return text
    since = later(now, idle_since - now.mono)
    return f"{text}: nobody has needed the server since {day_and_time(since, now)}"


def _step(
    snapshot: Snapshot, memory: Memory, due: Due, rule: SleepRule, about: tuple[Moment, float]
) -> Course:
    """What comes next on the way to this rule's time: waiting, announcing, or the act."""
    now, idle_since = about
    warned = _warned(snapshot, memory, due, rule, idle_since)
    soon = now.mono + CLOSE_LOOK
    order: Order = _order(due.rule, rule)
    orders: tuple[Order, ...] = ()
    phase: Phase = "warning"
    at, look, closely = due.at, soon, True
    if warned is None and now.mono < due.at - rule.warn:
        phase = "idle"
        look, closely = due.at, False
        if rule.warn > 0:
            look, closely = _before_announcing(snapshot, now, due.at - rule.warn)
    elif warned is None and rule.warn > 0:
        order = Warn(due.rule, rule.action, rule.warn)
        orders = () if order in snapshot.in_flight else (order,)
        at = now.mono + rule.warn
    else:
        at = due.at if warned is None else max(due.at, warned.at + rule.warn)
        orders = (order,) if now.mono >= at else ()
        look = soon if orders else _close_look(now.mono, at)
    plan = Plan(due.rule, rule.action, later(now, at - now.mono))
    return Course(orders, plan, phase, look, closely=closely, reasons=())


def _close_look(now: float, at: float) -> float:
    """The next close look: every CLOSE_LOOK, counted back from ``at``, so that none is under way then."""
    ahead = max(at - now - 1.0, 0.0) // CLOSE_LOOK
    return at - ahead * CLOSE_LOOK


def _before_announcing(snapshot: Snapshot, now: Moment, announce: float) -> tuple[float, bool]:
    """When to ask again, and whether to look closely first: once, shortly before the announcement."""
    look = announce - CLOSE_LOOK
    word = snapshot.sources.get(LOGIND)  # what tells of key presses looks seldom
    if word is None or word.at >= look:
        return announce, False
    return max(look, now.mono + _LEAST), True


def _typed(snapshot: Snapshot, idle_since: float) -> Why | None:
    """The key press from which idleness counts."""
    press = snapshot.key_press
    return at_keyboard(press) if press is not None and pressed(press) == idle_since else None


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
