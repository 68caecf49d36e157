"""The observation of a client after a poll: when it was seen last, and since when it is silent or dozes."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from powerd.presence.model import MAX_SILENCE_GAP, EvidenceKind, Observation
from powerd.presence.silences import NAP_TIME, STEADY_TIME


class Evidence(NamedTuple):
    """A proof that a client is present.

    Attributes:
        kind: of the proof.
        at: CLOCK_MONOTONIC.
        rtt: round trip time, seconds.
        card_only: the network card has given it; the device itself may be asleep.
    """

    kind: EvidenceKind
    at: float
    rtt: float | None = None
    card_only: bool = False


class ProbeResult(NamedTuple):
    """The result of all probes of one client.

    Attributes:
        evidence: it is present; None = no evidence.
        silent: it was probed conclusively and did not answer.
        failure: why it could not be probed conclusively. Without any of the three it was not probed.
        card: the ARP reply of a silent client, which proves that its network card is on the LAN.
    """

    evidence: Evidence | None = None
    silent: bool = False
    failure: str | None = None
    card: Evidence | None = None


def is_recent(at: float | None, now: float, poll_interval: float) -> bool:
    """Whether no poll was left out since ``at``, CLOCK_MONOTONIC; ``poll_interval`` in seconds."""
    return at is not None and now - at <= MAX_SILENCE_GAP * poll_interval


def update_observation(  # noqa: PLR0913 - two values and four circumstances, by keyword
    previous: Observation,
    result: ProbeResult,
    *,
    last_probed: float | None,
    now: float,
    poll_interval: float,
    shared_address: bool = False,
) -> Observation:
    """The observation after a poll.

    Args:
        previous: the observation before it.
        result: the result of the poll.
        last_probed: see ClientRecord.
        now: monotonic seconds.
        poll_interval: seconds.
        shared_address: another client has one of its addresses, so an echo reply may be the other's.
    """
    continuous = is_recent(last_probed, now, poll_interval)
    if result.evidence is not None:
        return _with_evidence(previous, result.evidence, continuous=continuous, shared_address=shared_address)
    if not result.silent:
        if not result.failure:
            return previous
        return replace(previous, silent_since=None, answering_since=None, dozing_since=None)
    if continuous and previous.silent_since is not None:
        return previous
    seen_before = continuous and is_recent(previous.last_seen, now, poll_interval)
    if not continuous:
        previous = replace(previous, answering_since=None, dozing_since=None)
    return replace(previous, silent_since=previous.last_seen if seen_before else now)


def _with_evidence(
    previous: Observation, evidence: Evidence, *, continuous: bool, shared_address: bool
) -> Observation:
    """The observation after evidence. A doze begins with a nap, and ends with a steady time."""
    at, answered_at = evidence.at, previous.answered_at
    quiet_since = previous.silent_since if previous.silent_since is not None else at
    if answered_at is not None and previous.last_seen is not None and previous.last_seen > answered_at:
        quiet_since = min(quiet_since, answered_at)  # the card alone has answered in between
    napped = continuous and at - quiet_since >= NAP_TIME
    dozing_since = previous.dozing_since if continuous else None
    if napped and dozing_since is None:
        dozing_since = quiet_since
    answering_since = previous.answering_since if continuous and not napped else None
    if not evidence.card_only:
        answered_at = at
        answering_since = at if answering_since is None else answering_since
        if at - answering_since >= STEADY_TIME:
            dozing_since = None
    elif not continuous:
        answered_at, dozing_since = None, at
    return replace(
        previous,
        last_seen=at,
        evidence=evidence.kind,
        rtt=evidence.rtt,
        silent_since=None,
        answers_icmp=previous.answers_icmp or (evidence.kind is EvidenceKind.ICMP and not shared_address),
        answered_at=answered_at,
        answering_since=answering_since,
        dozing_since=dozing_since,
    )
