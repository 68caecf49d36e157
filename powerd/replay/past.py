"""The sleeps of a configuration over the recorded past: the daemon's own decide() on the record.

Clients, activities and other blockers are facts as they were recorded. The clocks, the sleep and the wake-up
are simulated, in the mode "enforce", with the policy of the domain "power". A sleep ends at the time of a
recorded wake-up, at its own alarm, when the next recorded client or work needs the server, or with the
record. What is not known keeps the server awake: times in which powerd did not run, and unknown states.
The record of a sleep does not contain what needed the server during it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, tzinfo
from operator import attrgetter, itemgetter
from types import MappingProxyType
from typing import Final, NamedTuple

from powerd.config.options import Options
from powerd.core.actions import Action, CompletedAction, Sleep
from powerd.core.dataclass import dataclass
from powerd.core.decide import decide
from powerd.core.domain import Assessment, Context, Domain, no_sources
from powerd.core.reasons import UndatedReason
from powerd.core.snapshot import Memory, Snapshot, parts_by_type
from powerd.core.time import Moment, Reading
from powerd.daemon import DOMAINS
from powerd.history.model import FALSE_WITHIN, OFF_ACTIONS, Ending, Interval, Record, SleepRecord
from powerd.power.model import (
    LOGIND,
    NETWORK_CARDS,
    TIMERS,
    NetworkCard,
    NetworkCardFacts,
    TransitionFacts,
    WakeEvent,
    WakeupCause,
)
from powerd.presence.model import PresenceFacts

_BOOT_WITHIN: Final = 600.0
"""Seconds from a power-on to the start of powerd, at most."""
_ASKED_WITHIN: Final = 900.0
"""Seconds after a wake-up in which an absent client may be unknown, as in history/policy_changes.py; the
record has it as absent meanwhile."""
_FACTS: Final = (
    PresenceFacts(clock_synchronised=True),
    NetworkCardFacts({"recorded": Reading(0.0, NetworkCard("recorded", "g", "g"))}),
)
"""The clock was right, or nothing would have been recorded; the network cards can be armed."""
Counts = Callable[[Interval], bool]


@dataclass(frozen=True, slots=True)
class RecordedBlockers:
    """The facts of a replay: what kept the server awake."""

    blockers: tuple[UndatedReason, ...] = ()


def recorded_policy(context: Context) -> Assessment:
    """The recorded blockers."""
    return Assessment(blockers=context.snapshot.part(RecordedBlockers).blockers)


_DOMAINS: Final = tuple(
    each
    if each.conclude is not None
    else Domain(each.name, recorded_policy if each.name == "presence" else lambda _: Assessment(), no_sources)
    for each in DOMAINS
)
"""The daemon's own domain "power"; one of the others returns all that was recorded."""


class Span(NamedTuple):
    """A time that is recorded without a gap."""

    begin: float
    end: float


def replay(
    record: Record, options: Options, zone: tzinfo | None, counts: Counts = lambda _: True
) -> tuple[SleepRecord, ...]:
    """The sleeps that a configuration would have made, oldest first.

    Args:
        record: of the past.
        options: the configuration; its sleep rules, ``[awake]`` and ``[wake] at`` are applied.
        zone: of the times of its windows.
        counts: whether a recorded client, activity or blocker keeps the server awake; the others only show
            false sleeps.
    """
    past = _Past(record, options, counts)
    options = replace(options, mode="enforce")
    return tuple(sleep for span in past.spans for sleep in _Replay(past, span, options, zone).sleeps())


def recorded_seconds(record: Record) -> float:
    """The seconds of the period that are recorded."""
    return sum(span.end - span.begin for span in _spans(record, _slept(record)))


def _slept(record: Record) -> list[SleepRecord]:
    """The sleeps that took place. Until the unknown end of one the server may have been awake."""
    return [each for each in record.sleeps if each.result == "slept" and each.woken_by != "unrecorded"]


class _Past:
    """The record, prepared for a replay."""

    def __init__(self, record: Record, options: Options, counts: Counts) -> None:
        slept = _slept(record)
        self.spans = tuple(_spans(record, slept))
        self.external = [each for each in slept if each.rule is None and each.end is not None]
        self.wake_ups = sorted(
            (each.end, each.woken_by)
            for each in record.sleeps
            if each.end is not None and each.woken_by not in {None, "needed", "stopped", "unrecorded"}
        )
        states = [each for each in record.intervals if each.subject.kind in {"client", "activity", "blocker"}]
        self._needs = [each for each in states if each.state in {"present", "active", "needed"}]
        """All that verifiably needed the server, by its begin."""
        self._absences = [each for each in states if each.state == "absent" and counts(each)]
        self._until = record.until
        dozing_blocks = not options.sleep or any(rule.dozing == "counts" for rule in options.sleep)
        self.edges = sorted(_edges(states, counts, dozing_blocks=dozing_blocks), key=itemgetter(0))
        self._counted = {
            ignores: [each for each in states if counts(each) and _needs(each, ignores_dozing=ignores)]
            for ignores in (False, True)
        }

    def next_need(self, after: float, *, ignores_dozing: bool) -> Interval | None:
        """What needs the server first after a time, of all that counts; None = nothing does."""
        needs = self._counted[ignores_dozing]
        index = bisect_right(needs, after, key=attrgetter("begin"))
        return needs[index] if index < len(needs) else None

    def asked_again(self, at: float) -> list[tuple[float, UndatedReason]]:
        """The absent clients that are unknown after a wake-up at this time, and until when.

        Each has to be silent for its limit again: as long as it was silent before it counted as absent.
        """
        return [
            (
                at + _ASKED_WITHIN if each.seen is None else at + min(each.begin - each.seen, _ASKED_WITHIN),
                UndatedReason(_label(each), "may be home", confirmed=False, is_client=True),
            )
            for each in self._absences
            if each.begin <= at < (each.end or self._until)
        ]

    def witness(self, at: float) -> Interval | None:
        """What needed the server at a time or within minutes, counted or not; None = nothing."""
        index = bisect_right(self._needs, at + FALSE_WITHIN, key=attrgetter("begin"))
        found = [each for each in self._needs[:index] if (each.end or self._until) > at]
        return min(found, key=lambda each: max(each.begin, at), default=None)


