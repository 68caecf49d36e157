from __future__ import annotations

from ipaddress import IPv4Interface

from hypothesis import given
from hypothesis import strategies as st

from powerd.linux.values import Lan, Link, Neighbour
from powerd.presence.neighbours import (
    LearnedHost,
    from_json,
    gateway_macs,
    mac_address_pairs,
    to_json,
    update_learned_hosts,
)

READY = True
LAN = Lan(
    (Link(2, "eth0", "02:00:00:00:00:01", READY, (IPv4Interface("10.0.0.1/24"),)),),
    frozenset({"10.0.0.1", "10.0.0.2"}),
    frozenset({"10.0.0.254", "fe80::1"}),
)
NOW = 1_000_000.0


def entry(address: str, mac: str, *, link: int = 2, ago: float = 5.0, reachable: bool = True) -> Neighbour:
    return Neighbour(link, address, mac, reachable, ago)


def test_a_neighbour_is_learned() -> None:
    learned = update_learned_hosts({}, [entry("10.0.0.9", "02:00:00:00:00:09")], LAN, NOW - 100, NOW)
    assert learned == {"02:00:00:00:00:09": LearnedHost("10.0.0.9", NOW - 5)}


def test_a_stale_entry_names_a_host_but_proves_no_presence() -> None:
    learned = update_learned_hosts(
        {}, [entry("10.0.0.9", "02:00:00:00:00:09", ago=50, reachable=False)], LAN, NOW - 100, NOW
    )
    assert learned["02:00:00:00:00:09"].last_seen == NOW - 50


def test_infrastructure_is_not_learned() -> None:
    table = [
        entry("10.0.0.254", "02:00:00:00:00:fe"),  # the gateway
        entry("10.0.0.77", "02:00:00:00:00:fe"),  # a second address of the gateway
        entry("fe80::1", "02:00:00:00:00:fd"),  # the IPv6 gateway
        entry("10.0.0.78", "02:00:00:00:00:fd"),  # ... which has an IPv4 address too
        entry("10.0.0.2", "02:00:00:00:00:02"),  # this server
        entry("172.17.0.5", "02:42:ac:11:00:05", link=5),  # a container behind docker0
        entry("10.9.9.9", "02:00:00:00:00:99"),  # not on the LAN's subnet
        entry("fd00::9", "02:00:00:00:00:09"),  # IPv6 alone cannot be probed, so it is not learned
    ]
    assert update_learned_hosts({}, table, LAN, 0, NOW) == {}
    assert gateway_macs(table, LAN) == {"02:00:00:00:00:fe", "02:00:00:00:00:fd"}


def test_a_gateway_learned_earlier_is_dropped() -> None:
    learned = {"02:00:00:00:00:fe": LearnedHost("10.0.0.77", NOW)}
    assert update_learned_hosts(learned, [entry("10.0.0.254", "02:00:00:00:00:fe")], LAN, 0, NOW) == {}


def test_a_neighbour_not_seen_for_long_is_dropped() -> None:
    learned = {
        "02:00:00:00:00:09": LearnedHost("10.0.0.9", NOW - 101),
        "02:00:00:00:00:0a": LearnedHost("10.0.0.10", NOW - 99),
    }
    assert set(update_learned_hosts(learned, [], LAN, NOW - 100, NOW)) == {"02:00:00:00:00:0a"}


def test_an_address_belongs_to_its_latest_host() -> None:
    learned = {"02:00:00:00:00:09": LearnedHost("10.0.0.9", NOW - 50)}
    learned = dict(update_learned_hosts(learned, [entry("10.0.0.9", "02:00:00:00:00:0b")], LAN, 0, NOW))
    assert mac_address_pairs(learned) == {("02:00:00:00:00:0b", "10.0.0.9")}


def test_the_number_of_learned_hosts_is_limited() -> None:
    wide = Lan((Link(2, "eth0", "02:00:00:00:00:01", READY, (IPv4Interface("10.0.0.1/8"),)),))
    table = [
        entry(f"10.{n >> 8}.{n & 255}.9", f"02:00:00:{n >> 16:02x}:{n >> 8 & 255:02x}:{n & 255:02x}")
        for n in range(5000)
    ]
    assert len(update_learned_hosts({}, table, wide, 0, NOW)) == 4096


macs = st.integers(0, 2**48 - 1).map(lambda n: ":".join(f"{n >> s & 255:02x}" for s in range(40, -8, -8)))
books = st.dictionaries(
    macs,
    st.builds(LearnedHost, st.ip_addresses(v=4).map(str), st.integers(0, 2_000_000_000).map(float)),
    max_size=5,
)


@given(books)
def test_stored_neighbours_survive_a_restart(learned: dict[str, LearnedHost]) -> None:
    assert from_json(to_json(learned)) == learned


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | macs,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | macs, inner, max_size=3),
    max_leaves=8,
)


@given(json)
def test_invalid_entries_of_the_stored_document_are_dropped(data: object) -> None:
    for mac, host in from_json(data).items():
        assert mac.count(":") == 5
        assert host.address.count(".") == 3
