"""Sleeps, attempts, and in observe mode would-be sleeps, from consecutive Statuses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, TypeGuard

from powerd.config.options import Options
from powerd.core.actions import CancelWarning, Sleep, WakeTime, WarnUsers
from powerd.core.dataclass import dataclass
from powerd.core.snapshot import Status
from powerd.core.time import Moment
from powerd.history.model import OFF_ACTIONS, SERVER, Changes, Ending, SleepRecord
from powerd.history.policy_changes import AWAKE_PHASES, posix
from powerd.power.model import PowerReport, SleepMemory, TransitionFacts, WakeEvent
from powerd.power.sleep_rules import failure_text
from powerd.power.wake_storm import is_boot_by_alarm
from powerd.presence.model import ClientState, PresenceReport

_REQUESTED_WITHIN: Final = 300.0
"""Seconds from powerd's request to the announcement of the sleep, at most."""
_REBOOT_WITHIN: Final = 600.0
"""Seconds; a shutdown by another program that is over sooner was a reboot."""
_GOING_DOWN: Final = 300.0
"""Seconds from the announcement of a sleep in which the server may be awake: hooks run, services stop."""
_NOT_SLEPT: Final = "was announced, but did not take place"


@dataclass(frozen=True, slots=True)
class SleepTracker:
    """What is remembered from one Status to the next.

    Attributes:
        current: the sleep that lasts, or the last one as long as nothing has needed the server since; None =
            neither.
        asleep: seconds asleep since the last wake event.
    """

    current: SleepRecord | None = None
    asleep: float = 0.0


def track_sleeps(
    tracker: SleepTracker, before: Status | None, after: Status, options: Options
) -> tuple[SleepTracker, tuple[SleepRecord, ...]]:
    """The tracker after a decision, and the records that are new or have changed, by their begin."""
    records: list[SleepRecord] = []
    if before is not None:
        records += _attempts(before, after)
        tracker = _follow_server(tracker, before, after, records)
        tracker = _begin_would_be(tracker, before, after, records)
    if tracker.current is not None:
        tracker = _end_by_need(tracker, tracker.current, (after, options), records)
    return tracker, tuple(records)


def with_ends(sleeps: Sequence[SleepRecord], changes: Changes) -> tuple[SleepRecord, ...]:
    """The sleeps; one whose last line was lost ends where the rest of the record shows that it is over.

    Args:
        sleeps: by their begin.
        changes: by their time.
    """
    found: list[SleepRecord] = []
    following = float("inf")
    for sleep in reversed(sleeps):
        if sleep.result in {"slept", "would-sleep"}:
            end = _latest_end(sleep, changes, following) if sleep.end is None else following
            following = sleep.begin
            if sleep.end is None and end < float("inf"):
                found.append(replace(sleep, end=end, asleep=end - sleep.begin, woken_by="unrecorded"))
                continue
        found.append(sleep)
    return tuple(reversed(found))


def _latest_end(sleep: SleepRecord, changes: Changes, following: float) -> float:
    """When a sleep was over at the latest; infinity = it may last.

    The server does not run in a sleep, so any entry but the stop of powerd shows that it is over. In a
    would-be sleep it runs, and the stop ends it. Both are over when another one begins, at ``following``.
    """
    took_place = sleep.result == "slept"
    after = sleep.begin + _GOING_DOWN if took_place else sleep.begin
    proofs = (
        each.at
        for each in changes.between(after, following)
        if (each.subject == SERVER and each.state == "stopped") is not took_place
    )
    return next(proofs, following)


def continue_after_start(
    last: SleepRecord | None, recorded_until: float, booted_at: float, now: float, *, lasts: bool = False
) -> SleepRecord | None:
    """The last record, completed by a start of powerd; None = there is nothing to complete.

    Args:
        last: the last record; None = there is none.
        recorded_until: the last entry of the record.
        booted_at: when the server was booted.
        now: the present time. A sleep without a boot has ended before it, at an unknown time.
        lasts: powerd was restarted during the sleep, and its end will be detected.
    """
    if last is None or last.end is not None:
        return None
    if last.result == "would-sleep":
        return _ended_would_be(last, max(recorded_until, last.begin), "")
    rebooted = booted_at > last.begin
    if lasts and not rebooted:
        return None
    end = max(booted_at if rebooted else now, last.begin)
    woken_by: Ending = "unrecorded"
    if rebooted and is_boot_by_alarm(last.alarm, booted_at):
        woken_by = "alarm"
    elif rebooted and last.action in OFF_ACTIONS:
        woken_by = "unknown"
    is_reboot = last.action == "shutdown" and end - last.begin <= _REBOOT_WITHIN
    return replace(
        last,
        action="reboot" if is_reboot else last.action,
        end=end,
        asleep=end - last.begin,
        woken_by=woken_by,
    )


