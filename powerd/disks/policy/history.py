"""The state file ``disks``: the spin cycles of each disk, the verified method, and powerd's own timers.

The times are CLOCK_BOOTTIME, which a restart of powerd does not interrupt. Over a reboot only the wall clock
connects them: if it was set in between, the times get older than they are, and never younger than the last
boot left them.

A standby timer that powerd has set runs on in the drive without powerd until the drive loses its power, so it
is remembered within one boot in which the server has not slept. If the drive was attached again in between,
powerd removes a timer that is gone, which has no effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from powerd.core.time import Moment
from powerd.disks.model import DiskId, SpinDownMethod
from powerd.disks.policy.limits import DAY, MAX_BACKOFF_LEVEL, boottime
from powerd.disks.state import DiskMemory, DiskState, DriveSettings, SpinCycles, SpinDownAttempts

StoredDisks = dict[str, dict[str, object]]
"""The stored values of each disk, by its id."""

_MAX_TIMES: Final = 1000
_SLEEP_TOLERANCE: Final = 0.01
"""Seconds. CLOCK_BOOTTIME - CLOCK_MONOTONIC differs by less between two readings without a sleep."""
_MAX_SECONDS: Final = 1 << 40
"""Seconds; larger numbers in a state file are not times."""
_TIME_LISTS: Final = ("downs", "ups", "bounces")


def serialise(disks: Mapping[DiskId, DiskMemory]) -> StoredDisks:
    """The part of the document that restore() reads; it changes only with spin cycles, methods and timers."""
    return {
        name: {
            "downs": list(cycles.spin_downs),
            "ups": list(cycles.spin_ups),
            "bounces": list(cycles.early_wakes),
            "stretch": cycles.backoff_level,
            "stretched": cycles.backoff_changed_at,
            "worked": memory.spin_down.verified_method,
            "timer": memory.settings.timer_set_by_us,
            "barred": memory.excluded_reason,
        }
        for name, memory in disks.items()
        if (cycles := memory.cycles).spin_downs
        or cycles.spin_ups
        or memory.spin_down.verified_method
        or memory.settings.timer_set_by_us
        or memory.excluded_reason
    }


def with_clocks(disks: Mapping[str, object], boot_id: str, now: Moment) -> dict[str, object]:
    """The document with the clocks and the boot that its times refer to."""
    clocks = {"boottime": boottime(now), "slept": now.slept, "wall": now.wall.timestamp()}
    return {"boot": boot_id, **clocks, "disks": dict(disks)}


def restore(data: object, boot_id: str, now: Moment) -> dict[DiskId, DiskMemory]:
    """The memory of each disk in a document; values of any other shape are ignored."""
    if not isinstance(data, dict) or not isinstance(data.get("disks"), dict):
        return {}
    written_at, written_wall = _number(data.get("boottime")), _number(data.get("wall"))
    if written_at is None or written_wall is None:
        return {}
    same_boot = bool(boot_id) and data.get("boot") == boot_id
    offset = 0.0 if same_boot else boottime(now) - written_at - max(0.0, now.wall.timestamp() - written_wall)
    slept = _number(data.get("slept"))
    had_power = same_boot and slept is not None and abs(now.slept - slept) < _SLEEP_TOLERANCE
    return {
        DiskId(name): _restore_disk(row, offset, now, had_power=had_power)
        for name, row in data["disks"].items()
        if isinstance(name, str) and isinstance(row, dict)
    }


def _restore_disk(row: dict[str, object], offset: float, now: Moment, *, had_power: bool) -> DiskMemory:
    """One disk, its times moved by ``offset`` seconds; its timer runs if the drive kept its power."""
    spin_downs, spin_ups, early_wakes = (
        _recent_times(row.get(key), offset, boottime(now)) for key in _TIME_LISTS
    )
    level, changed_at = row.get("stretch"), _number(row.get("stretched"))
    method, excluded_reason = row.get("worked"), row.get("barred")
    verified_method: SpinDownMethod | None = (
        "ata" if method == "ata" else "scsi" if method == "scsi" else None
    )
    cycles = SpinCycles(
        spin_downs=spin_downs,
        spin_ups=spin_ups,
        early_wakes=early_wakes,
        backoff_level=min(max(level, 0), MAX_BACKOFF_LEVEL) if type(level) is int else 0,
        backoff_changed_at=boottime(now) if changed_at is None else min(changed_at + offset, boottime(now)),
    )
    return DiskMemory(
        DiskState.UNKNOWN,
        now,
        attached_at=None,
        excluded_reason=excluded_reason if isinstance(excluded_reason, str) else "",
        spin_down=SpinDownAttempts(verified_method=verified_method),
        settings=DriveSettings(timer_set_by_us=had_power and row.get("timer") is True),
        cycles=cycles,
    )


def _recent_times(value: object, offset: float, latest: float) -> tuple[float, ...]:
    """The times within the last 24 hours, oldest first; those in the future become the present."""
    numbers = [_number(each) for each in value] if isinstance(value, list) else []
    shifted = sorted(min(each + offset, latest) for each in numbers if each is not None)
    return tuple(each for each in shifted if each > latest - DAY)[-_MAX_TIMES:]


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _MAX_SECONDS else None  # excludes NaN


def has_new_spin_downs(stored: StoredDisks, current: StoredDisks) -> bool:
    """Whether a disk has spun down since the document was stored; losing that would raise its limit."""
    return any(
        set(_list_of(row, "downs")) - set(_list_of(stored.get(name, {}), "downs"))
        for name, row in current.items()
    )


def _list_of(row: dict[str, object], key: str) -> list[object]:
    value = row.get(key)
    return value if isinstance(value, list) else []
