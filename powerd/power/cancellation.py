"""The cancellation of an announcement.

A user who reads "powers off in 1min" on a terminal may begin to save and leave. The cancellation is announced
once, for an announcement that was made and is still valid.
"""

from __future__ import annotations

from powerd.core.actions import Action, CancelWarning, CompletedAction, Sleep, WarnUsers
from powerd.core.domain import Context
from powerd.core.reasons import UndatedReason
from powerd.power.sleep_rules import ANNOUNCEMENT_VALID_FOR, is_cancelled


def cancellation_actions(context: Context, reasons: tuple[UndatedReason, ...] = ()) -> tuple[Action, ...]:
    """The cancellation to announce in a phase other than warning; () = none, or already announced.

    Args:
        context: has the announcement and its result, the blockers, and the last resume; earlier
            announcements do not count.
        reasons: what the server waits for besides the blockers, most important first.
    """
    announcement = context.snapshot.completed(WarnUsers)
    if (
        announcement is None
        or not isinstance(announcement.action, WarnUsers)
        or not _is_expected(announcement, announcement.action, context)
    ):
        return ()
    rule = announcement.action.rule
    ignores = any(each.dozing == "ignored" for each in context.options.sleep[rule : rule + 1])
    causes = (
        f"{why.subject}: {why.text}"
        for why in (*context.merged.blockers, *reasons)
        if why.blocks_sleep
        and not (why.ignorable and ignores)
        and not (why.is_client and announcement.action.over_clients)
    )
    return (CancelWarning(rule, announcement.action.sleep_action, next(causes, "")),)


def _is_expected(announcement: CompletedAction, warning: WarnUsers, context: Context) -> bool:
    """Whether users still expect the sleep: announced recently, and neither executed nor cancelled since."""
    snapshot, resumed_at = context.snapshot, context.memory.resumed_at
    age = context.now.mono - announcement.ended_at
    if not announcement.ok or age > warning.seconds + ANNOUNCEMENT_VALID_FOR:
        return False
    if any(isinstance(each, Sleep) for each in snapshot.running_actions):
        return False
    sleep = snapshot.completed(Sleep)
    is_done = sleep is not None and sleep.ok and sleep.started_at >= announcement.ended_at
    return not (
        is_done
        or is_cancelled(announcement, snapshot)
        or (resumed_at is not None and resumed_at >= announcement.ended_at)
    )
