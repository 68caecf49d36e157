from __future__ import annotations

from ipaddress import IPv4Interface

from hypothesis import given
from hypothesis import strategies as st

from powerd.host.values import Lan, Link, Neighbour
from powerd.sources.learned import Learned, from_json, gateway_macs, hosts_of, learn, to_json

READY = True
LAN = Lan(
    (Link(2, "eth0", "02:00:00:00:00:01", READY, (IPv4Interface("10.0.0.1/24"),)),),
    frozenset({"10.0.0.1", "10.0.0.2"}),
    frozenset({"10.0.0.254", "fe80::1"}),
)
NOW = 1_000_000.0


def entry(address: str, mac: str, *, link: int = 2, ago: float = 5.0, reachable: bool = True) -> Neighbour:
    return Neighbour(link, address, mac, reachable, ago)


def test_a_host_that_talked_is_learned() -> None:
    book = learn({}, [entry("10.0.0.9", "02:00:00:00:00:09")], LAN, NOW - 100, NOW)
    assert book == {"02:00:00:00:00:09": Learned("10.0.0.9", NOW - 5)}


def test_a_stale_entry_tells_who_but_not_that_it_is_there() -> None:
    book = learn({}, [entry("10.0.0.9", "02:00:00:00:00:09", ago=50, reachable=False)], LAN, NOW - 100, NOW)
    assert book["02:00:00:00:00:09"].seen == NOW - 50


def test_infrastructure_is_not_learned() -> None:
    table = [
        entry("10.0.0.254", "02:00:00:00:00:fe"),  # the gateway
        entry("10.0.0.77", "02:00:00:00:00:fe"),  # a second address of the gateway
        entry("fe80::1", "02:00:00:00:00:fd"),  # the IPv6 gateway
        entry("10.0.0.78", "02:00:00:00:00:fd"),  # ... which has an IPv4 address too
        entry("10.0.0.2", "02:00:00:00:00:02"),  # this server
        entry("172.17.0.5", "02:42:ac:11:00:05", link=5),  # a container behind docker0
        entry("10.9.9.9", "02:00:00:00:00:99"),  # not on the LAN's subnet
        entry("fd00::9", "02:00:00:00:00:09"),  # IPv6 alone is not asked, so not learned
    ]
    assert learn({}, table, LAN, 0, NOW) == {}
    assert gateway_macs(table, LAN) == {"02:00:00:00:00:fe", "02:00:00:00:00:fd"}


def test_a_gateway_learned_earlier_is_forgotten() -> None:
    book = {"02:00:00:00:00:fe": Learned("10.0.0.77", NOW)}
    assert learn(book, [entry("10.0.0.254", "02:00:00:00:00:fe")], LAN, 0, NOW) == {}


def test_who_has_not_been_seen_for_long_is_forgotten() -> None:
    book = {
        "02:00:00:00:00:09": Learned("10.0.0.9", NOW - 101),
        "02:00:00:00:00:0a": Learned("10.0.0.10", NOW - 99),
    }
    assert set(learn(book, [], LAN, NOW - 100, NOW)) == {"02:00:00:00:00:0a"}


def test_an_address_that_has_moved_names_its_new_host_only() -> None:
    book = {"02:00:00:00:00:09": Learned("10.0.0.9", NOW - 50)}
    book = dict(learn(book, [entry("10.0.0.9", "02:00:00:00:00:0b")], LAN, 0, NOW))
    assert hosts_of(book) == {("02:00:00:00:00:0b", "10.0.0.9")}


def test_the_book_is_bounded() -> None:
    wide = Lan((Link(2, "eth0", "02:00:00:00:00:01", READY, (IPv4Interface("10.0.0.1/8"),)),))
    table = [
        entry(f"10.{n >> 8}.{n & 255}.9", f"02:00:00:{n >> 16:02x}:{n >> 8 & 255:02x}:{n & 255:02x}")
        for n in range(5000)
    ]
    assert len(learn({}, table, wide, 0, NOW)) == 4096


macs = st.integers(0, 2**48 - 1).map(lambda n: ":".join(f"{n >> s & 255:02x}" for s in range(40, -8, -8)))
books = st.dictionaries(
    macs,
    st.builds(Learned, st.ip_addresses(v=4).map(str), st.integers(0, 2_000_000_000).map(float)),
    max_size=5,
)


@given(books)
def test_a_book_outlives_a_restart(book: dict[str, Learned]) -> None:
    assert from_json(to_json(book)) == book


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | macs,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | macs, inner, max_size=3),
    max_leaves=8,
)


@given(json)
def test_a_garbled_book_is_only_shorter(data: object) -> None:
    for mac, host in from_json(data).items():
        assert mac.count(":") == 5
        assert host.address.count(".") == 3
