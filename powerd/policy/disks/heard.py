"""What the outcome of an order says about its disk."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from powerd.model import (
    Answered,
    AskPower,
    CheckHealth,
    DiskMemory,
    DiskState,
    Drive,
    Moment,
    Outcome,
    Power,
    ReadDrive,
    SetApm,
    SetTimer,
    SpinDown,
    StartTest,
    Trouble,
)
from powerd.policy.disks.ways import (
    HUNG,
    NEVER,
    PATIENCE,
    RETRY,
    TRIES,
    UNREACHED,
    VERIFY,
    at,
    boot,
    turned,
    woke,
)

_STILL_SPINS: Final = "it still spun after it was told to stand by"
_DUMB: Final = "it does not say whether it spins"
_WAKES: Final = "its bridge wakes it at each question"
_LOST: Final = frozenset({Trouble.UNREACHED, Trouble.GONE})
_BEGUN: Final = frozenset({Trouble.GONE, Trouble.HUNG, Trouble.FAILED})
"""An order that came to one of these may have reached the drive."""


def hear(  # noqa: PLR0911 - one row for each kind of outcome
    memory: DiskMemory, outcome: Outcome, moved: float, now: Moment
) -> DiskMemory:
    """Memory with one outcome taken into account.

    Args:
        memory: before it.
        outcome: of an order to this disk.
        moved: CLOCK_MONOTONIC of its last I/O; -inf = unknown.
        now: the present moment.
    """
    when = at(now, outcome.at)
    memory = replace(memory, heard=outcome.at)
    match outcome.order, outcome.found:
        case SpinDown() as order, found if outcome.ok:
            return _told(replace(memory, ordered=outcome.begun, way=order.how), found, moved, when)
        case AskPower(), Answered(power=power):
            return _answered(memory, power, moved, when)
        case SetTimer() as timer, Answered(power=power) if outcome.ok:
            ours = timer.seconds > 0
            return replace(memory, timer=timer.seconds, ours=ours, known=outcome.at, pause=-NEVER)
        case SetApm() as apm, Drive() as drive:
            return replace(memory, drive=drive, level=apm.level, known=outcome.at)
        case ReadDrive(), Drive() as drive:
            return replace(memory, drive=drive, read=True, known=outcome.at)
        case CheckHealth(wake=True), found if outcome.ok or found is Trouble.FAILED:
            return _unsure(memory)
        case CheckHealth() | StartTest(), Trouble.UNREACHED:  # smartctl may be missing, and hdparm there
            return memory
        case SpinDown(), found if found in _BEGUN:
            return _failed(replace(memory, ordered=outcome.begun), outcome, when)
        case _ if outcome.ok or memory.barred:
            return memory
        case _:
            return _failed(memory, outcome, when)


def _told(memory: DiskMemory, found: object, moved: float, when: Moment) -> DiskMemory:
    """It accepted to stand by, or did so already; or, in observe mode, it would have been told to."""
    if not isinstance(found, Answered):
        return memory
    if not found.stopped:  # by a timer of its own, or by somebody else: no way of powerd's has worked
        return _answered(memory, found.power, moved, when)
    memory = replace(memory, downs=(*memory.downs, boot(when)), pause=when.mono + VERIFY)
    return turned(memory, DiskState.SETTLING, when)


def _answered(  # noqa: PLR0911 - a ladder: what it was decides what the answer means
    memory: DiskMemory, power: Power, moved: float, when: Moment
) -> DiskMemory:
    """The drive's own word on its power."""
    before, last = memory, memory.known
    asks = before.asks + 1 if last >= moved else 1
    memory = replace(memory, known=when.mono, pause=-NEVER)
    if power.asleep:
        return _asleep(before, memory, power, when)
    if power is Power.SUSPENDED:
        return turned(memory, DiskState.SUSPENDED, when)
    if before.state is DiskState.SETTLING and moved <= before.ordered:
        if power is Power.UNKNOWN:
            return _vain(memory, DiskState.UNKNOWN, _DUMB, when)
        return _vain(memory, DiskState.ACTIVE, _STILL_SPINS, when)
    if power is Power.UNKNOWN:
        return replace(turned(memory, DiskState.UNKNOWN, when, _DUMB), asks=asks)
    if before.state is DiskState.SLEEPING and moved <= last:
        return replace(turned(memory, DiskState.UNSUPPORTED, when, _WAKES), barred=_WAKES)
    if before.state.asleep or before.state is DiskState.SETTLING:
        prodded = before.state.asleep and before.prodded > -NEVER
        return woke(memory, at(when, before.prodded) if prodded else when)
    if before.slept and before.state is DiskState.UNKNOWN:  # woken by the machine's own wake-up
        return replace(woke(memory, when, by_use=False), slept=True)
    if before.state is not DiskState.ACTIVE:
        return turned(memory, DiskState.ACTIVE, when)
    return replace(memory, asks=asks if memory.timer else 1)  # its own timer has had no effect