def _needs(interval: Interval, *, ignores_dozing: bool) -> bool:
    return interval.state in {"present", "active", "needed"} or (
        interval.state == "dozing" and not ignores_dozing
    )


def _spans(record: Record, slept: Sequence[SleepRecord]) -> Iterator[Span]:
    """The times in which powerd ran or the server slept, each without a gap; a boot is not a gap."""
    parts = [
        (each.begin, record.until if each.end is None else each.end, 0.0)
        for each in record.intervals
        if each.subject.kind == "server" and each.state != "stopped"
    ]
    parts += [(each.begin, each.end, _BOOT_WITHIN) for each in slept if each.end is not None]
    begin = end = reach = -1.0
    for part in sorted(parts):
        if part[0] > reach:
            if end > begin:
                yield Span(max(begin, record.since), min(end, record.until))
            begin, end, reach = part[0], part[1], part[1] + part[2]
        elif part[1] > end:
            end, reach = part[1], part[1] + part[2]
    if end > max(begin, record.since):
        yield Span(max(begin, record.since), min(end, record.until))


class _Edge(NamedTuple):
    """The begin (1) or the end (-1) of what keeps the server awake."""

    at: float
    step: int
    key: tuple[str, str, str]
    reason: UndatedReason


def _edges(states: Sequence[Interval], counts: Counts, *, dozing_blocks: bool) -> Iterator[_Edge]:
    for each in states:
        if each.state == "absent" or not counts(each):
            continue
        key = each.subject.kind, each.subject.id, each.subject.name
        reason = _reason(each, dozing_blocks=dozing_blocks)
        yield _Edge(each.begin, 1, key, reason)
        if each.end is not None:
            yield _Edge(each.end, -1, key, reason)


def _reason(interval: Interval, *, dozing_blocks: bool) -> UndatedReason:
    """The blocker that the daemon made of a state."""
    subject = interval.subject
    name, text = _label(interval), subject.text or interval.state
    is_client = subject.kind == "client"
    if interval.state == "dozing":
        return UndatedReason(
            name, text, dozing_blocks, confirmed=dozing_blocks, ignorable=True, is_client=True
        )
    confirmed = interval.state not in {"unknown", "unconfirmed"}
    return UndatedReason(name, text, confirmed=confirmed, is_client=is_client)


