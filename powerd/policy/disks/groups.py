"""Who shares idleness with whom, and which groups are to be woken as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from powerd.config import DiskPlan
from powerd.config import Disks as DiskOptions
from powerd.model import Disk, DiskId, DiskMemory, DiskState, Guard, Seen, Snapshot
from powerd.policy.disks.ways import NEVER

_MOST_GUARDED: Final = 100
"""The helper takes so many disks in a request."""
_STILL: Final = (DiskState.STANDBY, DiskState.SLEEPING)


@dataclass(slots=True)
class Company:
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


def companies(
    snapshot: Snapshot,
    remembered: Mapping[DiskId, DiskMemory],
    plans: Mapping[DiskId, tuple[DiskPlan, str | None]],
    resumed: float | None,
) -> dict[str, Company]:
    """Who shares idleness, by the group's name, or the disk's own where it has none.

    Args:
        snapshot: all that is known.
        remembered: of each disk.
        plans: of each disk, and why powerd has nothing to do with it.
        resumed: CLOCK_MONOTONIC of the machine's last wake-up, which counts as use of every disk.
    """
    found: dict[str, Company] = {}
    begin = -NEVER if resumed is None else resumed
    for name, disk in snapshot.disks.items():
        plan, alone = plans[name]
        if alone is not None:
            continue
        key = disk.group or name
        company = found.get(key)
        if company is None:
            company = found[key] = Company(idle_since=begin)
        company.members.append(disk)
        memory = remembered[name]
        after = plan.spin_down_after * (1 << memory.stretch)
        company.after = max(company.after, after)
        company.holds = company.holds or disk.busy
        look, since = snapshot.activity.get(name), company.idle_since
        if not isinstance(look, Seen):
            company.idle_since = None
        elif since is not None and (look.value.moved > since or memory.prodded > since):
            company.idle_since = max(look.value.moved, memory.prodded)
    return found


def guards(
    groups: Mapping[str, Company],
    remembered: Mapping[DiskId, DiskMemory],
    options: DiskOptions,
    under_way: set[DiskId],
) -> Iterator[Guard]:
    """Groups of which all members stand still, and whose first access is to wake all of them."""
    if options.wake_group == "never":
        return
    for group, company in groups.items():
        if not 1 < len(company.members) <= _MOST_GUARDED:
            continue
        fits = options.wake_group == "all" or all(disk.array for disk in company.members)
        names = tuple([disk.id for disk in company.members])
        still = fits and all(remembered[name].state in _STILL for name in names)
        if still and under_way.isdisjoint(names):
            yield Guard(group, names)
