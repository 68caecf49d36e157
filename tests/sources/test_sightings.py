from __future__ import annotations

import pytest

from powerd.host.values import Heard, Reply
from powerd.model import How, Sighting
from powerd.sources.sightings import Arp, Evidence, Said, arp_counts, said, strongest, updated

YES, NO, FAILED, NOT = Heard.ANSWERED, Heard.SILENT, Heard.FAILED, Heard.NOT_ASKED
ROUTER = frozenset({"02:00:00:00:00:fe"})
NOW = 1000.0


@pytest.mark.parametrize(
    ("arp", "answers", "counts"),
    [("auto", False, True), ("auto", True, False), ("always", True, True), ("never", False, False)],
)
def test_whose_arp_answers_count(arp: Arp, *, answers: bool, counts: bool) -> None:
    assert arp_counts(arp, Sighting(answers_icmp=answers)) is counts


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
def test_what_one_reply_says(icmp: Heard, arp: Heard, expected: str, *, counts: bool) -> None:
    word = said([Reply(icmp, arp, why="No route to host")], counts=counts, proxies=ROUTER, now=NOW)
    if word.evidence:
        got = word.evidence.how.value
    else:
        got = "silent" if word.silent else "failed" if word.failed else "nothing"
    assert got == expected
    assert (word.failed == "could not be asked: No route to host") is (expected == "failed")


def test_a_router_answering_arp_for_others_proves_nothing() -> None:
    word = said([Reply(NO, YES, mac="02:00:00:00:00:fe")], counts=True, proxies=ROUTER, now=NOW)
    assert word.evidence is None
    assert not word.failed


def test_silence_takes_all_addresses() -> None:
    assert said([Reply(NO, NO), Reply(NO, NO)], counts=True, proxies=ROUTER, now=NOW).silent
    assert said([Reply(NO, NO), Reply()], counts=True, proxies=ROUTER, now=NOW) == Said()
    assert said([Reply(NO, NO), Reply(FAILED)], counts=True, proxies=ROUTER, now=NOW).failed
    assert said([Reply(NO, NO), Reply(YES)], counts=True, proxies=ROUTER, now=NOW).evidence
    assert said([], counts=True, proxies=ROUTER, now=NOW) == Said()


def test_silence_begins_when_it_was_last_heard() -> None:
    heard = updated(Sighting(), Said(Evidence(How.ICMP, 100, 0.001)), last=None, now=100, every=60)
    assert (heard.heard, heard.answers_icmp, heard.silent_since) == (100, True, None)
    first = updated(heard, Said(silent=True), last=100, now=160, every=60)
    assert first.silent_since == 100
    second = updated(first, Said(silent=True), last=160, now=220, every=60)
    assert second.silent_since == 100


def test_a_gap_between_questions_breaks_the_silence() -> None:
    """Not asked for eight hours because somebody else was home: it may have been there meanwhile."""
    silent = Sighting(heard=0, silent_since=100)
    assert updated(silent, Said(silent=True), last=200, now=30_000, every=60).silent_since == 30_000


def test_a_question_that_failed_breaks_the_silence() -> None:
    silent = Sighting(heard=0, silent_since=100)
    failed = updated(silent, Said(failed="No route to host"), last=200, now=260, every=60)
    assert failed.silent_since is None
    assert updated(failed, Said(silent=True), last=None, now=320, every=60).silent_since == 320


def test_not_asked_changes_nothing() -> None:
    before = Sighting(heard=5, silent_since=10)
    assert updated(before, Said(), last=20, now=30, every=60) is before


def test_evidence_of_arp_does_not_make_it_a_pinger() -> None:
    heard = updated(Sighting(), Said(Evidence(How.ARP, 100, 0.001)), last=None, now=100, every=60)
    assert not heard.answers_icmp


def test_the_latest_evidence_is_the_strongest() -> None:
    old, new = Evidence(How.STATION, 90), Evidence(How.NEIGHBOUR, 100)
    assert strongest([old, new]) == new
    assert strongest([Evidence(How.NEIGHBOUR, 100), Evidence(How.STATION, 100)]) == Evidence(How.STATION, 100)
    assert strongest([]) is None


def test_a_ping_answered_from_a_shared_address_makes_nobody_a_pinger() -> None:
    word = Said(Evidence(How.ICMP, 100, 0.001))
    heard = updated(Sighting(), word, last=None, now=100, every=60, shared=True)
    assert (heard.heard, heard.how, heard.answers_icmp) == (100, How.ICMP, False)
    assert updated(heard, word, last=100, now=100, every=60).answers_icmp
