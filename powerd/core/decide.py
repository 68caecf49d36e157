"""decide(): a pure function from facts to one Decision, without clock, I/O or logging.

It merges the assessments of the registered domains and fails closed: the server stays awake if a required
domain is missing, if a domain or an essential service raises, or if a source that a domain requires has no
reading that may be used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from powerd.config.options import Options
from powerd.core.actions import Action
from powerd.core.domain import MIN_WAIT, REQUIRED_DOMAINS, Assessment, Conclusion, Context, Domain
from powerd.core.reasons import (
    UndatedReason,
    failure_text,
    reason_since,
    reason_unreliable,
    unavailable_reason,
)
from powerd.core.snapshot import Decision, Memory, Reason, ServiceFailures, Snapshot
from powerd.core.time import CLOCK_STEP_TOLERANCE, MIN_SLEEP, Moment

_DEFERRED_SLEEP_INTERVAL: Final = 10.0
"""Seconds until the next decision while running actions defer a sleep."""
SERVICE_FAILED_FOR: Final = 600.0
"""Seconds for which an exception in an essential service keeps the server awake."""


def decide(
    snapshot: Snapshot, memory: Memory, options: Options, now: Moment, domains: Sequence[Domain]
) -> Decision:
    """Decide what to do now, why, and when to decide again.

    Args:
        snapshot: all facts, each with the CLOCK_MONOTONIC time at which it was true.
        memory: of the previous decision, or Memory.initial().
        options: the configuration in force.
        now: the present moment.
        domains: in the order of their blockers.
    """
    memory, failures = _detect_resume_and_clock_step(snapshot, memory, now, domains)
    context = Context(snapshot, memory, options, now)
    failures = (*_missing_domains(domains), *_failed_services(snapshot, now), *failures)
    if failures:
        context = context.add(Assessment(blockers=failures))
    return _merge(*_conclude(domains, assess_domains(domains, context)))


def assess_domains(domains: Sequence[Domain], context: Context) -> Context:
    """The context with the assessments of all domains.

    An exception is a blocker, and the memory of its domain stays as it was.
    """
    for domain in domains:
        try:
            context = _check_sources(domain, context)
            context = context.add(domain.assess(context))
        except Exception as error:  # noqa: BLE001 - a failed domain keeps the server awake and shows why
            context = context.add(Assessment(blockers=_failure(domain.name, error)))
    return context


def _check_sources(domain: Domain, context: Context) -> Context:
    """The context with a blocker for each unreliable source of a domain, unless there is one already."""
    required = domain.required_sources(context.options)
    if not required:
        return context
    snapshot, memory, now = context.snapshot, context.memory, context.now
    problems, blockers = dict(context.source_problems), list[UndatedReason]()
    for source, max_age in required.items():
        if problems.get(source) is None:
            problem = reason_unreliable(snapshot.sources.get(source), max_age, memory, now)
            problems[source] = problem
            if problem is not None:
                blockers.append(unavailable_reason(source, problem, memory, now))
    context = Context(snapshot, memory, context.options, now, context.merged, problems)
    return context.add(Assessment(blockers=tuple(blockers))) if blockers else context


def _missing_domains(domains: Sequence[Domain]) -> tuple[UndatedReason, ...]:
    names = [domain.name for domain in domains]
    missing = [name for name in REQUIRED_DOMAINS if name not in names]
    text = "is not registered, so powerd cannot determine whether the server may sleep"
    return tuple([UndatedReason(name, text, confirmed=False) for name in missing])


def _failed_services(snapshot: Snapshot, now: Moment) -> tuple[UndatedReason, ...]:
    failures = snapshot.part(ServiceFailures).failures.items()
    return tuple(
        [
            UndatedReason(name, text if at <= now.mono else f"{text}; restart powerd", confirmed=False)
            for name, (text, at) in failures
            if now.mono - at < SERVICE_FAILED_FOR
        ]
    )


def _failure(name: str, error: Exception) -> tuple[UndatedReason, ...]:
    return (UndatedReason(name, failure_text(error), confirmed=False),)


def _conclude(domains: Sequence[Domain], context: Context) -> tuple[Context, Conclusion]:
    """The conclusion of the domain with conclude(); "awake" and a blocker if there is none or it raises."""
    for domain in domains:
        if domain.conclude is not None:
            try:
                conclusion = domain.conclude(context)
                return context.with_memory(context.memory.with_parts(*conclusion.memory)), conclusion
            except Exception as error:  # noqa: BLE001 - a failed domain keeps the server awake and shows why
                # Idleness restarts: a client may come and leave before conclude() works again.
                context = context.with_memory(domain.on_reconfigure(context.memory))
                return context.add(Assessment(blockers=_failure(domain.name, error))), Conclusion("awake")
    text = "no domain decides whether the server may sleep"
    nobody = Assessment(blockers=(UndatedReason("sleep", text, confirmed=False),))
    return context.add(nobody), Conclusion("awake")


def _merge(context: Context, conclusion: Conclusion) -> Decision:
    """The decision from the conclusion and the assessments.

    A running action of a domain defers a sleep, and a sleep postpones the actions of domains.
    """
    now, merged = context.now, context.merged
    blockers = merged.blockers
    if conclusion.passes_over_clients:
        blockers = tuple([each._replace(blocks_sleep=False) if each.is_client else each for each in blockers])
    undated = (*conclusion.reasons, *blockers, *merged.remarks, *conclusion.remarks)
    reasons = tuple(
        [
            Reason(
                each.subject,
                each.text,
                reason_since(context.memory, each, now),
                each.blocks_sleep,
                each.confirmed,
            )
            for each in undated
        ]
    )
    memory = replace(
        context.memory,
        reasons_since={(reason.subject, reason.text): reason.since for reason in reasons},
    )
    actions: tuple[Action, ...] = conclusion.actions
    next_decision_at = min(conclusion.next_decision_at, max(merged.next_decision_at, now.mono + MIN_WAIT))
    if any(
        not (each.ignorable and conclusion.ignores_ignorable)
        and not (each.is_client and conclusion.passes_over_clients)
        for each in blockers
    ):
        actions = _reversible(actions)
    if merged.defers_sleep and any(action.irreversible for action in actions):
        actions = _reversible(actions)
        next_decision_at = min(next_decision_at, now.mono + _DEFERRED_SLEEP_INTERVAL)
    elif not conclusion.postpones_actions and not any(
        action.irreversible for action in (*actions, *context.snapshot.running_actions)
    ):
        actions = (*actions, *_reversible(merged.actions))
    return Decision(
        actions,
        reasons,
        memory,
        next_decision_at,
        conclusion.needs_fresh_readings,
        conclusion.phase,
        conclusion.planned_sleep,
        merged.parts,
    )


def _reversible(actions: tuple[Action, ...]) -> tuple[Action, ...]:
    return tuple([action for action in actions if not action.irreversible])


def _detect_resume_and_clock_step(
    snapshot: Snapshot, memory: Memory, now: Moment, domains: Sequence[Domain]
) -> tuple[Memory, tuple[UndatedReason, ...]]:
    """The memory after a resume and after a step of the wall clock, and failures of domains.

    The time asleep is the growth of CLOCK_BOOTTIME minus that of CLOCK_MONOTONIC. A domain may detect a sleep
    that is too short for this.
    """
    last = memory.last_decision_at
    slept = now.slept - last.slept
    passed = now.mono - last.mono + slept
    if abs(now.wall.timestamp() - last.wall.timestamp() - passed) > CLOCK_STEP_TOLERANCE + passed / 1000:
        memory = replace(memory, clock_stepped_at=now.mono)
    resumed = slept > MIN_SLEEP
    failures: list[UndatedReason] = []
    for domain in domains:
        try:
            resumed = resumed or domain.detects_resume(snapshot, memory)
        except Exception as error:  # noqa: BLE001 - a failed domain keeps the server awake and shows why
            failures += _failure(domain.name, error)
    if resumed:
        memory = replace(memory, resumed_at=now.mono)
        for domain in domains:
            try:
                memory = domain.on_resume(memory, now)
            except Exception as error:  # noqa: BLE001 - a failed domain keeps the server awake and shows why
                failures += _failure(domain.name, error)
    return replace(memory, last_decision_at=now), tuple(failures)
