from __future__ import annotations

import pytest

from powerd.linux.values import ProbeOutcome, ProbeReply, ProbeRequest
from powerd.presence.evidence import (
    ArpMode,
    MacRules,
    arp_proves_presence,
    best_evidence,
    evaluate_replies,
    link_error,
    on_link,
    plan_probes,
)
from powerd.presence.model import Client, ClientId, EvidenceKind, Observation
from powerd.presence.observations import Evidence, ProbeResult, update_observation
from powerd.presence.records import ClientRecord
from powerd.simulation.lan import link, mac, make_lan

YES, NO, FAILED, NOT = (
    ProbeOutcome.ANSWERED,
    ProbeOutcome.SILENT,
    ProbeOutcome.FAILED,
    ProbeOutcome.NOT_PROBED,
)
GATEWAY, OWN, OTHER, THIRD = (f"02:00:00:00:00:{n}" for n in ("fe", "0a", "0b", "0c"))
NOW = 1000.0


def combine(
    *replies: ProbeReply,
    own: str | None = OWN,
    others: frozenset[str] = frozenset(),
    arp_sufficient: bool = True,
) -> ProbeResult:
    """The result of these replies, one for each address of a client."""
    rules = MacRules(frozenset({own} if own else ()), frozenset({GATEWAY}), others)
    by_address = {f"10.0.0.{n}": reply for n, reply in enumerate(replies, 1)}
    return evaluate_replies(by_address, rules, arp_sufficient=arp_sufficient, now=NOW)


@pytest.mark.parametrize(
    ("arp_mode", "answers", "sufficient"),
    [("auto", False, True), ("auto", True, False), ("always", True, True), ("never", False, False)],
)
def test_when_arp_proves_presence(arp_mode: ArpMode, *, answers: bool, sufficient: bool) -> None:
    assert arp_proves_presence(arp_mode, Observation(answers_icmp=answers)) is sufficient


@pytest.mark.parametrize(
    ("icmp", "arp", "sufficient", "expected"),
    [
        (YES, NOT, True, "icmp"),
        (NO, YES, True, "arp"),
        (NO, YES, False, "silent"),  # a sleeping PC's card
        (FAILED, YES, False, "failed"),  # the card answers, but the host could not be probed by ICMP
        (NO, NO, True, "silent"),
        (FAILED, NO, True, "silent"),  # no packet can reach a host on this link that does not answer ARP
        (FAILED, NO, False, "silent"),
        (NO, NOT, True, "silent"),  # off-link
        (NO, NOT, False, "silent"),
        (FAILED, NOT, True, "failed"),
        (NO, FAILED, True, "failed"),  # it may drop ICMP
        (NO, FAILED, False, "silent"),
        (FAILED, FAILED, True, "failed"),
        (NOT, NOT, True, "nothing"),
        (NOT, FAILED, True, "failed"),
        (NOT, FAILED, False, "failed"),
        (NOT, NO, False, "silent"),
        (NOT, YES, False, "nothing"),  # perhaps only the card; no echo request was sent
    ],
)
def test_the_result_of_one_reply(
    icmp: ProbeOutcome, arp: ProbeOutcome, expected: str, *, sufficient: bool
) -> None:
    macs = (OWN,) if arp is YES else ()
    result = combine(ProbeReply(icmp, arp, macs=macs, error="No route to host"), arp_sufficient=sufficient)
    if result.evidence:
        got = result.evidence.kind.value
    else:
        got = "silent" if result.silent else "failed" if result.failure else "nothing"
    assert got == expected
    assert ("No route to host" in str(result.failure)) is (expected == "failed")


def test_a_router_that_answers_arp_for_other_hosts_proves_nothing() -> None:
    for own in (OWN, None, GATEWAY):
        assert combine(ProbeReply(NO, YES, macs=(GATEWAY,)), own=own).silent
    assert combine(ProbeReply(NO, YES, macs=(GATEWAY, OWN))).evidence, "the host itself answers too"
    assert combine(ProbeReply(YES, YES, macs=(GATEWAY,))).evidence, "only the host answers an echo request"


