"""The sleep rules: which rule acts, and the announcement before.

``warn`` before a rule's time an announcement is requested, and only its result, a fact, starts the warning
period; the sleep follows when both are over. Shortly before the announcement every source is polled, so that
a person who is typing is not warned repeatedly.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from powerd.config.options import Options, SleepRule
from powerd.core.actions import Action, CancelWarning, CompletedAction, Sleep, WarnUsers
from powerd.core.domain import Context
from powerd.core.reasons import UndatedReason, day_and_time
from powerd.core.snapshot import Phase, PlannedSleep, Snapshot
from powerd.core.time import Moment, add_seconds
from powerd.power.blockers import idle_from, key_press_reason
from powerd.power.earliest_time import (
    EarliestTime,
    dozing_clients,
    earliest_time,
    end_of_answers,
    idle_since,
    request_for,
)
from powerd.power.model import LOGIND, LogindFacts, SleepMemory, SleepUnconfirmed, TransitionFacts

_MAX_NAMES: Final = 3
"""Names of dozing clients that a remark lists; it counts the others."""


def restart_rules(power: SleepMemory, rules: Collection[int]) -> SleepMemory:
    """The memory in which these rules have neither been executed nor failed."""
    if power.completed_rules.isdisjoint(rules) and power.failures.keys().isdisjoint(rules):
        return power
    failures = {n: failure for n, failure in power.failures.items() if n not in rules}
    return replace(power, completed_rules=power.completed_rules.difference(rules), failures=failures)


def _describe_clients(clients: tuple[str, ...]) -> str:
    """``phone is``, ``phone, tablet are``."""
    names = ", ".join(clients[:_MAX_NAMES])
    if len(clients) > _MAX_NAMES:
        names += f" and {len(clients) - _MAX_NAMES} more"
    return f"{names} is" if len(clients) == 1 else f"{names} are"


def dozing_remarks(context: Context) -> Iterator[UndatedReason]:
    """What the other value of ``dozing`` would change, while dozing clients alone keep the server awake."""
    who = _describe_clients(dozing_clients(context))
    for n, rule in enumerate(context.options.sleep):
        if rule.dozing == "ignored":
            text = f'ignores that {who} there, dozing; dozing = "counts" would wait for them to leave'
        else:
            earliest = earliest_time(n, context, replace(rule, dozing="ignored"))
            if earliest is None:
                continue
            at = day_and_time(add_seconds(context.now, earliest.at - context.now.mono), context.now)
            when = "now" if earliest.at <= context.now.mono else f"from {at} on"
            text = f'waits because {who} there, dozing; with dozing = "ignored" it could act {when}'
        yield UndatedReason(f"sleep rule {n + 1}", text, blocks_sleep=False)


_NOT_SLEPT: Final = "was accepted, but the server did not go to sleep"
"""The failure of an action to sleep that logind has accepted and that had no effect."""
SLEEP_FAILED_AFTER: Final = 300.0
"""Seconds after which an accepted sleep that has not happened counts as failed, if logind says nothing."""
ANNOUNCEMENT_VALID_FOR: Final = 300.0
"""Seconds for which an announcement is valid after its warning period; the last polls take time."""
MIN_WARNING_OVER_CLIENTS: Final = 30.0
"""Seconds of warning, at least, before a sleep that a person has requested although clients are present."""
CLOSE_POLL_INTERVAL: Final = 10.0
"""Seconds between polls of every source in a warning period, and before it."""
_MIN_DELAY: Final = 0.1
"""Least seconds until the next decision."""

VERBS: Final[Mapping[str, str]] = {
    "suspend": "suspend",
    "hibernate": "hibernate",
    "hybrid-sleep": "go to hybrid sleep",
    "suspend-then-hibernate": "suspend, then hibernate",
    "poweroff": "power off",
    "command": "run the sleep command",
}


class SleepAssessment(NamedTuple):
    """The assessment while no blocker exists."""

    actions: tuple[Action, ...]
    plan: PlannedSleep | None
    phase: Phase
    next_decision_at: float
    poll_before: bool
    reasons: tuple[UndatedReason, ...]


def record_result(context: Context, *, in_transition: bool) -> SleepMemory:
    """The memory with the latest result of a sleep, taken into account once.

    ``in_transition``: a sleep or shutdown is in progress; it may last as long as units need to stop.
    """
    power, resumed_at = context.memory.part(SleepMemory), context.memory.resumed_at
    result = context.snapshot.completed(Sleep)
    if result is not None and result != power.last_sleep_result and isinstance(result.action, Sleep):
        rule = result.action.rule
        has_slept = resumed_at is not None and resumed_at >= result.started_at
        is_current = _is_current_rule(result.action, context.options)
        power = replace(power, last_sleep_result=result)
        if not result.ok and is_current:
            power = replace(power, failures=_with_failure(power, rule, result.ended_at))
        elif result.ok and not has_slept:
            # Otherwise the reply came after the wake-up, and the rule may act again.
            # A command's exit status suffices, if it has one. The alarm is cleared when the wait ends, so the
            # wait does not depend on a configuration that was changed meanwhile.
            is_accepted = result.action.sleep_action != "command" and context.options.mode == "enforce"
            awaits = is_accepted or isinstance(result.answer, SleepUnconfirmed)
            power = replace(
                power,
                completed_rules=power.completed_rules | ({rule} if is_current else frozenset()),
                awaited_sleep=result if awaits else power.awaited_sleep,
            )
    return power if in_transition else _record_failure_to_sleep(power, context)


def _sleep_action(n: int, rule: SleepRule) -> Sleep:
    return Sleep(n, rule.action, rule.command, rule.timeout)


def _is_current_rule(action: Sleep, options: Options) -> bool:
    """Whether the present configuration still has the rule of this action."""
    return action.rule < len(options.sleep) and action == _sleep_action(
        action.rule, options.sleep[action.rule]
    )


def _record_failure_to_sleep(power: SleepMemory, context: Context) -> SleepMemory:
    """Count an accepted sleep that has not happened as a failure, also if somebody has come meanwhile."""
    awaited, not_slept_at = power.awaited_sleep, context.snapshot.part(TransitionFacts).not_slept_at
    if awaited is None:
        return power
    failed_at = awaited.ended_at + SLEEP_FAILED_AFTER
    if not_slept_at is not None and not_slept_at >= awaited.started_at:
        failed_at = not_slept_at
    if context.now.mono < failed_at:
        return power
    rule = awaited.action.rule if isinstance(awaited.action, Sleep) else 0
    return replace(
        power,
        awaited_sleep=None,
        completed_rules=power.completed_rules - {rule},
        failures=_with_failure(power, rule, failed_at),
    )


def _with_failure(power: SleepMemory, rule: int, at: float) -> Mapping[int, tuple[int, float]]:
    count, _ = power.failures.get(rule, (0, 0.0))
    return {**power.failures, rule: (count + 1, at)}


def assess_sleep(context: Context) -> SleepAssessment:
    """Assess the sleep rules for which the server is idle."""
    now, rules = context.now, context.options.sleep
    reasons = list(_last_attempt_reasons(context))
    in_progress = next(
        (action for action in context.snapshot.running_actions if isinstance(action, Sleep)), None
    )
    if in_progress is not None:
        reason = next(_reasons_against(in_progress, context), None)
        phase: Phase = "going-down" if reason is None else "idle"
        if reason is None:
            pending = describe_pending_sleep(in_progress, idle_since(context), now)
            reason = UndatedReason("sleep", pending)
        reasons.insert(0, reason)  # first, because it is shown as the cause
        next_decision_at = now.mono + CLOSE_POLL_INTERVAL
        return SleepAssessment((), None, phase, next_decision_at, poll_before=False, reasons=tuple(reasons))
    candidates = [earliest_time(n, context) for n in range(len(rules))]
    earliest = min((each for each in candidates if each is not None), default=None)
    if earliest is None:
        return SleepAssessment((), None, "idle", float("inf"), poll_before=False, reasons=tuple(reasons))
    waits, key_press = earliest.at > now.mono, _key_press_reason(context)
    if key_press is not None:
        reasons.append(key_press._replace(blocks_sleep=waits))
    reasons.append(UndatedReason(f"sleep rule {earliest.rule + 1}", earliest.waits_for, blocks_sleep=waits))
    return _next_step(context, earliest, rules[earliest.rule])._replace(reasons=tuple(reasons))


def _reasons_against(action: Sleep, context: Context) -> Iterator[UndatedReason]:
    """Why a sleep in preparation must not be executed although nothing blocks it.

    An absent client dozes now, a client answers, or the person who has requested it has cancelled it. Or a
    client has come, and a person has requested a sleep although clients are present: they are warned first.
    Or the rule may not act now: a hook may take an hour, and the window ends, or an event comes near.
    """
    request = request_for(action.rule, context)
    clients, dozing = tuple(each.subject for each in context.merged.blockers), dozing_clients(context)
    subject = f"sleep rule {action.rule + 1}"
    if action.requested and request is None:
        yield UndatedReason(subject, "the request to sleep was cancelled")
    is_current = _is_current_rule(action, context.options)
    if not (action.requested and request is not None and request.over_clients):
        if len(dozing) < len(clients):
            yield UndatedReason(subject, f"waits because {_describe_clients(clients)} there, or may be")
        elif dozing and (not is_current or context.options.sleep[action.rule].dozing == "counts"):
            yield UndatedReason(subject, f"waits because {_describe_clients(dozing)} there, dozing")
        at, text = end_of_answers(context)
        if dozing and at > context.now.mono:
            yield UndatedReason(subject, text)
    earliest = earliest_time(action.rule, context) if is_current else None
    if earliest is None or earliest.at > context.now.mono:
        yield UndatedReason(subject, earliest.waits_for if earliest else "its conditions are no longer met")


def describe_pending_sleep(action: Sleep, quiet_since: float | None, now: Moment) -> str:
    """The reason for powerd's own sleep; the text does not change until the server sleeps.

    Args:
        action: running, or accepted.
        quiet_since: CLOCK_MONOTONIC; None = a blocker has appeared since.
        now: the present time.
    """
    text = f"about to {VERBS[action.sleep_action]} by sleep rule {action.rule + 1}"
    if action.requested:
        return f"{text}, which a person has requested"
    if quiet_since is None:
        return text
    since = add_seconds(now, quiet_since - now.mono)
    return f"{text}: nothing has needed the server since {day_and_time(since, now)}"


def _next_step(context: Context, earliest: EarliestTime, rule: SleepRule) -> SleepAssessment:
    """The next step towards the rule's time: wait, announce, or sleep."""
    snapshot, now = context.snapshot, context.now
    warn = _warning_period(earliest.rule, context)
    announcement = _valid_announcement(context, earliest, warn)
    next_poll_at = now.mono + CLOSE_POLL_INTERVAL
    request = request_for(earliest.rule, context)
    action: Action = replace(_sleep_action(earliest.rule, rule), requested=request is not None)
    actions: tuple[Action, ...] = ()
    phase: Phase = "warning"
    at, next_decision_at, poll_before = earliest.at, next_poll_at, True
    if announcement is None and now.mono < earliest.at - warn:
        phase = "idle"
        next_decision_at, poll_before = earliest.at, False
        if warn > 0:
            next_decision_at, poll_before = _poll_before_announcement(snapshot, now, earliest.at - warn)
    elif announcement is None and warn > 0:
        action = _announcement(earliest.rule, context)
        actions = () if action in snapshot.running_actions else (action,)
        at = now.mono + warn
    else:
        at = earliest.at if announcement is None else max(earliest.at, announcement.ended_at + warn)
        actions = (action,) if now.mono >= at else ()
        next_decision_at = next_poll_at if actions else _next_close_poll(now.mono, at)
    plan = PlannedSleep(earliest.rule, rule.action, add_seconds(now, at - now.mono))
    return SleepAssessment(actions, plan, phase, next_decision_at, poll_before=poll_before, reasons=())


