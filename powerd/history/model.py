"""The record of the past: sleeps, present clients, what kept the server awake, and the disks.

All times are POSIX seconds, because the record outlives boots; ``BlockerTimes`` alone is in memory only.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from itertools import islice
from operator import attrgetter, le
from types import MappingProxyType
from typing import Annotated, Final, Literal, NamedTuple, TypeAlias, get_args

from powerd.core.actions import Mode
from powerd.core.codec import span
from powerd.core.dataclass import dataclass
from powerd.core.time import Moment

PosixTime: TypeAlias = Annotated[float, span(0, 4e9)]
SleepResult: TypeAlias = Literal["slept", "would-sleep", "called-off", "failed"]
"""The server slept; in observe mode it would have; the warning was called off; the attempt failed."""
Ending: TypeAlias = Literal["alarm", "network", "button", "unknown", "needed", "stopped", "unrecorded"]
"""What ended a sleep: the cause of the wake-up; or, of a would-be sleep, the alarm, somebody who
needed the server, or the end of powerd or of the mode. Of both, ``unrecorded``: the end is not in the record,
and was at the given time at the latest."""
OFF_ACTIONS: Final = frozenset({"poweroff", "shutdown", "reboot"})
"""Actions of a SleepRecord that a boot ends."""
FALSE_WITHIN: Final = 15 * 60.0
"""Seconds after the begin of a sleep; a person who comes within them was probably present when it began."""


@dataclass(frozen=True, slots=True)
class SleepRecord:
    """A sleep, an attempt, or in observe mode a would-be sleep.

    Attributes:
        begin: when it began, or was announced; identifies the record.
        action: of the sleep rule; ``sleep``, ``shutdown`` or ``reboot`` = requested by another program.
        rule: number of the sleep rule, 0 is the first; None = another program.
        mode: of the daemon at that time.
        result: see SleepResult.
        end: None = it lasts, or powerd has not run since.
        asleep: seconds asleep or off; of a would-be sleep, its length.
        alarm: when the RTC alarm wakes the server, or would have; None = no alarm.
        woken_by: what ended it; None = it lasts, or no sleep took place.
        detail: the kernel's details of the wake-up, or why the attempt failed; "" = none.
        called_off_by: what cancelled the warning, ``subject: text``; "" = nothing.
        came_at: when the server was first needed, at its end or after it and before the next sleep; None =
            never.
        came: what needed it, ``subject: text``; "" = nothing.
    """

    begin: PosixTime
    action: str
    rule: int | None
    mode: Mode
    result: SleepResult
    end: PosixTime | None = None
    asleep: float = 0.0
    alarm: PosixTime | None = None
    woken_by: Ending | None = None
    detail: str = ""
    called_off_by: str = ""
    came_at: PosixTime | None = None
    came: str = ""

    @property
    def is_false(self) -> bool:
        """Whether somebody came so soon after its begin that this person was probably present."""
        return self.came_at is not None and self.came_at - self.begin <= FALSE_WITHIN


Kind: TypeAlias = Literal["server", "client", "activity", "blocker", "disk"]
State: TypeAlias = Literal[
    "none",
    "awake",
    "idle",
    "stopped",
    "present",
    "dozing",
    "absent",
    "unknown",
    "active",
    "needed",
    "unconfirmed",
    "spinning",
    "standby",
]
"""By kind of subject; ``none`` = it is over, or the subject is no longer known:

server: ``awake`` (something blocks sleep), ``idle``, ``stopped`` (nothing is recorded, and the
    states of all others end: powerd does not run, or the limit of the day is reached). In a sleep it has the
    state from before.
