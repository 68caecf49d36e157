"""What the answers of a sweep say of one client; pure.

The rule behind every line: a question that could not be asked says nothing, and silence is only what
follows a question that was really asked, in a way that this client could have answered.

How each client is to be asked: one question per address, by the protocols it could answer; no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Final, Literal, NamedTuple

from powerd.linux.values import HostError, Lan, ProbeOutcome, ProbeReply, ProbeRequest
from powerd.presence.model import Client, EvidenceKind, Observation

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
        arp_sufficient: see arp_counts().
        proxy_macs: MAC addresses of routers, which answer ARP for hosts behind them.
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
        previous: after the look before.
        result: what this look brought.
        last_probed: when the client was last asked to some purpose; None = never, or the last question
            failed.
        now: monotonic seconds.
        every: seconds between rounds.
        shared_address: another client has an address of this one, so an answer to a ping may have been the
            other's.
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


class ProbeTarget(NamedTuple):
    """A client to be asked; ``arp_alone`` = only by ARP, where it is on a link of this server."""

    client: Client
    observation: Observation
    arp_only: bool = False


def plan_probes(targets: Iterable[ProbeTarget], lan: Lan, arp_mode: ArpMode) -> list[ProbeRequest]:
    """One question per address, in the order of the clients; none to an address whose link is dead.

    Two clients may share an address, a reservation's and a lease's: it is asked whatever either could answer.
    """
    requests: dict[str, ProbeRequest] = {}
    for target in targets:
        arp_sufficient = arp_proves_presence(arp_mode, target.observation)
        for address in target.client.addresses:
            if link_error(address, lan) is None:
                link = lan.link_of(IPv4Address(address))
                request = ProbeRequest(
                    address, link, icmp=link is None or not target.arp_only, arp_sufficient=arp_sufficient
                )
                requests[address] = _merge_requests(request, requests.get(address))
    return list(requests.values())


def check_links(lan: Lan) -> None:
    """Whether this server has an ear on any LAN at all.

    Raises:
        HostError: it has none, so the silence of all others would say nothing.
    """
    if not lan.links:
        raise HostError("this server has no Ethernet or Wi-Fi interface, so nobody can be seen")
    names = ", ".join(link.name for link in lan.links)
    if not any(link.ready for link in lan.links):
        raise HostError(f"{names}: no carrier, so nobody can be seen; check the cable or the Wi-Fi")
    if not any(link.ready and link.addresses for link in lan.links):
        raise HostError(f"{names}: no IPv4 address, so nobody can be seen; check the network configuration")


def link_error(address: str, lan: Lan) -> str | None:
    """Why nobody on this address's own network can be asked; None = they can."""
    link = lan.link_of(IPv4Address(address))
    return None if link is None or link.ready else f"{link.name} has no carrier"


def on_link(client: Client, lan: Lan) -> bool:
    """Whether any of its addresses is on a LAN of this server; one without addresses is taken to be."""
    return not client.addresses or any(lan.link_of(IPv4Address(each)) for each in client.addresses)


def _merge_requests(request: ProbeRequest, other: ProbeRequest | None) -> ProbeRequest:
    if other is None:
        return request
    return ProbeRequest(
        request.address,
        request.link or other.link,
        icmp=request.icmp or other.icmp,
        arp_sufficient=request.arp_sufficient or other.arp_sufficient,
    )
