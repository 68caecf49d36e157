"""The state file ``disks``: the spin cycles of each disk, the verified method, and powerd's own timers.

The times are CLOCK_BOOTTIME, which a restart of powerd does not interrupt. Over a reboot only the wall clock
connects them: if it was set in between, the times get older than they are, and never younger than the last
boot left them.

A standby timer that powerd has set runs on in the drive without powerd until the drive loses its power, so it
is remembered within one boot in which the server has not slept. If the drive was attached again in between,
powerd removes a timer that is gone, which has no effect.

The JSON keys are those of the first version.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Annotated, Final, TypeAlias

from powerd.core.codec import Key, span
from powerd.core.dataclass import dataclass
from powerd.core.time import Moment
from powerd.disks.model import DiskId, SpinDownMethod
from powerd.disks.policy.limits import DAY, MAX_BACKOFF_LEVEL, boottime
from powerd.disks.state import DiskMemory, DiskState, DriveSettings, SpinCycles, SpinDownAttempts

_MAX_TIMES: Final = 1000
_SLEEP_TOLERANCE: Final = 0.01
"""Seconds. CLOCK_BOOTTIME - CLOCK_MONOTONIC differs by less between two readings without a sleep."""
_Seconds: TypeAlias = Annotated[float, span(-(1 << 40), 1 << 40)]


@dataclass(frozen=True, slots=True)
class StoredDisk:
    """What is stored of one disk; the attributes are those of DiskMemory and its parts."""

    spin_downs: Annotated[tuple[_Seconds, ...], Key("downs")] = ()
    spin_ups: Annotated[tuple[_Seconds, ...], Key("ups")] = ()
    early_spin_ups: Annotated[tuple[_Seconds, ...], Key("bounces")] = ()
    backoff_level: Annotated[int, span(0, MAX_BACKOFF_LEVEL), Key("stretch")] = 0
    backoff_changed_at: Annotated[_Seconds | None, Key("stretched")] = None
    verified_method: Annotated[SpinDownMethod | None, Key("worked")] = None
    timer_set_by_us: Annotated[bool, Key("timer")] = False
    excluded_reason: Annotated[str, Key("barred")] = ""


StoredDisks: TypeAlias = Mapping[DiskId, StoredDisk]


@dataclass(frozen=True, slots=True)
class DisksDocument:
    """The state file.

    Attributes:
        boottime, wall, slept: the clocks when it was made: CLOCK_BOOTTIME, POSIX time, and the time asleep,
            seconds; ``slept`` None = it is not stored.
        boot: the boot that the times refer to; "" = unknown.
        disks: by id.
    """

    boottime: _Seconds
    wall: _Seconds
    slept: _Seconds | None = None
    boot: str = ""
    disks: StoredDisks = field(default_factory=lambda: MappingProxyType({}))


def stored_disks(disks: Mapping[DiskId, DiskMemory]) -> StoredDisks:
    """The part of the document that changes only with spin cycles, methods and timers."""
    return {
        name: StoredDisk(
            cycles.spin_downs,
            cycles.spin_ups,
            cycles.early_spin_ups,
            cycles.backoff_level,
            cycles.backoff_changed_at,
            memory.spin_down.verified_method,
            memory.settings.timer_set_by_us,
            memory.excluded_reason,
        )
        for name, memory in disks.items()
        if (cycles := memory.cycles).spin_downs
        or cycles.spin_ups
        or memory.spin_down.verified_method
        or memory.settings.timer_set_by_us
        or memory.excluded_reason
    }


def make_document(disks: StoredDisks, boot_id: str, now: Moment) -> DisksDocument:
    """The document, with the clocks and the boot that its times refer to."""
    return DisksDocument(boottime(now), now.wall.timestamp(), now.slept, boot_id, disks)


def restore(document: DisksDocument | None, boot_id: str, now: Moment) -> dict[DiskId, DiskMemory]:
    """The memory of each disk in a document; None = there is no document."""
    if document is None:
        return {}
    same_boot = bool(boot_id) and document.boot == boot_id
    passed = max(0.0, now.wall.timestamp() - document.wall)
    offset = 0.0 if same_boot else boottime(now) - document.boottime - passed
    slept = document.slept
    had_power = same_boot and slept is not None and abs(now.slept - slept) < _SLEEP_TOLERANCE
    return {
        name: _restore_disk(stored, offset, now, had_power=had_power)
        for name, stored in document.disks.items()
    }


def _restore_disk(stored: StoredDisk, offset: float, now: Moment, *, had_power: bool) -> DiskMemory:
    """One disk, its times moved by ``offset`` seconds; its timer runs if the drive kept its power."""
    latest, changed_at = boottime(now), stored.backoff_changed_at
    spin_downs, spin_ups, early_spin_ups = (
        _recent_times(times, offset, latest)
        for times in (stored.spin_downs, stored.spin_ups, stored.early_spin_ups)
    )
    cycles = SpinCycles(
        spin_downs=spin_downs,
        spin_ups=spin_ups,
        early_spin_ups=early_spin_ups,
        backoff_level=stored.backoff_level,
        backoff_changed_at=latest if changed_at is None else min(changed_at + offset, latest),
    )
    return DiskMemory(
        DiskState.UNKNOWN,
        now,
        attached_at=None,
        excluded_reason=stored.excluded_reason,
        spin_down=SpinDownAttempts(verified_method=stored.verified_method),
        settings=DriveSettings(timer_set_by_us=had_power and stored.timer_set_by_us),
        cycles=cycles,
    )


def _recent_times(times: Iterable[float], offset: float, latest: float) -> tuple[float, ...]:
    """The times within the last 24 hours, oldest first; those in the future become the present."""
    shifted = sorted(min(each + offset, latest) for each in times)
    return tuple(each for each in shifted if each > latest - DAY)[-_MAX_TIMES:]


def has_new_spin_downs(stored: StoredDisks, current: StoredDisks) -> bool:
    """Whether a disk has spun down since the document was stored; losing that would raise its limit."""
    none = StoredDisk()
    return any(
        set(each.spin_downs) - set(stored.get(name, none).spin_downs) for name, each in current.items()
    )
