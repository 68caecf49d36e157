"""What keeps the server awake: every reason, and above all whatever is unknown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from powerd.config import Options
from powerd.config.values import DAYS
from powerd.model import ClientState, ClientStatus, KeepAwake, Memory, Moment, Reading, Snapshot, SourceId
from powerd.policy import machine
from powerd.policy.clients import NOT_PROBED, max_observation_age
from powerd.policy.why import UndatedReason, reason_unreliable, unavailable_reason

CLIENTS: Final = SourceId("clients")
_HALF_DAY: Final = 12 * 3600.0
_SIX_DAYS: Final = 6


def find_blockers(
    snapshot: Snapshot, verdicts: tuple[ClientStatus, ...], memory: Memory, options: Options, now: Moment
) -> Iterator[UndatedReason]:
    """Each reason that somebody is there, something is in progress, or nobody can say."""
    clients_status = snapshot.sources.get(CLIENTS)
    problem = reason_unreliable(clients_status, max_observation_age(options), memory, now)
    if problem is not None:
        yield unavailable_reason(CLIENTS, problem, memory, now)
    else:
        yield from _client_blockers(verdicts)
    for name, check in sorted(snapshot.checks.items()):
        # A check's own rhythm is not known here; a word three rounds old is stale for any of them.
        problem = reason_unreliable(check, max_observation_age(options), memory, now)
        if problem is not None:
            yield unavailable_reason(f"checks.{name}", problem, memory, now)
        elif isinstance(check, Reading) and check.value is not None:
            yield UndatedReason(f"checks.{name}", check.value)
    yield from machine.find_machine_blockers(snapshot, memory, options, now)
    for keep in active_keeps(snapshot, now):
        yield _keep_blocker(keep)


def active_keeps(snapshot: Snapshot, now: Moment) -> list[KeepAwake]:
    """Keeps and holds that have not ended, the first asked for first."""
    active = [keep for keep in snapshot.keep_awake.values() if keep.seconds_left(now) > 0]
    return sorted(active, key=lambda keep: (keep.since.mono + keep.since.slept, keep.id))


def remarks(verdicts: tuple[ClientStatus, ...], options: Options) -> Iterator[UndatedReason]:
    """What a person should know although it holds nothing up."""
    for verdict in verdicts:
        if verdict.always_on and verdict.blocks_sleep:
            pattern = verdict.client.mac or verdict.client.label
            yield UndatedReason(
                verdict.client.label,
                f'is always on; if it is nobody\'s own, stop counting it with ignore = ["{pattern}"]',
                blocks_sleep=False,
                since=verdict.since,
            )
    if not options.sleep:
        yield UndatedReason(
            "sleep", "no [[sleep]] rule is configured, so the server never sleeps", blocks_sleep=False
        )


def _client_blockers(verdicts: tuple[ClientStatus, ...]) -> Iterator[UndatedReason]:
    counted = [verdict for verdict in verdicts if verdict.blocks_sleep]
    if not verdicts:
        yield UndatedReason(CLIENTS, "no client is known, so nobody can be seen to leave", confirmed=False)
    elif not counted:
        yield UndatedReason(
            CLIENTS, "every known client is ignored, so nobody can be seen to leave", confirmed=False
        )
    for verdict in counted:
        if verdict.state is ClientState.PRESENT:
            yield UndatedReason(verdict.client.label, f"home, {verdict.reason}", since=verdict.since)
    for verdict in counted:
        if verdict.state is ClientState.UNKNOWN and verdict.reason != NOT_PROBED:
            yield UndatedReason(verdict.client.label, f"may be home: {verdict.reason}", confirmed=False)


def _keep_blocker(keep: KeepAwake) -> UndatedReason:
    if keep.until is None:
        return UndatedReason("hold", f"awake while it runs: {keep.reason}", since=keep.since)
    because = f": {keep.reason}" if keep.reason else ""
    return UndatedReason(
        "keep", f"kept awake until {format_keep_end(keep.since, keep.until)}{because}", since=keep.since
    )


def format_keep_end(since: Moment, until: Moment) -> str:
    """The end of a keep as one says it when it is asked for, and worded so to its end.

    ``20:58`` within half a day or on the same date, ``Mon 20:58`` within six days, else with its date.
    """
    days = (until.wall.date() - since.wall.date()).days
    if days == 0 or until.mono + until.slept - since.mono - since.slept < _HALF_DAY:
        return f"{until.wall:%H:%M}"
    if 0 < days <= _SIX_DAYS:
        return f"{DAYS[until.wall.weekday()]} {until.wall:%H:%M}"
    return f"{until.wall:%Y-%m-%d %H:%M}"
