"""Everything that policy is given, and everything that it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, NamedTuple, NewType, TypeAlias

from powerd.model.clients import Client, ClientId, Sighting, Verdict
from powerd.model.disk_id import DiskId
from powerd.model.disk_states import DiskMemory, DiskReport
from powerd.model.disks import Activity, Disk, DiskOrder, Guard, Roused
from powerd.model.health import Record, SmartReport
from powerd.model.orders import Action, Mode, Order, Outcome
from powerd.model.power import Card, Inhibitor, KeyPress, Leaving, Timer, Unrest, Wake, Waking
from powerd.model.time import Blind, Moment, Seen
from powerd.model.wishes import Keep, KeepId

SourceId = NewType("SourceId", str)
"""A source's name, as users see it in reasons: ``clients``, ``checks.users``."""


class Reason(NamedTuple):
    """Why the server is awake, or what else a person should know. A tuple, for there is one for each disk.

    Attributes:
        subject: the client, source or rule that it is about.
        text: shown verbatim by every face; never holds a number that changes by the minute.
        since: when it first held.
        keeps_awake: False for a remark that holds nothing up.
    """

    subject: str
    text: str
    since: Moment
    keeps_awake: bool = True


Phase: TypeAlias = Literal["starting", "awake", "idle", "warning", "going-down", "asleep"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that is known at one moment; the only thing that policy may look at.

    Attributes:
        sources: each source's word on itself; ``Seen`` holds its warnings (skipped lease blocks).
        known: every client that a source names.
        sightings: what was observed of each of them; a missing one has not been asked yet.
        checks: activity checks by name; a Seen str is a reason to stay awake, a Seen None is none.
        keeps: who wants the server awake on purpose.
        inhibitors: other people's inhibitor locks, of any mode.
        key_press: the last sign of a person in a login session; None = none is known of.
        timers: systemd timers for which the server is to be up.
        cards: by what each network card of the LAN can wake the server.
        leaving: the server is on its way down, by whomever's order; None = it is not.
        waking: the last wake-up; None = none since powerd started.
        outcomes: the last outcome of each kind of order (``warn``, ``sleep``).
        in_flight: orders being obeyed at this moment.
        disks: every whole disk.
        activity: what the counters of each say.
        disk_outcomes: the last outcome of each kind of order to each disk.
        roused: the last time that each group was woken as a whole.
        records: what is remembered of the health of each disk that can tell it.
        standby_wishes: CLOCK_MONOTONIC at which a person wished a disk to stand by, for each.
    """

    sources: Mapping[SourceId, Seen[tuple[str, ...]] | Blind] = field(
        default_factory=lambda: MappingProxyType({})
    )
    known: Mapping[ClientId, Client] = field(default_factory=lambda: MappingProxyType({}))
    sightings: Mapping[ClientId, Seen[Sighting] | Blind] = field(default_factory=lambda: MappingProxyType({}))
    checks: Mapping[str, Seen[str | None] | Blind] = field(default_factory=lambda: MappingProxyType({}))
    keeps: Mapping[KeepId, Keep] = field(default_factory=lambda: MappingProxyType({}))
    inhibitors: tuple[Inhibitor, ...] = ()
    key_press: KeyPress | None = None
    timers: tuple[Timer, ...] = ()
    cards: Mapping[str, Seen[Card] | Blind] = field(default_factory=lambda: MappingProxyType({}))
    leaving: Leaving | None = None
    waking: Waking | None = None
    outcomes: Mapping[type[Order], Outcome] = field(default_factory=lambda: MappingProxyType({}))
    in_flight: frozenset[Order] = frozenset()
    disks: Mapping[DiskId, Disk] = field(default_factory=lambda: MappingProxyType({}))
    activity: Mapping[DiskId, Seen[Activity] | Blind] = field(default_factory=lambda: MappingProxyType({}))
    disk_outcomes: Mapping[tuple[type[DiskOrder], DiskId], Outcome] = field(
        default_factory=lambda: MappingProxyType({})
    )
    roused: Mapping[str, Roused] = field(default_factory=lambda: MappingProxyType({}))
    records: Mapping[DiskId, Record] = field(default_factory=lambda: MappingProxyType({}))
    standby_wishes: Mapping[DiskId, float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Memory:
    """What policy must remember between decisions; only decide() makes a new one, and only from facts.

    Attributes:
        started: the first decision of this process.
        last: the moment of the latest decision; clock steps and sleeps are seen against it.
        resumed: monotonic time of the last resume; facts from before it are void.
        stepped: monotonic time at which the wall clock last stepped.
        idle_since: since when nothing has kept the server awake; None while something does.
        verdicts: the last word on each client.
        since: when each reason, by (subject, text), first held.
        failures: consecutive failed attempts of each rule, and when the last one failed.
        done: rules carried out since idle_since.
        outcome: the latest sleep outcome already taken into account.
        unrest: wake-ups for which nobody came.
        duty: the monotonic time until which the server stays up for what is due too soon to sleep before, and
            what that is.
        disks: what is remembered of each disk, also of one that is gone for now.
        disk_looks: the counters of each disk as the last decision saw them.
    """

    started: Moment
    last: Moment
    resumed: float | None = None
    stepped: float | None = None
    idle_since: float | None = None
    verdicts: Mapping[ClientId, Verdict] = field(default_factory=lambda: MappingProxyType({}))
    since: Mapping[tuple[str, str], Moment] = field(default_factory=lambda: MappingProxyType({}))
    failures: Mapping[int, tuple[int, float]] = field(default_factory=lambda: MappingProxyType({}))
    done: frozenset[int] = frozenset()
    outcome: Outcome | None = None
    unrest: Unrest = field(default_factory=Unrest)
    duty: tuple[float, str] | None = None
    disks: Mapping[DiskId, DiskMemory] = field(default_factory=lambda: MappingProxyType({}))
    disk_looks: Mapping[DiskId, Seen[Activity] | Blind] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def newborn(cls, now: Moment) -> Memory:
        """The memory of a daemon that has just started."""
        return cls(started=now, last=now)


@dataclass(frozen=True, slots=True)
class Plan:
    """The sleep that is coming if nothing stirs: which rule, what, and when at the earliest."""

    rule: int
    action: Action
    at: Moment


@dataclass(frozen=True, slots=True)
class Decision:
    """What decide() says.

    Attributes:
        orders: to be obeyed now.
        reasons: why the server is awake, weightiest first, then remarks.
        memory: to be handed to the next decide().
        look_again: CLOCK_MONOTONIC by which to ask again even if no fact changes.
        closely: a sleep is near, so every source should look afresh before the next question.
        phase: the state shown to people.
        plan: the earliest sleep in sight; None when no rule can lead to one, or something keeps it awake.
        verdicts: one per known client.
        wake: when the server has to be up again should it sleep now; None = nothing asks for that.
        disks: one per disk, in the order of the snapshot.
        guards: groups that are to be watched until another decision says otherwise.
        smart: the health of each disk that can tell it.
        look_at_disks: CLOCK_MONOTONIC by which their counters are wanted afresh; inf = at leisure.
    """

    orders: tuple[Order, ...]
    reasons: tuple[Reason, ...]
    memory: Memory
    look_again: float
    closely: bool
    phase: Phase
    plan: Plan | None
    verdicts: tuple[Verdict, ...]
    wake: Wake | None = None
    disks: tuple[DiskReport, ...] = ()
    guards: tuple[Guard, ...] = ()
    smart: Mapping[DiskId, SmartReport] = field(default_factory=lambda: MappingProxyType({}))
    look_at_disks: float = float("inf")


@dataclass(frozen=True, slots=True)
class Status:
    """All that a face may see: the last decision, what it was made from, and when."""

    now: Moment
    mode: Mode
    snapshot: Snapshot
    decision: Decision
    since: Moment
    """When the present phase began."""
