"""What is to be done with one disk now, and what it waits for."""

from __future__ import annotations

from typing import Final

from powerd.config import DiskPlan
from powerd.model import (
    APM_WITHOUT_STANDBY,
    Activity,
    AskPower,
    Disk,
    DiskMemory,
    DiskOrder,
    DiskState,
    ReadDrive,
    Seen,
    SetApm,
    SetTimer,
)
from powerd.model.standby_timer import LONGEST, timer_for
from powerd.policy.disks.case import Case, Step
from powerd.policy.disks.descent import descent, spent
from powerd.policy.disks.ways import FRESH, HOOKS, NEVER, REASK_FIRST, REASK_MOST

_USB: Final = "it is on USB; with usb = true in a [[disks.rule]] it may stand by"
_JOURNAL: Final = (
    "{} holds the journal, whose lines would wake it; with Storage=volatile (journald.conf(5)), or "
    "spin_down_after in a [[disks.rule]] for it, it may stand by"
)
_SWAPPING: Final = (
    "{} holds swap space in use, which would wake it; with that on an SSD or zram, or "
    "spin_down_after in a [[disks.rule]] for it, it may stand by"
)
_KERNEL: Final = "the kernel spins it down by itself (runtime power management)"
_SPUN: Final = "was told to stand by, and spins; its counters are to say whether it was used"
_HELD_UP: Final = frozenset({DiskState.SETTLING, DiskState.HUNG})
"""States that only an answer ends, and of one that is left alone none is asked for."""
_REST: Final = Step()
_UNSEEN: Final = "its counters have not been read yet"


def step(case: Case) -> Step:  # noqa: PLR0911 - a ladder: each rung forbids the ones below
    """The next step of one disk."""
    memory, now, spins = case.memory, case.now, case.memory.state is DiskState.ACTIVE
    if case.alone is not None:
        return Step(case.alone, _withdrawn(case), excluded=True)
    if case.disk.runtime_pm or memory.state is DiskState.SUSPENDED:
        return Step(_KERNEL)
    if memory.state is DiskState.UNSUPPORTED:
        return Step(f"cannot be made to stand by: {memory.why}")
    if case.under_way:
        return Step("an order to it is under way")
    if now.mono < memory.pause:
        return Step(_pausing(memory), again=memory.pause)
    asked = None if spins else _asked(case)
    if asked is not None:
        return asked
    if not isinstance(case.look, Seen):
        return Step(_UNSEEN if case.look is None else case.look.why)
    if not spins:
        return _still(case, case.look)
    going = _settings(case, case.look) or descent(case, case.look)
    return _doubted(case, case.look, going) if going.order is None and _naps(case) else going


def left_alone(disk: Disk, plan: DiskPlan) -> str | None:
    """Why powerd has nothing to do with a disk; None = it has."""
    if disk.excluded is not None:
        return disk.excluded
    if disk.transport == "usb" and not plan.usb:
        return _USB
    if not (disk.journal or disk.swapping) or plan.chosen or plan.spin_down_after == 0:
        return None
    why = _JOURNAL if disk.journal else _SWAPPING
    return why.format("it" if disk.group is None else "its group")


def _withdrawn(case: Case) -> SetTimer | None:
    """The end of the timer that powerd once set in a disk it now leaves alone, while that surely spins."""
    memory, look = case.memory, case.look
    if not memory.ours or memory.timerless or not case.acts or case.disk.excluded is not None:
        return None
    if case.under_way or case.now.mono < memory.pause or not isinstance(look, Seen):
        return None
    used = look.value.moved > max(memory.ordered, memory.since.mono)  # while nobody asked it any more
    spins = memory.state is DiskState.ACTIVE or (memory.state in _HELD_UP and used)
    fresh = case.now.mono - max(look.value.moved, memory.known) <= FRESH
    return SetTimer(case.disk.id, 0) if spins and fresh else None


def _pausing(memory: DiskMemory) -> str:
    if memory.state is DiskState.SETTLING:
        return "was told to stand by, and will be asked whether it did"
    if memory.state is DiskState.HUNG:
        return f"does not answer, and is asked again ever later, at last every hour: {memory.why}"
    return memory.why


def _asked(case: Case) -> Step | None:
    """The question whether it spins, of one that is not believed to; None = there is none."""
    memory, state = case.memory, case.memory.state
    if not case.acts:
        return None
    if memory.spun > -NEVER:
        return Step(_SPUN, look=case.now.mono)
    due = state is DiskState.SETTLING or state is DiskState.HUNG
    due = due or (state is DiskState.SLEEPING and memory.asks == 0)  # is it the question that wakes it?
    if not due and not (memory.known == -NEVER and (state.asleep or _managed(case))):
        return None
    return Step("it is asked whether it spins", AskPower(case.disk.id))


def _managed(case: Case) -> bool:
    """Whether there is anything to be ordered, if it is but to take away a timer that is wanted no longer."""
    return case.plan.spin_down_after > 0 or case.plan.apm is not None or case.memory.ours


def _naps(case: Case) -> bool:
    """Whether it may stop without an order of powerd's or a timer that powerd has set.

    One that powerd does not stop may be stopped by anybody.
    """
    if not case.acts or case.after == 0:
        return True
    drive = case.memory.drive
    if drive is None or not (drive.epc or (drive.apm is not None and drive.apm < APM_WITHOUT_STANDBY)):
        return False
    return case.plan.method == "command" or not case.memory.timer


def _doubted(case: Case, look: Seen[Activity], going: Step) -> Step:
    """Asked ever more seldom; where powerd is to send it nothing, nobody knows whether it spins."""
    moved, known = look.value.moved, case.memory.known
    last = max(moved, known)
    due = last + min(max(known - moved, REASK_FIRST), REASK_MOST)
    if case.now.mono < due:
        return going._replace(again=min(going.again, due))
    if not case.acts or not _managed(case):
        return going._replace(untold=last)
    return going._replace(order=AskPower(case.disk.id))


def _still(case: Case, look: Seen[Activity]) -> Step:
    """One that is not known to spin; where powerd is not to ask what may have been woken, nobody knows."""
    memory = case.memory
    if memory.state is DiskState.UNKNOWN:
        return descent(case, look)
    if memory.known > -NEVER or not memory.state.asleep:
        return _REST
    return Step(untold=max(look.value.moved, memory.prodded))


def _settings(case: Case, look: Seen[Activity]) -> Step | None:
    """The next of a drive's own settings, for one that surely spins; None = all are as they should be."""
    order = _wanted(case)
    if order is None:
        return None
    resumed = case.memory.resumed
    if resumed is not None and case.now.mono < resumed + HOOKS:
        return Step(
            "its settings are made once those who make some at each wake-up have", again=resumed + HOOKS
        )
    if case.now.mono - max(look.value.moved, case.memory.known) > FRESH:
        order = AskPower(case.disk.id)
    return Step("its settings are being made", order)


def _wanted(case: Case) -> DiskOrder | None:
    disk, memory, plan = case.disk, case.memory, case.plan
    if not case.acts or not _managed(case):
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
    return 0 if too_long or spent(case) else timer_for(case.after).seconds
