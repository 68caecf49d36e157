"""Turns keep-awake requests into blockers, and the request to sleep into a remark."""

from __future__ import annotations

from typing import Final

from powerd.config.values import DAYS
from powerd.core.domain import Assessment, Context
from powerd.core.reasons import UndatedReason
from powerd.core.snapshot import Snapshot
from powerd.core.time import Moment
from powerd.power.earliest_time import REQUESTED_RULE, active_request
from powerd.power.model import SleepRequest, SleepRequestFacts
from powerd.requests.model import UNREADABLE, KeepAwake, KeepAwakeFacts

_HALF_DAY: Final = 12 * 3600.0
_SIX_DAYS: Final = 6


def assess(context: Context) -> Assessment:
    """Every keep-awake request that has not ended is a blocker."""
    now, active = context.now, active_keeps(context.snapshot, context.now)
    ends_in = min([request.seconds_left(now) for request in active], default=float("inf"))
    request = active_request(context.snapshot, context.memory, now)
    return Assessment(
        blockers=tuple([_keep_blocker(request) for request in active]),
        remarks=() if request is None else (_sleep_remark(request),),
        parts=(SleepRequestFacts(request),),
        blockers_end_at=now.mono + ends_in,
        next_decision_at=float("inf") if request is None else now.mono + request.seconds_left(now),
    )


def active_keeps(snapshot: Snapshot, now: Moment) -> list[KeepAwake]:
    """Keep-awake requests (``keep`` and ``hold``) that have not ended, the earliest first."""
    active = [
        keep for keep in snapshot.part(KeepAwakeFacts).keep_awake.values() if keep.seconds_left(now) > 0
    ]
    return sorted(active, key=lambda keep: (keep.since.mono + keep.since.slept, keep.id))


def _keep_blocker(keep: KeepAwake) -> UndatedReason:
    if keep.id == UNREADABLE:
        return UndatedReason("keep", keep.reason, since=keep.since)
    if keep.until is None:
        return UndatedReason("hold", f"awake while it runs: {keep.reason}", since=keep.since)
    because = f": {keep.reason}" if keep.reason else ""
    return UndatedReason(
        "keep", f"kept awake until {format_keep_end(keep.since, keep.until)}{because}", since=keep.since
    )


def _sleep_remark(request: SleepRequest) -> UndatedReason:
    what = "nothing but clients" if request.over_clients else "nothing"
    text = (
        f"sleep rule {REQUESTED_RULE + 1} acts as soon as {what} keeps the server awake, which a person has "
        f"requested until {format_keep_end(request.since, request.until)}; `powerd sleep --cancel` ends this"
    )
    return UndatedReason("request", text, blocks_sleep=False, since=request.since)


def format_keep_end(since: Moment, until: Moment) -> str:
    """The end of a keep-awake request; relative to its start, so that the text does not change meanwhile.

    ``20:58`` within half a day or on the same date, ``Mon 20:58`` within six days, else ``2026-06-08 20:58``.
    """
    days = (until.wall.date() - since.wall.date()).days
    if days == 0 or until.mono + until.slept - since.mono - since.slept < _HALF_DAY:
        return f"{until.wall:%H:%M}"
    if 0 < days <= _SIX_DAYS:
        return f"{DAYS[until.wall.weekday()]} {until.wall:%H:%M}"
    return f"{until.wall:%Y-%m-%d %H:%M}"