@pytest.mark.parametrize("own", [OWN, None])
@pytest.mark.parametrize("arp_sufficient", [True, False])
def test_two_macs_that_answer_for_one_address_make_silence_prove_nothing(
    own: str | None, *, arp_sufficient: bool
) -> None:
    result = combine(ProbeReply(NO, YES, macs=(OTHER, THIRD)), own=own, arp_sufficient=arp_sufficient)
    assert not result.silent
    assert result.evidence or (result.failure and OTHER in result.failure and THIRD in result.failure)


def test_another_mac_than_its_own_makes_silence_prove_nothing() -> None:
    result = combine(ProbeReply(NO, YES, macs=(OTHER,)))
    assert (result.evidence, result.silent) == (None, False)
    assert result.failure
    assert all(term in result.failure for term in (OTHER, "10.0.0.1", OWN))
    assert 'clients.arp = "never"' in result.failure
    unknown = combine(ProbeReply(NO, YES, macs=(OTHER,)), own=None, arp_sufficient=False)
    assert unknown.silent, "it may be the client's own"


def test_a_card_that_answers_beside_another_mac_makes_silence_prove_nothing() -> None:
    result = combine(ProbeReply(NO, YES, macs=(OWN, OTHER)), arp_sufficient=False)
    assert result.failure
    assert OTHER in result.failure


def test_a_client_that_has_the_address_by_another_lease_may_answer() -> None:
    assert combine(ProbeReply(NO, YES, macs=(OTHER,)), others=frozenset({OTHER})).silent


def test_a_client_is_silent_only_if_all_its_addresses_are() -> None:
    assert combine(ProbeReply(NO, NO), ProbeReply(NO, NO)).silent
    assert combine(ProbeReply(NO, NO), ProbeReply()) == ProbeResult()
    assert combine(ProbeReply(NO, NO), ProbeReply(FAILED)).failure
    assert combine(ProbeReply(NO, NO), ProbeReply(YES)).evidence
    assert combine(ProbeReply(NO, NO), ProbeReply(NO, YES, macs=(OTHER,))).failure
    assert combine() == ProbeResult()


def test_silence_starts_when_the_client_was_last_seen() -> None:
    seen = update_observation(
        Observation(),
        ProbeResult(Evidence(EvidenceKind.ICMP, 100, 0.001)),
        last_probed=None,
        now=100,
        poll_interval=60,
    )
    assert (seen.last_seen, seen.answers_icmp, seen.silent_since) == (100, True, None)
    first = update_observation(seen, ProbeResult(silent=True), last_probed=100, now=160, poll_interval=60)
    assert first.silent_since == 100
    second = update_observation(first, ProbeResult(silent=True), last_probed=160, now=220, poll_interval=60)
    assert second.silent_since == 100


def test_a_gap_between_probes_interrupts_the_silence() -> None:
    """Not probed for eight hours while another client was present; it may have been present meanwhile."""
    silent = Observation(last_seen=0, silent_since=100)
    assert (
        update_observation(
            silent, ProbeResult(silent=True), last_probed=200, now=30_000, poll_interval=60
        ).silent_since
        == 30_000
    )


def test_a_failed_probe_interrupts_the_silence() -> None:
    silent = Observation(last_seen=0, silent_since=100)
    failed = update_observation(
        silent, ProbeResult(failure="No route to host"), last_probed=200, now=260, poll_interval=60
    )
    assert failed.silent_since is None
    assert (
        update_observation(
            failed, ProbeResult(silent=True), last_probed=None, now=320, poll_interval=60
        ).silent_since
        == 320
    )


def test_no_probe_changes_nothing() -> None:
    before = Observation(last_seen=5, silent_since=10)
    assert update_observation(before, ProbeResult(), last_probed=20, now=30, poll_interval=60) is before


def test_an_arp_reply_does_not_prove_that_a_client_answers_icmp() -> None:
    seen = update_observation(
        Observation(),
        ProbeResult(Evidence(EvidenceKind.ARP, 100, 0.001)),
        last_probed=None,
        now=100,
        poll_interval=60,
    )
    assert not seen.answers_icmp


