"""Which disks share idleness, and which groups start as a whole at the first access."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from powerd.config.disk_options import DiskOptions, DiskSettings
from powerd.core.snapshot import Snapshot
from powerd.core.time import Reading
from powerd.disks.model import MAX_TIMER_SECONDS, MAX_WATCHED_DISKS, Disk, DiskFacts, DiskId, GroupWatch
from powerd.disks.state import DiskMemory


@dataclass(slots=True)
class GroupIdleness:
    """What the members of a group share; a disk without a group is a group of its own.

    Attributes:
        members: those that powerd manages.
        spin_down_after: the longest of the members, in seconds, backoff included.
        last_use_at: CLOCK_MONOTONIC of the last I/O to a member, or of the command that started it without
            I/O; a resume counts as a use. None = none is known.
        all_readable: the counters of each member have been read; otherwise its idleness is unknown.
        busy_reason: maintenance of a member's array or filesystem; None = none.
    """

    members: list[Disk] = field(default_factory=list)
    spin_down_after: float = 0.0
    last_use_at: float | None = None
    all_readable: bool = True
    busy_reason: str | None = None


def idleness_by_group(
    snapshot: Snapshot,
    memory_by_disk: Mapping[DiskId, DiskMemory],
    configured_by_disk: Mapping[DiskId, tuple[DiskSettings, str | None]],
    resumed_at: float | None,
) -> dict[str, GroupIdleness]:
    """The idleness of each group, by the name of the group, or of the disk if it has none.

    Use of a member that powerd does not manage (on USB, with the journal) counts. A member that is not a
    hard disk does not.

    Args:
        snapshot: the facts.
        memory_by_disk: of each disk.
        configured_by_disk: of each disk its part of the configuration, and why powerd does not manage it.
        resumed_at: CLOCK_MONOTONIC of the server's last resume.
    """
    facts = snapshot.part(DiskFacts)
    by_group: dict[str, GroupIdleness] = {}
    for name, disk in facts.disks.items():
        if disk.ineligible_reason is not None:
            continue
        key = disk.group or name
        group = by_group.get(key)
        if group is None:
            group = by_group[key] = GroupIdleness(last_use_at=resumed_at)
        memory, (configured, unmanaged_reason) = memory_by_disk[name], configured_by_disk[name]
        if unmanaged_reason is None:
            group.members.append(disk)
            level = memory.cycles.backoff_level
            after = _with_backoff(configured, level) if level else configured.spin_down_after
            group.spin_down_after = max(group.spin_down_after, after)
        group.busy_reason = group.busy_reason or disk.busy_reason
        reading = facts.activity.get(name)
        if isinstance(reading, Reading):
            used_at, command_at = reading.value.last_io_at, memory.last_passthrough_at
            if command_at is not None and command_at > used_at:
                used_at = command_at
            if group.last_use_at is None or used_at > group.last_use_at:
                group.last_use_at = used_at
        else:
            group.all_readable = False
    return by_group


def _with_backoff(configured: DiskSettings, doublings: int) -> float:
    """spin_down_after, doubled ``doublings`` times; a drive's own timer takes MAX_TIMER_SECONDS at most."""
    after = configured.spin_down_after * (1 << doublings)
    return (
        after
        if configured.method != "timer"
        else min(after, max(configured.spin_down_after, MAX_TIMER_SECONDS))
    )


def group_watches(
    groups: Mapping[str, GroupIdleness], memory_by_disk: Mapping[DiskId, DiskMemory], options: DiskOptions
) -> Iterator[GroupWatch]:
    """The stopped members of each group that the first access to one of them starts all at once.

    A member that spins or does not respond does not keep the others from starting together.
    """
    if options.wake_group == "never":
        return
    for group, shared in groups.items():
        members = shared.members
        if not members[1:] or (options.wake_group != "all" and not all(disk.array for disk in members)):
            continue
        stopped = tuple([disk.id for disk in members if memory_by_disk[disk.id].state.stops_on_command])
        if 1 < len(stopped) <= MAX_WATCHED_DISKS:
            yield GroupWatch(group, stopped)
