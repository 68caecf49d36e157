"""A sleep or shutdown in progress, requested by powerd or by another program."""

from __future__ import annotations

from typing import Final

from powerd.core.actions import Sleep
from powerd.core.reasons import UndatedReason
from powerd.core.snapshot import Memory, Snapshot
from powerd.core.time import Moment
from powerd.power.model import ShutdownInProgress, SleepMemory, TransitionFacts
from powerd.power.sleep_rules import describe_pending_sleep

SHUTDOWN_VALID_FOR: Final = 600.0
"""Seconds after which an announced sleep that has not happened is ignored; logind waits 5 s, or
InhibitDelayMaxSec= (logind.conf(5))."""
_STARTS_WITHIN: Final = 60.0
"""Maximum seconds from the end of powerd's own sleep action to a shutdown that it has caused."""
_EXTERNAL_TEXT: Final = {
    "sleep": "another program puts the server to sleep",
    "shutdown": "another program shuts the server down",
}


def shutdown_reason(snapshot: Snapshot, memory: Memory, now: Moment) -> UndatedReason | None:
    """The reason for the sleep or shutdown in progress; None = none is in progress.

    Args:
        snapshot: contains the sleep or shutdown that logind has announced (TransitionFacts).
        memory: contains the last resume; an announcement from before it is over.
        now: the present moment.
    """
    shutdown = snapshot.part(TransitionFacts).shutdown
    if shutdown is None or now.mono - shutdown.since > SHUTDOWN_VALID_FOR:
        return None
    if memory.resumed_at is not None and shutdown.since < memory.resumed_at:
        return None
    action = _own_action(snapshot, memory, shutdown)
    if action is not None:
        return UndatedReason(
            "sleep", describe_pending_sleep(action, memory.part(SleepMemory).quiet_since, now)
        )
    return UndatedReason("sleep", _EXTERNAL_TEXT.get(shutdown.kind, _EXTERNAL_TEXT["shutdown"]))


def _own_action(snapshot: Snapshot, memory: Memory, shutdown: ShutdownInProgress) -> Sleep | None:
    """The sleep of powerd that caused the shutdown: running, or accepted recently."""
    in_progress = next((action for action in snapshot.running_actions if isinstance(action, Sleep)), None)
    latest = snapshot.completed(Sleep)
    if in_progress is not None or latest is None or not isinstance(latest.action, Sleep) or not latest.ok:
        return in_progress
    before_resume = memory.resumed_at is not None and latest.started_at < memory.resumed_at
    is_cause = latest.started_at <= shutdown.since <= latest.ended_at + _STARTS_WITHIN
    return latest.action if is_cause and not before_resume else None
