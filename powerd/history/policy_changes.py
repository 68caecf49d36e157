"""What has changed between two decisions: clients, activities, other blockers, disks, and the server itself.

This runs after every decision, so it compares the states by kind and makes nothing where they are equal.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, TypeAlias

from powerd.activity.model import ActivityReport
from powerd.core.dataclass import dataclass
from powerd.core.snapshot import Status
from powerd.core.time import Moment, is_clock_believable, is_clock_plausible
from powerd.disks.state import DiskReport, DisksReport, DiskState
from powerd.history.model import SERVER, Kind, State, StateChange, Subject
from powerd.presence.model import CLIENTS, ClientState, ClientStatus, PresenceFacts, PresenceReport

AWAKE_PHASES: Final = frozenset({"starting", "awake"})
"""Phases in which something blocks sleep; in the others only the rules' own reasons do."""
_UNKNOWN_DISK_STATES: Final = frozenset({DiskState.UNKNOWN, DiskState.UNRESPONSIVE})
_ASKED_AGAIN_WITHIN: Final = 900.0
"""Seconds; after a resume, or once another client has left, an absent client is unknown for some minutes."""
_SHORTLY: Final = 120.0
"""Seconds; the answer of a client is older than the decision that it leads to."""
States: TypeAlias = Mapping[Hashable, State]


@dataclass(frozen=True, slots=True)
class KnownStates:
    """The states at the last decision.

    Attributes:
        by_kind: of each kind the state of each subject, by a key of that kind.
        subjects: those that have a state, by kind and key, as they were first recorded.
        status: the Status of that decision; None = there was none.
    """

    by_kind: Mapping[Kind, States] = field(default_factory=lambda: MappingProxyType({}))
    subjects: Mapping[tuple[Kind, Hashable], Subject] = field(default_factory=lambda: MappingProxyType({}))
    status: Status | None = None


def posix(at: Moment, now: Moment) -> float:
    """The time of an earlier Moment by the present setting of the wall clock, in whole POSIX seconds."""
    return float(round(now.wall.timestamp() - (now.mono + now.slept) + at.mono + at.slept))


