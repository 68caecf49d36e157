"""What outlives a restart of the daemon about disks: how often each has gone up and down, and what worked.

The times are CLOCK_BOOTTIME, which goes on over a restart. Over a reboot only civil time does; a clock that
was set meanwhile may make them older than they are, but never younger than the boot before left them.

A timer that powerd has set in a drive runs on without it, until the drive loses its power: so it is kept
until the machine sleeps or is started anew. Nobody tells of a drive that was plugged in again meanwhile;
taking away a timer that has gone does no harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from powerd.core.time import Moment
from powerd.disks.disk_id import DiskId
from powerd.disks.policy.limits import DAY, MAX_BACKOFF_LEVEL, NEVER, boottime
from powerd.disks.state import DiskMemory, DiskState

StoredDisks = dict[str, dict[str, object]]
"""What is kept of each disk, by its id."""

_MAX_TIMES: Final = 1000
_SLEEP_TOLERANCE: Final = 0.01
"""Seconds asleep; two readings of none differ by less."""
_MAX_SECONDS: Final = 1 << 40
"""Seconds; no clock of ours shows more."""
_TIME_LISTS: Final = ("downs", "ups", "bounces")


def serialise(disks: Mapping[DiskId, DiskMemory]) -> StoredDisks:
    """What revived() reads, as plain values; the same until a disk goes up or down, or its timer does."""
    return {
        name: {
            "downs": list(memory.spin_downs),
            "ups": list(memory.spin_ups),
            "bounces": list(memory.early_wakes),
            "stretch": memory.backoff_level,
            "stretched": memory.backoff_changed_at,
            "worked": memory.verified_method,
            "timer": memory.timer_set_by_us,
            "barred": memory.excluded_reason,
        }
        for name, memory in disks.items()
        if memory.spin_downs
        or memory.spin_ups
        or memory.verified_method
        or memory.timer_set_by_us
        or memory.excluded_reason
    }


def with_clocks(disks: Mapping[str, object], boot_id: str, now: Moment) -> dict[str, object]:
    """The document with what it takes to read its times: which boot, and when it was written."""
    clocks = {"boottime": boottime(now), "slept": now.slept, "wall": now.wall.timestamp()}
    return {"boot": boot_id, **clocks, "disks": dict(disks)}


def restore(data: object, boot_id: str, now: Moment) -> dict[DiskId, DiskMemory]:
    """What is remembered of each disk; what is no document of ours is passed over."""
    if not isinstance(data, dict) or not isinstance(data.get("disks"), dict):
        return {}
    written_at, written_wall = _number(data.get("boottime")), _number(data.get("wall"))
    if written_at is None or written_wall is None:
        return {}
    same_boot = bool(boot_id) and data.get("boot") == boot_id
    offset = 0.0 if same_boot else boottime(now) - written_at - max(0.0, now.wall.timestamp() - written_wall)
    slept = _number(data.get("slept"))
    power_kept = same_boot and slept is not None and abs(now.slept - slept) < _SLEEP_TOLERANCE
    return {
        DiskId(name): _restore_disk(row, offset, now, power_kept=power_kept)
        for name, row in data["disks"].items()
        if isinstance(name, str) and isinstance(row, dict)
    }


def _restore_disk(row: dict[str, object], offset: float, now: Moment, *, power_kept: bool) -> DiskMemory:
    """One disk of the document, its times moved by ``off`` seconds; its timer runs if it has had power."""
    spin_downs, spin_ups, early_wakes = (
        _recent_times(row.get(key), offset, boottime(now)) for key in _TIME_LISTS
    )
    backoff_level, backoff_changed_at = row.get("stretch"), _number(row.get("stretched"))
    verified_method, excluded_reason = row.get("worked"), row.get("barred")
    return DiskMemory(
        DiskState.UNKNOWN,
        now,
        attached_at=-NEVER,
        spin_downs=spin_downs,
        spin_ups=spin_ups,
        early_wakes=early_wakes,
        backoff_level=min(max(backoff_level, 0), MAX_BACKOFF_LEVEL) if type(backoff_level) is int else 0,
        backoff_changed_at=boottime(now)
        if backoff_changed_at is None
        else min(backoff_changed_at + offset, boottime(now)),
        verified_method="ata" if verified_method == "ata" else "scsi" if verified_method == "scsi" else None,
        timer_set_by_us=power_kept and row.get("timer") is True,
        excluded_reason=excluded_reason if isinstance(excluded_reason, str) else "",
    )


def _recent_times(value: object, offset: float, latest: float) -> tuple[float, ...]:
    """Times of the last 24 hours, oldest first, none in the future."""
    numbers = [_number(each) for each in value] if isinstance(value, list) else []
    shifted = sorted(min(each + offset, latest) for each in numbers if each is not None)
    return tuple(each for each in shifted if each > latest - DAY)[-_MAX_TIMES:]


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _MAX_SECONDS else None  # nor is NaN


def has_new_spin_downs(stored: StoredDisks, current: StoredDisks) -> bool:
    """Whether a disk of ``known`` has stood by since ``written``: forgotten, that is more than its budget."""
    return any(
        set(_list_of(row, "downs")) - set(_list_of(stored.get(name, {}), "downs"))
        for name, row in current.items()
    )


def _list_of(row: dict[str, object], key: str) -> list[object]:
    value = row.get(key)
    return value if isinstance(value, list) else []