def _announcement(n: int, context: Context) -> WarnUsers:
    rule, request = context.options.sleep[n], request_for(n, context)
    over_clients = request is not None and request.over_clients
    return WarnUsers(n, rule.action, _warning_period(n, context), over_clients)


def _warning_period(n: int, context: Context) -> float:
    """Seconds between the announcement and the act of rule number ``n``."""
    warn, request = context.options.sleep[n].warn, request_for(n, context)
    return max(warn, MIN_WARNING_OVER_CLIENTS) if request is not None and request.over_clients else warn


def _next_close_poll(now: float, at: float) -> float:
    """The next poll: every CLOSE_POLL_INTERVAL, counted back from ``at``, so that no poll is running then."""
    polls_left = max(at - now - 1.0, 0.0) // CLOSE_POLL_INTERVAL
    return at - polls_left * CLOSE_POLL_INTERVAL


def _poll_before_announcement(snapshot: Snapshot, now: Moment, announce_at: float) -> tuple[float, bool]:
    """The next decision, and whether to poll before it: once, shortly before the announcement."""
    poll_at = announce_at - CLOSE_POLL_INTERVAL
    status = snapshot.sources.get(LOGIND)  # the source of key presses polls seldom
    if status is None or status.at >= poll_at:
        return announce_at, False
    return max(poll_at, now.mono + _MIN_DELAY), True


