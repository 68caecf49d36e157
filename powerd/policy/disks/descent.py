"""A spinning disk on its way down: when, by which way, and what it waits for."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from powerd.config import show_duration
from powerd.model import Activity, AskPower, DiskState, Seen, SpinDown
from powerd.policy.disks.case import Case, Step
from powerd.policy.disks.ways import DAY, LOOK, NEVER, PUT_BACK, RETRY, TRIES, WISH, boot, way

_LATE: Final = 30.0
"""So long after its time a drive's own timer has surely run out, or a twentieth of it if that is longer."""
_ALONE: Final = 'spin_down_after = "0s" leaves it alone'


def descent(case: Case, look: Seen[Activity]) -> Step:  # noqa: PLR0911 - a ladder, as step()
    """A spinning disk on its way down: by its own timer, on command, or both."""
    back = _put_back(case, look) if case.memory.slept else None
    wished = None if case.wished is None else _wished(case, look, case.wished)
    if case.after == 0 and wished is None:
        return Step(_ALONE)
    if case.holds is not None:
        return Step(case.holds)
    if spent(case):
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
    due = max(idle_since + length, memory.known + length if asks else 0.0) + max(_LATE, length / 20)
    if case.now.mono >= due:
        return Step("it is asked whether its timer has run out", AskPower(case.disk.id), at=due)
    return Step(why, at=due, again=due)


def _commanded(case: Case, look: Seen[Activity], due: float, why: str) -> Step:
    """Told to stand by once a fresh look has found it idle until ``due``."""
    memory, now = case.memory, case.now
    if not case.acts and memory.pretended >= look.value.moved:
        return Step("would have been told to stand by, were this not observe mode")
    if look.at < due or now.mono - look.at > LOOK:
        wanted = due if due > look.at else now.mono
        return Step(why, None, max(due, now.mono), NEVER, wanted)
    if look.value.in_flight:
        return Step("it has I/O under way", look=now.mono + RETRY)
    how = way(case.disk, memory.worked, memory.failures)
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
    return memory.base[0] + PUT_BACK if untouched else None


def spent(case: Case) -> bool:
    """Whether it has been spun down as often as it may be in 24 hours."""
    return len(case.memory.downs) >= case.plan.most
