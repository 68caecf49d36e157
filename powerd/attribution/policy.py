"""Which disks are traced, when the trace is read, and what is a wake.

Reading starts the helper, so nothing is read while nothing happens: at once after a spin-up, and when a disk
has stopped, to make room in the buffer; otherwise at most every READ_INTERVAL while traced disks are used,
and less often while that finds only accesses of powerd itself, whose helper may have been read from the disk.
A disk that is used all the time is not traced.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from powerd.attribution.model import (
    Access,
    AttributionFacts,
    AttributionMemory,
    AttributionReport,
    Culprit,
    DiskUse,
    Wake,
)
from powerd.attribution.wake_rules import name_culprits
from powerd.core.domain import Assessment, Context
from powerd.core.reasons import UndatedReason, failure_text
from powerd.core.time import MIN_SLEEP, Moment, Reading, Unavailable
from powerd.disks.model import MAX_WATCHED_DISKS, DiskActivity, DiskFacts, DiskId
from powerd.disks.state import DiskReport, DisksReport, DiskState

READ_INTERVAL: Final = 300.0
"""Seconds between two readings while a disk is used, at least."""
MAX_READ_INTERVAL: Final = 3600.0
"""The same after several readings that found only powerd; more if a disk waits longer until it spins
down: a helper that has to be read from a disk must not keep it spinning."""
_MAX_DOUBLINGS: Final = 16
"""Of READ_INTERVAL: more than half a year, longer than any disk waits."""
DRAIN_INTERVAL: Final = 30.0
"""Seconds between two readings because disks have stopped, or because the trace of one that is stopped is
to begin, or is in danger."""
BUSY_RATE, QUIET_RATE = 20.0, 2.0
"""I/O a second from which a disk is busy, and up to which it is not."""
QUIET_TIME: Final = 300.0
"""Seconds of little I/O after which a busy disk is traced again."""
_RATE_TIME: Final = 15.0
"""Seconds over which the rate is measured at least."""
_HOUR: Final = 3600.0
_MAX_ACCESSES: Final = 500
Activity = Mapping[DiskId, Reading[DiskActivity] | Unavailable]


def assess(context: Context) -> Assessment:
    """The wakes, what keeps disks busy, and what to trace; it never blocks a sleep, not even by a fault."""
    try:
        memory, report = _assess(context)
    except Exception as error:  # noqa: BLE001 - decide() would make a blocker of it
        text = f"{failure_text(error)}; the accesses to the disks are not known"
        facts, known = context.snapshot.part(AttributionFacts), context.memory.part(AttributionMemory)
        retry_at = context.now.mono if facts.found is None else facts.found.at + READ_INTERVAL
        report = AttributionReport(known.wakes, level_reason=text, traced=facts.disks, read_due=retry_at)
        return Assessment(remarks=(UndatedReason("wakes", text, blocks_sleep=False),), parts=(report,))
    return Assessment(memory=(memory,), parts=(report,))


def _assess(context: Context) -> tuple[AttributionMemory, AttributionReport]:
    snapshot, now = context.snapshot, context.now
    facts = snapshot.part(AttributionFacts)
    activity = snapshot.part(DiskFacts).activity
    reports = [
        report for report in context.merged.part(DisksReport).disks if report.state is not DiskState.EXCLUDED
    ]
    resumed_at = context.memory.resumed_at
    memory = context.memory.part(AttributionMemory)
    if abs(now.slept - memory.slept) > MIN_SLEEP:
        memory = replace(memory, slept=now.slept, slept_before=memory.slept)
    memory = _update_uses(memory, reports, activity, facts, resumed_at)
    if facts.found is not None and facts.found.at != memory.read_at:
        memory = _add_reading(memory, facts.found, resumed_at)
        memory = name_culprits(memory, reports, facts)
    memory = _drop_expired(memory, now, context.options.watch.keep)
    names = [report.disk.id for report in reports]
    # The helper returns only events of the disks that it is to trace, so a wake is read before a busy disk is
    # left out.
    traced = tuple([name for name in names if name in memory.pending or not memory.uses[name].busy])
    traced = traced[:MAX_WATCHED_DISKS]
    report = AttributionReport(
        memory.wakes,
        memory.busy,
        facts.level,
        facts.level_reason,
        traced,
        _read_due(memory, reports, traced, facts, now),
    )
    return memory, report


def _update_uses(
    memory: AttributionMemory,
    reports: Sequence[DiskReport],
    activity: Activity,
    facts: AttributionFacts,
    resumed_at: float | None,
) -> AttributionMemory:
    """The memory with what the counters show, and with each spin-up as a wake, unless it is by a resume."""
    changed: dict[DiskId, DiskUse] = {}
    for report in reports:
        name = report.disk.id
        use = memory.uses.get(name)
        reading = activity.get(name)
        if use is None:
            use = DiskUse(last_spin_up=report.last_spin_up, resumed_at=resumed_at)
        elif report.last_spin_up != use.last_spin_up:
            memory = _add_wake(memory, report, use, facts, resumed_at)
        updated = _with_counters(use, reading, memory.read_at) if isinstance(reading, Reading) else use
        stops = report.state.is_stopped or report.state is DiskState.SPINNING_DOWN  # an access may come first
        stopped_since = report.since if stops else None
        if stops and updated.busy:
            updated = updated._replace(busy=False, quiet_since=None)
        if stopped_since != use.stopped_since or report.last_spin_up != use.last_spin_up:
            updated = updated._replace(stopped_since=stopped_since, last_spin_up=report.last_spin_up)
        if resumed_at != use.resumed_at and (stops or report.state is DiskState.ACTIVE):
            updated = updated._replace(resumed_at=resumed_at)
        if updated is not memory.uses.get(name):
            changed[name] = updated
    present = {report.disk.id for report in reports}
    if not changed and len(present) == len(memory.uses):
        return memory
    uses = {name: use for name, use in memory.uses.items() if name in present}
    return replace(memory, uses={**uses, **changed})


def _with_counters(use: DiskUse, reading: Reading[DiskActivity], read_at: float | None) -> DiskUse:
    """``use`` with the counters of a reading; ``read_at`` as in AttributionMemory."""
    count = reading.value.io_count
    updated = use
    if count != use.io_count or use.busy or reading.at > use.rate_at + QUIET_TIME:
        updated = _with_rate(use, reading)
    if read_at is not None and updated.counted_read_at != read_at and reading.at > read_at:
        updated = updated._replace(io_count_read=count, counted_read_at=read_at)
    return updated


def _with_rate(use: DiskUse, reading: Reading[DiskActivity]) -> DiskUse:
    """``use`` with the counters of a reading, and whether the disk is busy."""
    at, count = reading.at, reading.value.io_count
    first = not use.rate_at
    if first or at - use.rate_at < _RATE_TIME:
        rate_at, rate_count = (at, count) if first else (use.rate_at, use.rate_count)
        return use._replace(io_count=count, rate_at=rate_at, rate_count=rate_count)
    rate = (count - use.rate_count) / (at - use.rate_at)
    quiet_since = None if rate > QUIET_RATE else use.rate_at if use.quiet_since is None else use.quiet_since
    busy = rate >= BUSY_RATE or (use.busy and (quiet_since is None or at - quiet_since < QUIET_TIME))
    return use._replace(io_count=count, rate_at=at, rate_count=count, busy=busy, quiet_since=quiet_since)


def _add_wake(
    memory: AttributionMemory,
    report: DiskReport,
    use: DiskUse,
    facts: AttributionFacts,
    resumed_at: float | None,
) -> AttributionMemory:
    """The memory with one more wake, whose culprit is not known yet, unless a resume has started the disk."""
    at, disk, stopped_since = report.last_spin_up, report.disk.id, use.stopped_since
    if at is None or (resumed_at is not None and use.resumed_at != resumed_at <= at.mono):
        return memory
    since, slept_for = max(at.mono - QUIET_TIME, use.resumed_at or 0.0), None
    if stopped_since is not None:
        since = stopped_since.mono
        slept_for = at.mono + at.slept - since - stopped_since.slept
    wake = Wake(disk, at, slept_for, None, facts.level)
    return replace(
        memory,
        wakes={**memory.wakes, disk: (wake, *memory.wakes.get(disk, ()))},
        pending={**memory.pending, disk: since},
    )


def _add_reading(
    memory: AttributionMemory, found: Reading[tuple[Access, ...]], resumed_at: float | None
) -> AttributionMemory:
    """The memory with the accesses of a reading."""
    fruitless = all(access.own for access in found.value)
    resumed_at = resumed_at or 0.0
    latest = [
        replace(access, slept=memory.slept if access.last_at >= resumed_at else memory.slept_before)
        for access in found.value[-_MAX_ACCESSES:]
    ]
    accesses = (*memory.accesses, *latest)[-_MAX_ACCESSES:]
    uses = memory.uses
    if not fruitless:  # otherwise the I/O of the reading itself would be the reason for the next one
        uses = {
            name: use._replace(io_count_read=use.io_count, counted_read_at=found.at)
            for name, use in uses.items()
        }
    return replace(
        memory,
        uses=uses,
        accesses=accesses,
        busy=_by_culprit(accesses),
        read_at=found.at,
        fruitless_reads=memory.fruitless_reads + 1 if fruitless else 0,
    )


def _drop_expired(memory: AttributionMemory, now: Moment, keep: int) -> AttributionMemory:
    """The memory without accesses that are older than an hour, and with ``keep`` wakes of each disk."""
    if any(len(wakes) > keep for wakes in memory.wakes.values()):
        memory = replace(memory, wakes={disk: wakes[:keep] for disk, wakes in memory.wakes.items()})
    since = now.mono + now.slept - _HOUR
    if not memory.accesses or memory.accesses[0].last_at + memory.accesses[0].slept >= since:
        return memory
    accesses = tuple([access for access in memory.accesses if access.last_at + access.slept >= since])
    return replace(memory, accesses=accesses, busy=_by_culprit(accesses))


def _by_culprit(accesses: Iterable[Access]) -> tuple[Access, ...]:
    """One Access for each disk and culprit, the most frequent first."""
    groups: dict[tuple[object, ...], list[Access]] = {}
    for access in accesses:
        culprit = access.culprit
        who = culprit.unit or culprit.owner or culprit.comm
        groups.setdefault((access.disk, who, culprit.owner), []).append(access)
    return tuple(sorted(map(_sum_of, groups.values()), key=lambda access: -access.count))


def _sum_of(accesses: list[Access]) -> Access:
    """One Access for those of one culprit: operation, file and process are the most frequent ones."""
    if len(accesses) == 1:
        return accesses[0]
    operations, files, processes = Counter[str](), Counter[tuple[str, int]](), Counter[Culprit]()
    for access in accesses:
        operations[access.operation] += access.count
        files[access.path, access.inode] += access.count if access.path else 0
        processes[access.culprit] += access.count
    path, inode = files.most_common(1)[0][0]
    slept = accesses[-1].slept
    return replace(
        max(accesses, key=lambda access: access.count),
        culprit=processes.most_common(1)[0][0],
        operation=operations.most_common(1)[0][0],
        path=path,
        inode=inode,
        first_at=min(access.first_at + access.slept for access in accesses) - slept,
        last_at=max(access.last_at + access.slept for access in accesses) - slept,
        count=sum(access.count for access in accesses),
        size=sum(access.size for access in accesses),
        slept=slept,
    )


def _read_due(
    memory: AttributionMemory,
    reports: Sequence[DiskReport],
    traced: tuple[DiskId, ...],
    facts: AttributionFacts,
    now: Moment,
) -> float:
    """CLOCK_MONOTONIC at which the trace is to be read; inf = not before something happens."""
    if not reports:
        return now.mono if facts.disks else float("inf")  # which stops the trace
    if memory.read_at is None:
        return now.mono
    if any(disk in memory.uses for disk in memory.pending):
        return now.mono
    due = float("inf")
    if traced != facts.disks:
        stopped = {disk for disk in traced if memory.uses[disk].stopped_since is not None}
        leaves = any(disk not in traced for disk in facts.disks)  # until then a busy one may fill the buffer
        urgent = (leaves and stopped) or not stopped <= set(facts.disks)
        due = memory.read_at + (DRAIN_INTERVAL if urgent else READ_INTERVAL)
    longest = max(2 * max(report.spin_down_after for report in reports), MAX_READ_INTERVAL)
    for report in reports:
        use = memory.uses[report.disk.id]
        if use.busy or use.io_count == use.io_count_read or use.counted_read_at != memory.read_at:
            continue
        interval = min(READ_INTERVAL * 2 ** min(memory.fruitless_reads, _MAX_DOUBLINGS), longest)
        if use.stopped_since is not None:
            interval = DRAIN_INTERVAL
        due = min(due, memory.read_at + interval)
    return due
