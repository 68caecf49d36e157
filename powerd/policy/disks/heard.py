"""What the outcome of an order says about its disk."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from powerd.model import (
    Activity,
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
    if not outcome.ok:
        return _failed(memory, outcome, when)
    match outcome.order, outcome.found:
        case SpinDown(), None:
            return replace(memory, pretended=outcome.begun)
        case SpinDown(how=how), Answered(stopped=True):
            return _told(replace(memory, ordered=outcome.begun, way=how), when)
        case SpinDown() | AskPower(), Answered(power=power):  # one that slept already was told nothing
            return _answered(memory, power, moved, when)
        case SetTimer() as timer, Answered():
            ours = timer.seconds > 0
            return replace(memory, timer=timer.seconds, ours=ours, known=outcome.at, pause=-NEVER)
        case SetApm() as apm, Drive() as drive:
            return replace(memory, drive=drive, level=apm.level, known=outcome.at)
        case ReadDrive(), Drive() as drive:
            return replace(memory, drive=drive, read=True, known=outcome.at)
        case CheckHealth(wake=True), _:
            return _unsure(memory)
        case _:
            return memory


def _told(memory: DiskMemory, when: Moment) -> DiskMemory:
    """It accepted to stand by, and is to be asked whether it does."""
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
    if power is Power.UNKNOWN and before.state is DiskState.SETTLING and moved <= before.ordered:
        return _vain(memory, DiskState.UNKNOWN, _DUMB, when)
    if power is Power.UNKNOWN:
        return replace(turned(memory, DiskState.UNKNOWN, when, _DUMB), asks=asks)
    if before.state is DiskState.SETTLING or (before.state is DiskState.SLEEPING and last > -NEVER):
        return replace(memory, spun=when.mono)
    if before.state.asleep:
        return woke(memory, at(when, before.prodded) if before.prodded > -NEVER else when)
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


def judged(memory: DiskMemory, activity: Activity, now: Moment) -> DiskMemory:
    """One that spun though it should have stood still, by a look that came after it had said so.

    The look before that may be a whole round old: an access since then is no fault of the drive's. Nor is a
    command of others, but where no way is known to work: some poll oftener than a drive is asked.

    Args:
        memory: with ``spun``.
        activity: by that look.
        now: the present moment.
    """
    settling = memory.state is DiskState.SETTLING
    excused = not settling or memory.worked is not None
    used = max(activity.moved, activity.prodded) if excused else activity.moved
    if used > (memory.ordered if settling else memory.since.mono):
        return woke(memory, at(now, used))
    if settling:
        return _vain(memory, DiskState.ACTIVE, _STILL_SPINS, now)
    return replace(turned(memory, DiskState.UNSUPPORTED, now, _WAKES), barred=_WAKES)


def _vain(memory: DiskMemory, state: DiskState, why: str, when: Moment) -> DiskMemory:
    """One more spin-down in vain: another try, another way, or the end of trying."""
    memory = replace(memory, failures=memory.failures + 1, pause=when.mono + RETRY)
    return turned(memory, DiskState.UNSUPPORTED if memory.failures >= TRIES else state, when, why)


def _failed(  # noqa: PLR0911 - one row for each kind of trouble
    memory: DiskMemory, outcome: Outcome, when: Moment
) -> DiskMemory:
    """An order that was not carried out, which tells nothing of a disk that has been given up."""
    order, trouble, why = outcome.order, outcome.found, outcome.observed
    if memory.barred or memory.state is DiskState.UNSUPPORTED:
        return memory
    if isinstance(order, SpinDown) and trouble in _BEGUN:
        memory = replace(memory, ordered=outcome.begun)
    match trouble:
        case Trouble.HUNG:
            return _hung(turned(memory, DiskState.HUNG, when, why), when)
        case Trouble.UNREACHED if isinstance(order, CheckHealth | StartTest):
            return memory  # smartctl may be missing, and hdparm there
        case Trouble.UNREACHED | Trouble.GONE:
            return replace(memory, pause=when.mono + UNREACHED, why=why)
        case Trouble.BUSY:
            return replace(memory, pause=when.mono + RETRY, why=why)
        case Trouble.ASLEEP:
            return _found_asleep(memory, when)
        case _:
            return _refused(memory, outcome, when)


def _found_asleep(memory: DiskMemory, when: Moment) -> DiskMemory:
    """The order would have woken it: it is to be asked, unless it was known to sleep, or about to."""
    if memory.state.asleep or memory.state is DiskState.SETTLING:
        return memory
    return turned(replace(memory, known=-NEVER), DiskState.UNKNOWN, when)


def _refused(  # noqa: PLR0911 - one row for each kind of order
    memory: DiskMemory, outcome: Outcome, when: Moment
) -> DiskMemory:
    """An order that the drive or its tool refused."""
    why = outcome.observed
    match outcome.order:
        case SpinDown():
            return _vain(memory, memory.state, why, when)
        case AskPower():
            asks = memory.asks + 1
            state = DiskState.UNSUPPORTED if asks >= TRIES else memory.state
            memory = turned(memory, state, when, why)
            return replace(memory, asks=asks, pause=when.mono + RETRY * 2 ** min(asks, TRIES))
        case SetTimer():
            return replace(memory, timerless=True, denied=why)
        case SetApm(level=level):
            return replace(memory, level=level, denied=why)
        case ReadDrive():
            return replace(memory, read=True)
        case CheckHealth(wake=True):
            return _unsure(memory)
        case _:  # a check of its health tells nothing of its spindle
            return memory


def _hung(memory: DiskMemory, when: Moment) -> DiskMemory:
    """One more question, or the order before any, that was not answered in time."""
    asks = min(memory.asks + 1, PATIENCE)
    return replace(memory, asks=asks, pause=when.mono + min(HUNG, RETRY * 2 ** (asks - 1)))


def _unsure(memory: DiskMemory) -> DiskMemory:
    """Something that its counters do not show may have woken it: it is to be asked."""
    return replace(memory, known=-NEVER) if memory.state.asleep else memory