def _key_press_reason(context: Context) -> UndatedReason | None:
    """The key press from which idleness counts."""
    press = context.snapshot.part(LogindFacts).key_press
    return key_press_reason(press) if press is not None and idle_from(press) == idle_since(context) else None


def _valid_announcement(context: Context, earliest: EarliestTime, warn: float) -> CompletedAction | None:
    """The valid announcement: not expired or cancelled, made after idle_since and the rule's last failure."""
    result = context.snapshot.completed(WarnUsers)
    if (
        result is None
        or result.action != _announcement(earliest.rule, context)
        or is_cancelled(result, context.snapshot)
    ):
        return None
    _, failed_at = context.memory.part(SleepMemory).failures.get(earliest.rule, (0, float("-inf")))
    is_current = earliest.at <= result.ended_at + warn + ANNOUNCEMENT_VALID_FOR
    return (
        result
        if is_current and result.ended_at >= max(idle_since(context, earliest.rule), failed_at)
        else None
    )


def is_cancelled(announcement: CompletedAction, snapshot: Snapshot) -> bool:
    """Whether a cancellation of this announcement has been written to the terminals, or is being written."""
    cancellation = snapshot.completed(CancelWarning)
    return any(isinstance(each, CancelWarning) for each in snapshot.running_actions) or (
        cancellation is not None and cancellation.ended_at >= announcement.ended_at
    )


