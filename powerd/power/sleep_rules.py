"""The sleep rules: which rule acts, when at the earliest, and the announcement before.

``warn`` before a rule's time an announcement is requested, and only its result, a fact, starts the warning
period; the sleep follows when both are over. Shortly before the announcement every source is polled, so that
a person who is typing is not warned repeatedly.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from powerd.config.options import Options, SleepRule
from powerd.config.values import format_duration
from powerd.core.actions import Action, CancelWarning, CompletedAction, Sleep, WarnUsers
from powerd.core.domain import Context
from powerd.core.reasons import UndatedReason, day_and_time
from powerd.core.snapshot import Phase, PlannedSleep, Snapshot
from powerd.core.time import CLOCK_SETTLE_TIME, Moment, add_seconds, is_clock_believable, next_opening
from powerd.power import wake_storm
from powerd.power.blockers import idle_from, key_press_reason
from powerd.power.model import LOGIND, LogindFacts, SleepMemory
from powerd.power.wake_schedule import busy_until
from powerd.presence.model import RECENT_ROUNDS, ClientState, PresenceFacts, PresenceReport

CLOCK_STEP_DELAY: Final = 600.0
"""Seconds after a step of the wall clock in which no rule acts; with windows, idle_for if that is longer."""
RETRY_DELAY: Final = 60.0
RETRY_DELAY_MAX: Final = 3600.0
_MAX_NAMES: Final = 3
"""Names of dozing clients that a remark lists; it counts the others."""
_MAX_PASSES: Final = 8
"""Passes over windows and wake-ups, which may each delay a rule; the next decision continues."""


class EarliestTime(NamedTuple):
    """The earliest time of a rule, and the condition that it waits for longest."""

    at: float
    rule: int
    waits_for: str


def earliest_time(n: int, context: Context) -> EarliestTime | None:
    """The earliest time at which rule number ``n`` may act; None = not before the next blocker, or never."""
    now, rule = context.now, context.options.sleep[n]
    if n in _power(context).completed_rules or _rule_idle_since(_power(context), rule) is None:
        return None
    at, reason = max(_delays(n, rule, context))
    at = max(at, now.mono)
    for _ in range(_MAX_PASSES):
        window = next_opening(rule.during, now, at)
        if window is None:
            return None
        if window > at:
            at, reason = window, f"waits for its window: {', '.join(str(each) for each in rule.during)}"
        busy = busy_until(context.snapshot, context.options, add_seconds(now, at - now.mono))
        if busy is None:
            break
        at, reason = busy
    return EarliestTime(at, n, reason if at > now.mono else "nothing keeps the server awake any more")


def _power(context: Context) -> SleepMemory:
    return context.memory.part(SleepMemory)


def _idle_since(context: Context, rule: SleepRule | None = None) -> float:
    """The CLOCK_MONOTONIC of the end of the last blocker, of those that hold ``rule``."""
    power = _power(context)
    since = power.quiet_since if rule is None else _rule_idle_since(power, rule)
    return context.now.mono if since is None else since


def _rule_idle_since(power: SleepMemory, rule: SleepRule) -> float | None:
    """CLOCK_MONOTONIC since which the server has been idle for a rule; None = it is not."""
    return power.unused_since if rule.dozing == "ignored" else power.idle_since


def _delays(n: int, rule: SleepRule, context: Context) -> Iterator[tuple[float, str]]:
    """Each CLOCK_MONOTONIC before which the rule does not act, and the reason."""
    memory, options, power = context.memory, context.options, _power(context)
    yield (
        _idle_since(context, rule) + rule.idle_for,
        f"waits for {format_duration(rule.idle_for)} of idleness",
    )
    start = options.awake.after_start
    yield memory.started_at.mono + start, f"waits until powerd has been up for {format_duration(start)}"
    if memory.resumed_at is not None:
        after = options.awake.after_resume
        yield memory.resumed_at + after, f"waits until {format_duration(after)} after the wake-up"
    if n in power.failures:
        count, failed_at = power.failures[n]
        delay = min(RETRY_DELAY_MAX, RETRY_DELAY * 2 ** min(count - 1, 10))
        yield failed_at + delay, f"tries again {format_duration(delay)} after it failed"
    if (
        memory.clock_stepped_at is not None
    ):  # also for a rule without windows, which would otherwise act before one that waits
        delay_after_step = max(CLOCK_STEP_DELAY, rule.idle_for) if rule.during else CLOCK_STEP_DELAY
        yield (
            memory.clock_stepped_at + delay_after_step,
            f"waits {format_duration(delay_after_step)}: the wall clock was set",
        )
    # A rule behind one with windows waits too: it would otherwise act before that one.
    if any(each.during for each in options.sleep[: n + 1]) and not is_clock_believable(
        context.now, synchronised=context.snapshot.part(PresenceFacts).clock_synchronised
    ):
        yield (
            CLOCK_SETTLE_TIME - context.now.slept,
            f"waits until {format_duration(CLOCK_SETTLE_TIME)} after the boot: the clock may not be set yet",
        )
    if power.busy_until is not None:
        yield power.busy_until
    storm_delay = wake_storm.storm_delay(power.wake_storm, context.now)
    if storm_delay is not None:
        yield storm_delay
    if rule.dozing == "ignored" and dozing_clients(context):
        yield _end_of_answers(context)


def dozing_clients(context: Context) -> tuple[str, ...]:
    """What keeps the server awake and may be ignored: dozing clients."""
    return tuple(each.subject for each in context.merged.blockers if each.ignorable)


def _end_of_answers(context: Context) -> tuple[float, str]:
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
    rules = context.options.sleep
    for n, rule in enumerate(rules):
        if rule.dozing == "ignored":
            text = f'ignores that {who} there, dozing; dozing = "counts" would wait for them to leave'
        else:
            others = (*rules[:n], replace(rule, dozing="ignored"), *rules[n + 1 :])
            earliest = earliest_time(n, replace(context, options=replace(context.options, sleep=others)))
            if earliest is None:
                continue
            at = day_and_time(add_seconds(context.now, earliest.at - context.now.mono), context.now)
            when = "now" if earliest.at <= context.now.mono else f"from {at} on"
            text = f'waits because {who} there, dozing; with dozing = "ignored" it could act {when}'
        yield UndatedReason(f"sleep rule {n + 1}", text, blocks_sleep=False)


SLEEP_FAILED_AFTER: Final = 300.0
"""Seconds after which an accepted sleep that has not happened counts as failed."""
ANNOUNCEMENT_VALID_FOR: Final = 300.0
"""Seconds for which an announcement is valid after its warning period; the last polls take time."""
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


def record_result(context: Context) -> SleepMemory:
    """The memory with the latest result of a sleep, taken into account once."""
    power, resumed_at = _power(context), context.memory.resumed_at
    result = context.snapshot.completed(Sleep)
    if result is not None and result != power.last_sleep_result and isinstance(result.action, Sleep):
        rule = result.action.rule
        has_slept = resumed_at is not None and resumed_at >= result.started_at
        power = replace(power, last_sleep_result=result)
        if not _is_current_rule(result.action, context.options):
            pass
        elif not result.ok:
            power = replace(power, failures=_with_failure(power, rule, result.ended_at))
        elif not has_slept:  # otherwise the reply came after the wake-up, and the rule may act again
            power = replace(power, completed_rules=power.completed_rules | {rule})
    return _record_failure_to_sleep(power, context.options, context.now)


def _sleep_action(n: int, rule: SleepRule) -> Sleep:
    return Sleep(n, rule.action, rule.command, rule.timeout)


def _is_current_rule(action: Sleep, options: Options) -> bool:
    """Whether the present configuration still has the rule of this action."""
    return action.rule < len(options.sleep) and action == _sleep_action(
        action.rule, options.sleep[action.rule]
    )


def _record_failure_to_sleep(power: SleepMemory, options: Options, now: Moment) -> SleepMemory:
    """Count an accepted sleep that has not happened as a failure; a command's exit status suffices."""
    last = power.last_sleep_result
    if last is None or not isinstance(last.action, Sleep) or not last.ok or options.mode == "observe":
        return power
    rule = last.action.rule
    if (
        last.action.sleep_action == "command"
        or rule not in power.completed_rules
        or now.mono - last.ended_at < SLEEP_FAILED_AFTER
    ):
        return power
    return replace(
        power,
        completed_rules=power.completed_rules - {rule},
        failures=_with_failure(power, rule, last.ended_at + SLEEP_FAILED_AFTER),
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
        reason = _dozing_reason(in_progress, context)
        phase: Phase = "going-down" if reason is None else "idle"
        if reason is None:
            pending = describe_pending_sleep(in_progress, _idle_since(context), now)
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


def _dozing_reason(action: Sleep, context: Context) -> UndatedReason | None:
    """Why a sleep in preparation must not be executed: a client dozes that was absent, or one answers."""
    clients = dozing_clients(context)
    if not clients:
        return None
    subject = f"sleep rule {action.rule + 1}"
    if not _is_current_rule(action, context.options) or context.options.sleep[action.rule].dozing == "counts":
        return UndatedReason(subject, f"waits because {_describe_clients(clients)} there, dozing")
    at, text = _end_of_answers(context)
    return UndatedReason(subject, text) if at > context.now.mono else None


def describe_pending_sleep(action: Sleep, idle_since: float | None, now: Moment) -> str:
    """The reason for powerd's own sleep; the text does not change until the server sleeps.

    Args:
        action: running, or accepted.
        idle_since: CLOCK_MONOTONIC; None = a blocker has appeared since.
        now: the present time.
    """
    text = f"about to {VERBS[action.sleep_action]} by sleep rule {action.rule + 1}"
    if idle_since is None:
        return text
    since = add_seconds(now, idle_since - now.mono)
    return f"{text}: nobody has needed the server since {day_and_time(since, now)}"


def _next_step(context: Context, earliest: EarliestTime, rule: SleepRule) -> SleepAssessment:
    """The next step towards the rule's time: wait, announce, or sleep."""
    snapshot, now = context.snapshot, context.now
    announcement = _valid_announcement(context, earliest, rule)
    next_poll_at = now.mono + CLOSE_POLL_INTERVAL
    action: Action = _sleep_action(earliest.rule, rule)
    actions: tuple[Action, ...] = ()
    phase: Phase = "warning"
    at, next_decision_at, poll_before = earliest.at, next_poll_at, True
    if announcement is None and now.mono < earliest.at - rule.warn:
        phase = "idle"
        next_decision_at, poll_before = earliest.at, False
        if rule.warn > 0:
            next_decision_at, poll_before = _poll_before_announcement(snapshot, now, earliest.at - rule.warn)
    elif announcement is None and rule.warn > 0:
        action = WarnUsers(earliest.rule, rule.action, rule.warn)
        actions = () if action in snapshot.running_actions else (action,)
        at = now.mono + rule.warn
    else:
        at = earliest.at if announcement is None else max(earliest.at, announcement.ended_at + rule.warn)
        actions = (action,) if now.mono >= at else ()
        next_decision_at = next_poll_at if actions else _next_close_poll(now.mono, at)
    plan = PlannedSleep(earliest.rule, rule.action, add_seconds(now, at - now.mono))
    return SleepAssessment(actions, plan, phase, next_decision_at, poll_before=poll_before, reasons=())


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
    return key_press_reason(press) if press is not None and idle_from(press) == _idle_since(context) else None


def _valid_announcement(context: Context, earliest: EarliestTime, rule: SleepRule) -> CompletedAction | None:
    """The valid announcement: not expired or cancelled, made after idle_since and the rule's last failure."""
    result = context.snapshot.completed(WarnUsers)
    expected = WarnUsers(earliest.rule, rule.action, rule.warn)
    if result is None or result.action != expected or is_cancelled(result, context.snapshot):
        return None
    _, failed_at = _power(context).failures.get(earliest.rule, (0, float("-inf")))
    is_current = earliest.at <= result.ended_at + rule.warn + ANNOUNCEMENT_VALID_FOR
    return result if is_current and result.ended_at >= max(_idle_since(context, rule), failed_at) else None


def is_cancelled(announcement: CompletedAction, snapshot: Snapshot) -> bool:
    """Whether a cancellation of this announcement has been written to the terminals, or is being written."""
    cancellation = snapshot.completed(CancelWarning)
    return any(isinstance(each, CancelWarning) for each in snapshot.running_actions) or (
        cancellation is not None and cancellation.ended_at >= announcement.ended_at
    )


def _last_attempt_reasons(context: Context) -> list[UndatedReason]:
    """The reasons from the last attempt."""
    power = _power(context)
    last = power.last_sleep_result
    if (
        last is None
        or not isinstance(last.action, Sleep)
        or not _is_current_rule(last.action, context.options)
    ):
        return []
    subject, verb = f"sleep rule {last.action.rule + 1}", VERBS[last.action.sleep_action]
    if last.action.rule in power.failures and last.action.rule not in power.completed_rules:
        failure = "was accepted, but the server did not go to sleep" if last.ok else last.message
        return [UndatedReason(subject, f"could not {verb}: {failure}")]
    if last.action.rule in power.completed_rules:
        return [
            UndatedReason(
                subject, f"{last.message}; the rule acts again after the next activity", blocks_sleep=False
            )
        ]
    return []
