from __future__ import annotations

from powerd.linux.values import Lan
from powerd.presence.leases.format import HostEntry
from powerd.presence.model import Client
from powerd.presence.neighbours import LearnedHost
from powerd.presence.registry import EXPIRED_LEASE_RETENTION, ClientMerger

NOW = 1_000_000_000.0
LAN = Lan((), frozenset({"10.0.0.1"}), frozenset({"10.0.0.254"}))
MAC, OTHER = "02:00:00:00:00:0a", "02:00:00:00:00:0b"


def clients(
    *leads: HostEntry,
    hosts: dict[str, tuple[str, ...]] | None = None,
    book: dict[str, LearnedHost] | None = None,
) -> dict[str, Client]:
    roster = ClientMerger()
    for lead in leads:
        roster.add_entry(lead, "dhcpd.leases", stale=False, now=NOW)
    for host, addresses in (hosts or {}).items():
        roster.add_configured_host(host, addresses)
    roster.add_learned(book or {})
    return {str(client.id): client for client in roster.clients(LAN)}


def test_reservation_lease_and_neighbour_are_one_client() -> None:
    found = clients(
        HostEntry("10.0.0.5", MAC, "desk", kind="reservation"),
        HostEntry("10.0.0.77", MAC, "DESKTOP-X1", expires=NOW + 60),
        book={MAC: LearnedHost("10.0.0.78", NOW)},
    )
    assert list(found) == [MAC]
    assert found[MAC].name == "desk"
    assert set(found[MAC].addresses) == {"10.0.0.5", "10.0.0.77", "10.0.0.78"}
    assert found[MAC].sources == ("dhcpd.leases", "learned")


def test_a_lease_that_has_lapsed_still_names_a_client_for_a_while() -> None:
    fresh = HostEntry("10.0.0.5", MAC, expires=NOW - EXPIRED_LEASE_RETENTION + 1)
    old = HostEntry("10.0.0.6", OTHER, expires=NOW - EXPIRED_LEASE_RETENTION - 1)
    assert list(clients(fresh, old)) == [MAC]


def test_an_address_leased_anew_belongs_to_its_new_client() -> None:
    for order in (1, -1):
        leads = [
            HostEntry("10.0.0.5", MAC, expires=NOW - 500),
            HostEntry("10.0.0.5", OTHER, expires=NOW + 500),
        ][::order]
        found = clients(*leads)
        assert list(found) == [OTHER], "a client without any address cannot be asked, and is none"
        assert found[OTHER].addresses == ("10.0.0.5",)


def test_a_reservation_and_a_lease_of_one_address_are_both_asked() -> None:
    found = clients(
        HostEntry("10.0.0.5", MAC, kind="reservation"), HostEntry("10.0.0.5", OTHER, expires=NOW + 500)
    )
    assert set(found) == {MAC, OTHER}


def test_this_server_and_the_gateway_are_no_clients() -> None:
    found = clients(
        HostEntry("10.0.0.1", MAC), HostEntry("10.0.0.254", OTHER), hosts={"10.0.0.254": ("10.0.0.254",)}
    )
    assert found == {}


def test_a_mac_alone_is_asked_when_its_address_is_learned() -> None:
    reserved = HostEntry(mac=MAC, name="tv", kind="reservation")
    assert clients(reserved) == {}
    found = clients(reserved, book={MAC: LearnedHost("10.0.0.8", NOW)})
    assert found[MAC].addresses == ("10.0.0.8",)
    assert found[MAC].name == "tv"


def test_a_configured_host_is_identified_by_address_or_name() -> None:
    found = clients(hosts={"10.0.0.44": ("10.0.0.44",), "tv.lan": ("10.0.0.45",), "gone.lan": ()})
    assert found["10.0.0.44"].addresses == ("10.0.0.44",)
    assert found["tv.lan"].name == "tv.lan"
    assert found["gone.lan"].addresses == (), "kept, so that its unknown address keeps the server awake"


def test_a_configured_host_keeps_its_id_when_its_mac_is_learned() -> None:
    found = clients(hosts={"10.0.0.44": ("10.0.0.44",)}, book={MAC: LearnedHost("10.0.0.44", NOW)})
    assert list(found) == ["10.0.0.44"]
    assert found["10.0.0.44"].mac == MAC


def test_a_station_needs_no_address() -> None:
    found = clients(HostEntry(mac=MAC, kind="station"))
    assert found[MAC].sources == ("hostapd",)


def test_ipv6_leases_lend_only_their_mac() -> None:
    found = clients(
        HostEntry("fd00::5", MAC, "v6"), HostEntry("10.0.0.5", MAC, None, NOW + 5), HostEntry("fd00::6", None)
    )
    assert list(found) == [MAC]
    assert found[MAC].addresses == ("10.0.0.5",)


def test_a_client_of_a_vanished_file_is_marked() -> None:
    roster = ClientMerger()
    roster.add_entry(HostEntry("10.0.0.5", MAC), "dnsmasq.leases", stale=True, now=NOW)
    assert [client.stale for client in roster.clients(LAN)] == [True]
    roster.add_learned({MAC: LearnedHost("10.0.0.5", NOW)})
    assert [client.stale for client in roster.clients(LAN)] == [False]


def test_a_hundred_thousand_leases_are_joined_in_linear_time() -> None:
    roster = ClientMerger()
    for n in range(100_000):
        address = f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}"
        roster.add_entry(
            HostEntry(address, f"02:00:00:{n >> 16:02x}:{n >> 8 & 255:02x}:{n & 255:02x}", expires=NOW),
            "x",
            stale=False,
            now=NOW,
        )
    assert len(list(roster.clients(LAN))) == 100_000 - 2
