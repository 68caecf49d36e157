"""What the answers of a sweep say of one client; pure.

The rule behind every line: a question that could not be asked says nothing, and silence is only what
follows a question that was really asked, in a way that this client could have answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, Literal, NamedTuple

from powerd.host.values import ProbeOutcome, ProbeReply
from powerd.model import EvidenceKind, Observation

ArpMode = Literal["auto", "always", "never"]
MAX_SILENCE_GAP: Final = 2.5
"""Silence is one silence while its questions are at most so many rounds apart."""


class Evidence(NamedTuple):
    """One proof that a client is there: the kind, when (monotonic seconds), the round trip time."""

    kind: EvidenceKind
    at: float
    rtt: float | None = None


class ProbeResult(NamedTuple):
    """What one client's replies come to: evidence, or silence, or why neither; all None = not asked."""

    evidence: Evidence | None = None
    silent: bool = False
    failure: str | None = None


def arp_proves_presence(arp_mode: ArpMode, observation: Observation) -> bool:
    """Whether link-layer evidence alone shows this client to be awake.

    A sleeping PC's network card still answers ARP for it (Wake-on-LAN offload); one that has ever answered
    ICMP would do so again if it were awake.
    """
    return arp_mode == "always" or (arp_mode == "auto" and not observation.answers_icmp)


def evaluate_replies(
    replies: Sequence[ProbeReply], *, arp_sufficient: bool, proxy_macs: frozenset[str], now: float
) -> ProbeResult:
    """Join the replies from all addresses of one client.

    Args:
        replies: one per address.
        counts: see arp_counts().
        proxies: MAC addresses of routers, which answer ARP for hosts behind them.
        now: monotonic seconds at the end of the sweep.
    """
    for reply in replies:
        if reply.icmp is ProbeOutcome.ANSWERED:
            return ProbeResult(Evidence(EvidenceKind.ICMP, now, reply.rtt))
    for reply in replies:
        if reply.arp is ProbeOutcome.ANSWERED and arp_sufficient and reply.mac not in proxy_macs:
            return ProbeResult(Evidence(EvidenceKind.ARP, now, reply.rtt))
    probed = [reply for reply in replies if not not_probed(reply)]
    inconclusive = next(
        (reply for reply in probed if not _is_conclusive(reply, arp_sufficient=arp_sufficient)), None
    )
    if inconclusive is not None:
        return ProbeResult(failure=f"could not be asked: {inconclusive.error or 'the question was not sent'}")
    return ProbeResult(silent=bool(probed) and len(probed) == len(replies))


def not_probed(reply: ProbeReply) -> bool:
    """Whether nothing was asked that proves anything; an ARP answer that does not count wants a ping."""
    return reply.icmp is ProbeOutcome.NOT_PROBED and reply.arp in {
        ProbeOutcome.NOT_PROBED,
        ProbeOutcome.ANSWERED,
    }


def _is_conclusive(reply: ProbeReply, *, arp_sufficient: bool) -> bool:
    """Whether an unanswered host was asked in a way that it could have answered.

    A host on this link that does not answer ARP cannot be spoken to at all, so its silence says all.
    """
    if reply.arp is ProbeOutcome.SILENT:
        return True
    if arp_sufficient and reply.arp is ProbeOutcome.FAILED:
        return False
    return reply.icmp is ProbeOutcome.SILENT


def update_observation(  # noqa: PLR0913 - what was, what came, and four circumstances, all named
    previous: Observation,
    result: ProbeResult,
    *,
    last_probed: float | None,
    now: float,
    every: float,
    shared_address: bool = False,
) -> Observation:
    """The sighting after this look.

    Args:
        before: after the look before.
        word: what this look brought.
        last: when the client was last asked to some purpose; None = never, or the last question failed.
        now: monotonic seconds.
        every: seconds between rounds.
        shared: another client has an address of this one, so an answer to a ping may have been the other's.
    """
    if result.evidence is not None:
        return replace(
            previous,
            last_seen=result.evidence.at,
            evidence=result.evidence.kind,
            rtt=result.evidence.rtt,
            silent_since=None,
            answers_icmp=previous.answers_icmp
            or (result.evidence.kind is EvidenceKind.ICMP and not shared_address),
        )
    if not result.silent:
        return replace(previous, silent_since=None) if result.failure else previous
    unbroken = last_probed is not None and now - last_probed <= MAX_SILENCE_GAP * every
    if unbroken and previous.silent_since is not None:
        return previous
    answered = (
        unbroken and previous.last_seen is not None and now - previous.last_seen <= MAX_SILENCE_GAP * every
    )
    return replace(previous, silent_since=previous.last_seen if answered else now)


def best_evidence(candidates: Iterable[Evidence]) -> Evidence | None:
    """The latest evidence; of two at one time, the stronger kind."""
    order = list(EvidenceKind)
    return max(candidates, key=lambda proof: (proof.at, -order.index(proof.kind)), default=None)
