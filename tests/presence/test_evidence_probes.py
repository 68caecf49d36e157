from __future__ import annotations

import pytest
from fakes.lan import link, mac, make_lan

from powerd.linux.values import ProbeRequest
from powerd.presence.evidence import ProbeTarget, link_error, on_link, plan_probes
from powerd.presence.model import Client, ClientId, Observation

ETH, WLAN = link(), link(3, "10.0.1.253/24", ready=False, name="wlan0")
LAN = make_lan(ETH, WLAN)
PINGER = Observation(answers_icmp=True)


def client(n: int, *addresses: str) -> Client:
    return Client(ClientId(mac(n)), addresses, mac(n))


def test_an_unlisted_neighbour_is_probed_by_both() -> None:
    assert plan_probes([ProbeTarget(client(1, "10.0.0.1"), Observation())], LAN, "auto") == [
        ProbeRequest("10.0.0.1", ETH, icmp=True, arp_sufficient=True)
    ]


def test_the_card_of_a_pinger_proves_nothing() -> None:
    for alone in (True, False):
        assert plan_probes([ProbeTarget(client(1, "10.0.0.1"), PINGER, arp_only=alone)], LAN, "auto") == [
            ProbeRequest("10.0.0.1", ETH, icmp=not alone, arp_sufficient=False)
        ]


def test_arp_alone_is_for_the_own_link_only() -> None:
    wanted = [ProbeTarget(client(1, "10.0.0.1", "192.168.0.1"), Observation(), arp_only=True)]
    assert [(ask.address, ask.icmp, ask.link) for ask in plan_probes(wanted, LAN, "auto")] == [
        ("10.0.0.1", False, ETH),
        ("192.168.0.1", True, None),
    ]


def test_a_dead_link_is_not_asked() -> None:
    assert plan_probes([ProbeTarget(client(1, "10.0.1.1"), Observation())], LAN, "auto") == []
    assert link_error("10.0.1.1", LAN) == "wlan0 has no carrier"
    assert link_error("10.0.0.1", LAN) is None
    assert link_error("192.168.0.1", LAN) is None


@pytest.mark.parametrize("order", [1, -1])
def test_a_shared_address_is_asked_once_and_whatever_either_could_answer(order: int) -> None:
    wanted = [
        ProbeTarget(client(1, "10.0.0.1"), PINGER),
        ProbeTarget(client(2, "10.0.0.1"), Observation(), arp_only=True),
    ][::order]
    assert plan_probes(wanted, LAN, "auto") == [ProbeRequest("10.0.0.1", ETH, icmp=True, arp_sufficient=True)]


def test_who_is_on_a_lan() -> None:
    assert on_link(client(1, "192.168.0.1", "10.0.1.1"), LAN)
    assert not on_link(client(1, "192.168.0.1"), LAN)
    assert on_link(client(1), LAN)
