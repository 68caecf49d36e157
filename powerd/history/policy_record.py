"""Derives the record from consecutive Statuses, and makes a Record of its entries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace
from itertools import islice
from typing import Final

from powerd.attribution.model import AttributionReport, Wake
from powerd.config.options import Options
from powerd.core.dataclass import dataclass
from powerd.core.snapshot import Status
from powerd.core.time import Moment
from powerd.disks.model import DiskId
from powerd.disks.state import DisksReport
from powerd.history.codec import Entry
from powerd.history.model import (
    SERVER,
    Changes,
    Counters,
    DiskWake,
    Record,
    SleepRecord,
    StateChange,
)
from powerd.history.policy_changes import KnownStates, posix, record_changes
from powerd.history.policy_sleeps import (
    SleepTracker,
    continue_after_start,
    end_at_stop,
    track_sleeps,
    with_ends,
)
from powerd.power.model import TransitionFacts

_NAMED_WITHIN: Final = 900.0
"""Seconds after which a wake of a disk is recorded without its culprit."""
_BATCH: Final = 10_000
"""Entries that are in memory as objects at once."""
_MAX_LABELS: Final = 100
"""Different values of a label of a counter; units of sessions have a new name each."""


@dataclass(frozen=True, slots=True)
class Recorder:
    """What is remembered from one Status to the next.

    Attributes:
        known: the states at the last decision.
        tracker: the sleep that lasts, or the last one.
        wakes_until: CLOCK_BOOTTIME of the last wake of a disk that has been recorded.
    """

    known: KnownStates = field(default_factory=KnownStates)
    tracker: SleepTracker = field(default_factory=SleepTracker)
    wakes_until: float = 0.0


def begin(
    last: SleepRecord | None, recorded_until: float, status: Status
) -> tuple[Recorder, tuple[Entry, ...]]:
    """The recorder at the first decision, and what completes the stored record.

    Args:
        last: the last sleep in the stored record; None = there is none.
        recorded_until: the last entry of the stored record; 0 = there is none.
        status: the first decision.
    """
    now = status.now
    boottime = now.mono + now.slept
    now_posix = posix(now, now)
    entries: list[Entry] = []
    if recorded_until:
        entries.append(StateChange(min(recorded_until, now_posix), SERVER, "stopped"))
    lasts = status.snapshot.part(TransitionFacts).shutdown is not None
    completed = continue_after_start(last, recorded_until, now_posix - boottime, now_posix, lasts=lasts)
    if completed is not None:
        entries.append(completed)
    waits = completed if completed is not None else last
    waits = waits if waits is not None and waits.result == "slept" and waits.came_at is None else None
    return Recorder(tracker=SleepTracker(waits), wakes_until=boottime), tuple(entries)


def end_all(recorder: Recorder, at: Moment) -> tuple[Recorder, tuple[Entry, ...]]:
    """The recorder, and what ends all states and a would-be sleep at ``at``.

    At a step of the clock they would otherwise last for as long as it was wrong by.
    """
    stopped, ended = StateChange(posix(at, at), SERVER, "stopped"), end_at_stop(recorder.tracker, at)
    if ended is None:
        return recorder, (stopped,)
    return replace(recorder, tracker=SleepTracker()), (ended, stopped)


def record(recorder: Recorder, status: Status, options: Options) -> tuple[Recorder, tuple[Entry, ...]]:
    """The recorder after a decision, and the new entries; a sleep with a known begin replaces its record."""
    before = recorder.known.status
    known, changes = record_changes(recorder.known, status)
    tracker, sleeps = track_sleeps(recorder.tracker, before, status, options)
    wakes_until, wakes = recorder.wakes_until, tuple[DiskWake, ...]()
    found = status.decision.part(AttributionReport).wakes
    if found and (before is None or found is not before.decision.part(AttributionReport).wakes):
        wakes_until, wakes = _new_wakes(found, wakes_until, status)
    return Recorder(known, tracker, wakes_until), (*changes, *sleeps, *wakes)


def _new_wakes(
    found: Mapping[DiskId, tuple[Wake, ...]], until: float, status: Status
) -> tuple[float, tuple[DiskWake, ...]]:
    """The wakes since ``until`` whose culprit is known or will not be known, in the order of their time."""
    now = status.now
    new = sorted(
        (wake for wakes in found.values() for wake in wakes if _boottime(wake) > until), key=_boottime
    )
    complete: list[DiskWake] = []
    for wake in new:
        if wake.access is None and not wake.explanation and _age(wake, status) < _NAMED_WITHIN:
            break
        until = _boottime(wake)
        culprit = None if wake.access is None else wake.access.culprit
        complete.append(
            DiskWake(
                posix(wake.at, now),
                wake.disk,
                wake.slept_for,
                culprit.unit if culprit else "",
                culprit.owner if culprit else "",
                culprit.comm if culprit else "",
                wake.access.path if wake.access else "",
            )
        )
    return until, tuple(complete)


def _boottime(wake: Wake) -> float:
    return wake.at.mono + wake.at.slept


def _age(wake: Wake, status: Status) -> float:
    return status.now.mono + status.now.slept - _boottime(wake)


def count(counters: Counters, before: Status | None, status: Status, entries: Iterable[Entry]) -> Counters:
    """The counters after a decision; the same object if nothing is to be counted."""
    for entry in entries:
        if isinstance(entry, DiskWake):
            units = _more(counters.disk_wakes.get(entry.disk, {}), entry.unit)
            counters = replace(counters, disk_wakes={**counters.disk_wakes, entry.disk: units})
        elif isinstance(entry, SleepRecord):
            counters = _count_sleep(counters, entry)
    for disk in _spun_up(before, status):
        counters = replace(counters, spin_ups=_more(counters.spin_ups, disk))
    return counters


def _count_sleep(counters: Counters, entry: SleepRecord) -> Counters:
    """Count a sleep when it has ended; ``came`` is added later."""
    if entry.result == "called-off":
        return replace(counters, called_off=counters.called_off + 1)
    if (
        entry.result != "slept"
        or entry.woken_by is None
        or entry.came_at is not None
        or entry.action == "reboot"
    ):
        return counters
    return replace(
        counters,
        sleeps=_more(counters.sleeps, entry.action),
        asleep_seconds=counters.asleep_seconds + entry.asleep,
        wakeups=_more(counters.wakeups, "unknown" if entry.woken_by == "unrecorded" else entry.woken_by),
    )


def _spun_up(before: Status | None, status: Status) -> Iterator[str]:
    if before is None:
        return
    old, new = before.decision.part(DisksReport).disks, status.decision.part(DisksReport).disks
    known = {report.disk.id: report.last_spin_up for report in old}
    for report in new:
        if report.last_spin_up is not None and report.last_spin_up != known.get(report.disk.id):
            yield report.disk.id


def _more(counts: Mapping[str, int], label: str) -> Mapping[str, int]:
    label = label if label in counts or len(counts) < _MAX_LABELS else "other"
    return {**counts, label: counts.get(label, 0) + 1}


def time_of(entry: Entry) -> float:
    """The time of an entry, or its begin; POSIX seconds."""
    return entry.begin if isinstance(entry, SleepRecord) else entry.at


def make_record(entries: Iterable[Entry], since: float, until: float) -> Record:
    """The record of a period.

    Args:
        entries: in the order in which they were recorded.
        since: its begin, POSIX seconds; later if the first entry is.
        until: its end.
    """
    changes = Changes()
    others: list[SleepRecord | DiskWake] = []
    rows = iter(entries)
    while batch := list(islice(rows, _BATCH)):
        changes.extend([each for each in batch if isinstance(each, StateChange)])
        others += [each for each in batch if not isinstance(each, StateChange)]
    changes.put_in_order()
    sleeps = {each.begin: each for each in others if isinstance(each, SleepRecord)}
    wakes = {(each.at, each.disk): each for each in others if isinstance(each, DiskWake)}
    first = min(
        min(changes.times, default=float("inf")),
        min(sleeps, default=float("inf")),
        min((at for at, _ in wakes), default=float("inf")),
    )
    since = min(max(since, first), until)
    by_begin = [sleeps[begin_] for begin_ in sorted(sleeps)]
    return Record(
        since,
        until,
        tuple([each for each in with_ends(by_begin, changes) if _ends_after(each, since)]),
        changes,
        tuple(wakes[key] for key in sorted(wakes) if wakes[key].at >= since),
    )


def _ends_after(sleep: SleepRecord, since: float) -> bool:
    return sleep.end is None or max(sleep.end, sleep.begin) >= since
