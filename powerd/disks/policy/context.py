"""One disk and all that its next step depends on, and that step: the values between the rules."""

from __future__ import annotations

from typing import NamedTuple

from powerd.config.options import DiskSettings
from powerd.core.time import Moment, Reading, Unavailable
from powerd.disks.model import Disk, DiskAction, DiskActivity
from powerd.disks.policy.limits import NEVER
from powerd.disks.state import DiskMemory


class DiskContext(NamedTuple):
    """One disk and all that its next step depends on.

    Attributes:
        disk, memory, plan, reading: its own.
        unmanaged_reason: why powerd has nothing to do with it; None = it has.
        spin_down_after: seconds of idleness after which it stands by, those of its group and bounces
            reckoned in.
        idle_since: CLOCK_MONOTONIC of the last use of any of its group, as in GroupIdleness; None = unknown.
        busy_reason: what keeps its whole group up, one clause; None = nothing.
        action_running: an order to it is.
        standby_requested_at: CLOCK_MONOTONIC at which a person wished it to stand by; None = nobody has.
        enforcing: the mode is enforce.
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
        reason: one clause: what it waits for, or why it is left alone; "" = nothing.
        action: to be given now.
        at: CLOCK_MONOTONIC at which it stands by if nothing stirs; None = not in sight.
        decide_again_at: CLOCK_MONOTONIC by which to ask again.
        poll_at: CLOCK_MONOTONIC by which its counters are wanted afresh.
        unmanaged: powerd has nothing to do with it.
        unknown_since: CLOCK_MONOTONIC since which nobody knows whether it spins; None = somebody does.
    """

    reason: str = ""
    action: DiskAction | None = None
    spin_down_at: float | None = None
    decide_again_at: float = NEVER
    poll_at: float = NEVER
    unmanaged: bool = False
    unknown_since: float | None = None
