"""Everything that policy is given, and everything that it gives back.

The standing sources: what they are called, and how often they look where nothing hastens them.

What they look at tells of its changes, so the rhythm is only a net below that; policy knows by it which
word is too old.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, NewType, TypeAlias

from powerd.core.actions import Action, CompletedAction, Mode, SleepAction
from powerd.core.time import Moment, Reading, Unavailable
from powerd.disks.disk_id import DiskId
from powerd.disks.model import Disk, DiskAction, DiskActivity, GroupSpinUp, GroupWatch
from powerd.disks.state import DiskMemory, DiskReport
from powerd.power.model import (
    Inhibitor,
    KeyPress,
    NetworkCard,
    ShutdownInProgress,
    SystemdTimer,
    WakeEvent,
    WakeStormState,
    WakeTime,
)
from powerd.presence.model import Client, ClientId, ClientStatus, Observation
from powerd.requests.model import KeepAwake, KeepAwakeId
from powerd.smart.model import SmartRecord, SmartReport

SourceId = NewType("SourceId", str)
"""A source's name, as users see it in reasons: ``clients``, ``checks.users``."""


class Reason(NamedTuple):
    """Why the server is awake, or what else a person should know. A tuple, for there is one for each disk.

    Attributes:
        subject: the client, source or rule that it is about.
        text: shown verbatim by every face; never holds a number that changes by the minute.
        since: when it first held.
        blocks_sleep: False for a remark that holds nothing up.
    """

    subject: str
    text: str
    since: Moment
    blocks_sleep: bool = True