@dataclass(slots=True)
class _Replay:
    """The server over one span.

    Attributes:
        past, span, options, zone: as in replay().
        slept: seconds asleep so far.
    """

    past: _Past
    span: Span
    options: Options
    zone: tzinfo | None
    slept: float = 0.0
    _memory: Memory = field(init=False)
    _snapshot: Snapshot = field(default_factory=Snapshot)
    _next_edge: int = 0
    _active: dict[tuple[str, str, str], list[UndatedReason]] = field(default_factory=dict)
    _asked: list[tuple[float, UndatedReason]] = field(default_factory=list)
    _external: list[SleepRecord] = field(default_factory=list)

    def sleeps(self) -> Iterator[SleepRecord]:
        """Decide from the begin of the span to its end; yields each sleep."""
        at = self.span.begin
        self._memory = Memory.initial(self._now(at))
        self._snapshot = Snapshot(facts=parts_by_type(*_FACTS))
        self._external = [each for each in self.past.external if at <= each.begin < self.span.end]
        while at < self.span.end:
            self._advance(at)
            now = self._now(at)
            decision = decide(self._with_sources(now, at), self._memory, self.options, now, _DOMAINS)
            self._memory = decision.memory
            if decision.actions:
                sleep = self._execute(decision.actions, now, at)
                if sleep is not None:
                    yield sleep
                    at = self._wake_up(sleep)
                    continue
            due = at + decision.next_decision_at - now.mono
            external = self._external[0].begin if self._external else self.span.end
            silent = min((until for until, _ in self._asked), default=self.span.end)
            at = max(min(due, silent, self._next_change(), external, self.span.end), at + _LEAST)
            if self._external and at >= self._external[0].begin:
                yield self._external[0]
                at = self._wake_up(self._external[0])

    def _now(self, at: float) -> Moment:
        return Moment(at - self.span.begin - self.slept, self.slept, datetime.fromtimestamp(at, self.zone))

    def _with_sources(self, now: Moment, at: float) -> Snapshot:
        """The snapshot with the present blockers; every source has just been polled."""
        self._asked = [each for each in self._asked if each[0] > at]
        asked = (reason for _, reason in self._asked)
        reasons = (*(reason for row in self._active.values() for reason in row), *asked)
        snapshot = self._snapshot.with_parts(RecordedBlockers(reasons))
        polled: Reading[tuple[str, ...]] = Reading(now.mono, ())
        return replace(snapshot, sources=dict.fromkeys((LOGIND, TIMERS, NETWORK_CARDS), polled))

    # --- the record ---

    def _advance(self, at: float) -> None:
        """Take the changes up to a time."""
        edges = self.past.edges
        while self._next_edge < len(edges) and edges[self._next_edge].at <= at:
            edge = edges[self._next_edge]
            self._next_edge += 1
            if edge.step > 0:
                self._active.setdefault(edge.key, []).append(edge.reason)
            else:
                row = self._active[edge.key]
                row.remove(edge.reason)
                if not row:
                    del self._active[edge.key]

    def _next_change(self) -> float:
        """The time of the next change after which the decision may be another one.

        While something that no rule ignores keeps the server awake, the others make no difference.
        """
        edges, index = self.past.edges, self._next_edge
        held = {key: list(row) for key, row in self._active.items()}
        if not _is_held(held):
            return edges[index].at if index < len(edges) else float("inf")
        while index < len(edges):
            edge = edges[index]
            if edge.step > 0:
                held.setdefault(edge.key, []).append(edge.reason)
            else:
                held[edge.key].remove(edge.reason)
            is_last = index + 1 == len(edges) or edges[index + 1].at > edge.at
            if is_last and not _is_held(held):
                return edge.at
            index += 1
        return float("inf")

    # --- the server ---

    def _execute(self, actions: Sequence[Action], now: Moment, at: float) -> SleepRecord | None:
        """Execute the actions at once; returns the sleep, None = no sleep."""
        done = dict(self._snapshot.completed_actions)
        sleep = None
        for action in actions:
            done[type(action), action.target] = CompletedAction(
                action, now.mono, ok=True, message="", started_at=now.mono
            )
            if isinstance(action, Sleep):
                sleep = self._sleep(action, at)
        self._snapshot = replace(self._snapshot, completed_actions=MappingProxyType(done))
        return sleep

    def _sleep(self, action: Sleep, at: float) -> SleepRecord:
        """The sleep that begins now."""
        past, ignores = self.past, self.options.sleep[action.rule].dozing == "ignored"
        alarm = None if action.wake_time is None else action.wake_time.at.wall.timestamp()
        need = past.next_need(at, ignores_dozing=ignores)
        ends: list[tuple[float, Ending]] = [(self.span.end, "stopped")]
        if need is not None:
            ends.append((need.begin, "needed"))
        if alarm is not None:
            ends.append((alarm, "alarm"))
        index = bisect_right(past.wake_ups, at, key=itemgetter(0))
        ends += past.wake_ups[index : index + 1]
        end, cause = min(ends, key=itemgetter(0))
        witness = past.witness(at)
        came = need if witness is None and cause == "needed" else witness
        return SleepRecord(
            at,
            action.sleep_action,
            action.rule,
            "enforce",
            "slept",
            end,
            end - at,
            alarm,
            cause,
            came_at=None if came is None else max(came.begin, at),
            came="" if came is None else _describe(came),
        )

    def _wake_up(self, sleep: SleepRecord) -> float:
        """The server wakes up, or is started; returns the time."""
        end = min(self.span.end if sleep.end is None else sleep.end, self.span.end)
        self.slept += end - sleep.begin
        self._external = [each for each in self._external if each.begin >= end]
        now = self._now(end)
        self._asked = self.past.asked_again(end)
        if sleep.action in OFF_ACTIONS:
            self._memory = Memory.initial(now)
            self._snapshot = Snapshot(facts=parts_by_type(*_FACTS))
        else:
            causes: Mapping[str, WakeupCause] = {each.value: each for each in WakeupCause}
            cause = causes.get(sleep.woken_by or "", WakeupCause.UNKNOWN)
            self._snapshot = self._snapshot.with_parts(TransitionFacts(wake_event=WakeEvent(now.mono, cause)))
        return end


_LEAST: Final = 0.1
"""Seconds between two decisions."""


def _is_held(active: Mapping[tuple[str, str, str], Sequence[UndatedReason]]) -> bool:
    """Whether something confirmed that no rule ignores keeps the server awake."""
    return any(reason.confirmed and not reason.ignorable for row in active.values() for reason in row)


def _label(interval: Interval) -> str:
    return interval.subject.name or interval.subject.id


def _describe(interval: Interval) -> str:
    return f"{_label(interval)}: {interval.subject.text or interval.state}"
