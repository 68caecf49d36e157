from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Interface
from itertools import permutations

import pytest

from powerd.linux.values import Lan, Link
from powerd.presence.leases.format import HostEntry
from powerd.presence.merger import EXPIRED_LEASE_RETENTION, ClientMerger
from powerd.presence.model import Client
from powerd.simulation.lan import link

NOW = 1_000_000_000.0
DHCPD = "/var/lib/dhcp/dhcpd.leases"
LAN = Lan(
    (
        replace(
            link(address="10.0.0.1/24"),
            ipv6_addresses=(IPv6Interface("fe80::1/64"), IPv6Interface("fd00::1/64")),
        ),
    ),
    frozenset({"10.0.0.1"}),
    frozenset({"10.0.0.254"}),
)
MAC, OTHER, THIRD = "02:00:00:00:00:0a", "02:00:00:00:00:0b", "02:00:00:00:00:0c"


def clients(
    *entries: HostEntry,
    hosts: dict[str, tuple[str, ...]] | None = None,
    learned: dict[str, str] | None = None,
) -> dict[str, Client]:
    merger = ClientMerger()
    for entry in entries:
        merger.add_entry(entry._replace(source=entry.source or DHCPD), NOW)
    for host, addresses in (hosts or {}).items():
        merger.add_configured_host(host, addresses)
    merger.add_learned(dict.fromkeys((learned or {}).items(), NOW))
    return {str(client.id): client for client in merger.clients(LAN)}


def test_reservation_lease_and_neighbour_are_one_client() -> None:
    found = clients(
        HostEntry("10.0.0.5", MAC, "desk", kind="reservation"),
        HostEntry("10.0.0.77", MAC, "DESKTOP-X1", expires=NOW + 60),
        learned={MAC: "10.0.0.77"},
    )
    assert list(found) == [MAC]
    assert found[MAC].name == "desk"
    assert set(found[MAC].addresses) == {"10.0.0.5", "10.0.0.77"}
    assert found[MAC].sources == ("dhcpd.leases", "learned")


def test_an_expired_lease_names_a_client_for_thirty_days() -> None:
    fresh = HostEntry("10.0.0.5", MAC, expires=NOW - EXPIRED_LEASE_RETENTION + 1)
    old = HostEntry("10.0.0.6", OTHER, expires=NOW - EXPIRED_LEASE_RETENTION - 1)
    assert list(clients(fresh, old)) == [MAC]


def test_an_address_belongs_to_the_client_with_the_latest_lease() -> None:
    for direction in (1, -1):
        entries = [
            HostEntry("10.0.0.5", MAC, expires=NOW - 500),
            HostEntry("10.0.0.5", OTHER, expires=NOW + 500),
        ][::direction]
        found = clients(*entries)
        assert list(found) == [OTHER], "a client without an address cannot be probed and is left out"
        assert found[OTHER].addresses == ("10.0.0.5",)


def test_a_reservation_and_a_lease_of_one_address_are_both_probed() -> None:
    found = clients(
        HostEntry("10.0.0.5", MAC, kind="reservation"), HostEntry("10.0.0.5", OTHER, expires=NOW + 500)
    )
    assert set(found) == {MAC, OTHER}


def reservation(address: str | None, mac: str | None, name: str | None, source: str = "") -> HostEntry:
    return HostEntry(address, mac, name, kind="reservation", source=source)


def test_several_reservations_of_one_address_are_one_client_with_all_macs_and_names() -> None:
    entries = [
        reservation("10.0.0.5", MAC, "tv-lan"),
        reservation("10.0.0.5", OTHER, "tv-wifi"),
        reservation("10.0.0.5", THIRD, "tv-dock"),
        reservation("10.0.0.6", OTHER, "tv-wifi"),
        HostEntry("10.0.0.77", OTHER, "TV", expires=NOW + 60),
        HostEntry("10.0.0.78", THIRD, "TV", expires=NOW + 60),
    ]
    for permutation in permutations(entries):
        found = clients(*permutation, learned={OTHER: "10.0.0.77"})
        (client,) = found.values()
        assert set(client.macs) == {MAC, OTHER, THIRD}
        assert {client.name, *client.other_names} >= {"tv-lan", "tv-wifi", "tv-dock"}
        assert set(client.addresses) == {f"10.0.0.{number}" for number in (5, 6, 77, 78)}


def test_reservations_of_one_address_in_files_of_different_servers_are_two_clients() -> None:
    found = clients(
        reservation("10.0.0.5", MAC, "printer", "/etc/dhcp/dhcpd.conf"),
        reservation("10.0.0.5", OTHER, "phone", "/etc/kea/kea-dhcp4.conf"),
    )
    assert found.keys() == {MAC, OTHER}


