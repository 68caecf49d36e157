from __future__ import annotations

from ipaddress import IPv4Interface

import pytest
from fakes.storage import MemoryStorage
from hypothesis import given
from hypothesis import strategies as st

from powerd.linux.values import Lan, Link, Neighbour
from powerd.presence.model import MAX_CLIENTS
from powerd.presence.neighbours import (
    LearnedHosts,
    gateway_macs,
    load_learned_hosts,
    save_learned_hosts,
    update_learned_hosts,
)

READY = True
LAN = Lan(
    (Link(2, "eth0", "02:00:00:00:00:01", READY, (IPv4Interface("10.0.0.1/24"),)),),
    frozenset({"10.0.0.1", "10.0.0.2"}),
    frozenset({"10.0.0.254", "fe80::1"}),
)
NOW = 1_000_000.0
DAY = 86400.0


def entry(address: str, mac: str, *, link: int = 2, ago: float = 5.0, reachable: bool = True) -> Neighbour:
    return Neighbour(link, address, mac, reachable, ago)


def test_a_neighbour_is_learned() -> None:
    learned = update_learned_hosts({}, [entry("10.0.0.9", "02:00:00:00:00:09")], LAN, NOW - 100, NOW)
    assert learned == {("02:00:00:00:00:09", "10.0.0.9"): NOW - 5}


def test_a_stale_entry_names_a_host_but_proves_no_presence() -> None:
    learned = update_learned_hosts(
        {}, [entry("10.0.0.9", "02:00:00:00:00:09", ago=50, reachable=False)], LAN, NOW - 100, NOW
    )
    assert learned["02:00:00:00:00:09", "10.0.0.9"] == NOW - 50


def test_infrastructure_is_not_learned() -> None:
    table = [
        entry("10.0.0.254", "02:00:00:00:00:fe"),  # the gateway
        entry("fe80::1", "02:00:00:00:00:fd"),  # the IPv6 gateway
        entry("10.0.0.2", "02:00:00:00:00:02"),  # this server
        entry("172.17.0.5", "02:42:ac:11:00:05", link=5),  # a container behind docker0
        entry("10.9.9.9", "02:00:00:00:00:99"),  # not on the LAN's subnet
        entry("2001:db8::9", "02:00:00:00:00:09"),  # the unit's IPAddressDeny= keeps it out
        entry("fe80::fe", "02:00:00:00:00:fe"),  # the gateway by IPv6
    ]
    assert update_learned_hosts({}, table, LAN, 0, NOW) == {}
    assert gateway_macs(table, LAN) == {"02:00:00:00:00:fe", "02:00:00:00:00:fd"}


@pytest.mark.parametrize("relay", ["02:00:00:00:00:fe", "02:00:00:00:00:0a"], ids=["gateway", "repeater"])
def test_each_address_behind_one_mac_is_learned(relay: str) -> None:
    """The hosts behind a repeater have its MAC, also if the repeater is the gateway."""
    table = [entry("10.0.0.254", "02:00:00:00:00:fe"), entry("10.0.0.60", relay), entry("10.0.0.61", relay)]
    learned = update_learned_hosts({}, table, LAN, 0, NOW)
    assert set(learned) == {(relay, "10.0.0.60"), (relay, "10.0.0.61")}
    assert set(update_learned_hosts(learned, table[:2], LAN, 0, NOW + 60)) == set(learned), (
        "an address that is silent is not forgotten because another one is seen"
    )


def test_a_host_without_ipv4_is_learned_by_its_local_ipv6_addresses() -> None:
    mac = "02:00:00:00:00:09"
    table = [entry("fe80::9", mac), entry("fd00::9", mac), entry("2001:db8::9", mac)]
    learned = update_learned_hosts({}, table, LAN, 0, NOW)
    assert set(learned) == {(mac, "fe80::9%eth0"), (mac, "fd00::9")}
    with_ipv4 = update_learned_hosts(learned, [*table, entry("10.0.0.9", mac)], LAN, 0, NOW)
    assert set(with_ipv4) == {(mac, "10.0.0.9")}, "one host is one client, and IPv4 suffices"


@pytest.mark.parametrize("address", ["fe80::9", "fd00::9"])
@pytest.mark.parametrize(
    ("ipv4_age", "learnable"), [(60, False), (3000, False), (4000, True), (5 * DAY, True)]
)
def test_an_old_ipv4_address_does_not_hide_a_live_ipv6_host(
    address: str, ipv4_age: float, *, learnable: bool
) -> None:
    mac = "02:00:00:00:00:09"
    learned = update_learned_hosts(
        {(mac, "10.0.0.9"): NOW - ipv4_age}, [entry(address, mac)], LAN, NOW - 30 * DAY, NOW
    )
    by_ipv6 = {host for _, host in learned if ":" in host}
    assert by_ipv6 == ({address + ("%eth0" if address == "fe80::9" else "")} if learnable else set())
    assert (mac, "10.0.0.9") in learned
    later = update_learned_hosts(learned, [], LAN, NOW - 30 * DAY, NOW + 8 * 3600)
    assert later == learned, "neither hides the other while both are silent"
    again = update_learned_hosts(later, [entry("10.0.0.9", mac)], LAN, 0, NOW + 8 * 3600)
    assert set(again) == {(mac, "10.0.0.9")}, "one client again once IPv4 is back"


