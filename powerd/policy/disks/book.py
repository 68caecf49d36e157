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

from powerd.model import DiskId, DiskMemory, DiskState, Moment
from powerd.policy.disks.ways import DAY, NEVER, STRETCHES, boot

Book = dict[str, dict[str, object]]
"""What is kept of each disk, by its id."""

_MOST_TIMES: Final = 1000
_SLEPT: Final = 0.01
"""Seconds asleep; two readings of none differ by less."""
_LATEST: Final = 1 << 40
"""Seconds; no clock of ours shows more."""
_LISTS: Final = ("downs", "ups", "bounces")


def document(disks: Mapping[DiskId, DiskMemory]) -> Book:
    """What revived() reads, as plain values; the same until a disk goes up or down, or its timer does."""
    return {
        name: {
            "downs": list(memory.downs),
            "ups": list(memory.ups),
            "bounces": list(memory.bounces),
            "stretch": memory.stretch,
            "stretched": memory.stretched,
            "worked": memory.worked,
            "timer": memory.ours,
            "barred": memory.barred,
        }
        for name, memory in disks.items()
        if memory.downs or memory.ups or memory.worked or memory.ours or memory.barred
    }


def dated(disks: Mapping[str, object], boot_id: str, now: Moment) -> dict[str, object]:
    """The document with what it takes to read its times: which boot, and when it was written."""
    clocks = {"boottime": boot(now), "slept": now.slept, "wall": now.wall.timestamp()}
    return {"boot": boot_id, **clocks, "disks": dict(disks)}


def revived(data: object, boot_id: str, now: Moment) -> dict[DiskId, DiskMemory]:
    """What is remembered of each disk; what is no document of ours is passed over."""
    if not isinstance(data, dict) or not isinstance(data.get("disks"), dict):
        return {}
    written, wall = _number(data.get("boottime")), _number(data.get("wall"))
    if written is None or wall is None:
        return {}
    same = bool(boot_id) and data.get("boot") == boot_id
    off = 0.0 if same else boot(now) - written - max(0.0, now.wall.timestamp() - wall)
    slept = _number(data.get("slept"))
    powered = same and slept is not None and abs(now.slept - slept) < _SLEPT
    return {
        DiskId(name): _one(row, off, now, powered=powered)
        for name, row in data["disks"].items()
        if isinstance(name, str) and isinstance(row, dict)
    }


def _one(row: dict[str, object], off: float, now: Moment, *, powered: bool) -> DiskMemory:
    """One disk of the document, its times moved by ``off`` seconds; its timer runs if it has had power."""
    downs, ups, bounces = (_times(row.get(key), off, boot(now)) for key in _LISTS)
    stretch, stretched = row.get("stretch"), _number(row.get("stretched"))
    worked, barred = row.get("worked"), row.get("barred")
    return DiskMemory(
        DiskState.UNKNOWN,
        now,
        seen=-NEVER,
        downs=downs,
        ups=ups,
        bounces=bounces,
        stretch=min(max(stretch, 0), STRETCHES) if type(stretch) is int else 0,
        stretched=boot(now) if stretched is None else min(stretched + off, boot(now)),
        worked="ata" if worked == "ata" else "scsi" if worked == "scsi" else None,
        ours=powered and row.get("timer") is True,
        barred=barred if isinstance(barred, str) else "",
    )


def _times(value: object, off: float, latest: float) -> tuple[float, ...]:
    """Times of the last 24 hours, oldest first, none in the future."""
    numbers = [_number(each) for each in value] if isinstance(value, list) else []
    moved = sorted(min(each + off, latest) for each in numbers if each is not None)
    return tuple(each for each in moved if each > latest - DAY)[-_MOST_TIMES:]


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _LATEST else None  # nor is NaN


def spun_down_since(written: Book, known: Book) -> bool:
    """Whether a disk of ``known`` has stood by since ``written``: forgotten, that is more than its budget."""
    return any(
        set(_list(row, "downs")) - set(_list(written.get(name, {}), "downs")) for name, row in known.items()
    )


def _list(row: dict[str, object], key: str) -> list[object]:
    value = row.get(key)
    return value if isinstance(value, list) else []
