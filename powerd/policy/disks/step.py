"""What is to be done with one disk now, and what it waits for."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from powerd.config import DiskPlan, show_duration
from powerd.model import (
    Activity,
    AskPower,
    Blind,
    Disk,
    DiskMemory,
    DiskOrder,
    DiskState,
    Moment,
    ReadDrive,
    Seen,
    SetApm,
    SetTimer,
    SpinDown,
)
from powerd.model.standby_timer import LONGEST, timer_for
from powerd.policy.disks.ways import DAY, FRESH, LOOK, NEVER, RETRY, SETTLED, TRIES, WISH, boot, ways

_USB: Final = "it is on USB; with usb = true in a [[disks.rule]] it may stand by"
_KERNEL: Final = "the kernel spins it down by itself (runtime power management)"
_ALONE: Final = 'spin_down_after = "0s" leaves it alone'
_UNSEEN: Final = "its counters have not been read yet"
_LET: Final = (DiskState.ACTIVE, DiskState.UNKNOWN)
"""States in which a disk may be told to stand by. A tuple: an enum's hash is Python code, and slow."""


class Case(NamedTuple):
    """One disk and all that its next step depends on.

    Attributes:
        disk, memory, plan, look: its own.
        alone: why powerd has nothing to do with it; None = it has.
        after: seconds of idleness after which it stands by, those of its group and bounces reckoned in.
        idle_since: CLOCK_MONOTONIC of the last I/O to any of its group; None = unknown.
        holds: what keeps its whole group up, one clause; None = nothing.
        under_way: an order to it is.
        wished: CLOCK_MONOTONIC at which a person wished it to stand by; None = nobody has.
        acts: the mode is enforce.
        now: the present moment.
    """

    disk: Disk
    memory: DiskMemory
    plan: DiskPlan
    alone: str | None
    look: Seen[Activity] | Blind | None
    after: float
    idle_since: float | None
    holds: str | None
    under_way: bool
    acts: bool
    now: Moment
    wished: float | None = None


class Step(NamedTuple):
    """What follows for it.

    Attributes:
        waits: one clause: what it waits for, or why it is left alone; "" = nothing.
        order: to be given now.
        at: CLOCK_MONOTONIC at which it stands by if nothing stirs; None = not in sight.
        again: CLOCK_MONOTONIC by which to ask again.
        look: CLOCK_MONOTONIC by which its counters are wanted afresh.
        excluded: powerd has nothing to do with it.
    """

    waits: str = ""
    order: DiskOrder | None = None
    at: float | None = None
    again: float = NEVER
    look: float = NEVER
    excluded: bool = False


def step(case: Case) -> Step:  # noqa: PLR0911 - a ladder: each rung forbids the ones below
    """The next step of one disk."""
    memory, now = case.memory, case.now
    if case.alone is not None:
        return Step(case.alone, excluded=True)
    if case.disk.runtime_pm or memory.state is DiskState.SUSPENDED:
        return Step(_KERNEL)
    if memory.state is DiskState.UNSUPPORTED:
        return Step(f"cannot be made to stand by: {memory.why}")
    if case.under_way:
        return Step("an order to it is under way")
    if now.mono < memory.pause:
        return Step(_pausing(memory), again=memory.pause)
    asked = _asked(case)
    if asked is not None:
        return asked
    if not isinstance(case.look, Seen):
        return Step(_UNSEEN if case.look is None else case.look.why)
    if memory.state not in _LET:
        return Step()
    return _settings(case) or _descent(case, case.look)


def left_alone(disk: Disk, plan: DiskPlan) -> str | None:
    """Why powerd has nothing to do with a disk; None = it has."""
    if disk.excluded is None and disk.transport == "usb" and not plan.usb:
        return _USB
    return disk.excluded


def _pausing(memory: DiskMemory) -> str:
    if memory.state is DiskState.SETTLING:
        return "was told to stand by, and will be asked whether it did"
    if memory.state is DiskState.HUNG:
        return f"does not answer, and is asked again ever later, at last every hour: {memory.why}"
    return memory.why


def _asked(case: Case) -> Step | None:
    """The question whether it spins, where nothing else tells; None = there is none."""
    memory, state = case.memory, case.memory.state
    if state is DiskState.ACTIVE or not case.acts:
        return None
    due = state is DiskState.SETTLING or state is DiskState.HUNG
    due = due or (state is DiskState.SLEEPING and memory.asks == 0)  # is it the question that wakes it?
    if not due and not (memory.known == -NEVER and _managed(case)):
        return None
    return Step("it is asked whether it spins", AskPower(case.disk.id))


def _managed(case: Case) -> bool:
    """Whether there is anything to be ordered, if it is but to take away a timer that is wanted no longer."""
    return case.plan.spin_down_after > 0 or case.plan.apm is not None or case.memory.ours


def _settings(case: Case) -> Step | None:
    """The next of a drive's own settings, for one that surely spins; None = all are as they should be."""
    order = _wanted(case)
    if order is None:
        return None
    moved = case.look.value.moved if isinstance(case.look, Seen) else -NEVER
    if case.now.mono - max(moved, case.memory.known) > FRESH:
        order = AskPower(case.disk.id)
    return Step("its settings are being made", order)


