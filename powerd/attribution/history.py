"""The state file ``wakes``: the last wakes of each disk, whose times are POSIX times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Annotated

from powerd.attribution.model import Access, Certainty, Culprit, Wake, WatchLevel
from powerd.core.codec import Key, span
from powerd.core.dataclass import dataclass
from powerd.core.time import Moment, add_seconds
from powerd.disks.model import DiskId


@dataclass(frozen=True, slots=True)
class StoredWake:
    """One wake; the attributes are those of Wake, of its Access and of its Culprit.

    ``certainty`` None = no culprit was found.
    """

    at: Annotated[float, span(0, 4e9)]
    slept_for: Annotated[float | None, Key("slept")] = None
    level: WatchLevel = WatchLevel.COUNTERS
    explanation: str = ""
    certainty: Certainty | None = None
    unit: str = ""
    owner: str = ""
    comm: str = ""
    pid: int | None = None
    operation: str = ""
    path: str = ""
    inode: int = 0
    count: int = 1
    size: int = 0
    own: bool = False


@dataclass(frozen=True, slots=True)
class WakesDocument:
    """The state file: by disk, newest first."""

    wakes: Mapping[DiskId, tuple[StoredWake, ...]] = field(default_factory=lambda: MappingProxyType({}))


def make_document(wakes: Mapping[DiskId, tuple[Wake, ...]]) -> WakesDocument:
    """The document of these wakes."""
    return WakesDocument({disk: tuple(map(_store, each)) for disk, each in wakes.items()})


def restore(document: WakesDocument | None, now: Moment) -> Mapping[DiskId, tuple[Wake, ...]]:
    """The wakes in a document; None = there is none."""
    stored = {} if document is None else document.wakes
    return {disk: tuple([_restore(disk, each, now) for each in wakes]) for disk, wakes in stored.items()}


def _store(wake: Wake) -> StoredWake:
    access = wake.access
    stored = StoredWake(wake.at.wall.timestamp(), wake.slept_for, wake.level, wake.explanation)
    if access is None:
        return stored
    culprit = access.culprit
    return StoredWake(
        stored.at,
        stored.slept_for,
        stored.level,
        stored.explanation,
        access.certainty,
        culprit.unit,
        culprit.owner,
        culprit.comm,
        culprit.pid,
        access.operation,
        access.path,
        access.inode,
        access.count,
        access.size,
        access.own,
    )


def _restore(disk: DiskId, stored: StoredWake, now: Moment) -> Wake:
    # The time asleep in between is unknown, so the monotonic time is only good for the order.
    at = add_seconds(now, min(stored.at - now.wall.timestamp(), 0.0))
    access = None
    if stored.certainty is not None:
        access = Access(
            disk,
            Culprit(stored.unit, stored.comm, stored.pid, stored.owner),
            stored.operation,
            stored.path,
            stored.inode,
            at.mono,
            at.mono,
            stored.count,
            stored.size,
            stored.certainty,
            stored.level,
            stored.own,
            at.slept,
        )
    return Wake(disk, at, stored.slept_for, access, stored.level, stored.explanation)
