"""Telling whoever has read an announcement that nothing comes of it.

Who reads "powers off in 1min" on a terminal and sees no more of it has to guess, and may have begun to save
and to leave. Said once, of an announcement that was made and still stands.
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
    """The order to say so, in a phase that is no warning; () = nothing is to be said, or it has been.

    Args:
        snapshot: knows what was announced, and what came of it.
        memory: knows of a resume, before which no announcement counts.
        reasons: what keeps the server awake, or what it waits for, weightiest first.
        now: the present moment.
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
    """Whether people still expect what was announced: not long ago, not done since, and not called off."""
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