def end_at_stop(tracker: SleepTracker, now: Moment) -> SleepRecord | None:
    """The would-be sleep that ends with powerd; None = there is none."""
    current = tracker.current
    if current is None or current.result != "would-sleep":
        return None
    return _ended_would_be(current, posix(now, now), "")


def _posix_of(mono: float, now: Moment) -> float:
    """The time of a CLOCK_MONOTONIC since the last resume."""
    return posix(Moment(mono, now.slept, now.wall), now)


def _attempts(before: Status, after: Status) -> Iterator[SleepRecord]:
    """Warnings that were called off, and attempts that have failed."""
    old, new, now = before.snapshot, after.snapshot, after.now
    cancelled, warned = new.completed(CancelWarning), new.completed(WarnUsers)
    if cancelled is not old.completed(CancelWarning) and cancelled is not None:
        action = cancelled.action
        begin = cancelled.started_at if warned is None else warned.ended_at
        if isinstance(action, CancelWarning):
            yield SleepRecord(
                _posix_of(begin, now),
                action.sleep_action,
                action.rule,
                after.mode,
                "called-off",
                _posix_of(cancelled.started_at, now),
                called_off_by=action.reason,
            )
    memory_before = before.decision.memory.part(SleepMemory)
    memory = after.decision.memory.part(SleepMemory)
    awaited = memory_before.awaited_sleep if memory.awaited_sleep is None else None
    did_not_happen = (
        awaited is not None and before.decision.memory.resumed_at == after.decision.memory.resumed_at
    )
    last = awaited if did_not_happen else memory.last_sleep_result
    if last is None or not isinstance(last.action, Sleep):
        return
    has_failed = memory.failures != memory_before.failures and last.action.rule in memory.failures
    if not did_not_happen and not has_failed:
        return
    not_slept_at = new.part(TransitionFacts).not_slept_at
    if last.ok and not_slept_at is not None and not_slept_at >= last.started_at:
        return  # the record that began with logind's announcement has this failure
    yield SleepRecord(
        _posix_of(last.started_at, now),
        last.action.sleep_action,
        last.action.rule,
        after.mode,
        "failed",
        _posix_of(last.ended_at, now),
        detail=failure_text(last, new),
    )


def _follow_server(
    tracker: SleepTracker, before: Status, after: Status, records: list[SleepRecord]
) -> SleepTracker:
    """The real sleeps: from logind's announcement to the wake event."""
    old, new = before.snapshot.part(TransitionFacts), after.snapshot.part(TransitionFacts)
    asleep = tracker.asleep + max(0.0, after.now.slept - before.now.slept)
    current, now = tracker.current, after.now
    if new.wake_event is not old.wake_event and new.wake_event is not None:
        end, asleep = _posix_of(new.wake_event.at, now), max(asleep, new.wake_event.slept)
        if not _lasts(current):
            current = _begin_sleep(after, end - asleep, "sleep", old.wake_event)
        records.append(
            current := replace(
                current,
                end=end,
                asleep=round(asleep, 1),
                woken_by=new.wake_event.cause.value,
                detail=new.wake_event.detail,
            )
        )
        asleep = 0.0
    elif new.shutdown is not old.shutdown and new.shutdown is None and _lasts(current):
        detail = f"{_NOT_SLEPT}: {new.not_slept_why}" if new.not_slept_why else _NOT_SLEPT
        records.append(replace(current, result="failed", end=posix(now, now), detail=detail))
        current = None
    if new.shutdown is not old.shutdown and new.shutdown is not None:
        if current is not None and current.result == "would-sleep":
            records.append(_ended_would_be(current, posix(now, now), ""))
        begin = _posix_of(new.shutdown.since, now)
        records.append(current := _begin_sleep(after, begin, new.shutdown.kind, new.wake_event))
    if current is tracker.current and asleep == tracker.asleep:
        return tracker
    return SleepTracker(current, asleep)


def _lasts(current: SleepRecord | None) -> TypeGuard[SleepRecord]:
    return current is not None and current.result == "slept" and current.end is None