def test_a_changed_name_of_a_reservation_replaces_the_removed_one() -> None:
    removed = reservation("10.0.0.5", MAC, "old")._replace(stale=True)
    for direction in (1, -1):
        found = clients(*[reservation("10.0.0.5", MAC, "new"), removed][::direction])
        assert found[MAC].name == "new"


def test_this_server_and_its_gateway_are_left_out() -> None:
    found = clients(
        HostEntry("10.0.0.1", MAC), HostEntry("10.0.0.254", OTHER), hosts={"10.0.0.254": ("10.0.0.254",)}
    )
    assert found == {}


def test_a_mac_without_address_is_a_client_once_its_address_is_learned() -> None:
    reserved = HostEntry(mac=MAC, name="tv", kind="reservation")
    assert clients(reserved) == {}
    found = clients(reserved, learned={MAC: "10.0.0.8"})
    assert found[MAC].addresses == ("10.0.0.8",)
    assert found[MAC].name == "tv"


def test_a_configured_host_is_identified_by_address_or_name() -> None:
    found = clients(hosts={"10.0.0.44": ("10.0.0.44",), "tv.lan": ("10.0.0.45",), "gone.lan": ()})
    assert found["10.0.0.44"].addresses == ("10.0.0.44",)
    assert found["tv.lan"].name == "tv.lan"
    assert found["gone.lan"].addresses == (), (
        "it stays a client, so its unknown address keeps the server awake"
    )


def test_a_configured_host_keeps_its_id_when_its_mac_is_learned() -> None:
    found = clients(hosts={"10.0.0.44": ("10.0.0.44",)}, learned={MAC: "10.0.0.44"})
    assert list(found) == ["10.0.0.44"]
    assert found["10.0.0.44"].mac == MAC


def test_learned_ipv6_addresses_are_probed_with_the_ipv4_address_of_a_lease() -> None:
    """The host has not been seen by IPv4 lately, else its IPv6 addresses would not be learned."""
    v6 = {(MAC, "fe80::5%eth0"): NOW, (MAC, "fd00::5"): NOW}
    merger = ClientMerger()
    merger.add_learned(v6)
    ((client),) = merger.clients(LAN)
    assert (client.id, client.addresses) == (MAC, ("fe80::5%eth0", "fd00::5"))
    merger.add_entry(HostEntry("10.0.0.5", MAC, "phone"), NOW)
    ((client),) = merger.clients(LAN)
    assert (client.id, client.addresses) == (MAC, ("10.0.0.5", "fe80::5%eth0", "fd00::5"))


WLAN = replace(link(3, "", name="wlan0"), ipv6_addresses=(IPv6Interface("fe80::2/64"),))


@pytest.mark.parametrize(
    ("learned", "links", "probed"),
    [
        (("fd00::5", "fe80::5%eth0"), LAN.links, {"fd00::5", "fe80::5%eth0"}),
        (("fd99::5", "fe80::5%eth0"), LAN.links, {"fe80::5%eth0"}),  # the prefix is gone
        (("fd99::5",), LAN.links, set()),
        (("fe80::5%eth9",), LAN.links, set()),  # the link is gone
        (("fe80::5%eth0", "fd00::5"), (link(),), set()),  # IPv6 is switched off
        (("fe80::5%eth0", "fe80::5%wlan0"), (*LAN.links, replace(WLAN, ready=False)), {"fe80::5%eth0"}),
        (("fe80::5%eth0", "fe80::5%wlan0"), (*LAN.links, WLAN), {"fe80::5%eth0", "fe80::5%wlan0"}),
        (("fe80::5%wlan0",), (*LAN.links, replace(WLAN, ready=False)), {"fe80::5%wlan0"}),
    ],
)
def test_a_learned_ipv6_address_is_probed_only_where_this_server_can_reach_it(
    learned: tuple[str, ...], links: tuple[Link, ...], probed: set[str]
) -> None:
    merger = ClientMerger()
    merger.add_learned({(MAC, address): NOW for address in learned})
    lan = replace(LAN, links=links)
    assert {address for client in merger.clients(lan) for address in client.addresses} == probed
    configured = ClientMerger()
    for address in learned:
        configured.add_configured_host(address, (address,))
    configured.add_learned({(MAC, address): NOW for address in learned})
    assert {address for client in configured.clients(lan) for address in client.addresses} == {*learned}


