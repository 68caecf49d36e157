"""Derives the state of each client from what was observed of it.

A client is absent only if every probe sent during ``absent_after`` went unanswered; by default the limit is
learned from the silences of each client (``silences``). It is dozing if its device is on the LAN and in
power-save mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import zip_longest
from typing import Final, NamedTuple

from powerd.config.options import ClientOptions, Options
from powerd.config.values import ClientPattern
from powerd.core.domain import Assessment, Context
from powerd.core.reasons import UndatedReason
from powerd.core.snapshot import Memory, Snapshot, SourceId
from powerd.core.time import Moment, Reading, Unavailable, add_seconds
from powerd.presence.model import (
    CLIENTS,
    Client,
    ClientId,
    ClientState,
    ClientStatus,
    EvidenceKind,
    Observation,
    PresenceFacts,
    PresenceMemory,
    PresenceReport,
    ProbeState,
)
from powerd.presence.silences import LOWER_LIMIT, NAP_TIME, UPPER_LIMIT, Limit

_NOT_PROBED: Final = "not probed while another client is present"
_NOT_PROBED_YET: Final = "not probed yet"
_NOT_PROBED_RECENTLY: Final = "not probed recently"
_NOT_PROBED_SINCE_ANSWER: Final = "not probed again since it answered"
_NOT_SILENT_FOR_LONG: Final = "silent, but for less time than absent_after"
_NAP_TEXT: Final = "dozing: it is silent at times while it is there"
_DOZES_OR_LEFT: Final = "dozing: silent, so it is not in use, but it may be there"
_CARD_ONLY: Final = "dozing: only its network card answers"
_RUNS_HERE: Final = "a virtual machine or container of this server, so it never keeps the server awake"
_STOPPED_MATCHING: Final = (
    "by its new name it would never keep the server awake; since clients choose their names, it does until "
    "it has been absent once: match its MAC or address instead"
)
_UNKNOWN_LIMIT: Final = Limit(UPPER_LIMIT)
"""The observation of a client without a reading; such a client is unknown."""
ALWAYS_ON_AFTER: Final = 3 * 86400.0
_EVIDENCE_TEXT: Final = {
    EvidenceKind.ICMP: "answers ping",
    EvidenceKind.LEASE: "has renewed its lease",
    EvidenceKind.STATION: "is on the Wi-Fi",
    EvidenceKind.ARP: "answers ARP",
    EvidenceKind.NEIGHBOUR: "exchanges traffic with this server",
}


def required_sources(options: Options) -> Mapping[SourceId, float]:
    """The source of clients, and the age above which its reading is stale."""
    return {CLIENTS: max_observation_age(options)}


def assess(context: Context) -> Assessment:
    """Present, dozing and unknown clients are blockers; a sleep rule may ignore the dozing ones."""
    statuses = evaluate_clients(context.snapshot, context.memory, context.options, context.now)
    return Assessment(
        blockers=tuple(_client_blockers(statuses, context.options)) if context.is_reliable(CLIENTS) else (),
        remarks=(*always_on_remarks(statuses), *_name_remarks(statuses)),
        memory=(PresenceMemory({status.client.id: status for status in statuses}),),
        parts=(PresenceReport(statuses),),
    )


def _client_blockers(statuses: tuple[ClientStatus, ...], options: Options) -> Iterator[UndatedReason]:
    counted = [status for status in statuses if status.blocks_sleep]
    if not statuses:
        yield UndatedReason(CLIENTS, "no client is known, so absence cannot be detected", confirmed=False)
    elif not counted:
        yield UndatedReason(
            CLIENTS, "every known client is ignored, so absence cannot be detected", confirmed=False
        )
    for status in counted:
        if status.state is ClientState.PRESENT:
            yield UndatedReason(
                status.client.label,
                f"home, {status.reason}",
                since=status.since,
                needed_until=status.needed_until,
                is_client=True,
            )
    for status in counted:
        if status.state is ClientState.UNKNOWN and status.probe is not ProbeState.SKIPPED:
            yield UndatedReason(
                status.client.label,
                f"may be home: {status.reason}",
                confirmed=False,
                needed_until=status.needed_until,
                is_client=True,
            )
    blocks_sleep = not options.sleep or any(rule.dozing == "counts" for rule in options.sleep)
    for status in counted:
        if status.state is ClientState.DOZING:
            yield UndatedReason(
                status.client.label,
                f"home, {status.reason}",
                blocks_sleep,
                since=status.since,
                confirmed=blocks_sleep and status.reason != _DOZES_OR_LEFT,
                ignorable=True,
                needed_until=status.needed_until,
                is_client=True,
            )


def always_on_remarks(statuses: tuple[ClientStatus, ...]) -> Iterator[UndatedReason]:
    """Clients that are never absent, each with the line of the configuration that ignores it."""
    for status in statuses:
        if status.always_on and status.blocks_sleep:
            pattern = status.client.mac or status.client.label
            yield UndatedReason(
                status.client.label,
                f'is always on; if it is not a personal device, exclude it with ignore = ["{pattern}"]',
                blocks_sleep=False,
                since=status.since,
            )


def _name_remarks(statuses: tuple[ClientStatus, ...]) -> Iterator[UndatedReason]:
    """Clients that count although they no longer match by name."""
    for status in statuses:
        if status.counts_until_absent and status.remark:
            yield UndatedReason(status.client.label, status.remark, blocks_sleep=False)


def max_observation_age(options: Options) -> float:
    """Maximum age of an observation, seconds: three poll intervals."""
    return 3 * options.clients.every


def evaluate_clients(
    snapshot: Snapshot, memory: Memory, options: Options, now: Moment
) -> tuple[ClientStatus, ...]:
    """The status of each client, in a stable order; ``memory`` must already hold the latest resume."""
    context = (client_policies(options.clients), max_observation_age(options), now, memory.resumed_at)
    facts, previous = snapshot.part(PresenceFacts), memory.part(PresenceMemory).client_statuses
    statuses = [
        _evaluate_client(client, facts.observations.get(client_id), previous.get(client_id), context)
        for client_id, client in facts.clients.items()
    ]
    if any(status.blocks_sleep and status.state is ClientState.PRESENT for status in statuses):
        statuses = [_keep_absent_if_not_probed(status, previous, now) for status in statuses]
    return tuple(statuses)


class ClientPolicy(NamedTuple):
    """What the configuration says about a client.

    Attributes:
        class_name: of the first class that matches, or None.
        absent_after: seconds of silence after which it counts as absent; None = the learned limit.
        blocks_sleep: its presence keeps the server awake: no ignore pattern matches, and its class allows it.
        by_name: only because of its name it does not block sleep.
    """

    class_name: str | None
    absent_after: float | None
    blocks_sleep: bool
    by_name: bool = False


@lru_cache(maxsize=2)
def client_policies(options: ClientOptions) -> Callable[[Client], ClientPolicy]:
    """A function from a client to its policy, cached: matching the patterns takes 15 us per client."""

    @lru_cache(maxsize=1 << 14)
    def policy_of(client: Client) -> ClientPolicy:
        policy = match(client)
        if policy.blocks_sleep:
            return policy
        return policy._replace(by_name=match(replace(client, name=None, other_names=())).blocks_sleep)

    def match(client: Client) -> ClientPolicy:
        ignored = client.runs_here or any(_matches_client(pattern, client) for pattern in options.ignore)
        client_class = next(
            (row for row in options.class_ if any(_matches_client(each, client) for each in row.match)), None
        )
        absent_after = (client_class and client_class.absent_after) or options.absent_after
        return ClientPolicy(
            None if client_class is None else client_class.name,
            None if absent_after == "auto" else absent_after,
            (client_class is None or client_class.keeps_awake) and not ignored,
        )

    return policy_of


def _matches_client(pattern: ClientPattern, client: Client) -> bool:
    if not client.other_macs and not client.other_names:
        return pattern.matches(client.addresses, client.mac, client.name)
    return any(
        pattern.matches(client.addresses, mac, name)
        for mac, name in zip_longest(client.macs, (client.name, *client.other_names))
    )


def _evaluate_client(
    client: Client,
    reading: Reading[Observation] | Unavailable | None,
    previous: ClientStatus | None,
    context: tuple[Callable[[Client], ClientPolicy], float, Moment, float | None],
) -> ClientStatus:
    policy_of, max_age, now, resumed_at = context
    policy = policy_of(client)
    observation = reading.value if isinstance(reading, Reading) else None
    limit: Limit | None = None
    if policy.absent_after is None:
        limit = _UNKNOWN_LIMIT if observation is None else observation.limit
        limit = limit._replace(seconds=max(limit.seconds, max_age))  # less would be a single missed probe
    absent_after = policy.absent_after or UPPER_LIMIT if limit is None else limit.seconds
    state, reason, probe = _client_state(reading, previous, absent_after, (max_age, now, resumed_at))
    counts_until_absent = _counts_until_absent(policy, previous, client, state, probe)
    since = previous.since if previous is not None and previous.state is state else now
    last_seen, evidence, rtt, on_link = _last_evidence(reading, previous, now)
    return ClientStatus(
        client=client,
        state=state,
        reason=reason,
        since=since,
        last_seen=last_seen,
        evidence=evidence,
        rtt=rtt,
        class_name=policy.class_name,
        blocks_sleep=policy.blocks_sleep or counts_until_absent,
        always_on=state is ClientState.PRESENT and now.mono - since.mono >= ALWAYS_ON_AFTER,
        on_link=on_link,
        probe=probe,
        counts_until_absent=counts_until_absent,
        was_named=client.name is not None
        or (state is not ClientState.ABSENT and previous is not None and previous.was_named),
        remark=_STOPPED_MATCHING if counts_until_absent else _RUNS_HERE if client.runs_here else None,
        absent_after=absent_after,
        limit=limit,
        answered_at=None if observation is None else observation.answered_at,
        needed_until=None
        if observation is None or limit is None or state is ClientState.ABSENT
        else _needed_until(observation, state, resumed_at),
    )


def _needed_until(observation: Observation, state: ClientState, resumed_at: float | None) -> float | None:
    """See ClientStatus."""
    last_seen, silent_since = observation.last_seen, observation.silent_since
    since_resume = last_seen is not None and (resumed_at is None or last_seen >= resumed_at)
    if state is not ClientState.UNKNOWN and since_resume:
        return last_seen
    return silent_since if silent_since is None or resumed_at is None else max(silent_since, resumed_at)


def _counts_until_absent(
    policy: ClientPolicy, previous: ClientStatus | None, client: Client, state: ClientState, probe: ProbeState
) -> bool:
    """Whether a client that has blocked sleep still does, although its new name does not.

    A device that changes its name has not left. A change of the configuration applies at once, and so does
    the first name of a client, which was met before its name was found.
    """
    return (
        policy.by_name
        and previous is not None
        and previous.blocks_sleep
        and (previous.counts_until_absent or (previous.was_named and previous.client.name != client.name))
        and state is not ClientState.ABSENT
        and not (probe is ProbeState.MISSING and previous.state is ClientState.ABSENT)
    )


def _last_evidence(
    reading: Reading[Observation] | Unavailable | None, previous: ClientStatus | None, now: Moment
) -> tuple[Moment | None, EvidenceKind | None, float | None, bool]:
    """Time, kind and round trip time of the last evidence, and on_link; kept without a new reading."""
    if not isinstance(reading, Reading):
        return (
            (previous.last_seen, previous.evidence, previous.rtt, previous.on_link)
            if previous
            else (None, None, None, True)
        )
    observation = reading.value
    last_seen = previous.last_seen if previous is not None else None
    if observation.last_seen is None:
        last_seen = None
    elif last_seen is None or last_seen.mono != observation.last_seen:  # else the wall clock may have stepped
        last_seen = add_seconds(now, observation.last_seen - now.mono)
    return last_seen, observation.evidence, observation.rtt, observation.on_link


def _client_state(  # noqa: PLR0911 - the order of the cases is the rule
    reading: Reading[Observation] | Unavailable | None,
    previous: ClientStatus | None,
    absent_after: float,
    context: tuple[float, Moment, float | None],
) -> tuple[ClientState, str, ProbeState]:
    """The state and its reason; evidence from before the last resume does not count."""
    max_age, now, resumed_at = context
    if reading is None:
        return ClientState.UNKNOWN, _NOT_PROBED_YET, ProbeState.MISSING
    if isinstance(reading, Unavailable):
        return ClientState.UNKNOWN, reading.reason, ProbeState.DECISIVE
    valid_from = float("-inf") if resumed_at is None else resumed_at
    observation = reading.value
    if (
        observation.last_seen is not None
        and observation.last_seen >= valid_from
        and now.mono - observation.last_seen < absent_after
    ):
        may_nap = absent_after > max(LOWER_LIMIT, max_age)
        if (dozing := _dozing_reason(observation, previous, now, may_nap=may_nap)) is not None:
            return ClientState.DOZING, dozing, ProbeState.DECISIVE
        reason = _EVIDENCE_TEXT[observation.evidence] if observation.evidence else "was seen"
        return ClientState.PRESENT, reason, ProbeState.DECISIVE
    if not valid_from <= reading.at or now.mono - reading.at > max_age:
        return ClientState.UNKNOWN, _NOT_PROBED_RECENTLY, ProbeState.MISSING
    if observation.silent_since is None:
        return ClientState.UNKNOWN, _NOT_PROBED_SINCE_ANSWER, ProbeState.MISSING
    silence = now.mono - max(observation.silent_since, valid_from)
    # After a sleep only the card may have answered, which clears answered_at; in use, the device answers too.
    is_known = observation.answered_at is not None or (
        observation.last_seen is not None and observation.answers_icmp
    )
    if LOWER_LIMIT <= silence < absent_after and is_known:
        return ClientState.DOZING, _DOZES_OR_LEFT, ProbeState.DECISIVE
    if silence < absent_after:
        return ClientState.UNKNOWN, _NOT_SILENT_FOR_LONG, ProbeState.DECISIVE
    return ClientState.ABSENT, "silent", ProbeState.DECISIVE


def _dozing_reason(
    observation: Observation, previous: ClientStatus | None, now: Moment, *, may_nap: bool
) -> str | None:
    """Why a client is dozing; None = it is not.

    A client with the least limit never naps: ``may_nap`` is False. The silence of one that was absent and
    has come back was not a nap.
    """
    if (
        observation.answered_at is not None
        and observation.last_seen is not None
        and observation.last_seen - observation.answered_at >= NAP_TIME
    ):
        return _CARD_ONLY
    if observation.dozing_since is not None and not _has_returned(observation.dozing_since, previous):
        return _NAP_TEXT
    silent_since = observation.silent_since
    if silent_since is not None and now.mono - silent_since >= NAP_TIME and may_nap:
        return _NAP_TEXT
    return None


def _has_returned(dozing_since: float, previous: ClientStatus | None) -> bool:
    """Whether a client was absent after it began to doze."""
    return previous is not None and (
        previous.state is ClientState.ABSENT
        or (previous.state is ClientState.PRESENT and dozing_since < previous.since.mono)
    )


def _keep_absent_if_not_probed(
    status: ClientStatus, previous: Mapping[ClientId, ClientStatus], now: Moment
) -> ClientStatus:
    """The status of a client that was not probed because another one is present; absent stays absent."""
    if status.probe is not ProbeState.MISSING:
        return status
    previous_status = previous.get(status.client.id)
    if previous_status is not None and previous_status.state is ClientState.ABSENT:
        since, state = previous_status.since, ClientState.ABSENT
        return replace(status, state=state, reason=_NOT_PROBED, since=since, probe=ProbeState.SKIPPED)
    since = (
        previous_status.since
        if previous_status is not None and previous_status.state is ClientState.UNKNOWN
        else now
    )
    return replace(status, reason=_NOT_PROBED, since=since, probe=ProbeState.SKIPPED)