Phase: TypeAlias = Literal["starting", "awake", "idle", "warning", "going-down", "asleep"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that is known at one moment; the only thing that policy may look at.

    Attributes:
        sources: each source's word on itself; ``Seen`` holds its warnings (skipped lease blocks).
        clients: every client that a source names.
        observations: what was observed of each of them; a missing one has not been asked yet.
        checks: activity checks by name; a Seen str is a reason to stay awake, a Seen None is none.
        keep_awake: who wants the server awake on purpose.
        inhibitors: other people's inhibitor locks, of any mode.
        key_press: the last sign of a person in a login session; None = none is known of.
        timers: systemd timers for which the server is to be up.
        network_cards: by what each network card of the LAN can wake the server.
        shutdown: the server is on its way down, by whomever's order; None = it is not.
        wake_event: the last wake-up; None = none since powerd started.
        completed_actions: the last outcome of each kind of order (``warn``, ``sleep``).
        running_actions: orders being obeyed at this moment.
        disks: every whole disk.
        activity: what the counters of each say.
        completed_disk_actions: the last outcome of each kind of order to each disk.
        group_spin_ups: the last time that each group was woken as a whole.
        smart_history: what is remembered of the health of each disk that can tell it.
        spin_down_requests: CLOCK_MONOTONIC at which a person wished a disk to stand by, for each.
    """

    sources: Mapping[SourceId, Reading[tuple[str, ...]] | Unavailable] = field(
        default_factory=lambda: MappingProxyType({})
    )
    clients: Mapping[ClientId, Client] = field(default_factory=lambda: MappingProxyType({}))
    observations: Mapping[ClientId, Reading[Observation] | Unavailable] = field(
        default_factory=lambda: MappingProxyType({})
    )
    checks: Mapping[str, Reading[str | None] | Unavailable] = field(
        default_factory=lambda: MappingProxyType({})
    )
    keep_awake: Mapping[KeepAwakeId, KeepAwake] = field(default_factory=lambda: MappingProxyType({}))
    inhibitors: tuple[Inhibitor, ...] = ()
    key_press: KeyPress | None = None
    timers: tuple[SystemdTimer, ...] = ()
    network_cards: Mapping[str, Reading[NetworkCard] | Unavailable] = field(
        default_factory=lambda: MappingProxyType({})
    )
    shutdown: ShutdownInProgress | None = None
    wake_event: WakeEvent | None = None
    completed_actions: Mapping[type[Action], CompletedAction] = field(
        default_factory=lambda: MappingProxyType({})
    )
    running_actions: frozenset[Action] = frozenset()
    disks: Mapping[DiskId, Disk] = field(default_factory=lambda: MappingProxyType({}))
    activity: Mapping[DiskId, Reading[DiskActivity] | Unavailable] = field(
        default_factory=lambda: MappingProxyType({})
    )
    completed_disk_actions: Mapping[tuple[type[DiskAction], DiskId], CompletedAction] = field(
        default_factory=lambda: MappingProxyType({})
    )
    group_spin_ups: Mapping[str, GroupSpinUp] = field(default_factory=lambda: MappingProxyType({}))
    smart_history: Mapping[DiskId, SmartRecord] = field(default_factory=lambda: MappingProxyType({}))
    spin_down_requests: Mapping[DiskId, float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Memory:
    """What policy must remember between decisions; only decide() makes a new one, and only from facts.

    Attributes:
        started_at: the first decision of this process.
        last_decision_at: the moment of the latest decision; clock steps and sleeps are seen against it.
        resumed_at: monotonic time of the last resume; facts from before it are void.
        clock_stepped_at: monotonic time at which the wall clock last stepped.
        idle_since: since when nothing has kept the server awake; None while something does.
        client_statuses: the last word on each client.
        reasons_since: when each reason, by (subject, text), first held.
        failures: consecutive failed attempts of each rule, and when the last one failed.
        completed_rules: rules carried out since idle_since.
        last_sleep_result: the latest sleep outcome already taken into account.
        wake_storm: wake-ups for which nobody came.
        busy_until: the monotonic time until which the server stays up for what is due too soon to sleep
            before, and
            what that is.
        disks: what is remembered of each disk, also of one that is gone for now.
        last_activity: the counters of each disk as the last decision saw them.
    """

    started_at: Moment
    last_decision_at: Moment
    resumed_at: float | None = None
    clock_stepped_at: float | None = None
    idle_since: float | None = None
    client_statuses: Mapping[ClientId, ClientStatus] = field(default_factory=lambda: MappingProxyType({}))
    reasons_since: Mapping[tuple[str, str], Moment] = field(default_factory=lambda: MappingProxyType({}))
    failures: Mapping[int, tuple[int, float]] = field(default_factory=lambda: MappingProxyType({}))
    completed_rules: frozenset[int] = frozenset()
    last_sleep_result: CompletedAction | None = None
    wake_storm: WakeStormState = field(default_factory=WakeStormState)
    busy_until: tuple[float, str] | None = None
    disks: Mapping[DiskId, DiskMemory] = field(default_factory=lambda: MappingProxyType({}))
    last_activity: Mapping[DiskId, Reading[DiskActivity] | Unavailable] = field(
        default_factory=lambda: MappingProxyType({})
    )

    @classmethod
    def initial(cls, now: Moment) -> Memory:
        """The memory of a daemon that has just started."""
        return cls(started_at=now, last_decision_at=now)


@dataclass(frozen=True, slots=True)
class PlannedSleep:
    """The sleep that is coming if nothing stirs: which rule, what, and when at the earliest."""

    rule: int
    sleep_action: SleepAction
    at: Moment


@dataclass(frozen=True, slots=True)
class Decision:
    """What decide() says.

    Attributes:
        actions: to be obeyed now.
        reasons: why the server is awake, weightiest first, then remarks.
        memory: to be handed to the next decide().
        next_decision_at: CLOCK_MONOTONIC by which to ask again even if no fact changes.
        needs_fresh_readings: a sleep is near, so every source should look afresh before the next question.
        phase: the state shown to people.
        planned_sleep: the earliest sleep in sight; None when no rule can lead to one, or something keeps
            it awake.
        client_statuses: one per known client.
        wake_time: when the server has to be up again should it sleep now; None = nothing asks for that.
        disks: one per disk, in the order of the snapshot.
        watched_groups: groups that are to be watched until another decision says otherwise.
        smart: the health of each disk that can tell it.
        next_disk_poll_at: CLOCK_MONOTONIC by which their counters are wanted afresh; inf = at leisure.
    """

    actions: tuple[Action, ...]
    reasons: tuple[Reason, ...]
    memory: Memory
    next_decision_at: float
    needs_fresh_readings: bool
    phase: Phase
    planned_sleep: PlannedSleep | None
    client_statuses: tuple[ClientStatus, ...]
    wake_time: WakeTime | None = None
    disks: tuple[DiskReport, ...] = ()
    watched_groups: tuple[GroupWatch, ...] = ()
    smart: Mapping[DiskId, SmartReport] = field(default_factory=lambda: MappingProxyType({}))
    next_disk_poll_at: float = float("inf")


@dataclass(frozen=True, slots=True)
class Status:
    """All that a face may see: the last decision, what it was made from, and when."""

    now: Moment
    mode: Mode
    snapshot: Snapshot
    decision: Decision
    phase_since: Moment
    """When the present phase began."""


LOGIND: Final = SourceId("logind")
TIMERS: Final = SourceId("timers")
NETWORK_CARDS: Final = SourceId("cards")

POLL_INTERVALS: Final[Mapping[SourceId, float]] = MappingProxyType(
    {LOGIND: 900.0, TIMERS: 900.0, NETWORK_CARDS: 86_400.0}
)
"""Seconds between two looks."""