def test_a_lease_of_dhcpv6_gives_the_address_of_a_host_without_ipv4() -> None:
    found = clients(HostEntry("fd00::5", MAC, "v6"), HostEntry("2001:db8::6", OTHER))
    assert {mac: client.addresses for mac, client in found.items()} == {MAC: ("fd00::5",)}


def test_the_ipv6_addresses_of_a_client_are_limited() -> None:
    merger = ClientMerger()
    merger.add_learned({(MAC, f"fd00::{n}"): NOW - n for n in range(30)})
    ((client),) = merger.clients(LAN)
    assert client.addresses == tuple(f"fd00::{n}" for n in range(8))


def test_a_guest_of_this_server_is_marked() -> None:
    merger = ClientMerger()
    merger.add_entry(HostEntry("10.0.0.5", MAC), NOW)
    merger.add_entry(HostEntry("10.0.0.6", OTHER), NOW)
    merger.add_entry(HostEntry("10.0.0.7"), NOW)
    assert [client.runs_here for client in merger.clients(replace(LAN, guests=frozenset({MAC})))] == [
        True,
        False,
        False,
    ]


def test_a_station_needs_no_address() -> None:
    found = clients(HostEntry(mac=MAC, kind="station", source="hostapd"))
    assert found[MAC].sources == ("hostapd",)


def test_ipv6_leases_add_their_mac_only() -> None:
    found = clients(
        HostEntry("fd00::5", MAC, "v6"), HostEntry("10.0.0.5", MAC, None, NOW + 5), HostEntry("fd00::6", None)
    )
    assert list(found) == [MAC]
    assert found[MAC].addresses == ("10.0.0.5",)


def test_a_client_is_stale_if_all_its_entries_are() -> None:
    merger = ClientMerger()
    merger.add_entry(HostEntry("10.0.0.5", MAC, source=DHCPD, stale=True), NOW)
    assert [client.stale for client in merger.clients(LAN)] == [True]
    merger.add_learned({(MAC, "10.0.0.5"): NOW})
    assert [client.stale for client in merger.clients(LAN)] == [False]


@pytest.mark.long
def test_a_hundred_thousand_leases_are_merged_in_linear_time() -> None:
    merger = ClientMerger()
    for n in range(100_000):
        address = f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}"
        mac = f"02:00:00:{n >> 16:02x}:{n >> 8 & 255:02x}:{n & 255:02x}"
        merger.add_entry(HostEntry(address, mac, expires=NOW, source=DHCPD), NOW)
    assert len(list(merger.clients(LAN))) == 100_000 - 2


def test_two_sources_with_one_file_name_are_shown_by_their_paths() -> None:
    merged = clients(
        HostEntry("10.0.0.5", MAC, source="/a/leases"),
        HostEntry("10.0.0.6", OTHER, source="/b/leases"),
        HostEntry("10.0.0.7", source="/b/other"),
    )
    assert [client.sources for client in merged.values()] == [("/a/leases",), ("/b/leases",), ("other",)]


def test_a_file_named_like_a_source_of_its_own_is_not_taken_for_it() -> None:
    """A reservation without an address, in a file called ``hosts``, is not one of ``[clients] hosts``."""
    reserved = HostEntry(mac=MAC, kind="reservation", source="/etc/dnsmasq.d/hosts")
    assert clients(reserved) == {}
    merged = clients(reserved, learned={MAC: "10.0.0.8"})
    assert merged[MAC].sources == ("/etc/dnsmasq.d/hosts", "learned")


def test_another_address_with_the_mac_of_a_client_is_a_client_of_its_own() -> None:
    """The client may be a repeater: its name, and ``ignore`` by name, do not concern the hosts behind it."""
    merger = ClientMerger()
    merger.add_entry(HostEntry("10.0.0.5", MAC, "repeater", source=DHCPD), NOW)
    merger.add_learned({(MAC, "10.0.0.60"): NOW, (MAC, "10.0.0.61"): NOW})
    found = {client.label: client for client in merger.clients(LAN)}
    assert list(found) == ["repeater", "10.0.0.60", "10.0.0.61"]
    assert [client.mac for client in found.values()] == [MAC] * 3
    assert len({client.id for client in found.values()}) == 3


def test_two_macs_with_one_address_are_two_clients() -> None:
    merger = ClientMerger()
    merger.add_learned({(MAC, "10.0.0.60"): NOW, (OTHER, "10.0.0.60"): NOW})
    assert [client.mac for client in merger.clients(LAN)] == [MAC, OTHER]


def test_a_leased_client_behind_a_repeater_stays_one_client() -> None:
    found = clients(HostEntry("10.0.0.5", MAC, "phone"), learned={OTHER: "10.0.0.5"})
    assert list(found) == [MAC]