def _begin_sleep(status: Status, begin: float, kind: str, last_wake: WakeEvent | None) -> SleepRecord:
    """The record of a sleep that begins, by powerd's rule or by another program."""
    own = _own_sleep(status, float("-inf") if last_wake is None else last_wake.at)
    wake_time = status.decision.part(PowerReport).wake_time
    return SleepRecord(
        begin,
        kind if own is None else own.sleep_action,
        None if own is None else own.rule,
        status.mode,
        "slept",
        alarm=None if wake_time is None or status.mode == "observe" else _wall_of(wake_time),
    )


def _wall_of(wake_time: WakeTime) -> float:
    return float(round(wake_time.at.wall.timestamp()))


def _own_sleep(status: Status, after: float) -> Sleep | None:
    """Powerd's own request since CLOCK_MONOTONIC ``after``; None = another program requested the sleep."""
    if status.mode == "observe":
        return None
    for action in status.snapshot.running_actions:
        if isinstance(action, Sleep):
            return action
    done = status.snapshot.completed(Sleep)
    if done is None or not done.ok or not isinstance(done.action, Sleep):
        return None
    recent = done.started_at > after and status.now.mono - done.ended_at <= _REQUESTED_WITHIN
    return done.action if recent else None


def _begin_would_be(
    tracker: SleepTracker, before: Status, after: Status, records: list[SleepRecord]
) -> SleepTracker:
    """In observe mode: the moment at which the rule would have acted."""
    done, current = after.snapshot.completed(Sleep), tracker.current
    if after.mode != "observe":
        if current is not None and current.result == "would-sleep":
            records.append(_ended_would_be(current, posix(after.now, after.now), ""))
            return replace(tracker, current=None)
        return tracker
    if (
        done is None
        or done is before.snapshot.completed(Sleep)
        or not done.ok
        or not isinstance(done.action, Sleep)
        or (current is not None and current.end is None)
    ):
        return tracker
    wake_time = done.action.wake_time
    current = SleepRecord(
        _posix_of(done.started_at, after.now),
        done.action.sleep_action,
        done.action.rule,
        "observe",
        "would-sleep",
        alarm=None if wake_time is None else _wall_of(wake_time),
    )
    records.append(current)
    return replace(tracker, current=current)


def _end_by_need(
    tracker: SleepTracker,
    current: SleepRecord,
    context: tuple[Status, Options],
    records: list[SleepRecord],
) -> SleepTracker:
    """What needed the server first: after a sleep, or at the end of a would-be sleep (also its alarm)."""
    status, options = context
    lasts = current.end is None
    if lasts and current.result == "slept":
        return tracker
    now = posix(status.now, status.now)
    if lasts and current.alarm is not None and now >= current.alarm:
        records.append(
            replace(current, end=current.alarm, asleep=current.alarm - current.begin, woken_by="alarm")
        )
        return replace(tracker, current=None)
    rules = options.sleep
    rule = current.rule if lasts and current.rule is not None and current.rule < len(rules) else None
    need = find_need(status, ignores_dozing=rule is not None and rules[rule].dozing == "ignored")
    if not need:
        return tracker
    if lasts:
        current = _ended_would_be(current, now, need)
    records.append(replace(current, came_at=now, came=need))
    return replace(tracker, current=None)


def _ended_would_be(current: SleepRecord, end: float, need: str) -> SleepRecord:
    return replace(
        current,
        end=end,
        asleep=max(0.0, end - current.begin),
        woken_by="needed" if need else "stopped",
    )


def find_need(status: Status, *, ignores_dozing: bool) -> str:
    """What verifiably needs the server now, ``subject: text``; "" = nothing.

    Args:
        status: the last decision.
        ignores_dozing: dozing clients do not count.
    """
    memory = status.decision.memory.part(SleepMemory)
    if memory.idle_since is not None or (ignores_dozing and memory.unused_since is not None):
        return ""
    if status.decision.phase not in AWAKE_PHASES:
        return ""
    dozing = (
        {
            each.client.label
            for each in status.decision.part(PresenceReport).client_statuses
            if each.state is ClientState.DOZING
        }
        if ignores_dozing
        else ()
    )
    return next(
        (
            f"{each.subject}: {each.text}"
            for each in status.decision.reasons
            if each.blocks_sleep and each.confirmed and each.subject not in dozing
        ),
        "",
    )
