"""The cancellation of an announcement.

A user who reads "powers off in 1min" on a terminal may begin to save and leave. The cancellation is announced
once, for an announcement that was made and is still valid.
"""

from __future__ import annotations

from powerd.core.actions import Action, CancelWarning, CompletedAction, Sleep, WarnUsers
from powerd.core.reasons import UndatedReason
from powerd.core.snapshot import Memory, Snapshot
from powerd.core.time import Moment
from powerd.power.sleep_rules import ANNOUNCEMENT_VALID_FOR


def cancellation_actions(
    snapshot: Snapshot, memory: Memory, reasons: tuple[UndatedReason, ...], now: Moment
) -> tuple[Action, ...]:
    """The cancellation to announce in a phase other than warning; () = none, or already announced.

    Args:
        snapshot: has the announcement and its result.
        memory: has the last resume; earlier announcements do not count.
        reasons: the blockers, or what the server waits for, most important first.
        now: the present time.
    """
    announcement = snapshot.completed(WarnUsers)
    if (
        announcement is None
        or not isinstance(announcement.action, WarnUsers)
        or not _is_expected(announcement, announcement.action, snapshot, memory, now)
    ):
        return ()
    cause = next((f"{why.subject}: {why.text}" for why in reasons if why.blocks_sleep), "")
    return (CancelWarning(announcement.action.rule, announcement.action.sleep_action, cause),)


def _is_expected(
    announcement: CompletedAction, warning: WarnUsers, snapshot: Snapshot, memory: Memory, now: Moment
) -> bool:
    """Whether users still expect the sleep: announced recently, and neither executed nor cancelled since."""
    if not announcement.ok or now.mono - announcement.ended_at > warning.seconds + ANNOUNCEMENT_VALID_FOR:
        return False
    if any(isinstance(each, Sleep | CancelWarning) for each in snapshot.running_actions):
        return False
    sleep, cancellation = snapshot.completed(Sleep), snapshot.completed(CancelWarning)
    is_done = sleep is not None and sleep.ok and sleep.started_at >= announcement.ended_at
    is_cancelled = cancellation is not None and cancellation.ended_at >= announcement.ended_at
    return not (
        is_done
        or is_cancelled
        or (memory.resumed_at is not None and memory.resumed_at >= announcement.ended_at)
    )
