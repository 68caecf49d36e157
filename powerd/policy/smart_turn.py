"""One drive's turn: whether it is awake, what its last checks came to, and what it is due for."""

from __future__ import annotations

from typing import Final, NamedTuple

from powerd.config import Options
from powerd.model import (
    CheckHealth,
    Disk,
    DiskId,
    DiskOrder,
    DiskReport,
    DiskState,
    Moment,
    Outcome,
    Record,
    Seen,
    Snapshot,
    StartTest,
    TestKind,
    Trouble,
)
from powerd.policy.checkups import Checkup, next_check, next_test, testing_until

RETRY: Final = 3600.0
"""Seconds until a check that failed is tried again; the drive was awake, so that wakes nothing."""
PATIENCE: Final = 3600.0
"""A due check waits so long for the drive to be told to stand by; one that is never idle is checked then."""
_UNTRACKED: Final = frozenset({DiskState.UNSUPPORTED, DiskState.EXCLUDED})
_USED: Final = 300.0
"""A drive that was used within so many seconds spins."""
_SAME: Final = 0.001
"""Times of one event differ by less where they are reckoned from one another, seconds."""


class Look(NamedTuple):
    """All that a drive's turn is decided from.

    Attributes:
        disk, report, record: what it is, does, and has said so far.
        checked, tested: what the last check, and the last order to test itself, came to.
        begun: orders about its health that are under way.
        moved: CLOCK_MONOTONIC of its last I/O; -inf = unknown.
        suspended: by the kernel, as far as anybody looks: not at what has no spindle.
        check, test: when the next ones are due, as in checkups.
    """

    disk: Disk
    report: DiskReport
    record: Record
    checked: Outcome | None
    tested: Outcome | None
    begun: frozenset[DiskOrder]
    moved: float
    suspended: bool
    check: Checkup | None
    test: tuple[float, TestKind] | None


def look_at(snapshot: Snapshot, report: DiskReport, options: Options, now: Moment) -> Look:
    """The facts of one drive, which must have a record."""
    name: DiskId = report.disk.id
    begun = frozenset(
        order
        for order in snapshot.in_flight
        if isinstance(order, CheckHealth | StartTest) and order.disk == name
    )
    seen, record = snapshot.activity.get(name), snapshot.records[name]
    active = seen.value if isinstance(seen, Seen) else None
    return Look(
        report.disk,
        report,
        record,
        snapshot.disk_outcomes.get((CheckHealth, name)),
        snapshot.disk_outcomes.get((StartTest, name)),
        begun,
        float("-inf") if active is None else active.moved,
        report.state is DiskState.SUSPENDED or (active is not None and active.suspended),
        next_check(record, options.smart, now.wall),
        next_test(record, options.smart),
    )


def due(look: Look, now: Moment, *, leaving: bool, must: bool) -> DiskOrder | None:
    """What is to be ordered of one drive now.

    Args:
        look: the drive.
        now: the present moment.
        leaving: it is about to be told to stand by.
        must: it may be woken.
    """
    if must:
        return CheckHealth(look.disk.id, wake=True, kind=look.record.kind)
    if not awake(look, now) or paused(look.checked, now):
        return None
    wall = now.wall.timestamp()
    # One that spins but is in use is waited for: until it leaves, or for so long since both are true.
    at_leisure = leaving or not waits_for_idleness(look)
    ripe = wall - (0.0 if at_leisure else PATIENCE)
    if not at_leisure and now.mono - look.report.since.mono < PATIENCE:
        return None
    if look.check is not None and ripe >= look.check.due:
        return CheckHealth(look.disk.id, wake=False, kind=look.record.kind)
    if look.test is not None and ripe >= look.test[0] and not paused(look.tested, now):
        return StartTest(look.disk.id, look.test[1], look.record.kind)
    return None


def waits_for_idleness(look: Look) -> bool:
    """Whether powerd will tell it to stand by when nobody needs it; its own timer gives no such notice."""
    return look.report.spin_down_at is not None and not look.report.timer


def awake(look: Look, now: Moment) -> bool:
    """Whether the drive spins, or has nothing that could.

    Of one that powerd leaves alone nobody knows whether it spins, and even the question wakes some behind a
    bridge. So it is believed to when it has just been used.
    """
    if look.suspended or _found_asleep(look, now):
        return False
    if look.disk.rotational is False:
        return True
    if look.report.state in _UNTRACKED:
        return now.mono - look.moved <= _USED
    return look.report.state is DiskState.ACTIVE


def sleeps(look: Look, now: Moment) -> bool:
    """Whether only an order that wakes it will get its health; the kernel's own sleep is left to the kernel.

    So it is, too, where for long nothing has told whether it spins.
    """
    state = look.report.state
    if look.suspended or look.disk.rotational is False:
        return False
    if state in _UNTRACKED:
        return not awake(look, now)
    untold = state is DiskState.UNKNOWN and now.mono - look.report.since.mono >= PATIENCE
    return state.asleep or untold or _found_asleep(look, now)


def paused(outcome: Outcome | None, now: Moment) -> bool:
    """Whether the last attempt failed so lately that another would be too soon."""
    return outcome is not None and failed(outcome) and now.mono < outcome.at + RETRY


def failed(outcome: Outcome) -> bool:
    """Whether an attempt came to nothing; one that found the drive asleep is no failure."""
    return (not outcome.ok or outcome.found is None) and outcome.found is not Trouble.ASLEEP


def testing(look: Look, now: Moment) -> bool:
    """Whether a self-test runs, as far as is known."""
    until = testing_until(look.record)
    return until is not None and now.wall.timestamp() < until


def _found_asleep(look: Look, now: Moment) -> bool:
    """Whether it slept when it was last asked, and neither its counters nor its word have told more since.

    Of one without a spindle nothing tells more: the kernel had suspended it, and may have woken it by now. To
    ask again costs a look into sysfs.
    """
    asked = max(filter(None, (look.checked, look.tested)), key=lambda outcome: outcome.at, default=None)
    if asked is None or asked.found is not Trouble.ASLEEP:
        return False
    if look.disk.rotational is False:
        return now.mono < asked.at + RETRY
    return max(look.moved, look.report.since.mono) <= asked.at + _SAME
