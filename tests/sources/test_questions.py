from __future__ import annotations

import pytest
from sources.village import lan_of, link, mac

from powerd.host.values import Ask
from powerd.model import Client, ClientId, Sighting
from powerd.sources.questions import Wanted, dead_link, on_link, questions

ETH, WLAN = link(), link(3, "10.0.1.253/24", ready=False, name="wlan0")
LAN = lan_of(ETH, WLAN)
PINGER = Sighting(answers_icmp=True)


def client(n: int, *addresses: str) -> Client:
    return Client(ClientId(mac(n)), addresses, mac(n))


def test_a_stranger_is_asked_by_both() -> None:
    assert questions([Wanted(client(1, "10.0.0.1"), Sighting())], LAN, "auto") == [
        Ask("10.0.0.1", ETH, icmp=True, arp_counts=True)
    ]


def test_the_card_of_a_pinger_proves_nothing() -> None:
    for alone in (True, False):
        assert questions([Wanted(client(1, "10.0.0.1"), PINGER, arp_alone=alone)], LAN, "auto") == [
            Ask("10.0.0.1", ETH, icmp=not alone, arp_counts=False)
        ]


def test_arp_alone_is_for_the_own_link_only() -> None:
    wanted = [Wanted(client(1, "10.0.0.1", "192.168.0.1"), Sighting(), arp_alone=True)]
    assert [(ask.address, ask.icmp, ask.link) for ask in questions(wanted, LAN, "auto")] == [
        ("10.0.0.1", False, ETH),
        ("192.168.0.1", True, None),
    ]


def test_a_dead_link_is_not_asked() -> None:
    assert questions([Wanted(client(1, "10.0.1.1"), Sighting())], LAN, "auto") == []
    assert dead_link("10.0.1.1", LAN) == "wlan0 has no carrier"
    assert dead_link("10.0.0.1", LAN) is None
    assert dead_link("192.168.0.1", LAN) is None


@pytest.mark.parametrize("order", [1, -1])
def test_a_shared_address_is_asked_once_and_whatever_either_could_answer(order: int) -> None:
    wanted = [
        Wanted(client(1, "10.0.0.1"), PINGER),
        Wanted(client(2, "10.0.0.1"), Sighting(), arp_alone=True),
    ][::order]
    assert questions(wanted, LAN, "auto") == [Ask("10.0.0.1", ETH, icmp=True, arp_counts=True)]


def test_who_is_on_a_lan() -> None:
    assert on_link(client(1, "192.168.0.1", "10.0.1.1"), LAN)
    assert not on_link(client(1, "192.168.0.1"), LAN)
    assert on_link(client(1), LAN)