@pytest.mark.parametrize(
    ("ago", "reachable", "learned"),
    [
        (60.0, False, False),
        (4000.0, False, False),
        (59.0, False, True),
        (5.0, True, True),
        (70.0, True, True),
    ],
)
def test_an_ipv6_host_is_learned_once_it_has_been_confirmed(
    ago: float, *, reachable: bool, learned: bool
) -> None:
    """The sender of a router advertisement gets a STALE entry without any exchange."""
    for address, key in (("fe80::9", "fe80::9%eth0"), ("fd00::9", "fd00::9")):
        table = [entry(address, "02:00:00:00:00:09", ago=ago, reachable=reachable)]
        found = update_learned_hosts({}, table, LAN, 0, NOW)
        assert {host for _, host in found} == ({key} if learned else set())
        known = {("02:00:00:00:00:09", key): NOW - 9000}
        assert update_learned_hosts(known, table, LAN, 0, NOW) == {("02:00:00:00:00:09", key): NOW - ago}


def test_a_neighbour_not_seen_for_long_is_dropped() -> None:
    learned = {
        ("02:00:00:00:00:09", "10.0.0.9"): NOW - 101,
        ("02:00:00:00:00:0a", "10.0.0.10"): NOW - 99,
    }
    assert set(update_learned_hosts(learned, [], LAN, NOW - 100, NOW)) == {("02:00:00:00:00:0a", "10.0.0.10")}


def test_another_mac_at_an_address_displaces_the_first_one_after_a_day() -> None:
    """At once it may be forged; after a day DHCP has given the address away."""
    first, second = ("02:00:00:00:00:09", "10.0.0.9"), ("02:00:00:00:00:0b", "10.0.0.9")
    table = [entry(second[1], second[0])]
    assert set(update_learned_hosts({first: NOW - 86_000}, table, LAN, 0, NOW)) == {first, second}
    assert set(update_learned_hosts({first: NOW - 86_500}, table, LAN, 0, NOW)) == {second}


PROXY, MAC_OF_PC, THIRD = "02:00:00:00:00:0f", "02:00:00:00:00:09", "02:00:00:00:00:0a"


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({("p", 8): 5, ("p", 9): 5}, {("p", 8), ("a", 9)}),
        ({("p", 8): 100, ("p", 9): 5}, {("p", 8), ("a", 9)}),
        ({("p", 8): 5, ("p", 9): 5, ("p", 10): 5, ("b", 10): 90}, {("p", 8), ("a", 9), ("b", 10)}),
        ({("p", 9): 5}, {("p", 9), ("a", 9)}),  # which of the two is a proxy is unknown
        ({("p", 8): 5, ("p", 9): 5, ("a", 7): 5}, {("p", 8), ("p", 9), ("a", 9), ("a", 7)}),  # as before
        ({("p", 8): 130, ("p", 9): 5}, {("p", 8), ("p", 9), ("a", 9)}),  # it has moved to the address
        ({("p", 8): 5, ("p", 10): 5}, {("p", 8), ("p", 10), ("a", 9)}),  # a repeater
    ],
)
def test_a_proxy_at_the_address_of_another_host_is_no_host_of_its_own(
    table: dict[tuple[str, int], float], expected: set[tuple[str, int]]
) -> None:
    macs = {"p": PROXY, "a": MAC_OF_PC, "b": THIRD}
    neighbours = [entry(f"10.0.0.{n}", macs[who], ago=ago) for (who, n), ago in table.items()]
    learned = update_learned_hosts({(MAC_OF_PC, "10.0.0.9"): NOW - 600}, neighbours, LAN, 0, NOW)
    assert set(learned) == {(macs[who], f"10.0.0.{n}") for who, n in expected}


def test_the_number_of_learned_hosts_is_limited() -> None:
    wide = Lan((Link(2, "eth0", "02:00:00:00:00:01", READY, (IPv4Interface("10.0.0.1/8"),)),))
    table = [
        entry(f"10.{n >> 8}.{n & 255}.9", f"02:00:00:{n >> 16:02x}:{n >> 8 & 255:02x}:{n & 255:02x}")
        for n in range(5000)
    ]
    assert len(update_learned_hosts({}, table, wide, 0, NOW)) == MAX_CLIENTS + 1, (
        "so the source sees that some are left out"
    )


macs = st.integers(0, 2**48 - 1).map(lambda n: ":".join(f"{n >> s & 255:02x}" for s in range(40, -8, -8)))
books = st.dictionaries(
    st.tuples(macs, st.ip_addresses().map(str)),
    st.integers(0, 2_000_000_000).map(float),
    max_size=5,
)


@given(books)
def test_stored_neighbours_survive_a_restart(learned: LearnedHosts) -> None:
    storage = MemoryStorage()
    save_learned_hosts(storage, learned, 2_000_000_000.0)
    assert load_learned_hosts(storage, 2_000_000_000.0) == learned


@pytest.mark.parametrize("saved", [0.0, NOW, 40 * DAY, 20_000 * DAY])
@pytest.mark.parametrize("now", [NOW, 20_000 * DAY, 20_700 * DAY])
def test_ages_are_believed_over_a_restart_and_the_wall_clock_is_not(saved: float, now: float) -> None:
    """Powerd was off for a day at most, or the clock was wrong at one of the times."""
    storage = MemoryStorage()
    hosts = {("02:00:00:00:00:09", "10.0.0.9"): saved, ("02:00:00:00:00:0a", "10.0.0.10"): saved - 3600}
    save_learned_hosts(storage, hosts, saved)
    loaded = load_learned_hosts(storage, now)
    first, second = (now - last_seen for last_seen in loaded.values())
    assert 0 <= first <= DAY
    assert second - first == (3600 if saved else 0), "a time before 1970 is not stored"


def test_time_without_powerd_counts_up_to_a_day() -> None:
    storage = MemoryStorage()
    key = ("02:00:00:00:00:09", "10.0.0.9")
    save_learned_hosts(storage, {key: NOW - 50}, NOW)
    assert load_learned_hosts(storage, NOW + 8 * 3600) == {key: NOW - 50}
