"""What the rules for one disk get and give: its context, and the next action that follows from it."""

from __future__ import annotations

from typing import NamedTuple

from powerd.config.disk_options import DiskSettings
from powerd.core.time import Moment, Reading, Unavailable
from powerd.disks.model import Disk, DiskAction, DiskActivity
from powerd.disks.policy.limits import NEVER
from powerd.disks.state import DiskMemory


class DiskContext(NamedTuple):
    """One disk and everything that its next action depends on.

    Attributes:
        disk, memory, configured, reading: of this disk; ``configured`` is its part of the configuration.
        unmanaged_reason: why powerd does not manage it; None = powerd does.
        spin_down_after: seconds of idleness, of its whole group and with backoff.
        idle_since: CLOCK_MONOTONIC of the last use of its group, see GroupIdleness; None = unknown.
        busy_reason: maintenance that keeps its group spinning, one clause; None = none.
        action_running: an action for it is running.
        enforcing: the mode is "enforce".
        now: the present moment.
        standby_requested_at: CLOCK_MONOTONIC of a person's request; None = there is none.
    """

    disk: Disk
    memory: DiskMemory
    configured: DiskSettings
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
    """What follows for one disk.

    Attributes:
        reason: one clause: what the disk waits for, or why powerd does not manage it; "" = none.
        action: to be executed now.
        spin_down_at: CLOCK_MONOTONIC at which the disk spins down if it stays idle; None = not foreseeable.
        decide_again_at: CLOCK_MONOTONIC of the next decision that the disk needs.
        poll_at: CLOCK_MONOTONIC at which the disk needs a new reading of its counters.
        unmanaged: powerd does not manage the disk.
        unknown_since: CLOCK_MONOTONIC since which it is unknown whether the drive spins; None = it is known.
    """

    reason: str = ""
    action: DiskAction | None = None
    spin_down_at: float | None = None
    decide_again_at: float = NEVER
    poll_at: float = NEVER
    unmanaged: bool = False
    unknown_since: float | None = None
