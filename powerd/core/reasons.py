"""Undated reasons and their dates, and the reasons for sources without a usable reading."""

from __future__ import annotations

from typing import Final, NamedTuple

from powerd.config.values import DAYS
from powerd.core.snapshot import Memory
from powerd.core.time import Moment, Reading, Unavailable

ESCALATE_AFTER: Final = 15 * 60.0
"""Seconds after which the text of the reason for an unavailable source becomes more urgent."""
_ESCALATED_PREFIX: Final = "still unknown, and the server does not sleep until this is repaired: "
_WEEKDAY_ONLY_WITHIN: Final = 6 * 86400.0


class UndatedReason(NamedTuple):
    """A reason before decide() adds when it began.

    Attributes:
        subject, text, blocks_sleep: as in Reason.
        since: when the reason began; None = at the first decision with this reason.
        confirmed: something was observed that needs the server; False if a state is merely unknown.
        ignorable: of a blocker, a sleep rule may be configured to ignore it.
        is_client: of a blocker, it is a client that is or may be present; a person may request a sleep
            nevertheless.
        needed_until: CLOCK_MONOTONIC of the last proof that the server was needed; idle time of rules that
            ignore ignorable blockers counts from then. None = the server is needed until the blocker ends.
    """

    subject: str
    text: str
    blocks_sleep: bool = True
    since: Moment | None = None
    confirmed: bool = True
    ignorable: bool = False
    needed_until: float | None = None
    is_client: bool = False


def reason_unreliable(
    status: Reading[object] | Unavailable | None, max_age: float, memory: Memory, now: Moment
) -> str | None:
    """Why the reading of a source must not be used; None = it may be used.

    Args:
        status: the status of the source; None = it has not been polled.
        max_age: seconds after which a reading expires.
        memory: has the last resume; readings from before it do not count.
        now: the present moment.
    """
    if status is None:
        return "has not been polled yet"
    if isinstance(status, Unavailable):
        return status.reason
    if memory.resumed_at is not None and status.at < memory.resumed_at:
        return "has not been polled since the wake-up"
    if now.mono - status.at > max_age:
        return "has not been polled for too long"
    return None


def unavailable_reason(subject: str, text: str, memory: Memory, now: Moment) -> UndatedReason:
    """The reason for an unavailable source, with a more urgent text after ESCALATE_AFTER."""
    since = memory.reasons_since.get((subject, text)) or memory.reasons_since.get(
        (subject, _ESCALATED_PREFIX + text)
    )
    escalated = since is not None and now.mono - since.mono >= ESCALATE_AFTER
    return UndatedReason(subject, _ESCALATED_PREFIX + text if escalated else text, confirmed=False)


def escalated_text(text: str) -> str | None:
    """The text of unavailable_reason() after ESCALATE_AFTER without its prefix; None = it is no such text."""
    return text.removeprefix(_ESCALATED_PREFIX) if text.startswith(_ESCALATED_PREFIX) else None


def reason_since(memory: Memory, reason: UndatedReason, now: Moment) -> Moment:
    """When a reason began; the more urgent text does not change this."""
    if reason.since is not None:
        return reason.since
    since = memory.reasons_since.get((reason.subject, reason.text))
    return since or memory.reasons_since.get(
        (reason.subject, reason.text.removeprefix(_ESCALATED_PREFIX)), now
    )


def day_and_time(moment: Moment, now: Moment) -> str:
    """``Mon 06:28``, or ``2026-06-08 06:28`` from six days on; no "today", which changes at midnight."""
    ahead = moment.mono + moment.slept - now.mono - now.slept
    if abs(ahead) < _WEEKDAY_ONLY_WITHIN:
        return f"{DAYS[moment.wall.weekday()]} {moment.wall:%H:%M}"
    return f"{moment.wall:%Y-%m-%d %H:%M}"


def failure_text(error: BaseException) -> str:
    """The text of the reason for an exception inside powerd."""
    return f"failed inside powerd ({_innermost_frame(error)}): {type(error).__name__}: {error}"


def _innermost_frame(error: BaseException) -> str:
    """File and line of the innermost frame of powerd's own code."""
    traceback = error.__traceback__
    location = "?"
    while traceback is not None:
        name = traceback.tb_frame.f_globals.get("__name__", "")
        if name.startswith("powerd."):
            location = f"{name}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return location
