"""Builds Snapshots, Memories and Decisions from the fields of their parts, and decides with all domains."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from powerd.activity.model import ActivityFacts, CheckResult, CheckState
from powerd.config.activity_options import default_checks
from powerd.config.options import Options
from powerd.core import decide as core
from powerd.core.actions import CompletedAction
from powerd.core.domain import Assessment, Context, Domain, Merged, no_sources
from powerd.core.reasons import UndatedReason, reason_unreliable, unavailable_reason
from powerd.core.snapshot import Decision, Memory, Snapshot
from powerd.core.time import Moment, Reading, Unavailable
from powerd.daemon import DOMAINS as REAL_DOMAINS
from powerd.disks.model import DiskEvents, DiskFacts
from powerd.disks.state import DisksMemory, DisksReport
from powerd.power.model import (
    LogindFacts,
    NetworkCardFacts,
    PowerReport,
    SleepMemory,
    SleepRequestFacts,
    TimerFacts,
    TransitionFacts,
)
from powerd.presence.model import PresenceFacts, PresenceMemory, PresenceReport
from powerd.presence.policy import max_observation_age
from powerd.requests.model import KeepAwakeFacts
from powerd.smart.model import SmartFacts, SmartReports

V = TypeVar("V", Snapshot, Memory, Decision)


@dataclass(frozen=True, slots=True)
class CheckFacts:
    """Checks of a domain that only tests register; a Reading of a str is a reason to stay awake."""

    checks: Mapping[str, Reading[str | None] | Unavailable] = field(default_factory=dict)


def _check_blockers(context: Context) -> Iterator[UndatedReason]:
    for name, check in sorted(context.snapshot.part(CheckFacts).checks.items()):
        problem = reason_unreliable(check, max_observation_age(context.options), context.memory, context.now)
        if problem is not None:
            yield unavailable_reason(f"checks.{name}", problem, context.memory, context.now)
        elif isinstance(check, Reading) and check.value is not None:
            yield UndatedReason(f"checks.{name}", check.value)


CHECKS = Domain("checks", lambda context: Assessment(blockers=tuple(_check_blockers(context))), no_sources)
DOMAINS = (REAL_DOMAINS[0], CHECKS, *REAL_DOMAINS[1:])
"""All domains of the daemon, and one more after that of the clients."""

PARTS: dict[type, tuple[type, ...]] = {
    Snapshot: (
        PresenceFacts,
        ActivityFacts,
        CheckFacts,
        LogindFacts,
        TimerFacts,
        NetworkCardFacts,
        TransitionFacts,
        KeepAwakeFacts,
        SleepRequestFacts,
        DiskFacts,
        DiskEvents,
        SmartFacts,
    ),
    Memory: (PresenceMemory, SleepMemory, DisksMemory),
    Decision: (PresenceReport, PowerReport, DisksReport, SmartReports),
}
_PART_OF = {
    owner: {each.name: part for part in parts for each in fields(part)} for owner, parts in PARTS.items()
}
assert all(len(_PART_OF[owner]) == sum(len(fields(part)) for part in parts) for owner, parts in PARTS.items())

Results = Mapping[Any, CompletedAction]


def _keyed(results: Results) -> dict[tuple[type, Hashable], CompletedAction]:
    return {(type(each.action), each.action.target): each for each in results.values()}


def changed(value: V, **facts: Any) -> V:  # noqa: ANN401 - of the field's type
    """``value`` with these fields of its own or of its parts.

    ``completed_actions`` replaces the results of actions of the server, ``completed_disk_actions`` of disks.
    """
    if isinstance(value, Snapshot):
        for name, of_disks in (("completed_actions", False), ("completed_disk_actions", True)):
            if name in facts:
                others = {
                    key: each
                    for key, each in value.completed_actions.items()
                    if (key[1] is not None) is not of_disks
                }
                value = replace(value, completed_actions={**others, **_keyed(facts.pop(name))})
    own = {each.name for each in fields(value)}
    value = replace(value, **{name: fact for name, fact in facts.items() if name in own})
    by_part: dict[type, dict[str, Any]] = {}
    for name, fact in facts.items():
        if name not in own:
            by_part.setdefault(_PART_OF[type(value)][name], {})[name] = fact
    return value.with_parts(*(replace(value.part(part), **new) for part, new in by_part.items()))


def new_snapshot(**facts: Any) -> Snapshot:  # noqa: ANN401 - of the field's type
    """A Snapshot with these fields of its own or of its parts; without work in progress."""
    return changed(Snapshot().with_parts(idle_activity(0.0)), **facts)


def idle_activity(at: float) -> ActivityFacts:
    """The checks that are on by default have found nothing."""
    return ActivityFacts({each.id: CheckResult(at, CheckState.MEASURED) for each in default_checks()})


def disk_results(snapshot: Snapshot) -> dict[tuple[type, Hashable], CompletedAction]:
    """The results of actions of disks."""
    return {key: each for key, each in snapshot.completed_actions.items() if key[1] is not None}


def decide(snapshot: Snapshot, memory: Memory, options: Options, now: Moment) -> Decision:
    """decide() with all domains."""
    return core.decide(snapshot, memory, options, now, DOMAINS)


def assess_all(snapshot: Snapshot, memory: Memory, options: Options, now: Moment) -> Merged:
    """The merged assessments of all domains."""
    return core.assess_domains(DOMAINS, Context(snapshot, memory, options, now)).merged
