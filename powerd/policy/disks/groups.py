"""Who shares idleness with whom, and which groups are to be woken as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from powerd.config import DiskPlan
from powerd.config import Disks as DiskOptions
from powerd.model import MOST_GUARDED, Disk, DiskId, DiskMemory, DiskState, Guard, Seen, Snapshot
from powerd.model.standby_timer import LONGEST
from powerd.policy.disks.ways import NEVER

_STILL: Final = (DiskState.SETTLING, DiskState.STANDBY, DiskState.SLEEPING)


@dataclass(slots=True)
class GroupIdleness:
    """What the members of a group share, or a disk that stands alone has to itself.

    Attributes:
        members: those that powerd has to do with.
        after: seconds of idleness that all want, bounces reckoned in.
        idle_since: CLOCK_MONOTONIC of the last I/O to any, or of the command that woke it without any;
            None = of one of them nobody knows.
        holds: what goes on in any; None = nothing.
    """

    members: list[Disk] = field(default_factory=list)
    after: float = 0.0
    idle_since: float | None = None
    holds: str | None = None


def idleness_by_group(
    snapshot: Snapshot,
    remembered: Mapping[DiskId, DiskMemory],
    plans: Mapping[DiskId, tuple[DiskPlan, str | None]],
    resumed: float | None,
) -> dict[str, GroupIdleness]:
    """Who shares idleness, by the group's name, or the disk's own where it has none.

    A member that is left alone, on USB or with the journal on it, is used like the others; one without a
    spindle is not waited for.

    Args:
        snapshot: all that is known.
        remembered: of each disk.
        plans: of each disk, and why powerd has nothing to do with it.
        resumed: CLOCK_MONOTONIC of the machine's last wake-up, which counts as use of every disk.
    """
    found: dict[str, GroupIdleness] = {}
    begin = -NEVER if resumed is None else resumed
    for name, disk in snapshot.disks.items():
        if disk.excluded is not None:
            continue
        key = disk.group or name
        shared = found.get(key)
        if shared is None:
            shared = found[key] = GroupIdleness(idle_since=begin)
        memory, (plan, alone) = remembered[name], plans[name]
        if alone is None:
            shared.members.append(disk)
            after = _stretched(plan, memory.stretch) if memory.stretch else plan.spin_down_after
            shared.after = max(shared.after, after)
        shared.holds = shared.holds or disk.busy
        look, since = snapshot.activity.get(name), shared.idle_since
        if not isinstance(look, Seen):
            shared.idle_since = None
        elif since is not None and (look.value.moved > since or memory.prodded > since):
            shared.idle_since = max(look.value.moved, memory.prodded)
    return found


def _stretched(plan: DiskPlan, doublings: int) -> float:
    """Seconds of idleness, doubled for bounces; a drive's own timer takes no more than LONGEST."""
    after = plan.spin_down_after * (1 << doublings)
    return after if plan.method != "timer" else min(after, max(plan.spin_down_after, LONGEST))


def guards(
    groups: Mapping[str, GroupIdleness], remembered: Mapping[DiskId, DiskMemory], options: DiskOptions
) -> Iterator[Guard]:
    """Members of a group that stand still, or are about to, and that the first access to one is to wake.

    One that goes on spinning, or hangs, is no reason to have the others wake one after the other.
    """
    if options.wake_group == "never":
        return
    for group, shared in groups.items():
        members = shared.members
        if not members[1:] or (options.wake_group != "all" and not all(disk.array for disk in members)):
            continue
        still = tuple([disk.id for disk in members if remembered[disk.id].state in _STILL])
        if 1 < len(still) <= MOST_GUARDED:
            yield Guard(group, still)
