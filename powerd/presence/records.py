"""What is remembered of each client between polls: its observation, and the kinds of its silences.

``silences`` has the statistics; this module classifies silences as naps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Final, NamedTuple, TypeVar

from powerd.core.time import Reading, Unavailable
from powerd.presence.model import Client, ClientId, Observation
from powerd.presence.observations import ProbeResult, is_recent, update_observation
from powerd.presence.silences import (
    BREAK_FACTOR,
    NAP_TIME,
    SHORT_ABSENCE_INTERVAL,
    STEADY_TIME,
    UPPER_LIMIT,
    Limit,
    Silences,
    add_nap,
    add_surprise,
    is_sleeping_card,
    learned_limit,
    longest_nap,
    shift_times,
    without_forgotten,
)

T = TypeVar("T")
_LIMIT_AGE: Final = 3600.0
"""Seconds after which a limit is derived again, since naps and surprises are forgotten."""
_PHONE_NAP_COUNT: Final = 20
"""Naps after which a client may be a phone, whatever its MAC address: PCs have few."""


class Silence(NamedTuple):
    """A silence of ``length`` seconds that an answer has ended.

    Attributes:
        at: POSIX time of its end.
        surprise: the client was absent by its limit.
        was_steady: the client had answered for STEADY_TIME before it.
        card_was_steady: its network card had answered without a nap for UPPER_LIMIT before it.
        rejoined: see Circumstances.
    """

    length: float
    at: float
    surprise: bool
    was_steady: bool
    card_was_steady: bool
    rejoined: bool | None


@dataclass(slots=True)
class ClientRecord:
    """What the source remembers of a client between polls.

    Attributes:
        observation: what has been observed of it.
        last_probed: monotonic time of its last conclusive probe; None = never, or the last probe failed.
        reading: the last published reading; None = none yet.
        arp_silent: it did not answer the last ARP request, so no echo request can reach it on its own link.
        silences: the statistics of its silences.
        answered: seconds of answers that ``silences`` does not contain yet.
        doubtful: the last silence, if the next polls show whether it was a nap.
        limit: the limit by the statistics; that of the observation falls to it step by step.
        limit_due: POSIX time at which to derive it again.
        card_since: CLOCK_MONOTONIC since which only its network card answers.
        seen_since: CLOCK_MONOTONIC since which it, or its network card, answers without a nap.
        short_absence_at: POSIX time of the last silence out of a doze that was no nap.
    """

    observation: Observation
    last_probed: float | None = None
    reading: Reading[Observation] | Unavailable | None = None
    arp_silent: bool = False
    silences: Silences = field(default_factory=Silences)
    answered: float = 0.0
    doubtful: Silence | None = None
    limit: Limit | None = None
    limit_due: float = 0.0
    card_since: float | None = None
    seen_since: float = inf
    short_absence_at: float = -inf


class Circumstances(NamedTuple):
    """The circumstances of a poll.

    Attributes:
        now: CLOCK_MONOTONIC.
        posix: the same time in POSIX seconds.
        poll_interval: seconds.
        shared_address: another client has one of its addresses, so an echo reply may be the other's.
        may_be_phone: see learned_limit().
        rejoined: it has joined the network again since the last round: it was away, or leaves the Wi-Fi in
            its naps; None = that is known in the next round, which reads the leases.
        may_have_answered: it could be watched and was not, so it may have answered between two probes.
    """

    now: float
    posix: float
    poll_interval: float
    shared_address: bool = False
    may_be_phone: bool = False
    rejoined: bool | None = False
    may_have_answered: bool = False


def find_known(values: Mapping[ClientId, T], client: Client, clients: Mapping[ClientId, Client]) -> T | None:
    """The value of a client, also by another identifier: its lease may expire while it stays learned.

    Args:
        values: by identifier.
        client: the client.
        clients: all clients; what belongs to another one of them is left out, and so is what is known of a
            MAC that several of them have, as the hosts behind a repeater.
    """
    if client.id in values:
        return values[client.id]
    learned = [ClientId(f"{client.mac}/{address}") for address in client.addresses]
    for id_ in (ClientId(client.mac or client.id), *learned):
        if id_ in values and id_ not in clients:
            shares_mac = sum(each.mac == client.mac for each in clients.values()) > 1
            return None if shares_mac else values[id_]
    return None


def last_seen(record: ClientRecord) -> float:
    """CLOCK_MONOTONIC of the last evidence; -inf = none."""
    return -inf if record.observation.last_seen is None else record.observation.last_seen


def restart_silence(record: ClientRecord) -> None:
    """Forget since when a client is silent, because it could not have answered."""
    _drop_doubt(record)
    record.last_probed = record.card_since = None
    record.seen_since = inf
    record.observation = replace(
        record.observation, silent_since=None, answering_since=None, dozing_since=None
    )
    if isinstance(record.reading, Reading):
        record.reading = replace(record.reading, value=record.observation)


def new_record(silences: Silences | None, posix: float, *, phone: bool) -> ClientRecord:
    """The record of a client that has not been probed yet; the arguments are those of learned_limit()."""
    silences = silences or Silences()
    limit = learned_limit(silences, posix, may_be_phone=phone)
    # That it once answered ICMP is not stored: a PC may begin to drop ICMP, and then only ARP shows its
    # presence.
    answers_icmp = is_sleeping_card(silences, posix)
    return ClientRecord(Observation(answers_icmp=answers_icmp, limit=limit), silences=silences)


def record_result(record: ClientRecord, result: ProbeResult, at: Circumstances, *, on_link: bool) -> None:
    """Record the result of a poll; ``on_link`` as in Observation."""
    before = record.observation
    result = _with_card(record, result, at)
    if result.card is None and result.silent and record.card_since is not None:
        record.card_since = None
    after = update_observation(
        before,
        result,
        last_probed=record.last_probed,
        now=at.now,
        poll_interval=at.poll_interval,
        shared_address=at.shared_address,
    )
    if result.evidence is not None:
        if at.rejoined:
            after = replace(after, dozing_since=None)
        if not result.evidence.card_only:
            record.card_since = None
        _learn(record, before, after, at)
        limit = _limit(record, before, after, at)
        if limit != after.limit:
            after = replace(after, limit=limit)
    if after.on_link != on_link:
        after = replace(after, on_link=on_link)
    record.observation = after
    if result.failure is not None:
        record.last_probed, record.reading = None, Unavailable(at.now, result.failure)
    elif result.evidence is not None or result.silent:
        record.last_probed, record.reading = at.now, Reading(at.now, after)


def _is_continuous(record: ClientRecord, at: Circumstances) -> bool:
    """Whether the client has been probed in every poll since the last result."""
    return is_recent(record.last_probed, at.now, at.poll_interval)


def _with_card(record: ClientRecord, result: ProbeResult, at: Circumstances) -> ProbeResult:
    """The result in which an ARP reply of a silent client is evidence, if it shows its presence.

    A dozing phone lets its Wi-Fi chip answer ARP: for minutes, until the phone answers itself or has left.
    The card of a sleeping PC answers for hours. So the reply counts until it has been the only answer for
    UPPER_LIMIT; then it does not count for ``silences.MEMORY``. The MAC address of such a card is not
    locally administered, so that of a phone always counts.
    """
    if result.card is None or not result.silent:
        return result
    if not _is_continuous(record, at) or record.card_since is None:
        record.card_since = at.now
    if not at.may_be_phone and record.silences.count < _PHONE_NAP_COUNT:
        if at.now - record.card_since >= UPPER_LIMIT:
            record.silences = replace(record.silences, card_at=at.posix)
        if is_sleeping_card(record.silences, at.posix):
            return result
    return ProbeResult(evidence=result.card, card=result.card)


def _learn(record: ClientRecord, before: Observation, after: Observation, at: Circumstances) -> None:
    """Learn from an answer of the client, or of its network card, which ends a silence as well."""
    seen = after.last_seen or 0.0
    if record.silences.since is None:
        record.silences = replace(record.silences, since=at.posix)
    if not _is_continuous(record, at) or before.last_seen is None:
        _drop_doubt(record)
        record.seen_since = seen
        return
    length = seen - before.last_seen
    if before.silent_since is None or length < NAP_TIME:
        record.answered += max(length, 0.0)
    elif _is_one_silence(before, at) and length < UPPER_LIMIT:
        _add_silence(record, before, length, at)
    elif at.rejoined:
        _drop_doubt(record)
    has_napped = before.silent_since is not None and length >= NAP_TIME
    record.seen_since = seen if has_napped else min(record.seen_since, seen)
    if record.doubtful is not None:
        _resolve_doubt(record, record.doubtful, after, at)


def _add_silence(record: ClientRecord, before: Observation, length: float, at: Circumstances) -> None:
    """A silence has ended: decide on the one before it, if it is still doubtful, and doubt this one.

    One that is hardly longer than the next one was a nap.
    """
    if (doubtful := record.doubtful) is not None:
        is_longer = doubtful.length > BREAK_FACTOR * length
        if is_longer and doubtful.rejoined and _may_be_short_absence(record, doubtful):
            record.short_absence_at = doubtful.at
        else:
            _add_nap(record, doubtful)
    last_seen = before.last_seen or 0.0
    begin = last_seen if before.answering_since is None else before.answering_since
    record.limit = None
    record.doubtful = Silence(
        length,
        at.posix,
        surprise=length >= max(before.limit.seconds, 3 * at.poll_interval),
        was_steady=last_seen - begin >= STEADY_TIME,
        card_was_steady=last_seen - record.seen_since >= UPPER_LIMIT,
        rejoined=at.rejoined,
    )


def _resolve_doubt(record: ClientRecord, silence: Silence, after: Observation, at: Circumstances) -> None:
    """Decide whether a silence was a nap, once the leases have been read and the client has answered.

    Without a steady time before it, it was one, unless the client has joined the network again or a dozing
    phone may have been away. Otherwise it was none if steady answers follow, or those of the
    network card if they were steady before.
    """
    if silence.rejoined is None:
        silence = record.doubtful = silence._replace(rejoined=at.rejoined)
    if silence.rejoined is None:
        return
    may_be_short_absence = _may_be_short_absence(record, silence)
    if not (silence.was_steady or silence.rejoined or may_be_short_absence):
        _add_nap(record, silence)
        record.doubtful = None
        return
    since = record.seen_since if may_be_short_absence and silence.card_was_steady else after.answering_since
    if since is None or after.last_seen is None or after.last_seen - since < STEADY_TIME:
        return
    if silence.length <= BREAK_FACTOR * longest_nap(record.silences, at.posix) and not silence.rejoined:
        _add_nap(record, silence)
    elif may_be_short_absence:
        record.short_absence_at = silence.at
    record.doubtful = record.limit = None


def _may_be_short_absence(record: ClientRecord, silence: Silence) -> bool:
    """Whether a dozing phone may have been away in a silence.

    Its card had answered for UPPER_LIMIT before, or it has joined the network again. A second such silence
    within SHORT_ABSENCE_INTERVAL is a nap.
    """
    is_possible = silence.card_was_steady or bool(silence.rejoined)
    return is_possible and silence.at - record.short_absence_at >= SHORT_ABSENCE_INTERVAL


def _drop_doubt(record: ClientRecord) -> None:
    """Decide no more on the last silence; without a steady time before it, it was a nap."""
    silence = record.doubtful
    if silence is not None and not (silence.was_steady or silence.card_was_steady):
        _add_nap(record, silence)
    record.doubtful = record.limit = None


def _is_one_silence(before: Observation, at: Circumstances) -> bool:
    """Whether the beginning of the silence is known, and the client cannot have answered in it unnoticed."""
    is_watched = before.limit.basis == "answers" or not at.may_have_answered
    return is_watched and before.silent_since == before.last_seen


def _add_nap(record: ClientRecord, silence: Silence) -> None:
    record.silences = add_nap(record.silences, silence.length, silence.at)
    if silence.surprise:
        record.silences = add_surprise(record.silences, silence.at)
    record.limit = None


def _limit(record: ClientRecord, before: Observation, after: Observation, at: Circumstances) -> Limit:
    """The limit after evidence: it rises at once, and falls by no more than the silence that has ended."""
    if record.limit is None or not 0 < record.limit_due - at.posix <= _LIMIT_AGE:
        silences = without_forgotten(shift_times(with_answered(record), 0.0, at.posix), at.posix)
        record.silences, record.answered = replace(silences, last=at.posix), 0.0
        if record.doubtful is not None:
            silences = add_nap(record.silences, record.doubtful.length, at.posix)
        record.limit = learned_limit(silences, at.posix, may_be_phone=at.may_be_phone)
        if record.doubtful is not None and record.doubtful.surprise:
            record.limit = record.limit._replace(seconds=UPPER_LIMIT, basis="surprise")
        record.limit_due = at.posix + _LIMIT_AGE
    limit = record.limit
    if before.last_seen is None or after.last_seen is None:
        return limit
    begin = before.last_seen if before.silent_since is None else before.silent_since
    ended = max(after.last_seen - begin, 0.0) if _is_continuous(record, at) else 0.0
    least = before.limit.seconds - ended
    return limit if limit.seconds >= least else limit._replace(seconds=least)


def with_answered(record: ClientRecord) -> Silences:
    """The statistics, with all seconds of answers."""
    return replace(record.silences, answered=record.silences.answered + record.answered)
