"""The interface between decide() and the domains: each domain registers one Domain."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Final, TypeVar

from powerd.config.options import Options
from powerd.core.actions import Action
from powerd.core.dataclass import dataclass
from powerd.core.reasons import UndatedReason
from powerd.core.snapshot import (
    NO_PARTS,
    Memory,
    Parts,
    Phase,
    PlannedSleep,
    Snapshot,
    SourceId,
    part_of,
    with_parts,
)
from powerd.core.time import Moment

REQUIRED_DOMAINS: Final = ("presence", "activity", "power", "requests", "disks", "smart", "mqtt")
"""The server stays awake if one of these is not registered."""
MIN_WAIT: Final = 0.1
"""Minimum seconds until a decision that no changed fact causes."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Assessment:
    """The result of one domain: blockers, actions, memory and reports.

    Attributes:
        blockers: reasons to stay awake, the most important first.
        remarks: other information for users.
        actions: actions to execute unless the server goes to sleep.
        memory: parts of the new Memory.
        parts: parts of the Decision.
        withheld: targets; the actions of earlier domains on them are dropped.
        blockers_end_at: CLOCK_MONOTONIC at which the first of the blockers ends.
        next_decision_at: CLOCK_MONOTONIC of the next decision that this domain needs.
        defers_sleep: the domain executes actions that a sleep must not interrupt.
    """

    blockers: tuple[UndatedReason, ...] = ()
    remarks: tuple[UndatedReason, ...] = ()
    actions: tuple[Action, ...] = ()
    memory: tuple[object, ...] = ()
    parts: tuple[object, ...] = ()
    withheld: frozenset[Hashable] = frozenset()
    blockers_end_at: float = float("inf")
    next_decision_at: float = float("inf")
    defers_sleep: bool = False


@dataclass(frozen=True, slots=True)
class Merged:
    """The assessments of several domains, merged in their order. Attributes are those of Assessment."""

    blockers: tuple[UndatedReason, ...] = ()
    remarks: tuple[UndatedReason, ...] = ()
    actions: tuple[Action, ...] = ()
    parts: Parts = field(default_factory=lambda: NO_PARTS)
    blockers_end_at: float = float("inf")
    next_decision_at: float = float("inf")
    defers_sleep: bool = False

    def part(self, cls: type[T]) -> T:
        """The report of class ``cls`` by an earlier domain; ``cls()`` if there is none."""
        return part_of(self.parts, cls)

    def add(self, assessment: Assessment) -> Merged:
        """A copy with one more assessment."""
        remaining = self.actions
        if assessment.withheld:
            remaining = tuple([each for each in remaining if each.target not in assessment.withheld])
        return Merged(
            blockers=(*self.blockers, *assessment.blockers),
            remarks=(*self.remarks, *assessment.remarks),
            actions=(*remaining, *assessment.actions),
            parts=with_parts(self.parts, assessment.parts) if assessment.parts else self.parts,
            blockers_end_at=min(self.blockers_end_at, assessment.blockers_end_at),
            next_decision_at=min(self.next_decision_at, assessment.next_decision_at),
            defers_sleep=self.defers_sleep or assessment.defers_sleep,
        )


@dataclass(frozen=True, slots=True)
class Context:
    """The input of a domain.

    Attributes:
        snapshot: all facts.
        memory: of the previous decision, with the new memory of the domains before this one.
        options: the configuration in force.
        now: the present moment.
        merged: the assessments of the domains before this one.
        source_problems: of each source that this domain and those before it require, why its reading must not
            be used; None = it may be used.
    """

    snapshot: Snapshot
    memory: Memory
    options: Options
    now: Moment
    merged: Merged = field(default_factory=Merged)
    source_problems: Mapping[SourceId, str | None] = field(default_factory=lambda: MappingProxyType({}))

    def add(self, assessment: Assessment) -> Context:
        """The context of the next domain."""
        memory = self.memory.with_parts(*assessment.memory) if assessment.memory else self.memory
        # Not by replace(), which takes 4 us instead of 1 us, for each domain of each decision.
        merged = self.merged.add(assessment)
        return Context(self.snapshot, memory, self.options, self.now, merged, self.source_problems)

    def with_memory(self, memory: Memory) -> Context:
        """The context with another memory."""
        return Context(self.snapshot, memory, self.options, self.now, self.merged, self.source_problems)

    def is_reliable(self, source: SourceId) -> bool:
        """Whether the readings of a required source may be used; decide() adds the blocker if not.

        Raises:
            KeyError: no domain requires the source, so nothing would block sleep while it is unavailable.
        """
        return self.source_problems[source] is None


@dataclass(frozen=True, slots=True)
class Conclusion:
    """Whether the server may sleep, from all assessments.

    Attributes:
        phase: the state shown to users.
        reasons: the reasons of this domain, before those of the assessments.
        remarks: its remarks, after all others.
        actions: actions to execute; only these may be irreversible.
        memory: parts of the new Memory.
        planned_sleep, next_decision_at, needs_fresh_readings: as in Decision.
        postpones_actions: decide() drops the actions of the assessments this time.
        ignores_ignorable: the actions are those of a rule that ignores ignorable blockers.
        passes_over_clients: a person has requested a sleep although clients are present, so these block
            nothing.
    """

    phase: Phase
    reasons: tuple[UndatedReason, ...] = ()
    remarks: tuple[UndatedReason, ...] = ()
    actions: tuple[Action, ...] = ()
    memory: tuple[object, ...] = ()
    planned_sleep: PlannedSleep | None = None
    next_decision_at: float = float("inf")
    needs_fresh_readings: bool = False
    postpones_actions: bool = False
    ignores_ignorable: bool = False
    passes_over_clients: bool = False


def no_sources(_: Options) -> Mapping[SourceId, float]:
    """The required sources of a domain whose blockers need no source."""
    return {}


@dataclass(frozen=True, slots=True)
class Domain:
    """One domain, as registered with decide() and the engine. All functions are pure.

    Attributes:
        name: shown to users as the subject of a failure of the domain.
        assess: returns the blockers, actions and reports of the domain.
        required_sources: returns the sources without which the domain cannot tell whether the server may
            sleep, each with the age in seconds above which its reading is stale. decide() makes a blocker of
            each that is unavailable, stale or not polled yet. No default, so that no domain forgets them.
        conclude: decides whether the server may sleep; exactly one domain has it.
        detects_resume: returns whether the facts show a sleep that the clocks do not show.
        on_resume: returns the memory after the server has slept; ``memory.resumed_at`` is set already.
        on_reconfigure: returns the memory after a change of the configuration.
    """

    name: str
    assess: Callable[[Context], Assessment]
    required_sources: Callable[[Options], Mapping[SourceId, float]]
    conclude: Callable[[Context], Conclusion] | None = None
    detects_resume: Callable[[Snapshot, Memory], bool] = lambda _snapshot, _memory: False
    on_resume: Callable[[Memory, Moment], Memory] = lambda memory, _now: memory
    on_reconfigure: Callable[[Memory], Memory] = lambda memory: memory
