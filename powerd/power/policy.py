"""Whether the server may sleep: the reasons of the power domain, and the conclusion from all reasons."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from powerd.core.actions import Sleep
from powerd.core.domain import MIN_WAIT, Assessment, Conclusion, Context
from powerd.core.reasons import UndatedReason
from powerd.core.snapshot import Memory, Phase, Snapshot
from powerd.core.time import Moment
from powerd.power import wake_storm
from powerd.power.blockers import find_machine_blockers, idle_from, machine_remarks
from powerd.power.cancellation import cancellation_actions
from powerd.power.earliest_time import REQUESTED_RULE, passes_over_clients
from powerd.power.model import (
    LogindFacts,
    PowerReport,
    SleepCancelled,
    SleepMemory,
    SleepUnconfirmed,
    TransitionFacts,
)
from powerd.power.shutdown import shutdown_reason
from powerd.power.sleep_rules import (
    CLOSE_POLL_INTERVAL,
    VERBS,
    assess_sleep,
    dozing_remarks,
    failure_text,
    record_result,
    restart_rules,
)
from powerd.power.wake_schedule import current_busy_until, next_wake_time, wake_remarks

_NO_RULE: Final = UndatedReason(
    "sleep",
    "no [[sleep]] rule is configured, so the server never sleeps; `powerd setup` adds one",
    blocks_sleep=False,
)


def detects_resume(snapshot: Snapshot, memory: Memory) -> bool:
    """Whether there was a sleep since the last decision that was too short for the clocks."""
    event = snapshot.part(TransitionFacts).wake_event
    return (
        event is not None
        and not event.clock_advanced
        and event != memory.part(SleepMemory).wake_storm.last_event
    )


def on_reconfigure(memory: Memory) -> Memory:
    """The memory after a change of the configuration.

    The user who changes it is present, so idleness begins again, and with it the warning, which observe mode
    has not shown.
    """
    power = memory.part(SleepMemory).begin_idleness()
    return memory.with_parts(replace(power, used_at=None, failed_sleep=None))


def on_resume(memory: Memory, now: Moment) -> Memory:
    """The memory after a wake-up of the server."""
    power = memory.part(SleepMemory)
    return memory.with_parts(
        replace(
            power.begin_idleness(),
            used_at=None,
            busy_until=None,
            failed_sleep=None,
            awaited_sleep=None,
            wake_storm=wake_storm.record_wakeup(power.wake_storm, now),
        )
    )


def assess(context: Context) -> Assessment:
    """Locks, key presses and network cards are blockers. Records the result of the last sleep."""
    snapshot, options, now = context.snapshot, context.options, context.now
    wake_time = next_wake_time(snapshot, options, now)
    in_transition = shutdown_reason(snapshot, context.memory, now) is not None
    result = record_result(context, in_transition=in_transition)
    key_press, blockers_end_at = snapshot.part(LogindFacts).key_press, float("inf")
    if key_press is not None and (left := idle_from(key_press) - now.mono) > 0:
        blockers_end_at = now.mono + left
    return Assessment(
        blockers=tuple(find_machine_blockers(context)),
        remarks=(
            *(() if options.sleep else (_NO_RULE,)),
            *machine_remarks(snapshot, options, wake_time),
            *wake_remarks(snapshot, options, now),
        ),
        memory=(_with_failed_sleep(context, result),),
        parts=(PowerReport(wake_time),),
        blockers_end_at=blockers_end_at,
    )


def _with_failed_sleep(context: Context, power: SleepMemory) -> SleepMemory:
    """The memory with the failure to sleep that has just been recorded for a rule, if there is one."""
    before, result = context.memory.part(SleepMemory), power.last_sleep_result
    if result is None or not isinstance(result.action, Sleep):
        return power
    rule, action = result.action.rule, result.action.sleep_action
    count, at = power.failures.get(rule, (0, 0.0))
    if count <= before.failures.get(rule, (0, 0.0))[0]:
        ran = result.ok and action == "command" and not isinstance(result.answer, SleepUnconfirmed)
        ran = ran and result != before.last_sleep_result
        return replace(power, failed_sleep=None) if ran else power
    if isinstance(result.answer, SleepCancelled):
        return power
    first_at = at if power.failed_sleep is None else power.failed_sleep[0]
    return replace(
        power, failed_sleep=(first_at, f"could not {VERBS[action]}: {failure_text(result, context.snapshot)}")
    )


def conclude(context: Context) -> Conclusion:
    """The phase, the planned sleep and its actions."""
    snapshot, now, options = context.snapshot, context.now, context.options
    blockers = context.merged.blockers
    ignored = bool(blockers) and all(each.ignorable for each in blockers)
    over_clients = passes_over_clients(context)
    passed = over_clients and all(each.is_client for each in blockers)
    postpones = snapshot.part(TransitionFacts).shutdown is not None
    power = _with_blockers(_with_use(context), context, ignored=ignored, passed=passed)
    memory = context.memory.with_parts(power)
    in_transition = shutdown_reason(snapshot, memory, now)
    if in_transition is not None:
        return Conclusion(
            "going-down",
            reasons=(in_transition,),
            memory=(power,),
            next_decision_at=now.mono + CLOSE_POLL_INTERVAL,
            postpones_actions=postpones,
        )
    if blockers and not passed and not (ignored and any(rule.dozing == "ignored" for rule in options.sleep)):
        if ignored:
            power = _with_idle_since(power, snapshot, now, dozing=True)
            context = context.with_memory(memory.with_parts(power))
        phase: Phase = "starting" if _is_starting(context) else "awake"
        return Conclusion(
            phase,
            remarks=tuple(dozing_remarks(context)) if ignored else (),
            actions=cancellation_actions(context),
            memory=(power,),
            next_decision_at=max(context.merged.blockers_end_at, now.mono + MIN_WAIT),
            postpones_actions=postpones,
            passes_over_clients=over_clients,
        )
    if ignored or not blockers:
        power = _with_idle_since(power, snapshot, now, dozing=ignored)
    context = context.with_memory(memory.with_parts(power))
    next_step = assess_sleep(context)
    actions = next_step.actions
    if next_step.phase == "idle":
        actions = cancellation_actions(context, next_step.reasons)
    wake_time = context.merged.part(PowerReport).wake_time
    return Conclusion(
        next_step.phase,
        reasons=next_step.reasons,
        remarks=tuple(dozing_remarks(context)) if ignored and not passed else (),
        actions=tuple(
            [replace(each, wake_time=wake_time) if isinstance(each, Sleep) else each for each in actions]
        ),
        memory=(power,),
        planned_sleep=next_step.plan,
        next_decision_at=next_step.next_decision_at,
        needs_fresh_readings=next_step.poll_before,
        postpones_actions=postpones,
        ignores_ignorable=ignored,
        passes_over_clients=over_clients,
    )


def _with_blockers(power: SleepMemory, context: Context, *, ignored: bool, passed: bool) -> SleepMemory:
    """The memory in which the present blockers have ended idleness, for the rules that they hold.

    ``ignored``: all of them are dozing clients; ``passed``: all of them are clients, and a person has
    requested a sleep nevertheless. Rules that were executed or have failed may act again.
    """
    blockers, rules = context.merged.blockers, context.options.sleep
    if passed:
        key_press = context.snapshot.part(LogindFacts).key_press
        since = [context.now.mono if power.free_since is None else power.free_since]
        power = replace(power, free_since=max([*since, *([idle_from(key_press)] if key_press else [])]))
    elif power.free_since is not None:
        power = replace(power, free_since=None)
    if not blockers:
        return power
    if not ignored and not passed:
        return power.begin_idleness()
    held = [n for n, rule in enumerate(rules) if not ignored or rule.dozing == "counts"]
    power = restart_rules(power, [n for n in held if not (passed and n == REQUESTED_RULE)])
    return replace(power, idle_since=None, unused_since=power.unused_since if ignored else None)


def _with_use(context: Context) -> SleepMemory:
    """Whether the last wake-up was needed, and the event for which the server stays up."""
    snapshot, power, resumed_at = (
        context.snapshot,
        context.memory.part(SleepMemory),
        context.memory.resumed_at,
    )
    key_press = snapshot.part(LogindFacts).key_press
    key_pressed = key_press is not None and resumed_at is not None and key_press.at >= resumed_at
    blockers, now = context.merged.blockers, context.now.mono
    needed = key_pressed or any(reason.confirmed for reason in blockers)
    return replace(
        power,
        used_at=_last_use(power.used_at, [each for each in blockers if not each.ignorable], now),
        wake_storm=wake_storm.record_activity(power.wake_storm, snapshot, needed=needed),
        busy_until=current_busy_until(snapshot, power.busy_until, context.options, context.now),
    )


def _last_use(before: float | None, blockers: Iterable[UndatedReason], now: float) -> float | None:
    """CLOCK_MONOTONIC of the last proof that the server was used; None = it is until a blocker ends."""
    latest = now if before is None else before  # a blocker without a time has just ended
    for each in blockers:
        if each.needed_until is None:
            return None
        latest = max(latest, each.needed_until)
    return latest


def _with_idle_since(power: SleepMemory, snapshot: Snapshot, now: Moment, *, dozing: bool) -> SleepMemory:
    """Since when nothing has kept the server awake; a later key press restarts idleness.

    ``dozing``: dozing clients keep it awake, and nothing else does.
    """
    key_press = snapshot.part(LogindFacts).key_press
    pressed = float("-inf") if key_press is None else idle_from(key_press)
    quiet_since = power.quiet_since
    if quiet_since is not None and quiet_since < pressed:
        power = replace(power, completed_rules=frozenset(), failures={})
    unused_since = power.used_at if power.unused_since is None else power.unused_since
    unused_since = now.mono if unused_since is None else unused_since
    idle_since = now.mono if power.idle_since is None else power.idle_since
    return replace(
        power,
        idle_since=None if dozing else max(idle_since, pressed),
        unused_since=max(unused_since, pressed),
    )


def _is_starting(context: Context) -> bool:
    """Whether a source has not been polled yet."""
    return context.memory.resumed_at is None and any(
        source not in context.snapshot.sources for source in context.source_problems
    )
