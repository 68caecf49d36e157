from __future__ import annotations

import pytest

from powerd.linux.values import ProbeOutcome, ProbeReply
from powerd.presence.evidence import (
    ArpMode,
    Evidence,
    ProbeResult,
    arp_proves_presence,
    best_evidence,
    evaluate_replies,
    update_observation,
)
from powerd.presence.model import EvidenceKind, Observation

YES, NO, FAILED, NOT = (
    ProbeOutcome.ANSWERED,
    ProbeOutcome.SILENT,
    ProbeOutcome.FAILED,
    ProbeOutcome.NOT_PROBED,
)
ROUTER = frozenset({"02:00:00:00:00:fe"})
NOW = 1000.0


@pytest.mark.parametrize(
    ("arp", "answers", "counts"),
    [("auto", False, True), ("auto", True, False), ("always", True, True), ("never", False, False)],
)
def test_whose_arp_answers_count(arp: ArpMode, *, answers: bool, counts: bool) -> None:
    assert arp_proves_presence(arp, Observation(answers_icmp=answers)) is counts


@pytest.mark.parametrize(
    ("icmp", "arp", "counts", "expected"),
    [
        (YES, NOT, True, "icmp"),
        (NO, YES, True, "arp"),
        (NO, YES, False, "silent"),  # a sleeping PC's card
        (FAILED, YES, False, "failed"),  # its card answers, and it could not be asked whether it is awake
        (NO, NO, True, "silent"),
        (FAILED, NO, True, "silent"),  # on this link no host lives without ARP
        (FAILED, NO, False, "silent"),
        (NO, NOT, True, "silent"),  # off-link
        (NO, NOT, False, "silent"),
        (FAILED, NOT, True, "failed"),
        (NO, FAILED, True, "failed"),  # it may be one that drops ICMP
        (NO, FAILED, False, "silent"),
        (FAILED, FAILED, True, "failed"),
        (NOT, NOT, True, "nothing"),
        (NOT, FAILED, True, "failed"),
        (NOT, FAILED, False, "failed"),
        (NOT, NO, False, "silent"),
        (NOT, YES, False, "nothing"),  # a card, and nobody has pinged its host
    ],
)
def test_evidence_of_one_reply(icmp: ProbeOutcome, arp: ProbeOutcome, expected: str, *, counts: bool) -> None:
    word = evaluate_replies(
        [ProbeReply(icmp, arp, error="No route to host")], arp_sufficient=counts, proxy_macs=ROUTER, now=NOW
    )
    if word.evidence:
        got = word.evidence.kind.value
    else:
        got = "silent" if word.silent else "failed" if word.failure else "nothing"
    assert got == expected
    assert (word.failure == "could not be asked: No route to host") is (expected == "failed")


def test_a_router_answering_arp_for_others_proves_nothing() -> None:
    word = evaluate_replies(
        [ProbeReply(NO, YES, mac="02:00:00:00:00:fe")], arp_sufficient=True, proxy_macs=ROUTER, now=NOW
    )
    assert word.evidence is None
    assert not word.failure


def test_silence_takes_all_addresses() -> None:
    assert evaluate_replies(
        [ProbeReply(NO, NO), ProbeReply(NO, NO)], arp_sufficient=True, proxy_macs=ROUTER, now=NOW
    ).silent
    assert (
        evaluate_replies([ProbeReply(NO, NO), ProbeReply()], arp_sufficient=True, proxy_macs=ROUTER, now=NOW)
        == ProbeResult()
    )
    assert evaluate_replies(
        [ProbeReply(NO, NO), ProbeReply(FAILED)], arp_sufficient=True, proxy_macs=ROUTER, now=NOW
    ).failure
    assert evaluate_replies(
        [ProbeReply(NO, NO), ProbeReply(YES)], arp_sufficient=True, proxy_macs=ROUTER, now=NOW
    ).evidence
    assert evaluate_replies([], arp_sufficient=True, proxy_macs=ROUTER, now=NOW) == ProbeResult()


def test_silence_starts_when_the_client_was_last_seen() -> None:
    heard = update_observation(
        Observation(),
        ProbeResult(Evidence(EvidenceKind.ICMP, 100, 0.001)),
        last_probed=None,
        now=100,
        every=60,
    )
    assert (heard.last_seen, heard.answers_icmp, heard.silent_since) == (100, True, None)
    first = update_observation(heard, ProbeResult(silent=True), last_probed=100, now=160, every=60)
    assert first.silent_since == 100
    second = update_observation(first, ProbeResult(silent=True), last_probed=160, now=220, every=60)
    assert second.silent_since == 100


def test_a_gap_between_questions_breaks_the_silence() -> None:
    """Not asked for eight hours because somebody else was home: it may have been there meanwhile."""
    silent = Observation(last_seen=0, silent_since=100)
    assert (
        update_observation(
            silent, ProbeResult(silent=True), last_probed=200, now=30_000, every=60
        ).silent_since
        == 30_000
    )


def test_a_question_that_failed_breaks_the_silence() -> None:
    silent = Observation(last_seen=0, silent_since=100)
    failed = update_observation(
        silent, ProbeResult(failure="No route to host"), last_probed=200, now=260, every=60
    )
    assert failed.silent_since is None
    assert (
        update_observation(failed, ProbeResult(silent=True), last_probed=None, now=320, every=60).silent_since
        == 320
    )


def test_not_asked_changes_nothing() -> None:
    before = Observation(last_seen=5, silent_since=10)
    assert update_observation(before, ProbeResult(), last_probed=20, now=30, every=60) is before


def test_evidence_of_arp_does_not_make_it_a_pinger() -> None:
    heard = update_observation(
        Observation(),
        ProbeResult(Evidence(EvidenceKind.ARP, 100, 0.001)),
        last_probed=None,
        now=100,
        every=60,
    )
    assert not heard.answers_icmp


def test_the_latest_evidence_is_the_strongest() -> None:
    old, new = Evidence(EvidenceKind.STATION, 90), Evidence(EvidenceKind.NEIGHBOUR, 100)
    assert best_evidence([old, new]) == new
    assert best_evidence(
        [Evidence(EvidenceKind.NEIGHBOUR, 100), Evidence(EvidenceKind.STATION, 100)]
    ) == Evidence(EvidenceKind.STATION, 100)
    assert best_evidence([]) is None


def test_a_ping_answered_from_a_shared_address_makes_nobody_a_pinger() -> None:
    word = ProbeResult(Evidence(EvidenceKind.ICMP, 100, 0.001))
    heard = update_observation(Observation(), word, last_probed=None, now=100, every=60, shared_address=True)
    assert (heard.last_seen, heard.evidence, heard.answers_icmp) == (100, EvidenceKind.ICMP, False)
    assert update_observation(heard, word, last_probed=100, now=100, every=60).answers_icmp
