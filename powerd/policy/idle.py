"""What keeps the server awake: every reason, and above all whatever is unknown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from powerd.config import Options
from powerd.config.values import DAYS
from powerd.model import Keep, Memory, Moment, Seen, Snapshot, SourceId, State, Verdict
from powerd.policy import machine
from powerd.policy.clients import NOT_ASKED, fresh_for
from powerd.policy.why import Why, blind, trouble

CLIENTS: Final = SourceId("clients")
_TONIGHT: Final = 12 * 3600.0
_SIX_DAYS: Final = 6


def stirring(
    snapshot: Snapshot, verdicts: tuple[Verdict, ...], memory: Memory, options: Options, now: Moment
) -> Iterator[Why]:
    """Each reason that somebody is there, something is in progress, or nobody can say."""
    word = snapshot.sources.get(CLIENTS)
    what = trouble(word, fresh_for(options), memory, now)
    if what is not None:
        yield blind(CLIENTS, what, memory, now)
    else:
        yield from _clients(verdicts)
    for name, check in sorted(snapshot.checks.items()):
        # A check's own rhythm is not known here; a word three rounds old is stale for any of them.
        what = trouble(check, fresh_for(options), memory, now)
        if what is not None:
            yield blind(f"checks.{name}", what, memory, now)
        elif isinstance(check, Seen) and check.value is not None:
            yield Why(f"checks.{name}", check.value)
    yield from machine.holding(snapshot, memory, options, now)
    for keep in kept(snapshot, now):
        yield _on_purpose(keep)


def kept(snapshot: Snapshot, now: Moment) -> list[Keep]:
    """Keeps and holds that have not ended, the first asked for first."""
    lasting = [keep for keep in snapshot.keeps.values() if keep.left(now) > 0]
    return sorted(lasting, key=lambda keep: (keep.since.mono + keep.since.slept, keep.id))


def remarks(verdicts: tuple[Verdict, ...], options: Options) -> Iterator[Why]:
    """What a person should know although it holds nothing up."""
    for verdict in verdicts:
        if verdict.always_on and verdict.keeps_awake:
            pattern = verdict.client.mac or verdict.client.label
            yield Why(
                verdict.client.label,
                f'is always on; if it is nobody\'s own, stop counting it with ignore = ["{pattern}"]',
                keeps_awake=False,
                since=verdict.since,
            )
    if not options.sleep:
        yield Why("sleep", "no [[sleep]] rule is configured, so the server never sleeps", keeps_awake=False)


def _clients(verdicts: tuple[Verdict, ...]) -> Iterator[Why]:
    counted = [verdict for verdict in verdicts if verdict.keeps_awake]
    if not verdicts:
        yield Why(CLIENTS, "no client is known, so nobody can be seen to leave", certain=False)
    elif not counted:
        yield Why(CLIENTS, "every known client is ignored, so nobody can be seen to leave", certain=False)
    for verdict in counted:
        if verdict.state is State.PRESENT:
            yield Why(verdict.client.label, f"home, {verdict.why}", since=verdict.since)
    for verdict in counted:
        if verdict.state is State.UNKNOWN and verdict.why != NOT_ASKED:
            yield Why(verdict.client.label, f"may be home: {verdict.why}", certain=False)


def _on_purpose(keep: Keep) -> Why:
    if keep.until is None:
        return Why("hold", f"awake while it runs: {keep.because}", since=keep.since)
    because = f": {keep.because}" if keep.because else ""
    return Why("keep", f"kept awake until {end_of(keep.since, keep.until)}{because}", since=keep.since)


def end_of(since: Moment, until: Moment) -> str:
    """The end of a keep as one says it when it is asked for, and worded so to its end.

    ``20:58`` within half a day or on the same date, ``Mon 20:58`` within six days, else with its date.
    """
    days = (until.wall.date() - since.wall.date()).days
    if days == 0 or until.mono + until.slept - since.mono - since.slept < _TONIGHT:
        return f"{until.wall:%H:%M}"
    if 0 < days <= _SIX_DAYS:
        return f"{DAYS[until.wall.weekday()]} {until.wall:%H:%M}"
    return f"{until.wall:%Y-%m-%d %H:%M}"
