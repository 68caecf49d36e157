"""Waking: whom a word means, and where packets for it go."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import IPv4Interface

import pytest

from powerd.core.actions import RequestRefusedError
from powerd.linux.values import Lan, Link
from powerd.presence.model import Client, ClientId
from powerd.requests.model import WakeOnLanResult
from powerd.requests.wake_on_lan import WakeTarget, broadcast_addresses, find_target, normalize_mac, wake_host
from powerd.simulation.lan import SimulatedLan


def client(n: int, name: str | None, *, mac: bool = True, address: str | None = None) -> Client:
    card = f"02:00:00:00:00:{n:02x}" if mac else None
    where = address or f"10.0.0.{n}"
    return Client(ClientId(card or where), (where,), card, name, ("learned",))


TV, NAS = client(1, "TV.lan"), client(2, "nas")
PHONE, OTHER = client(3, "phone"), client(4, "phone")
REMOTE, BARE = client(5, "shop", mac=False, address="10.9.0.5"), client(6, None)
EVERY = (TV, NAS, PHONE, OTHER, REMOTE, BARE)


@pytest.mark.parametrize(
    "reading", ["tv.lan", "TV", "tv.lan.", " tv ", "10.0.0.1", "02:00:00:00:00:01", "020000000001"]
)
def test_a_client_is_found_by_all_its_names(reading: str) -> None:
    assert find_target(reading, EVERY) == WakeTarget("TV.lan", "02:00:00:00:00:01", ("10.0.0.1",))


def test_a_client_is_found_by_the_name_that_another_one_replaces() -> None:
    named = replace(client(7, "living room TV"), other_names=("tv2.fritz.box",))
    for reading in ("Living Room TV", "tv2.fritz.box", "tv2"):
        assert find_target(reading, (*EVERY, named)).label == "living room TV"


def test_the_makers_of_clients_with_one_name_are_shown() -> None:
    makers = [replace(PHONE, maker="Apple, Inc."), replace(OTHER, other_names=("phone",))]
    with pytest.raises(RequestRefusedError) as caught:
        find_target("phone", makers)
    assert "02:00:00:00:00:03 (Apple, Inc.), 02:00:00:00:00:04" in str(caught.value)


@pytest.mark.parametrize("address", ["192.168.178.100", "100.100.100.100", "255.255.255.255"])
def test_an_address_is_no_mac_although_it_has_twelve_digits(address: str) -> None:
    nas = client(9, "nas", address=address)
    assert find_target(address, (*EVERY, nas)) == WakeTarget("nas", "02:00:00:00:00:09", (address,))
    with pytest.raises(RequestRefusedError):
        find_target(address, EVERY)


def test_a_mac_that_nobody_knows_is_woken_too() -> None:
    assert find_target("AA-BB-CC-DD-EE-FF", EVERY) == WakeTarget("aa:bb:cc:dd:ee:ff", "aa:bb:cc:dd:ee:ff")


@pytest.mark.parametrize(
    ("reading", "text", "unknown"),
    [
        ("nass", 'no client is known as "nass"; did you mean nas?', True),
        ("xyzzy", 'no client is known as "xyzzy"; `powerd clients` lists all', True),
        ("", 'no client is known as ""; `powerd clients` lists all', True),
        ("phone", "name one: 02:00:00:00:00:03, 02:00:00:00:00:04", True),
        ("shop", "the MAC address of shop is not known", False),
    ],
)
def test_an_unsendable_packet_is_reported(reading: str, text: str, unknown: bool) -> None:  # noqa: FBT001 - a column
    with pytest.raises(RequestRefusedError) as caught:
        find_target(reading, EVERY)
    assert text in str(caught.value)
    assert caught.value.not_found is unknown


@pytest.mark.parametrize(
    ("reading", "mac"),
    [
        ("aabb.ccdd.eeff", "aa:bb:cc:dd:ee:ff"),
        ("aa:bb:cc:dd:ee", None),
        ("aa:bb:cc:dd:ee:fg", None),
        ("aa-bb-cc-dd-ee-ff", "aa:bb:cc:dd:ee:ff"),
        ("AABBCCDDEEFF", "aa:bb:cc:dd:ee:ff"),
        ("aa:bb-cc:dd:ee:ff", None),
        ("aa.bb.cc.dd.ee.ff", None),
        ("aabbcc.ddeeff", None),
        ("192.168.178.100", None),
        ("10.0.0.1", None),
    ],
)
def test_canonical(reading: str, mac: str | None) -> None:
    assert normalize_mac(reading) == mac


def link(name: str, *addresses: str, ready: bool = True) -> Link:
    return Link(2, name, "02:00:00:00:00:ff", ready, tuple(IPv4Interface(each) for each in addresses))


LAN = Lan(
    (
        link("eth0", "10.0.0.254/24"),
        link("eth1", "10.1.0.1/16", "192.168.7.1/28"),
        link("eth2", "10.0.0.253/24"),
        link("eth3", "172.16.0.1/24", ready=False),
        link("ppp0", "10.5.5.5/32", "10.6.6.6/31"),
    )
)


@pytest.mark.parametrize(
    ("addresses", "sent"),
    [
        (["10.0.0.1"], [("eth2", "10.0.0.255")]),
        (["192.168.7.9"], [("eth1", "192.168.7.15")]),
        (["10.0.0.1", "10.1.9.9"], [("eth2", "10.0.0.255"), ("eth1", "10.1.255.255")]),
    ],
)
def test_packets_go_to_the_networks_of_a_client(addresses: list[str], sent: list[tuple[str, str]]) -> None:
    assert [to for _, to in broadcast_addresses(addresses, LAN)] == [to for _, to in sent]


@pytest.mark.parametrize("addresses", [[], ["10.9.0.5"], ["172.16.0.9"]])
def test_else_to_every_network_that_is_up(addresses: list[str]) -> None:
    assert [to for _, to in broadcast_addresses(addresses, LAN)] == [
        "10.0.0.255",
        "10.1.255.255",
        "192.168.7.15",
    ]


def test_of_two_links_on_one_network_the_first_is_named() -> None:
    assert broadcast_addresses(["10.0.0.1"], LAN) == (("eth0", "10.0.0.255"),)


def call(host: str, lan: SimulatedLan) -> WakeOnLanResult:
    return asyncio.run(wake_host(host, {each.id: each for each in EVERY}, lan))


def test_the_sent_packets_are_reported() -> None:
    lan = SimulatedLan(links=LAN)
    assert call("tv", lan) == WakeOnLanResult("TV.lan", "02:00:00:00:00:01", (("eth0", "10.0.0.255"),))
    assert lan.calls == [("magic", "02:00:00:00:00:01", ("10.0.0.255",))]


def test_a_machine_that_refuses_is_a_no() -> None:
    with pytest.raises(RequestRefusedError, match="Network is unreachable"):
        call("tv", SimulatedLan(links=LAN, send_error="cannot send: Network is unreachable"))
    with pytest.raises(RequestRefusedError, match="no network card"):
        call("tv", SimulatedLan(links=Lan((link("eth0", "10.0.0.254/24", ready=False),))))
