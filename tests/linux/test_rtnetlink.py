from __future__ import annotations

import os
import socket
import struct
from ipaddress import IPv4Interface, IPv6Interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.linux import rtnetlink
from powerd.linux.netlink_codec import NetlinkMessage, parse_messages
from powerd.linux.rtnetlink import FdbEntry, GuestDetector, LinkMessage, parse_fdb_entry

# Built as linux/if_link.h lays it out; test_netlink.py reads the real ones from the running kernel.
UP = 0x1 | 0x2 | 0x40 | 0x1000 | 0x10000
ETHER = 1


def attr(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def link(  # noqa: PLR0913 - each names one attribute
    name: str = "eth0",
    *,
    kind: str = "",
    master: int = 0,
    flags: int = UP,
    operstate: int = 6,
    carrier: int = 1,
    losses: int = 0,
    hardware: int = ETHER,
    index: int = 2,
    vnet_hdr: int | None = None,
) -> bytes:
    body = struct.pack("=BxHiII", 0, hardware, index, flags, 0)
    body += attr(3, name.encode() + b"\0") + attr(1, bytes.fromhex("02aabbccddee"))
    body += attr(16, bytes([operstate])) + attr(33, bytes([carrier])) + attr(48, struct.pack("=I", losses))
    if master:
        body += attr(10, struct.pack("=I", master))
    if kind:
        data = b"" if vnet_hdr is None else attr(2 | 0x8000, attr(5, bytes([vnet_hdr])))
        body += attr(18 | 0x8000, attr(1, kind.encode() + b"\0") + data)
    return body


def parsed(**kind: object) -> LinkMessage:
    found = rtnetlink.parse_link(link(**kind))  # type: ignore[arg-type]  # each test names what it varies
    assert found is not None
    return found


def lan_names(*links: LinkMessage) -> list[str]:
    return [each.name for each in rtnetlink.build_lan(list(links), [], frozenset()).links]


def test_link_of_hardware() -> None:
    assert parsed() == LinkMessage(2, "eth0", "02:aa:bb:cc:dd:ee", "", None, ethernet=True, ready=True)


def test_ready_needs_up_carrier_and_no_dormancy() -> None:
    assert not parsed(flags=UP & ~1).ready
    assert not parsed(carrier=0).ready
    assert not parsed(operstate=2).ready
    assert not parsed(operstate=5).ready, "a Wi-Fi link that is not authenticated yet"
    assert parsed(operstate=0).ready, "drivers that tell no state"


def test_loopback_and_tunnels_are_no_lan() -> None:
    assert lan_names(parsed(name="lo", hardware=772, flags=UP | 8), parsed(name="wg0", hardware=65534)) == []
    assert lan_names(*(parsed(name=kind, kind=kind) for kind in ("tun", "dummy", "vxlan", "ifb"))) == []


def test_a_lone_veth_and_a_vlan_are_lans() -> None:
    assert lan_names(parsed(name="eth0", kind="veth"), parsed(name="eth0.10", kind="vlan", index=3)) == [
        "eth0",
        "eth0.10",
    ]


def test_a_bridge_of_containers_is_no_lan() -> None:
    docker = parsed(name="docker0", kind="bridge", index=5)
    port = parsed(name="veth1", kind="veth", index=6, master=5)
    tap = parsed(name="vnet0", kind="tun", index=7, master=5)
    assert lan_names(docker) == []
    assert lan_names(docker, port, tap) == []


def test_a_bridge_with_a_wire_speaks_for_its_ports() -> None:
    bridge = parsed(name="br0", kind="bridge", index=5)
    wire = parsed(name="eth0", index=6, master=5)
    tap = parsed(name="vnet0", kind="tun", index=7, master=5)
    assert lan_names(bridge, wire, tap) == ["br0"]


def test_the_losses_of_a_bridge_include_those_of_its_wires_and_not_of_its_guests() -> None:
    bridge = parsed(index=9, name="br0", kind="bridge", losses=1)
    wire, tap = parsed(index=3, master=9, losses=2), parsed(index=4, master=9, kind="tun", losses=4)
    (seen,) = rtnetlink.build_lan([bridge, wire, tap], [], frozenset()).links
    assert seen.carrier_losses == 3


def test_a_bond_speaks_for_its_ports_but_a_vrf_does_not() -> None:
    bond = parsed(name="bond0", kind="bond", index=5)
    assert lan_names(bond, parsed(name="eth0", index=6, master=5)) == ["bond0"]
    vrf = parsed(name="vrf0", kind="vrf", index=5, hardware=772)
    assert lan_names(vrf, parsed(name="eth0", index=6, master=5)) == ["eth0"]


def test_assemble_puts_addresses_on_links_and_keeps_all_as_own() -> None:
    lan = rtnetlink.build_lan(
        [parsed()], [(2, "10.0.0.1", 24), (2, "fd00::1", 64), (1, "127.0.0.1", 8)], frozenset({"10.0.0.254"})
    )
    assert lan.links[0].addresses == (IPv4Interface("10.0.0.1/24"),)
    assert lan.links[0].ipv6_addresses == (IPv6Interface("fd00::1/64"),)
    assert lan.own_addresses == {"10.0.0.1", "fd00::1", "127.0.0.1"}
    assert lan.gateways == {"10.0.0.254"}


def test_the_link_of_an_ipv6_host_is_that_of_its_prefix() -> None:
    own = [(2, "fd00::1", 64), (2, "fe80::1", 64), (3, "fd00:0:0:1::1", 128), (9, "fd00:0:0:2::1", 64)]
    lan = rtnetlink.build_lan([parsed(), parsed(index=3, name="eth1")], own, frozenset())
    links = {
        address: found.name if (found := lan.link_for(address)) else None
        for address in ("fd00::5", "fe80::5%eth1", "fe80::5%gone", "fd00:0:0:1::5", "fd00:0:0:2::5")
    }
    assert links == {
        "fd00::5": "eth0",
        "fe80::5%eth1": "eth1",
        "fe80::5%gone": None,
        "fd00:0:0:1::5": "eth1",  # DHCPv6 assigns the address without the prefix of the LAN
        "fd00:0:0:2::5": None,
    }


def test_own_address_of_a_point_to_point_link_is_the_local_one() -> None:
    body = (
        struct.pack("=BBBBI", 2, 32, 0, 0, 9) + attr(1, bytes([10, 0, 0, 2])) + attr(2, bytes([10, 0, 0, 1]))
    )
    assert rtnetlink.parse_address(body) == (9, "10.0.0.1", 32)


def route(*attrs: bytes, dst_len: int = 0, table: int = 254, kind: int = 1, family: int = 2) -> bytes:
    return struct.pack("=8BI", family, dst_len, 0, 0, table, 3, 0, kind, 0) + b"".join(attrs)


def test_gateways_of_default_routes_only() -> None:
    via = attr(5, bytes([10, 0, 0, 254]))
    assert rtnetlink.parse_gateways(route(via)) == ("10.0.0.254",)
    assert rtnetlink.parse_gateways(route(via, dst_len=8)) == ()
    assert rtnetlink.parse_gateways(route(via, table=100)) == ()
    assert rtnetlink.parse_gateways(route(via, attr(15, struct.pack("=I", 1000)))) == ()
    assert rtnetlink.parse_gateways(route(via, kind=7)) == ()
    v6 = socket.inet_pton(socket.AF_INET6, "fe80::1")
    assert rtnetlink.parse_gateways(route(attr(5, v6), family=10)) == ("fe80::1",)


def test_gateways_of_multipath_and_of_another_family() -> None:
    hops = b"".join(
        struct.pack("=HBBi", 8 + 8, 0, 0, 2) + attr(5, bytes([10, 0, 0, last])) for last in (253, 254)
    )
    assert rtnetlink.parse_gateways(route(attr(9, hops))) == ("10.0.0.253", "10.0.0.254")
    via = struct.pack("=H", socket.AF_INET6) + socket.inet_pton(socket.AF_INET6, "fe80::2")
    assert rtnetlink.parse_gateways(route(attr(18, via))) == ("fe80::2",)


def neighbour(state: int, mac: str = "02aabbccddee", confirmed: int = 1234) -> bytes:
    body = struct.pack("=BxxxiHBB", 2, 2, state, 0, 1) + attr(1, bytes([10, 0, 0, 7]))
    return body + attr(2, bytes.fromhex(mac)) + attr(3, struct.pack("=IIII", confirmed, 0, 0, 0))


def test_only_reachable_is_reachable() -> None:
    for state, reachable in ((0x02, True), (0x04, False), (0x08, False), (0x10, False), (0x80, False)):
        found = rtnetlink.parse_neighbour(neighbour(state))
        assert found is not None
        assert found.reachable is reachable, hex(state)
        assert (found.address, found.mac, found.link) == ("10.0.0.7", "02:aa:bb:cc:dd:ee", 2)
        assert found.confirmed_ago == 1234 / os.sysconf("SC_CLK_TCK")


def test_no_neighbour_without_a_unicast_mac() -> None:
    assert rtnetlink.parse_neighbour(neighbour(0x40)) is None, "NOARP: multicast and broadcast"
    assert rtnetlink.parse_neighbour(neighbour(0x02, mac="01005e000001")) is None
    assert rtnetlink.parse_neighbour(neighbour(0x02, mac="000000000000")) is None
    assert rtnetlink.parse_neighbour(neighbour(0x02, mac="")) is None


def test_messages_are_split_and_aligned() -> None:
    first, second = b"abcde", b"xyz"
    data = b"".join(
        struct.pack("=IHHII", 16 + len(body), kind, 2, 1, 0) + body + bytes(-len(body) % 4)
        for kind, body in ((16, first), (3, second))
    )
    expected = [NetlinkMessage(16, 1, first, 2), NetlinkMessage(3, 1, second, 2)]
    assert list(parse_messages(data)) == expected
    assert list(parse_messages(data[:-6])) == expected[:1], "a truncated message ends it"


@given(st.binary(max_size=300))
def test_no_bytes_upset_a_parser(data: bytes) -> None:
    for message in parse_messages(data):
        assert len(message.body) <= len(data)
    for parse in (rtnetlink.parse_link, rtnetlink.parse_address, rtnetlink.parse_neighbour):
        parse(data)
    assert isinstance(rtnetlink.parse_gateways(data), tuple)


@given(st.data())
def test_no_mutation_of_a_real_message_upsets_a_parser(data: st.DataObject) -> None:
    good = data.draw(
        st.sampled_from([link(kind="bridge", master=3), neighbour(2), route(attr(9, bytes(16)))])
    )
    bad = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
    test = bytes(bad[: data.draw(st.integers(0, len(bad)))])
    for parse in (
        rtnetlink.parse_link,
        rtnetlink.parse_address,
        rtnetlink.parse_neighbour,
        rtnetlink.parse_gateways,
    ):
        parse(test)


def fdb(index: int, mac: str, *, state: int = 0x02, flags: int = 0x04) -> FdbEntry:
    """An entry that has been learned at a bridge port (NUD_REACHABLE, NTF_MASTER)."""
    body = struct.pack("=BxxxiHBB", 7, index, state, flags, 0) + attr(2, bytes.fromhex(mac.replace(":", "")))
    entry = parse_fdb_entry(body)
    assert entry is not None
    return entry


WIRE = parsed(index=3, name="wire", master=9)
TAP = parsed(index=4, name="tap0", kind="tun", master=9, vnet_hdr=1)
VM, PHONE, OTHER = (f"02:00:00:00:00:{n:02x}" for n in (1, 2, 3))
PORTS = [parsed(index=9, name="br0", kind="bridge"), WIRE, TAP]


def test_the_only_mac_behind_a_tap_is_a_guest() -> None:
    detector = GuestDetector()
    assert detector.update([fdb(4, VM), fdb(3, PHONE)], PORTS) == {VM}
    assert detector.update([fdb(3, PHONE)], PORTS) == {VM}, "its entry has aged, it is one still"
    assert detector.update([fdb(3, VM)], PORTS) == set(), "it has moved to another machine"


@pytest.mark.parametrize("vnet_hdr", [0, None])
def test_the_only_mac_behind_the_tap_of_a_vpn_is_no_guest(vnet_hdr: int | None) -> None:
    vpn = parsed(index=4, name="tap0", kind="tun", master=9, vnet_hdr=vnet_hdr)
    detector = GuestDetector()
    assert detector.update([fdb(4, PHONE)], [*PORTS[:2], vpn]) == set()
    detector.update([fdb(4, PHONE)], PORTS)
    assert detector.update([], [*PORTS[:2], vpn]) == set(), "another program has opened the tap"


def test_behind_a_port_with_several_macs_nobody_is_ever_a_guest() -> None:
    """A router in a virtual machine that connects the Wi-Fi: one of the two is a phone."""
    detector = GuestDetector()
    assert detector.update([fdb(4, VM), fdb(4, PHONE)], PORTS) == set()
    assert detector.update([fdb(4, PHONE)], PORTS) == set()
    assert detector.update([], PORTS[:2]) == set()
    assert detector.update([fdb(4, VM)], PORTS) == {VM}, "the port is a new one"


def test_an_address_that_a_card_receives_for_macvlan_is_a_guest() -> None:
    card = parsed(index=2, name="eth0")
    received = fdb(2, VM, state=0x80, flags=0x02)
    assert GuestDetector().update([received], [card]) == {VM}
    assert GuestDetector().update([received], [parsed(index=2, name="vx0", kind="vxlan")]) == set()
    detector = GuestDetector()
    detector.update([received], [card])
    assert detector.update([], [card]) == set()


def test_permanent_and_own_addresses_are_no_guests() -> None:
    own = fdb(4, TAP.mac)
    added_by_hand = fdb(4, VM, state=0x80)
    assert GuestDetector().update([own, added_by_hand], PORTS) == set()
    assert GuestDetector().update([fdb(9, VM), fdb(9, VM, flags=0x02)], PORTS) == set(), (
        "a port that has just come"
    )
    assert parse_fdb_entry(b"") is None