def test_the_best_evidence_is_the_latest_then_the_strongest() -> None:
    old, new = Evidence(EvidenceKind.STATION, 90), Evidence(EvidenceKind.NEIGHBOUR, 100)
    assert best_evidence([old, new]) == new
    assert best_evidence(
        [Evidence(EvidenceKind.NEIGHBOUR, 100), Evidence(EvidenceKind.STATION, 100)]
    ) == Evidence(EvidenceKind.STATION, 100)
    assert best_evidence([]) is None


def test_an_echo_reply_from_a_shared_address_does_not_prove_that_a_client_answers_icmp() -> None:
    result = ProbeResult(Evidence(EvidenceKind.ICMP, 100, 0.001))
    seen = update_observation(
        Observation(), result, last_probed=None, now=100, poll_interval=60, shared_address=True
    )
    assert (seen.last_seen, seen.evidence, seen.answers_icmp) == (100, EvidenceKind.ICMP, False)
    assert update_observation(seen, result, last_probed=100, now=100, poll_interval=60).answers_icmp


ETH, WLAN = link(), link(3, "10.0.1.253/24", ready=False, name="wlan0")
LAN = make_lan(ETH, WLAN)
ANSWERS_ICMP = Observation(answers_icmp=True)


def client(n: int, *addresses: str) -> Client:
    return Client(ClientId(mac(n)), addresses, mac(n))


def plan(*clients: tuple[Client, ClientRecord], arp_only: bool = False) -> list[ProbeRequest]:
    """The requests for these clients."""
    records = {client.id: record for client, record in clients}
    return plan_probes([client for client, _ in clients], records, LAN, "auto", arp_only_if_silent=arp_only)


def test_a_new_client_is_probed_by_both_protocols() -> None:
    assert plan((client(1, "10.0.0.1"), ClientRecord(Observation()))) == [
        ProbeRequest("10.0.0.1", ETH, icmp=True, arp_sufficient=True, macs=frozenset({mac(1)}))
    ]


def test_an_arp_reply_is_not_sufficient_for_a_client_that_answers_icmp() -> None:
    for silent in (True, False):
        record = ClientRecord(ANSWERS_ICMP, arp_silent=silent)
        assert plan((client(1, "10.0.0.1"), record), arp_only=True) == [
            ProbeRequest("10.0.0.1", ETH, icmp=not silent, arp_sufficient=False, macs=frozenset({mac(1)}))
        ]


def test_arp_alone_is_used_on_own_links_only() -> None:
    both = (client(1, "10.0.0.1", "192.168.0.1"), ClientRecord(Observation(), arp_silent=True))
    assert [(request.address, request.icmp, request.link) for request in plan(both, arp_only=True)] == [
        ("10.0.0.1", False, ETH),
        ("192.168.0.1", True, None),
    ]
    assert all(request.icmp for request in plan(both))


def test_a_link_without_carrier_is_not_probed() -> None:
    assert plan((client(1, "10.0.1.1"), ClientRecord(Observation()))) == []
    assert link_error("10.0.1.1", LAN) == "wlan0 has no carrier"
    assert link_error("10.0.0.1", LAN) is None
    assert link_error("192.168.0.1", LAN) is None


@pytest.mark.parametrize("direction", [1, -1])
def test_a_shared_address_has_one_request_for_both_clients(direction: int) -> None:
    clients = [
        (client(1, "10.0.0.1"), ClientRecord(ANSWERS_ICMP)),
        (client(2, "10.0.0.1"), ClientRecord(Observation(), arp_silent=True)),
    ][::direction]
    assert plan(*clients, arp_only=True) == [
        ProbeRequest("10.0.0.1", ETH, icmp=True, arp_sufficient=True, macs=frozenset({mac(1), mac(2)}))
    ]


def test_which_clients_are_on_a_lan() -> None:
    assert on_link(client(1, "192.168.0.1", "10.0.1.1"), LAN)
    assert not on_link(client(1, "192.168.0.1"), LAN)
    assert on_link(client(1), LAN)
