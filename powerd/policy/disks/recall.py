"""What is remembered of one disk, brought up to date from facts alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from powerd.model import Activity, Blind, Disk, DiskMemory, DiskState, Moment, Outcome, Roused, Seen
from powerd.policy.disks.heard import hear, judged
from powerd.policy.disks.ways import NEVER, REASK_FIRST, VANISHED, aged, at, is_old, turned, woke

Look = Seen[Activity] | Blind | None

_VANISHES: Final = "it vanished when it was told to stand by"


def recall(  # noqa: PLR0913 - each kind of fact that there is about a disk
    memory: DiskMemory,
    disk: Disk,
    *,
    looks: tuple[Look, Look],
    outcomes: Sequence[Outcome],
    roused: Roused | None,
    resumed: float | None,
    now: Moment,
) -> DiskMemory:
    """The disk's memory after everything that has come to be known since the last decision.

    Args:
        memory: of the last decision.
        disk: which.
        looks: at its counters: the last decision's, and the latest.
        outcomes: of orders to it that the last decision did not know, in their order.
        roused: the last time that its group was woken as a whole.
        resumed: CLOCK_MONOTONIC of the machine's last wake-up.
        now: the present moment.
    """
    before, look = looks
    moved = look.value.moved if isinstance(look, Seen) else -NEVER
    begun = max(disk.seen, -NEVER if resumed is None else resumed)  # of this epoch
    memory = aged(memory, now)
    for outcome in outcomes:
        if outcome.at < begun:
            memory = hear(memory, outcome, moved, now)
    if resumed != memory.resumed:
        memory = _resumed(memory, resumed, now)
    if disk.seen != memory.seen:
        memory = _plugged(memory, disk.seen, now)
    for outcome in outcomes:
        if outcome.at >= begun:
            memory = hear(memory, outcome, moved, now)
    if disk.transport == "usb" and not memory.barred and _vanished(memory, resumed):
        memory = _unknown(replace(memory, barred=_VANISHES), now)
    if roused is not None and roused.at > memory.known and memory.state.asleep:
        memory = _roused(memory, disk, roused, now)
    if look is None or look is before:
        return memory
    return _looked(memory, before, look, begun, now) if isinstance(look, Seen) else _blind(memory, now)


def is_quiet(
    memory: DiskMemory, disk: Disk, before: Look, look: Look, about: tuple[float | None, float]
) -> bool:
    """Whether recall() has nothing to do, short of an outcome: most disks, most of the time.

    ``about`` is when the machine last woke up, and the CLOCK_BOOTTIME of 24 hours ago.
    """
    resumed, start = about
    return (
        isinstance(look, Seen)
        and isinstance(before, Seen)
        and (activity := look.value).moved <= before.value.moved
        and not activity.suspended
        and memory.state is not DiskState.SUSPENDED
        and memory.spun == -NEVER
        and not memory.slept
        and not (activity.prodded > memory.known and memory.state.asleep)
        and memory.resumed == resumed
        and memory.seen == disk.seen
        and not is_old(memory, start)
    )


def _resumed(memory: DiskMemory, resumed: float | None, now: Moment) -> DiskMemory:
    """The machine has slept: drives have lost their settings, and most have been woken with it."""
    stood = memory.state in {DiskState.STANDBY, DiskState.SLEEPING, DiskState.SETTLING}
    memory = replace(_void(memory), resumed=resumed, slept=stood or memory.slept)
    return memory if memory.state in {DiskState.HUNG, DiskState.UNSUPPORTED} else _unknown(memory, now)


def _plugged(memory: DiskMemory, seen: float, now: Moment) -> DiskMemory:
    """Another connection, or the first of this run: what was in vain or hung may work now."""
    ours = memory.ours and memory.seen == -NEVER
    memory = replace(_void(memory), ours=ours, seen=seen, slept=False, failures=0)
    return _unknown(memory, now)


def _vanished(memory: DiskMemory, resumed: float | None) -> bool:
    """Whether it has come back soon after it was told to stand by, and not because the machine slept.

    Some bridges let go of a disk that stops, and its filesystems with it.
    """
    told = memory.ordered
    return told < memory.seen <= told + VANISHED and (resumed is None or resumed < told)


def _void(memory: DiskMemory) -> DiskMemory:
    """Without what a drive forgets with its power."""
    return replace(
        memory,
        known=-NEVER,
        pause=-NEVER,
        drive=None,
        read=False,
        timer=None,
        ours=False,
        timerless=False,
        level=None,
        denied="",
        base=None,
        prodded=-NEVER,
    )


def _unknown(memory: DiskMemory, now: Moment) -> DiskMemory:
    """To be asked, unless it has been given up."""
    return replace(turned(memory, DiskState.UNKNOWN, now), known=-NEVER)


def tried_anew(memory: DiskMemory) -> DiskMemory:
    """As after a change of the configuration: whatever was given up is tried again."""
    state = DiskState.UNKNOWN if memory.state is DiskState.UNSUPPORTED else memory.state
    known = -NEVER if state is not memory.state else memory.known
    return replace(
        memory,
        state=state,
        known=known,
        pause=-NEVER,
        asks=0,
        failures=0,
        why="",
        barred="",
        ordered=-NEVER if memory.barred else memory.ordered,
        read=False,
        timerless=False,
        level=None,
        denied="",
        stretch=0,
        bounces=(),
    )


def _roused(memory: DiskMemory, disk: Disk, roused: Roused, now: Moment) -> DiskMemory:
    """The helper has woken its group, or seen its first access."""
    if disk.id not in {roused.disk, *roused.others}:
        return memory
    return replace(woke(memory, at(now, roused.at)), known=roused.at)


def _blind(memory: DiskMemory, now: Moment) -> DiskMemory:
    """Its counters say nothing; of one that spun though it was told to stand by, nobody can tell why."""
    return memory if memory.spun == -NEVER else turned(memory, DiskState.ACTIVE, now)


def _looked(  # noqa: PLR0911 - a ladder: each rung is one way to know
    memory: DiskMemory, before: Look, look: Seen[Activity], begun: float, now: Moment
) -> DiskMemory:
    """What its counters say of its spindle.

    I/O that was seen between two looks which both came after the drive's last word has woken it. Where the
    word came between them, the I/O may have been before it: then that word counts no more.
    """
    activity = look.value
    if activity.suspended:
        return turned(memory, DiskState.SUSPENDED, now)
    if memory.state is DiskState.SUSPENDED:
        return woke(memory, now, by_use=False)
    if memory.spun > -NEVER:
        return judged(memory, activity, now) if look.at > memory.spun else memory
    memory = _prodded(_touched(memory, look), activity, now)
    if isinstance(before, Seen) and activity.moved <= before.value.moved:
        return memory
    floor = max(memory.known, begun)
    if activity.moved <= floor or memory.state not in _TELLING:
        return memory
    if not isinstance(before, Seen) or before.at < floor:
        return replace(memory, known=-NEVER)
    when = at(now, activity.moved)
    if memory.state.asleep:
        return woke(memory, when)
    return turned(memory, DiskState.ACTIVE, when)


def _prodded(memory: DiskMemory, activity: Activity, now: Moment) -> DiskMemory:
    """A command of others may have woken it, so it is to be asked; but not whenever a sensor polls it."""
    due = activity.prodded > memory.known and now.mono - memory.known >= REASK_FIRST
    return replace(memory, known=-NEVER, prodded=activity.prodded) if due and memory.state.asleep else memory


_TELLING = (DiskState.STANDBY, DiskState.SLEEPING, DiskState.UNKNOWN)
"""States in which I/O says something new."""


def _touched(memory: DiskMemory, look: Seen[Activity]) -> DiskMemory:
    """A disk that is to be put back, and has been used since the machine woke up, stays up."""
    if not memory.slept or memory.resumed is None or look.at < memory.resumed:
        return memory
    if memory.base is None:
        return replace(memory, base=(look.at, look.value.ios))
    return memory if look.value.ios == memory.base[1] else replace(memory, slept=False)