def _asleep(before: DiskMemory, memory: DiskMemory, power: Power, when: Moment) -> DiskMemory:
    """It stands by: told to, by its own timer, or since nobody knows when."""
    memory = replace(memory, slept=False, failures=0, prodded=-NEVER)
    if before.state is DiskState.SETTLING:
        memory = replace(memory, worked=before.way)
    elif before.state is DiskState.ACTIVE:
        memory = replace(memory, downs=(*memory.downs, boot(when)))
    state = DiskState.SLEEPING if power is Power.SLEEPING else DiskState.STANDBY
    if state is before.state:
        return replace(memory, asks=1)
    since = before.since if before.state is DiskState.SETTLING else when
    pause = when.mono + VERIFY if state is DiskState.SLEEPING else -NEVER
    return replace(turned(memory, state, since), pause=pause)


def _vain(memory: DiskMemory, state: DiskState, why: str, when: Moment) -> DiskMemory:
    """One more spin-down in vain: another try, another way, or the end of trying."""
    memory = replace(memory, failures=memory.failures + 1, pause=when.mono + RETRY)
    return turned(memory, DiskState.UNSUPPORTED if memory.failures >= TRIES else state, when, why)


def _failed(  # noqa: PLR0911 - one row for each kind of trouble
    memory: DiskMemory, outcome: Outcome, when: Moment
) -> DiskMemory:
    """An order that was not carried out."""
    trouble, why = outcome.found, outcome.observed
    if trouble is Trouble.HUNG:
        return _hung(turned(memory, DiskState.HUNG, when, why), when)
    if trouble in _LOST:
        return replace(memory, pause=when.mono + UNREACHED, why=why)
    if trouble is Trouble.BUSY:
        return replace(memory, pause=when.mono + RETRY, why=why)
    if trouble is Trouble.ASLEEP:
        return turned(replace(memory, known=-NEVER), DiskState.UNKNOWN, when)
    match outcome.order:
        case SpinDown():
            return _vain(memory, memory.state, why, when)
        case AskPower():
            asks = memory.asks + 1
            state = DiskState.UNSUPPORTED if asks >= TRIES else memory.state
            memory = turned(memory, state, when, why)
            return replace(memory, asks=asks, pause=when.mono + RETRY * 2**asks)
        case SetTimer():
            return replace(memory, timerless=True, denied=why)
        case SetApm(level=level):
            return replace(memory, level=level, denied=why)
        case ReadDrive():
            return replace(memory, read=True)
        case _:  # a check of its health tells nothing of its spindle
            return memory


def _hung(memory: DiskMemory, when: Moment) -> DiskMemory:
    """One more question, or the order before any, that was not answered in time."""
    asks = min(memory.asks + 1, PATIENCE)
    return replace(memory, asks=asks, pause=when.mono + min(HUNG, RETRY * 2 ** (asks - 1)))


def _unsure(memory: DiskMemory) -> DiskMemory:
    """Something that its counters do not show may have woken it: it is to be asked."""
    return replace(memory, known=-NEVER) if memory.state.asleep else memory