def month_of(at: float) -> str:
    """The month of a POSIX time, the name of its file."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m")


def may_believe_clock(status: Status, *, is_behind: bool) -> bool:
    """Whether the wall clock may be right: a board without a battery gets the time from the network.

    Args:
        status: a decision.
        is_behind: there are entries from later than now.
    """
    if not is_behind:
        return is_clock_plausible(status.now)
    snapshot = status.snapshot
    synchronised = CLIENTS in snapshot.sources and snapshot.part(PresenceFacts).clock_synchronised
    return is_clock_believable(status.now, synchronised=synchronised)


def clock_step(before: Moment, now: Moment) -> float:
    """Seconds by which the wall clock was set in between."""
    passed = now.mono + now.slept - before.mono - before.slept
    return now.wall.timestamp() - before.wall.timestamp() - passed


def record_changes(known: KnownStates, status: Status) -> tuple[KnownStates, tuple[StateChange, ...]]:
    """The states after a decision, and what has changed."""
    current: dict[Kind, States] = {
        "server": {"": "awake" if status.decision.phase in AWAKE_PHASES else "idle"},
        "client": _client_states(known, status),
        "activity": _activity_states(status),
        "blocker": _blocker_states(known, status),
        "disk": _disk_states(status),
    }
    changes: list[StateChange] = []
    subjects = dict(known.subjects) if current != known.by_kind else known.subjects
    if isinstance(subjects, dict):
        for kind, states in current.items():
            changes += _changes(kind, known.by_kind.get(kind, {}), states, (subjects, status))
    return KnownStates(current if changes else known.by_kind, subjects, status), tuple(changes)


def present_states(known: KnownStates, at: float) -> Iterator[StateChange]:
    """A change for each state that lasts, as the beginning of a new part of the record."""
    for kind, states in known.by_kind.items():
        for key, state in states.items():
            yield StateChange(at, known.subjects[kind, key], _plain(state))


def _changes(
    kind: Kind,
    before: States,
    after: States,
    context: tuple[dict[tuple[Kind, Hashable], Subject], Status],
) -> Iterator[StateChange]:
    if before == after:
        return
    subjects, status = context
    now = posix(status.now, status.now)
    for key in before.keys() - after.keys():
        yield StateChange(now, subjects.pop((kind, key)), "none")
    for key, state in after.items():
        if state == (previous := before.get(key)):
            continue
        if previous is None:
            subjects[kind, key] = _subject(kind, key, status)
        subject = subjects[kind, key]
        seen = _last_answer(subject, status) if kind == "client" and state == "absent" else None
        yield StateChange(now, subject, _plain(state), seen)


def _plain(state: State) -> State:
    """The state without the class of an enumeration, whose value it may be."""
    return str(state)  # type: ignore[return-value] # a member of ClientState is one of State


def _last_answer(client: Subject, status: Status) -> float | None:
    for each in status.decision.part(PresenceReport).client_statuses:
        if each.client.id == client.id and each.last_seen is not None:
            return posix(each.last_seen, status.now)
    return None


def _client_states(known: KnownStates, status: Status) -> States:
    """The clients that count. An absent client remains absent while it is probed again."""
    before, now = known.by_kind.get("client", {}), status.now.mono
    states: dict[Hashable, State] = {}
    for each in status.decision.part(PresenceReport).client_statuses:
        if each.blocks_sleep:
            state: State = each.state  # type: ignore[assignment] # its values are States
            if before.get(each.client.id) == "absent" != state and _is_asked_again(each, now):
                state = "absent"
            states[each.client.id] = state
    return states


def _is_asked_again(client: ClientStatus, now: float) -> bool:
    """Whether a client is unknown or may be dozing for some minutes without having answered."""
    seen, since = client.last_seen, client.since.mono
    return (
        client.state is not ClientState.PRESENT
        and now - since < _ASKED_AGAIN_WITHIN
        and (seen is None or seen.mono < since - _SHORTLY)
    )


def _activity_states(status: Status) -> States:
    return {
        (row.check, row.activity.subject): "active"
        for row in status.decision.part(ActivityReport).rows
        if row.activity is not None and row.keeps_awake
    }


def _blocker_states(known: KnownStates, status: Status) -> States:
    """Blockers that are neither clients nor activities."""
    decision, before = status.decision, known.status
    if decision.phase not in AWAKE_PHASES:
        return {}
    if (
        before is not None
        and before.decision.phase == decision.phase
        and before.decision.reasons == decision.reasons
    ):
        return known.by_kind.get("blocker", {})
    labels = {each.client.label for each in decision.part(PresenceReport).client_statuses}
    active = {
        (row.activity.subject, row.activity.text)
        for row in decision.part(ActivityReport).rows
        if row.activity is not None
    }
    return {
        each.subject: "needed" if each.confirmed else "unconfirmed"
        for each in reversed(decision.reasons)
        if each.blocks_sleep and each.subject not in labels and (each.subject, each.text) not in active
    }


def _disk_states(status: Status) -> States:
    return {
        report.disk.id: _disk_state(report)
        for report in status.decision.part(DisksReport).disks
        if report.state is not DiskState.EXCLUDED
    }


def _disk_state(report: DiskReport) -> State:
    if report.state.is_stopped:
        return "standby"
    return "unknown" if report.state in _UNKNOWN_DISK_STATES else "spinning"


def _subject(kind: Kind, key: Hashable, status: Status) -> Subject:
    """The subject of a new state."""
    decision = status.decision
    if kind == "client":
        clients = (each.client for each in decision.part(PresenceReport).client_statuses)
        return Subject(kind, str(key), next((each.label for each in clients if each.id == key), ""))
    if kind == "activity" and isinstance(key, tuple):
        activities = (row.activity for row in decision.part(ActivityReport).rows if row.check == key[0])
        text = next((each.text for each in activities if each is not None and each.subject == key[1]), "")
        return Subject(kind, key[0], key[1], text)
    if kind == "blocker":
        text = next((each.text for each in decision.reasons if each.blocks_sleep and each.subject == key), "")
        return Subject(kind, str(key), text=text)
    if kind == "disk":
        disks = (report.disk for report in decision.part(DisksReport).disks)
        return Subject(kind, str(key), next((disk.device for disk in disks if disk.id == key), ""))
    return SERVER
