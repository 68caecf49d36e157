"""Who is home: one verdict per known client, from what was observed of it.

Absent is a strong word. It takes an unbroken row of questions that were really asked, all unanswered,
for as long as the client's class allows it to doze; everything else is present or unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from powerd.config import ClientClass, Options
from powerd.config import Clients as ClientOptions
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
    about = (options, now, memory.resumed)
    verdicts = [
        _judge(client, snapshot.sightings.get(name), memory.verdicts.get(name), about)
        for name, client in snapshot.known.items()
    ]
    if any(verdict.keeps_awake and verdict.state is State.PRESENT for verdict in verdicts):
        verdicts = [_excused(verdict, memory.verdicts, now) for verdict in verdicts]
    return tuple(verdicts)


def class_of(client: Client, options: ClientOptions) -> ClientClass | None:
    """The first class that fits the client."""
    return next((row for row in options.class_ if _fits(row, client)), None)


def counts(client: Client, options: ClientOptions) -> bool:
    """Whether the client's presence keeps the server awake."""
    row = class_of(client, options)
    return not ignored(client, options) and (row is None or row.keeps_awake)


def ignored(client: Client, options: ClientOptions) -> bool:
    """Whether an ignore pattern fits the client."""
    return any(pattern.fits(client.addresses, client.mac, client.name) for pattern in options.ignore)


def _fits(row: ClientClass, client: Client) -> bool:
    return any(pattern.fits(client.addresses, client.mac, client.name) for pattern in row.match)


def _judge(
    client: Client,
    word: Seen[Sighting] | Blind | None,
    before: Verdict | None,
    about: tuple[Options, Moment, float | None],
) -> Verdict:
    options, now, resumed = about
    row = class_of(client, options.clients)
    counts = not ignored(client, options.clients) and (row is None or row.keeps_awake)
    patience = (row and row.absent_after) or options.clients.absent_after
    state, why = _state(word, patience, (fresh_for(options), now, resumed))
    since = before.since if before is not None and before.state is state else now
    verdict = Verdict(
        client=client,
        state=state,
        why=why,
        since=since,
        class_name=row.name if row else None,
        keeps_awake=counts,
        always_on=state is State.PRESENT and now.mono - since.mono >= ALWAYS_ON_AFTER,
    )
    if isinstance(word, Seen):
        sighting = word.value
        heard = None if sighting.heard is None else later(now, sighting.heard - now.mono)
        if (
            before is not None
            and before.heard is not None
            and heard is not None
            and before.heard.mono == heard.mono
        ):
            heard = before.heard  # the wall clock's reading of then, not one recomputed after a step
        return replace(verdict, heard=heard, how=sighting.how, rtt=sighting.rtt, on_link=sighting.on_link)
    if before is not None:
        return replace(verdict, heard=before.heard, how=before.how, rtt=before.rtt, on_link=before.on_link)
    return verdict


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
