"""One disk and all that its next step depends on, and that step: the values between the rules."""

from __future__ import annotations

from typing import NamedTuple

from powerd.config import DiskSettings
from powerd.model import Disk, DiskAction, DiskActivity, DiskMemory, Moment, Reading, Unavailable
from powerd.policy.disks.ways import NEVER


class DiskContext(NamedTuple):
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
    plan: DiskSettings
    unmanaged_reason: str | None
    reading: Reading[DiskActivity] | Unavailable | None
    spin_down_after: float
    idle_since: float | None
    busy_reason: str | None
    action_running: bool
    enforcing: bool
    now: Moment
    standby_requested_at: float | None = None


class NextAction(NamedTuple):
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

    reason: str = ""
    action: DiskAction | None = None
    spin_down_at: float | None = None
    decide_again_at: float = NEVER
    poll_at: float = NEVER
    unmanaged: bool = False
    unknown_since: float | None = None
