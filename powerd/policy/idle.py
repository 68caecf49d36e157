"""What keeps the server awake: every reason, and above all whatever is unknown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from powerd.config import Options
from powerd.config.values import DAYS
from powerd.model import Blind, Keep, Memory, Moment, Seen, Snapshot, SourceId, State, Verdict
from powerd.policy.clients import NOT_ASKED, fresh_for

CLIENTS: Final = SourceId("clients")
LOUD_AFTER: Final = 15 * 60.0
_TONIGHT: Final = 12 * 3600.0
_SIX_DAYS: Final = 6
_LOUDLY: Final = "still unknown, and the server will not sleep until this is mended: "


class Why(NamedTuple):
    """A reason before it has been dated; ``since`` where that is known from elsewhere."""

    subject: str
    text: str
    keeps_awake: bool = True
    since: Moment | None = None


def stirring(
    snapshot: Snapshot, verdicts: tuple[Verdict, ...], memory: Memory, options: Options, now: Moment
) -> Iterator[Why]:
    """Each reason that somebody is there, something is in progress, or nobody can say."""
    word = snapshot.sources.get(CLIENTS)
    trouble = _trouble(word, fresh_for(options), memory, now)
    if trouble is not None:
        yield _blind(CLIENTS, trouble, memory, now)
    else:
        yield from _clients(verdicts)
    for name, check in sorted(snapshot.checks.items()):
        # A check's own rhythm is not known here; a word three rounds old is stale for any of them.
        trouble = _trouble(check, fresh_for(options), memory, now)
        if trouble is not None:
            yield _blind(f"checks.{name}", trouble, memory, now)
        elif isinstance(check, Seen) and check.value is not None:
            yield Why(f"checks.{name}", check.value)
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
        yield Why(CLIENTS, "no client is known, so nobody can be seen to leave")
    elif not counted:
        yield Why(CLIENTS, "every known client is ignored, so nobody can be seen to leave")
    for verdict in counted:
        if verdict.state is State.PRESENT:
            yield Why(verdict.client.label, f"home, {verdict.why}", since=verdict.since)
    for verdict in counted:
        if verdict.state is State.UNKNOWN and verdict.why != NOT_ASKED:
            yield Why(verdict.client.label, f"may be home: {verdict.why}")


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


def _trouble(word: Seen[object] | Blind | None, fresh: float, memory: Memory, now: Moment) -> str | None:
    """Why a source's word cannot be relied on; None if it can."""
    if word is None:
        return "has not looked yet"
    if isinstance(word, Blind):
        return word.why
    if memory.resumed is not None and word.at < memory.resumed:
        return "has not looked since the wake-up"
    if now.mono - word.at > fresh:
        return "has not looked for too long"
    return None


def _blind(subject: str, trouble: str, memory: Memory, now: Moment) -> Why:
    """An unknown source, louder once it has been unknown for LOUD_AFTER."""
    since = memory.since.get((subject, trouble)) or memory.since.get((subject, _LOUDLY + trouble))
    loud = since is not None and now.mono - since.mono >= LOUD_AFTER
    return Why(subject, _LOUDLY + trouble if loud else trouble)


def dated(memory: Memory, why: Why, now: Moment) -> Moment:
    """Since when a reason holds; a reason that has grown loud keeps its date."""
    if why.since is not None:
        return why.since
    plain = why.text.removeprefix(_LOUDLY)
    for text in (why.text, plain):
        if (why.subject, text) in memory.since:
            return memory.since[why.subject, text]
    return now
