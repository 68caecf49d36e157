"""Who is home: one verdict per known client, from what was observed of it.

Absent is a strong word. It takes an unbroken row of questions that were really asked, all unanswered,
for as long as the client's class allows it to doze; everything else is present or unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Final, NamedTuple

from powerd.config import Clients as ClientOptions
from powerd.config import Options, Pattern
from powerd.model import (
    Blind,
    Client,
    ClientId,
    How,
    Memory,
    Moment,
    Seen,
    Sighting,
    Snapshot,
    State,
    Verdict,
)
from powerd.policy.times import later

NOT_ASKED: Final = "not asked while somebody else is home"
ALWAYS_ON_AFTER: Final = 3 * 86400.0
_EVIDENCE: Final = {
    How.ICMP: "answers ping",
    How.STATION: "is on the Wi-Fi",
    How.ARP: "answers ARP",
    How.NEIGHBOUR: "talks to this server",
}


def fresh_for(options: Options) -> float:
    """How old a client's sighting may be, seconds: three rounds; older says nothing about now."""
    return 3 * options.clients.every


def judge_all(snapshot: Snapshot, memory: Memory, options: Options, now: Moment) -> tuple[Verdict, ...]:
    """A verdict for each known client, in a stable order; ``memory`` must already know of a resume."""
    about = (standings(options.clients), fresh_for(options), now, memory.resumed)
    verdicts = [
        _judge(client, snapshot.sightings.get(name), memory.verdicts.get(name), about)
        for name, client in snapshot.known.items()
    ]
    if any(verdict.keeps_awake and verdict.state is State.PRESENT for verdict in verdicts):
        verdicts = [_excused(verdict, memory.verdicts, now) for verdict in verdicts]
    return tuple(verdicts)


class Standing(NamedTuple):
    """What the configuration makes of a client.

    Attributes:
        class_name: of the first class that fits, or None.
        patience: silence before it counts as gone, seconds.
        counts: its presence keeps the server awake: no ignore pattern fits, and its class does not forbid it.
    """

    class_name: str | None
    patience: float
    counts: bool


@lru_cache(maxsize=2)
def standings(options: ClientOptions) -> Callable[[Client], Standing]:
    """Each client's standing, worked out once: matching patterns costs 15 us, and rounds ask for ever."""

    @lru_cache(maxsize=1 << 14)
    def standing(client: Client) -> Standing:
        ignored = any(_fits(pattern, client) for pattern in options.ignore)
        row = next((row for row in options.class_ if any(_fits(each, client) for each in row.match)), None)
        if row is None:
            return Standing(None, options.absent_after, not ignored)
        return Standing(row.name, row.absent_after or options.absent_after, row.keeps_awake and not ignored)

    return standing


def _fits(pattern: Pattern, client: Client) -> bool:
    return pattern.fits(client.addresses, client.mac, client.name)


def _judge(
    client: Client,
    word: Seen[Sighting] | Blind | None,
    before: Verdict | None,
    about: tuple[Callable[[Client], Standing], float, Moment, float | None],
) -> Verdict:
    standing_of, fresh, now, resumed = about
    standing = standing_of(client)
    state, why = _state(word, standing.patience, (fresh, now, resumed))
    since = before.since if before is not None and before.state is state else now
    heard, how, rtt, on_link = _evidence(word, before, now)
    return Verdict(
        client=client,
        state=state,
        why=why,
        since=since,
        heard=heard,
        how=how,
        rtt=rtt,
        class_name=standing.class_name,
        keeps_awake=standing.counts,
        always_on=state is State.PRESENT and now.mono - since.mono >= ALWAYS_ON_AFTER,
        on_link=on_link,
    )


def _evidence(
    word: Seen[Sighting] | Blind | None, before: Verdict | None, now: Moment
) -> tuple[Moment | None, How | None, float | None, bool]:
    """When, how and how quickly it was last heard, and whether on a link; a blind round forgets nothing."""
    if not isinstance(word, Seen):
        return (before.heard, before.how, before.rtt, before.on_link) if before else (None, None, None, True)
    sighting = word.value
    heard = before.heard if before is not None else None
    if sighting.heard is None:
        heard = None
    elif heard is None or heard.mono != sighting.heard:  # else the wall clock's reading of then stands
        heard = later(now, sighting.heard - now.mono)
    return heard, sighting.how, sighting.rtt, sighting.on_link


def _state(  # noqa: PLR0911 - a ladder: each rung is one way to know, and the order is the rule
    word: Seen[Sighting] | Blind | None, patience: float, about: tuple[float, Moment, float | None]
) -> tuple[State, str]:
    """The state and its reason; evidence from before ``resumed`` is void."""
    fresh, now, resumed = about
    if word is None:
        return State.UNKNOWN, "not asked yet"
    if isinstance(word, Blind):
        return State.UNKNOWN, word.why
    void = float("-inf") if resumed is None else resumed
    sighting = word.value
    if sighting.heard is not None and sighting.heard >= void and now.mono - sighting.heard < patience:
        return State.PRESENT, _EVIDENCE[sighting.how] if sighting.how else "was heard"
    if not void <= word.at or now.mono - word.at > fresh:
        return State.UNKNOWN, "not asked lately"
    if sighting.silent_since is None:
        return State.UNKNOWN, "its last question could not be asked"
    if now.mono - max(sighting.silent_since, void) < patience:
        return State.UNKNOWN, "silent, but not yet for long enough to be gone"
    return State.ABSENT, "silent"


def _excused(verdict: Verdict, before: Mapping[ClientId, Verdict], now: Moment) -> Verdict:
    """A client that was not asked because somebody else is home: a gone one stays gone in the picture."""
    if verdict.state is not State.UNKNOWN or verdict.why not in {"not asked lately", "not asked yet"}:
        return verdict
    last = before.get(verdict.client.id)
    if last is not None and last.state is State.ABSENT:
        return replace(verdict, state=State.ABSENT, why=NOT_ASKED, since=last.since)
    since = last.since if last is not None and last.state is State.UNKNOWN else now
    return replace(verdict, why=NOT_ASKED, since=since)
