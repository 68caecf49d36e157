"""One disk as people are shown it, and what they should know of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from powerd.config import show_duration
from powerd.model import APM_WITHOUT_STANDBY, Disk, DiskReport, DiskState, Seen
from powerd.policy.disks.case import Case, Step
from powerd.policy.disks.ways import BOUNCE, BOUNCES, NEVER, at
from powerd.policy.why import Why

_PRODDED: Final = (
    "was woken by a command that is no I/O, such as smartctl's without --nocheck=standby; powerd check names "
    "programs that send such"
)
_SHORT: Final = 300.0
"""Seconds: who spins down after less will spend more on starts than it saves."""

_EPC: Final = (
    "has power conditions of its own (EPC), so it may stop sooner than it is told to; "
    "openSeaChest_PowerControl --showEPCSettings shows their timers"
)
_TIMER_AND_EPC: Final = (
    'has power conditions of its own (EPC), which may overrule its timer; take method = "both", and see '
    "openSeaChest_PowerControl --showEPCSettings"
)
_JOURNAL: Final = (
    "holds the journal, whose lines wake it: Storage=volatile (journald.conf(5)) keeps it in memory"
)
_SWAPPING: Final = "holds swap space in use, so swapping wakes the disk: take an SSD or zram"
_SWAP: Final = (
    "has swap space on it; if that is in use (swapon --show), swapping wakes the disk: take an SSD or zram"
)


def report(case: Case, step: Step) -> DiskReport:
    """What every face shows of one disk."""
    memory = case.memory
    state, since = DiskState.EXCLUDED if step.excluded else memory.state, memory.since
    if step.untold is not None:
        state, since = DiskState.UNKNOWN, at(case.now, step.untold)
    return DiskReport(  # by position: by name it takes 1.0 us instead of 0.4, and there may be a thousand
        case.disk,
        state,
        since,
        case.plan.method,
        case.after,
        case.idle_since,
        step.at,
        step.waits,
        len(memory.ups),
        len(memory.downs),
        memory.worked,
        memory.timer,
        _level(case),
        memory.woken,
    )


def remarks(case: Case, step: Step) -> Iterator[Why]:
    """What holds nothing up, and a person should know all the same."""
    if step.excluded:
        return
    name, memory, plan = case.disk.id, case.memory, case.plan
    if step.waits:
        yield Why(name, step.waits, keeps_awake=False)
    after, drive = plan.spin_down_after, memory.drive
    if memory.stretch and after:
        yield Why(
            name,
            f"was woken {BOUNCES} times within {show_duration(BOUNCE)} of a spin-down, so it stands by after "
            f"{show_duration(case.after)} instead of {show_duration(after)}",
            keeps_awake=False,
        )
    if 0 < after < _SHORT:
        yield Why(
            name,
            f"spin_down_after is shorter than {show_duration(_SHORT)}: starting it takes more than it saves",
            keeps_awake=False,
        )
    if drive is not None and drive.epc:
        yield Why(name, _TIMER_AND_EPC if plan.method == "timer" else _EPC, keeps_awake=False)
    if after and (case.disk.mounts or case.disk.journal or case.disk.swapping):
        yield from _on_wakers(case.disk)
    if memory.prodded > -NEVER and memory.state is DiskState.ACTIVE and not _used(case, memory.prodded):
        yield Why(name, _PRODDED, keeps_awake=False)
    level = _level(case)
    if level != plan.apm and (plan.apm is not None or (level or APM_WITHOUT_STANDBY) < APM_WITHOUT_STANDBY):
        yield from _on_apm(case, level)


def _on_wakers(disk: Disk) -> Iterator[Why]:
    """What wakes a disk that is to stand by all the same."""
    if disk.journal:
        yield Why(disk.id, _JOURNAL, keeps_awake=False)
    if disk.swapping:
        yield Why(disk.id, _SWAPPING, keeps_awake=False)
    elif any(mount.fs == "swap" for mount in disk.mounts):
        yield Why(disk.id, _SWAP, keeps_awake=False)


def _used(case: Case, since: float) -> bool:
    return isinstance(case.look, Seen) and case.look.value.moved >= since


def _level(case: Case) -> int | None:
    """Its APM level, by its own word if powerd has that, else by what udev has heard."""
    drive = case.memory.drive
    return case.disk.apm if drive is None else drive.apm


def _on_apm(case: Case, level: int | None) -> Iterator[Why]:
    """A level that cannot be set, and one at which it stops when it likes to though no rule says so."""
    name, memory, wanted = case.disk.id, case.memory, case.plan.apm
    if wanted is not None and memory.drive is not None:
        if not memory.drive.apm_supported:
            yield Why(
                name, f"has no APM, so that its level cannot be set to {wanted}; drop apm", keeps_awake=False
            )
        elif memory.level == wanted:
            yield Why(name, f"its APM level cannot be set to {wanted}: {memory.denied}", keeps_awake=False)
    if level is not None and level < APM_WITHOUT_STANDBY:
        asked = "which no rule asks for" if wanted is None else f"not at {wanted} as its rule says"
        remedy = "set apm = 254 in a [[disks.rule]]" if wanted is None else 'mode = "enforce" sets it'
        remedy = f"; {remedy}" if wanted is None or not case.acts else ""
        yield Why(
            name,
            f"is at APM level {level}, {asked}: below {APM_WITHOUT_STANDBY} it may spin down when it likes "
            f"to{remedy}",
            keeps_awake=False,
        )