def failure_text(result: CompletedAction, snapshot: Snapshot) -> str:
    """Why a sleep has failed: its error, or what the kernel reports about an accepted one."""
    facts = snapshot.part(TransitionFacts)
    if not result.ok or isinstance(result.answer, SleepUnconfirmed):
        return result.message
    if facts.not_slept_at is None or facts.not_slept_at < result.started_at or not facts.not_slept_why:
        return _NOT_SLEPT
    return f"{_NOT_SLEPT}: {facts.not_slept_why}"


def _last_attempt_reasons(context: Context) -> Iterator[UndatedReason]:
    """The reasons from the last attempt."""
    power = context.memory.part(SleepMemory)
    last = power.last_sleep_result
    if (
        last is None
        or not isinstance(last.action, Sleep)
        or not _is_current_rule(last.action, context.options)
    ):
        return
    subject, verb = f"sleep rule {last.action.rule + 1}", VERBS[last.action.sleep_action]
    if last.action.rule in power.failures and last.action.rule not in power.completed_rules:
        yield UndatedReason(subject, f"could not {verb}: {failure_text(last, context.snapshot)}")
    elif last.action.rule in power.completed_rules:
        yield UndatedReason(
            subject, f"{last.message}; the rule acts again after the next activity", blocks_sleep=False
        )
