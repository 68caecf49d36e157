"""One disk and all that its next step depends on, and that step: the values between the rules."""

from __future__ import annotations

from typing import NamedTuple

from powerd.config import DiskPlan
from powerd.model import Activity, Blind, Disk, DiskMemory, DiskOrder, Moment, Seen
from powerd.policy.disks.ways import NEVER


class Case(NamedTuple):
    """One disk and all that its next step depends on.

    Attributes:
        disk, memory, plan, look: its own.
        alone: why powerd has nothing to do with it; None = it has.
        after: seconds of idleness after which it stands by, those of its group and bounces reckoned in.
        idle_since: CLOCK_MONOTONIC of the last use of any of its group, as in GroupIdleness; None = unknown.
        holds: what keeps its whole group up, one clause; None = nothing.
        under_way: an order to it is.
        wished: CLOCK_MONOTONIC at which a person wished it to stand by; None = nobody has.
        acts: the mode is enforce.
        now: the present moment.
    """

    disk: Disk
    memory: DiskMemory
    plan: DiskPlan
    alone: str | None
    look: Seen[Activity] | Blind | None
    after: float
    idle_since: float | None
    holds: str | None
    under_way: bool
    acts: bool
    now: Moment
    wished: float | None = None


class Step(NamedTuple):
    """What follows for it.

    Attributes:
        waits: one clause: what it waits for, or why it is left alone; "" = nothing.
        order: to be given now.
        at: CLOCK_MONOTONIC at which it stands by if nothing stirs; None = not in sight.
        again: CLOCK_MONOTONIC by which to ask again.
        look: CLOCK_MONOTONIC by which its counters are wanted afresh.
        excluded: powerd has nothing to do with it.
        untold: CLOCK_MONOTONIC since which nobody knows whether it spins; None = somebody does.
    """

    waits: str = ""
    order: DiskOrder | None = None
    at: float | None = None
    again: float = NEVER
    look: float = NEVER
    excluded: bool = False
    untold: float | None = None
