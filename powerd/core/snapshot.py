"""The input and the output of decide(): Snapshot, Memory and Decision, each with one typed part per domain.

A part is a frozen dataclass in which every field has a default; its class is its key.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import field, replace
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, NewType, TypeAlias, TypeVar

from powerd.core.actions import Action, CompletedAction, Mode, SleepAction
from powerd.core.dataclass import dataclass
from powerd.core.time import Moment, Reading, Unavailable

SourceId = NewType("SourceId", str)
"""The name of a source, as users see it in reasons: ``clients``, ``logind``."""
T = TypeVar("T")


class Reason(NamedTuple):
    """A reason why the server is awake, or a remark. A tuple, because each of many disks may have one.

    Attributes:
        subject: the client, source or rule concerned.
        text: shown to users unchanged; contains no number that changes every minute.
        since: when the reason began.
        blocks_sleep: False for a remark.
        confirmed: something was observed that needs the server; False if a state is merely unknown.
    """

    subject: str
    text: str
    since: Moment
    blocks_sleep: bool = True
    confirmed: bool = True


Phase: TypeAlias = Literal["starting", "awake", "idle", "warning", "going-down", "asleep"]


Parts: TypeAlias = MappingProxyType[type, Any]
"""One instance of each of some classes, by its class; a part that is replaced copies the mapping in C."""
NO_PARTS: Final[Parts] = MappingProxyType({})
_DEFAULTS: Final[dict[type, Any]] = {}
"""Default instances by class, for parts that do not exist; they are frozen, so all callers share them."""


def part_of(parts: Parts, cls: type[T]) -> T:
    """The part of class ``cls``; ``cls()`` if there is none."""
    part: T | None = parts.get(cls)
    if part is None and (part := _DEFAULTS.get(cls)) is None:
        part = _DEFAULTS[cls] = cls()
    return part


def parts_by_type(*parts: object) -> Parts:
    """A mapping from the class of each part to the part."""
    return with_parts(NO_PARTS, parts)


def with_parts(old: Parts, new: Iterable[object]) -> Parts:
    """A copy of ``old`` in which each new part replaces the one of its class."""
    return MappingProxyType(old | {type(part): part for part in new})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All facts at one moment, the only facts that decide() uses.

    Attributes:
        sources: the status of each source: a Reading of its warnings, or Unavailable.
        completed_actions: the last result of each kind of action on each target.
        running_actions: actions that are being executed.
        facts: the facts of each domain, by class.
    """

    sources: Mapping[SourceId, Reading[tuple[str, ...]] | Unavailable] = field(
        default_factory=lambda: MappingProxyType({})
    )
    completed_actions: Mapping[tuple[type[Action], Hashable], CompletedAction] = field(
        default_factory=lambda: MappingProxyType({})
    )
    running_actions: frozenset[Action] = frozenset()
    facts: Parts = field(default_factory=lambda: NO_PARTS)

    def part(self, cls: type[T]) -> T:
        """The facts of class ``cls``; ``cls()`` if none have been published."""
        return part_of(self.facts, cls)

    def with_parts(self, *parts: object) -> Snapshot:
        """A copy in which each of ``parts`` replaces the one of its class."""
        # Not by replace(), which takes 4 us instead of 1 us, several times a decision.
        return Snapshot(
            self.sources, self.completed_actions, self.running_actions, with_parts(self.facts, parts)
        )

    def completed(self, kind: type[Action], target: Hashable = None) -> CompletedAction | None:
        """The last result of an action of this kind on this target; None if there is none."""
        return self.completed_actions.get((kind, target))


@dataclass(frozen=True, slots=True)
class Memory:
    """The state that decide() passes from one decision to the next; only decide() makes a new one.

    Attributes:
        started_at: the start of this process.
        last_decision_at: time of the latest decision; decide() detects clock steps and resumes from it.
        resumed_at: CLOCK_MONOTONIC of the last resume; readings from before it do not count.
        clock_stepped_at: CLOCK_MONOTONIC of the last step of the wall clock.
        reasons_since: when each reason, by (subject, text), began.
        parts: the memory of each domain, by class.
    """

    started_at: Moment
    last_decision_at: Moment
    resumed_at: float | None = None
    clock_stepped_at: float | None = None
    reasons_since: Mapping[tuple[str, str], Moment] = field(default_factory=lambda: MappingProxyType({}))
    parts: Parts = field(default_factory=lambda: NO_PARTS)

    @classmethod
    def initial(cls, now: Moment, *parts: object) -> Memory:
        """The memory of a daemon that has just started, with what the domains loaded from storage."""
        return cls(started_at=now, last_decision_at=now, parts=parts_by_type(*parts))

    def part(self, cls: type[T]) -> T:
        """The memory of class ``cls``; ``cls()`` if there is none yet."""
        return part_of(self.parts, cls)

    def with_parts(self, *parts: object) -> Memory:
        """A copy in which each of ``parts`` replaces the one of its class."""
        return Memory(
            self.started_at,
            self.last_decision_at,
            self.resumed_at,
            self.clock_stepped_at,
            self.reasons_since,
            with_parts(self.parts, parts),
        )


@dataclass(frozen=True, slots=True)
class PlannedSleep:
    """The next sleep if nothing changes: the rule, the action, and the earliest time."""

    rule: int
    sleep_action: SleepAction
    at: Moment


@dataclass(frozen=True, slots=True)
class Decision:
    """The result of decide().

    Attributes:
        actions: actions to execute now.
        reasons: reasons why the server is awake, the most important first, then remarks.
        memory: the input of the next decide().
        next_decision_at: CLOCK_MONOTONIC of the next decision if no fact changes.
        needs_fresh_readings: a sleep is near, so every source is polled before the next decision.
        phase: the state shown to users.
        planned_sleep: the earliest sleep; None if no rule can lead to one, or something blocks it.
        parts: what each domain reports, by class.
    """

    actions: tuple[Action, ...]
    reasons: tuple[Reason, ...]
    memory: Memory
    next_decision_at: float
    needs_fresh_readings: bool
    phase: Phase
    planned_sleep: PlannedSleep | None
    parts: Parts = field(default_factory=lambda: NO_PARTS)

    def part(self, cls: type[T]) -> T:
        """The report of class ``cls``; ``cls()`` if its domain has made none."""
        return part_of(self.parts, cls)

    def with_parts(self, *parts: object) -> Decision:
        """A copy in which each of ``parts`` replaces the one of its class."""
        return replace(self, parts=with_parts(self.parts, parts))


@dataclass(frozen=True, slots=True)
class Status:
    """The input of the user interfaces: the last decision, its facts, and its time."""

    now: Moment
    mode: Mode
    snapshot: Snapshot
    decision: Decision
    phase_since: Moment
    """When the present phase began."""


@dataclass(frozen=True, slots=True)
class ServiceFailures:
    """The essential services in which there was an exception, by name: why, and CLOCK_MONOTONIC of it.

    The time of one at a change of the configuration is inf, because the service may not have applied it.
    """

    failures: Mapping[str, tuple[str, float]] = field(default_factory=lambda: MappingProxyType({}))