client: ``present``, ``dozing``, ``absent``, ``unknown`` (it has not been probed, or its probes have failed).
activity: ``active`` (it keeps the server awake). blocker: ``needed``, or ``unconfirmed`` (merely unknown).
disk: ``spinning``, ``standby``, ``unknown``.
"""


class Subject(NamedTuple):
    """What an interval is about.

    Attributes:
        kind: see State.
        id: of a client or a disk; of an activity its check; the subject of another blocker; "" = the server.
        name: for people: the label of a client, the subject of an activity, the device of a disk.
        text: of an activity or a blocker as it began, one clause.
    """

    kind: Kind
    id: str = ""
    name: str = ""
    text: str = ""


SERVER: Final = Subject("server")


class StateChange(NamedTuple):
    """A subject has a state from ``at`` on; ``seen`` as in Interval."""

    at: float
    subject: Subject
    state: State
    seen: float | None = None


STATES: Final[tuple[State, ...]] = get_args(State)
STATE_CODES: Final = {state: code for code, state in enumerate(STATES)}


_NEVER: Final = -1.0


class Changes:
    """Changes in columns: those of a year take 3 MB, and 25 MB as objects. Each is made when it is read.

    Attributes:
        times: of all of them, in the order in which they were added.
    """

    def __init__(self, changes: Sequence[StateChange] = ()) -> None:
        self.times, self._seen = array("d"), array("d")
        self._numbers, self._codes = array("I"), array("B")
        self._subjects: dict[Subject, int] = {}
        self.extend(changes)

    def extend(self, changes: Sequence[StateChange]) -> None:
        """Append changes."""
        known = self._subjects
        self.times.extend([each.at for each in changes])
        self._numbers.extend([known.setdefault(each.subject, len(known)) for each in changes])
        self._codes.extend([STATE_CODES[each.state] for each in changes])
        self._seen.extend([_NEVER if each.seen is None else each.seen for each in changes])

    def put_in_order(self) -> None:
        """Sort by time: those before the clock was set back were not later than those after it."""
        if all(map(le, self.times, islice(self.times, 1, None))):
            return
        latest = float("inf")
        for index in range(len(self.times) - 1, -1, -1):
            latest = self.times[index] = min(self.times[index], latest)

    def between(self, begin: float, end: float) -> Iterator[StateChange]:
        """Those after ``begin`` and before ``end``, if they are sorted."""
        return islice(iter(self), bisect_right(self.times, begin), bisect_left(self.times, end))

    def __len__(self) -> int:
        return len(self.times)

    def __iter__(self) -> Iterator[StateChange]:
        seen = (None if each == _NEVER else each for each in self._seen)
        return (StateChange(*row, last) for row, last in zip(self.rows(), seen, strict=True))

    def rows(self) -> Iterator[tuple[float, Subject, State]]:
        """All of them without ``seen``, as plain tuples: a quarter of the time of objects."""
        subjects, states = (
            map([*self._subjects].__getitem__, self._numbers),
            map(STATES.__getitem__, self._codes),
        )
        return zip(self.times, subjects, states, strict=True)


class Interval(NamedTuple):
    """A state of a subject.

    Attributes:
        subject, state: which.
        begin: its begin.
        end: None = it lasts.
        seen: of an absent client, its last answer, from which its silence counts; None = unknown.
    """

    subject: Subject
    state: State
    begin: float
    end: float | None
    seen: float | None = None


class DiskWake(NamedTuple):
    """A disk in standby was started, as attribution.model.Wake; an unknown value is "" or None."""

    at: float
    disk: str
    slept_for: float | None = None
    unit: str = ""
    owner: str = ""
    comm: str = ""
    path: str = ""


@dataclass(frozen=True)
class Record:
    """What is remembered of a period.

    Attributes:
        since: its begin; what began before and lasted is in it as well.
        until: its end: now, or the time of the last entry.
        sleeps: sleeps and attempts, oldest first.
        changes: oldest first; those before ``since`` lead to the states at that time.
        disk_wakes: oldest first.
        problems: why a part of it could not be read, one sentence each.
    """

    since: float
    until: float
    sleeps: tuple[SleepRecord, ...] = ()
    changes: Changes = field(default_factory=Changes)
    disk_wakes: tuple[DiskWake, ...] = ()
    problems: tuple[str, ...] = ()

    @cached_property
    def intervals(self) -> tuple[Interval, ...]:
        """All states but ``none``, by their begin. Those of the server show when nothing was recorded."""
        found = (each for each in intervals_of(self.changes) if each.end is None or each.end > self.since)
        return tuple(sorted(found, key=attrgetter("begin")))


def identity(subject: Subject) -> tuple[str, ...]:
    """What identifies a subject; of an activity or blocker the text may change."""
    return (subject.kind, subject.id, subject.name if subject.kind == "activity" else "")


def intervals_of(changes: Iterable[StateChange]) -> list[Interval]:
    """The intervals that changes begin and end, in the order of their ends, and those that last."""
    intervals: list[Interval] = []
    lasting: dict[tuple[str, ...], StateChange] = {}
    for change in changes:
        at, subject, state, _ = change
        key = identity(subject)
        previous = lasting.get(key)
        if previous is not None and previous.state == state and (state != "stopped" or len(lasting) == 1):
            continue
        if previous is not None:
            intervals.append(Interval(previous.subject, previous.state, previous.at, at, previous.seen))
        if state == "stopped":
            intervals += (
                Interval(other.subject, other.state, other.at, at, other.seen)
                for other in lasting.values()
                if other is not previous
            )
            lasting.clear()
        if state != "none":
            lasting[key] = change
        elif previous is not None:
            del lasting[key]
    intervals += (Interval(each.subject, each.state, each.at, None, each.seen) for each in lasting.values())
    return [each for each in intervals if each.end is None or each.end > each.begin]


def changes_of(intervals: Sequence[Interval]) -> Changes:
    """The changes that begin and end intervals, by their time."""
    begins = {(identity(each.subject), each.begin) for each in intervals}
    changes = [
        StateChange(each.end, each.subject, "none")
        for each in intervals
        if each.end is not None and (identity(each.subject), each.end) not in begins
    ]
    changes += (StateChange(each.begin, each.subject, each.state, each.seen) for each in intervals)
    return Changes(sorted(changes, key=attrgetter("at")))


Count: TypeAlias = Annotated[int, span(0, 1 << 53)]
Seconds: TypeAlias = Annotated[float, span(0, 1e12)]


@dataclass(frozen=True, slots=True)
class Counters:
    """Cumulative counters, which restarts of powerd and of the server do not reset.

    Attributes:
        sleeps: sleeps that took place, by action (see SleepRecord).
        asleep_seconds: of all of them.
        wakeups: wake-ups of the server by cause: alarm, network, button, unknown.
        spin_ups: by disk.
        disk_wakes: those that were not a resume, by disk and unit; "" = the unit is unknown.
        disk_state_seconds: in which each disk was in each state (disks.state.DiskState) while the server was
            awake.
        called_off: warnings that were called off.
        decisions: decisions made.
    """

    sleeps: Mapping[str, Count] = field(default_factory=lambda: MappingProxyType({}))
    asleep_seconds: Seconds = 0.0
    wakeups: Mapping[str, Count] = field(default_factory=lambda: MappingProxyType({}))
    spin_ups: Mapping[str, Count] = field(default_factory=lambda: MappingProxyType({}))
    disk_wakes: Mapping[str, Mapping[str, Count]] = field(default_factory=lambda: MappingProxyType({}))
    disk_state_seconds: Mapping[str, Mapping[str, Seconds]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    called_off: Count = 0
    decisions: Count = 0


HOURS: Final = 24
"""The hours that BlockerTimes covers."""
_HOUR: Final = 3600.0


class Blocker(NamedTuple):
    """A reason that keeps the server awake, without its beginning."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class BlockerTimes:
    """How long blockers have lasted, in memory only.

    Attributes:
        seconds: of each blocker, by hour; hours are those of CLOCK_BOOTTIME. The server was awake during all
            of them.
        current: the blockers of the last decision.
        since: the first decision; None = there is none yet.
        updated_at: the last decision.
    """

    seconds: Mapping[Blocker, Mapping[int, float]] = field(default_factory=lambda: MappingProxyType({}))
    current: frozenset[Blocker] = frozenset()
    since: Moment | None = None
    updated_at: Moment | None = None

    def totals(self, now: Moment) -> list[tuple[Blocker, float]]:
        """Each blocker of the last 24 hours with its seconds, the longest first."""
        hour = hour_of(now)
        found = [(blocker, sum(recent(by_hour, hour).values())) for blocker, by_hour in self.seconds.items()]
        return sorted((each for each in found if each[1]), key=lambda each: (-each[1], each[0]))


def hour_of(now: Moment) -> int:
    """The hour of CLOCK_BOOTTIME."""
    return int((now.mono + now.slept) // _HOUR)


def recent(by_hour: Mapping[int, float], hour: int) -> dict[int, float]:
    """The hours of the last 24, up to ``hour``."""
    return {each: value for each, value in by_hour.items() if each > hour - HOURS}