def _wanted(case: Case) -> DiskOrder | None:
    disk, memory, plan = case.disk, case.memory, case.plan
    if not case.acts or memory.state is not DiskState.ACTIVE or not _managed(case):
        return None
    if not memory.read:
        return ReadDrive(disk.id)
    seconds = _timer(case)
    if seconds is not None and seconds != memory.timer and not memory.timerless:
        return SetTimer(disk.id, seconds)
    if plan.apm is None or plan.apm == memory.level or memory.drive is None:
        return None
    differs = memory.drive.apm_supported and memory.drive.apm != plan.apm
    return SetApm(disk.id, plan.apm) if differs else None


def _timer(case: Case) -> int | None:
    """Seconds that its own timer is to have; None = powerd has none to do with it."""
    if case.plan.method == "command" or case.after == 0:
        return 0 if case.memory.ours else None
    too_long = case.plan.method == "both" and case.after > LONGEST  # then the command does, at the full time
    return 0 if too_long or _spent(case) else timer_for(case.after).seconds


def _spent(case: Case) -> bool:
    """Whether it has been spun down as often as it may be in 24 hours."""
    return len(case.memory.downs) >= case.plan.most


def _descent(case: Case, look: Seen[Activity]) -> Step:  # noqa: PLR0911 - a ladder, as step()
    """A spinning disk on its way down: by its own timer, on command, or both."""
    back = _put_back(case, look) if case.memory.slept else None
    wished = None if case.wished is None else _wished(case, look, case.wished)
    if case.after == 0 and wished is None:
        return Step(_ALONE)
    if case.holds is not None:
        return Step(case.holds)
    if _spent(case):
        first = case.memory.downs[-case.plan.most] + DAY - boot(case.now)
        why = f"has been spun down {case.plan.most} times in 24 hours, as often as it may be"
        return Step(why, again=case.now.mono + first)
    if wished is not None:
        return _commanded(case, look, wished, "is to stand by, as somebody wished")
    if back is not None:
        return _commanded(case, look, back, "is put back to sleep after the wake-up")
    if case.idle_since is None:
        return Step("the activity of its group is unknown")
    why = _idleness(case.after)
    if case.plan.method != "command" and case.memory.timer and case.acts:
        return _timed(case, look, case.idle_since, why)
    if case.plan.method == "timer" and case.acts:
        return Step(f"its own timer cannot be set: {case.memory.denied}")
    return _commanded(case, look, case.idle_since + case.after, why)


@lru_cache(maxsize=64)
def _idleness(after: float) -> str:
    return f"waits for {show_duration(after)} of idleness"


def _timed(case: Case, look: Seen[Activity], idle_since: float, why: str) -> Step:
    """Its own timer runs; once that must have run out, it is asked.

    One that ignores it is asked twice more, a whole timer later each, or with method "both" commanded. An
    access between the timer's end and the question leaves a stop and a start uncounted: nobody tells of them.
    """
    memory = case.memory
    length = memory.timer or 0
    asks = memory.asks if memory.known >= look.value.moved else 0
    if asks and case.plan.method == "both" and memory.known >= idle_since + length:
        return _commanded(case, look, idle_since + case.after, "has ignored its own timer")
    if asks >= TRIES and memory.state is DiskState.UNKNOWN:
        return Step(f"may stand by on its own timer of {show_duration(length)}: {memory.why}")
    if asks >= TRIES:
        return Step(f'ignores its own timer of {show_duration(length)}; take method = "both"')
    due = max(idle_since + length, memory.known + length if asks else 0.0) + max(SETTLED, length / 20)
    if case.now.mono >= due:
        return Step("it is asked whether its timer has run out", AskPower(case.disk.id), at=due)
    return Step(why, at=due, again=due)


def _commanded(case: Case, look: Seen[Activity], due: float, why: str) -> Step:
    """Told to stand by once a fresh look has found it idle until ``due``."""
    memory, now = case.memory, case.now
    if not case.acts and memory.ordered >= look.value.moved:
        return Step("would have been told to stand by, were this not observe mode")
    if look.at < due or now.mono - look.at > LOOK:
        wanted = due if due > look.at else now.mono
        return Step(why, at=max(due, now.mono), look=wanted)
    if look.value.in_flight:
        return Step("it has I/O under way", look=now.mono + RETRY)
    how = ways(case.disk, memory.worked)[memory.failures]
    return Step("is told to stand by", SpinDown(case.disk.id, how), at=now.mono)


def _wished(case: Case, look: Seen[Activity], wish: float) -> float | None:
    """When a person wished it to stand by; None = it, or one of its group, has been used or told since."""
    memory = case.memory
    if max(look.value.moved, case.idle_since or 0.0) > wish or case.now.mono - wish > WISH:
        return None
    return None if memory.ordered >= wish and not memory.failures else wish


def _put_back(case: Case, look: Seen[Activity]) -> float | None:
    """When a disk that slept before the machine did may go back to sleep; None = it has no claim to."""
    memory = case.memory
    if memory.base is None or memory.known == -NEVER or case.idle_since is None:
        return None
    untouched = look.value.ios == memory.base[1] and case.idle_since <= memory.base[0]  # nor was its group
    return memory.base[0] + SETTLED if untouched else None
