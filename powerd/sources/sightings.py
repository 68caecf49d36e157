"""What the answers of a sweep say of one client; pure.

The rule behind every line: a question that could not be asked says nothing, and silence is only what
follows a question that was really asked, in a way that this client could have answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, Literal, NamedTuple

from powerd.host.values import Heard, Reply
from powerd.model import How, Sighting

Arp = Literal["auto", "always", "never"]
UNBROKEN: Final = 2.5
"""Silence is one silence while its questions are at most so many rounds apart."""


class Evidence(NamedTuple):
    """One proof that a client is there: the kind, when (monotonic seconds), the round trip time."""

    how: How
    at: float
    rtt: float | None = None


class Said(NamedTuple):
    """What one client's replies come to: evidence, or silence, or why neither; all None = not asked."""

    evidence: Evidence | None = None
    silent: bool = False
    failed: str | None = None


def arp_counts(arp: Arp, sighting: Sighting) -> bool:
    """Whether link-layer evidence alone shows this client to be awake.

    A sleeping PC's network card still answers ARP for it (Wake-on-LAN offload); one that has ever answered
    ICMP would do so again if it were awake.
    """
    return arp == "always" or (arp == "auto" and not sighting.answers_icmp)


def said(replies: Sequence[Reply], *, counts: bool, proxies: frozenset[str], now: float) -> Said:
    """Join the replies from all addresses of one client.

    Args:
        replies: one per address.
        counts: see arp_counts().
        proxies: MAC addresses of routers, which answer ARP for hosts behind them.
        now: monotonic seconds at the end of the sweep.
    """
    for reply in replies:
        if reply.icmp is Heard.ANSWERED:
            return Said(Evidence(How.ICMP, now, reply.rtt))
    for reply in replies:
        if reply.arp is Heard.ANSWERED and counts and reply.mac not in proxies:
            return Said(Evidence(How.ARP, now, reply.rtt))
    asked = [reply for reply in replies if not unasked(reply)]
    failed = next((reply for reply in asked if not _conclusive(reply, counts=counts)), None)
    if failed is not None:
        return Said(failed=f"could not be asked: {failed.why or 'the question was not sent'}")
    return Said(silent=bool(asked) and len(asked) == len(replies))


def unasked(reply: Reply) -> bool:
    """Whether nothing was asked that proves anything; an ARP answer that does not count wants a ping."""
    return reply.icmp is Heard.NOT_ASKED and reply.arp in {Heard.NOT_ASKED, Heard.ANSWERED}


def _conclusive(reply: Reply, *, counts: bool) -> bool:
    """Whether an unanswered host was asked in a way that it could have answered.

    A host on this link that does not answer ARP cannot be spoken to at all, so its silence says all.
    """
    if reply.arp is Heard.SILENT:
        return True
    if counts and reply.arp is Heard.FAILED:
        return False
    return reply.icmp is Heard.SILENT


def updated(  # noqa: PLR0913 - what was, what came, and four circumstances, all named
    before: Sighting, word: Said, *, last: float | None, now: float, every: float, shared: bool = False
) -> Sighting:
    """The sighting after this look.

    Args:
        before: after the look before.
        word: what this look brought.
        last: when the client was last asked to some purpose; None = never, or the last question failed.
        now: monotonic seconds.
        every: seconds between rounds.
        shared: another client has an address of this one, so an answer to a ping may have been the other's.
    """
    if word.evidence is not None:
        return replace(
            before,
            heard=word.evidence.at,
            how=word.evidence.how,
            rtt=word.evidence.rtt,
            silent_since=None,
            answers_icmp=before.answers_icmp or (word.evidence.how is How.ICMP and not shared),
        )
    if not word.silent:
        return replace(before, silent_since=None) if word.failed else before
    unbroken = last is not None and now - last <= UNBROKEN * every
    if unbroken and before.silent_since is not None:
        return before
    answered = unbroken and before.heard is not None and now - before.heard <= UNBROKEN * every
    return replace(before, silent_since=before.heard if answered else now)


def strongest(proofs: Iterable[Evidence]) -> Evidence | None:
    """The latest evidence; of two at one time, the stronger kind."""
    order = list(How)
    return max(proofs, key=lambda proof: (proof.at, -order.index(proof.how)), default=None)
