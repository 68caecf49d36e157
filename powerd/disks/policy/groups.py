"""Who shares idleness with whom, and which groups are to be woken as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from powerd.config.options import DiskOptions, DiskSettings
from powerd.core.snapshot import Snapshot
from powerd.core.time import Reading
from powerd.disks.ata_standby_timer import MAX_TIMER_SECONDS
from powerd.disks.disk_id import DiskId
from powerd.disks.model import MAX_WATCHED_DISKS, Disk, GroupWatch
from powerd.disks.policy.limits import NEVER
from powerd.disks.state import DiskMemory, DiskState

_STOPPED_STATES: Final = (DiskState.SPINNING_DOWN, DiskState.STANDBY, DiskState.SLEEPING)


@dataclass(slots=True)
class GroupIdleness:
    """What the members of a group share, or a disk that stands alone has to itself.

    Attributes:
        members: those that powerd has to do with.
        spin_down_after: seconds of idleness that all want, bounces reckoned in.
        idle_since: CLOCK_MONOTONIC of the last I/O to any, or of the command that woke it without any;
            None = of one of them nobody knows.
        busy_reason: what goes on in any; None = nothing.
    """

    members: list[Disk] = field(default_factory=list)
    spin_down_after: float = 0.0
    idle_since: float | None = None
    busy_reason: str | None = None


def idleness_by_group(
    snapshot: Snapshot,
    memory_by_disk: Mapping[DiskId, DiskMemory],
    plans: Mapping[DiskId, tuple[DiskSettings, str | None]],
    resumed_at: float | None,
) -> dict[str, GroupIdleness]:
    """Who shares idleness, by the group's name, or the disk's own where it has none.

    A member that is left alone, on USB or with the journal on it, is used like the others; one without a
    spindle is not waited for.

    Args:
        snapshot: all that is known.
        memory_by_disk: of each disk.
        plans: of each disk, and why powerd has nothing to do with it.
        resumed_at: CLOCK_MONOTONIC of the machine's last wake-up, which counts as use of every disk.
    """
    shared_by_group: dict[str, GroupIdleness] = {}
    idle_since_resume = -NEVER if resumed_at is None else resumed_at
    for name, disk in snapshot.disks.items():
        if disk.ineligible_reason is not None:
            continue
        key = disk.group or name
        shared = shared_by_group.get(key)
        if shared is None:
            shared = shared_by_group[key] = GroupIdleness(idle_since=idle_since_resume)
        memory, (plan, unmanaged_reason) = memory_by_disk[name], plans[name]
        if unmanaged_reason is None:
            shared.members.append(disk)
            after = (
                _with_backoff(plan, memory.backoff_level) if memory.backoff_level else plan.spin_down_after
            )
            shared.spin_down_after = max(shared.spin_down_after, after)
        shared.busy_reason = shared.busy_reason or disk.busy_reason
        reading, since = snapshot.activity.get(name), shared.idle_since
        if not isinstance(reading, Reading):
            shared.idle_since = None
        elif since is not None and (reading.value.last_io_at > since or memory.last_passthrough_at > since):
            shared.idle_since = max(reading.value.last_io_at, memory.last_passthrough_at)
    return shared_by_group


def _with_backoff(plan: DiskSettings, doublings: int) -> float:
    """Seconds of idleness, doubled for bounces; a drive's own timer takes no more than LONGEST."""
    after = plan.spin_down_after * (1 << doublings)
    return after if plan.method != "timer" else min(after, max(plan.spin_down_after, MAX_TIMER_SECONDS))


def group_watches(
    groups: Mapping[str, GroupIdleness], memory_by_disk: Mapping[DiskId, DiskMemory], options: DiskOptions
) -> Iterator[GroupWatch]:
    """Members of a group that stand still, or are about to, and that the first access to one is to wake.

    One that goes on spinning, or hangs, is no reason to have the others wake one after the other.
    """
    if options.wake_group == "never":
        return
    for group, shared in groups.items():
        members = shared.members
        if not members[1:] or (options.wake_group != "all" and not all(disk.array for disk in members)):
            continue
        stopped = tuple([disk.id for disk in members if memory_by_disk[disk.id].state in _STOPPED_STATES])
        if 1 < len(stopped) <= MAX_WATCHED_DISKS:
            yield GroupWatch(group, stopped)
