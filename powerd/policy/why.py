"""Reasons before they are dated, and sources that cannot be relied on."""

from __future__ import annotations

from typing import Final, NamedTuple

from powerd.config.values import DAYS
from powerd.model import Blind, Memory, Moment, Seen

LOUD_AFTER: Final = 15 * 60.0
_LOUDLY: Final = "still unknown, and the server will not sleep until this is mended: "
_SIX_DAYS: Final = 6 * 86400.0


class Why(NamedTuple):
    """A reason before it has been dated.

    Attributes:
        subject, text, keeps_awake: as in Reason.
        since: where that is known from elsewhere.
        certain: somebody or something is there; False for what is merely unknown.
    """

    subject: str
    text: str
    keeps_awake: bool = True
    since: Moment | None = None
    certain: bool = True


def trouble(word: Seen[object] | Blind | None, fresh: float, memory: Memory, now: Moment) -> str | None:
    """Why a source's word cannot be relied on; None if it can.

    Args:
        word: the source on itself.
        fresh: seconds for which it holds.
        memory: knows of a resume, from before which no word counts.
        now: the present moment.
    """
    if word is None:
        return "has not looked yet"
    if isinstance(word, Blind):
        return word.why
    if memory.resumed is not None and word.at < memory.resumed:
        return "has not looked since the wake-up"
    if now.mono - word.at > fresh:
        return "has not looked for too long"
    return None


def blind(subject: str, what: str, memory: Memory, now: Moment) -> Why:
    """An unknown source, louder once it has been unknown for LOUD_AFTER."""
    since = memory.since.get((subject, what)) or memory.since.get((subject, _LOUDLY + what))
    loud = since is not None and now.mono - since.mono >= LOUD_AFTER
    return Why(subject, _LOUDLY + what if loud else what, certain=False)


def dated(memory: Memory, why: Why, now: Moment) -> Moment:
    """Since when a reason holds; a reason that has grown loud keeps its date."""
    if why.since is not None:
        return why.since
    since = memory.since.get((why.subject, why.text))
    return since or memory.since.get((why.subject, why.text.removeprefix(_LOUDLY)), now)


def day_and_time(moment: Moment, now: Moment) -> str:
    """``Mon 06:28``, or ``2026-06-08 06:28`` six days off; it names no "today", so it does not change."""
    ahead = moment.mono + moment.slept - now.mono - now.slept
    if abs(ahead) < _SIX_DAYS:
        return f"{DAYS[moment.wall.weekday()]} {moment.wall:%H:%M}"
    return f"{moment.wall:%Y-%m-%d %H:%M}"
