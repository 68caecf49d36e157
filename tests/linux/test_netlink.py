from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, ip_interface
from pathlib import Path
from typing import Self

import pytest
from rig.lan import Lan
from rig.namespace import inside
from rig.wait import until

from powerd.linux import netlink
from powerd.linux.netlink_codec import NetlinkMessage, pack_message
from powerd.linux.rtnetlink import GuestDetector
from powerd.linux.values import HostError

lan_test = pytest.mark.lan
_TUNSETIFF, _IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x400454CA, 0x2, 0x1000, 0x4000  # linux/if_tun.h


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    with Lan(tmp_path) as lan:
        yield lan


def on(lan: Lan, command: str) -> None:
    subprocess.run(["ip", "-n", lan.server.inside.name, *command.split()], check=True)


def test_this_machine_knows_itself() -> None:
    assert "127.0.0.1" in netlink.read_lan(GuestDetector()).own_addresses


@lan_test
def test_links_addresses_and_gateways(lan: Lan) -> None:
    lan.join("router").take("10.77.1.254/24")
    for command in (
        "address add 10.77.1.2/24 dev eth0",
        "address add fd77::1/64 dev eth0 nodad",
        "route add default via 10.77.1.254",
        "route add default metric 200 nexthop via 10.77.1.253 nexthop via 10.77.1.252",
        "-6 route add default via fd77::fe",
        "route add 10.99.0.0/16 via 10.77.1.250",
        "route add default via 10.77.1.251 table 99",
    ):
        on(lan, command)
    with inside(lan.server.inside.name):
        seen = netlink.read_lan(GuestDetector())
    (link,) = seen.links
    assert (link.name, link.mac, link.ready) == ("eth0", lan.server.mac, True)
    assert link.addresses == (IPv4Interface("10.77.1.1/24"), IPv4Interface("10.77.1.2/24"))
    assert {"10.77.1.1", "10.77.1.2", "fd77::1", "127.0.0.1", "::1"} <= seen.own_addresses
    assert seen.gateways == {"10.77.1.254", "10.77.1.253", "10.77.1.252", "fd77::fe"}
    assert seen.link_of(IPv4Address("10.77.1.9")) == link
    assert seen.link_of(IPv4Address("10.78.1.9")) is None


@lan_test
def test_bridges_of_containers_and_tunnels_are_no_lan(lan: Lan) -> None:
    for command in (
        "link add docker0 type bridge",
        "address add 172.17.0.1/16 dev docker0",
        "link add veth1 type veth peer name inside",
        "link set veth1 master docker0",
        "link set docker0 up",
        "tuntap add tap0 mode tap",
    ):
        on(lan, command)
    with inside(lan.server.inside.name):
        assert {link.name for link in netlink.read_lan(GuestDetector()).links} == {"eth0", "inside"}
        assert "172.17.0.1" in netlink.read_lan(GuestDetector()).own_addresses, "it is still an own address"


@lan_test
def test_guests_are_found_behind_tap_and_veth_and_above_a_card(lan: Lan) -> None:
    """The server's bridge has a wire, a port of a container, and a port behind which two hosts are."""
    single, first, second, above = (f"02:88:00:00:00:0{n}" for n in range(1, 5))
    for command in (
        "link add wire link eth0 type macvlan mode bridge",
        "link add lan0 type bridge",
        "link set wire master lan0 up",
        "link add guest type veth peer name inside address " + single,
        "link add nested type veth peer name connects",
        "link set connects up",
        "link set guest master lan0 up",
        "link set nested master lan0 up",
        "link set lan0 up",
    ):
        on(lan, command)
    on(lan, f"link add link eth0 name container address {above} type macvlan")
    container = lan.join("container").inside.name
    on(lan, f"link set container up netns {container}")
    on(lan, f"link set inside netns {container} up")
    subprocess.run(["ip", "-n", container, "link", "set", "container", "up"], check=True)
    for mac in (first, second):
        lan.server.inside.run("bridge", "fdb", "replace", mac, "dev", "nested", "master", "dynamic")
    lan.server.inside.run("bridge", "fdb", "replace", single, "dev", "guest", "master", "dynamic")
    lan.server.inside.run("bridge", "fdb", "replace", "02:88:00:00:00:05", "dev", "wire", "master", "dynamic")
    with inside(lan.server.inside.name):
        assert netlink.read_lan(GuestDetector()).guests == {single, above}


@lan_test
def test_a_host_behind_the_tap_of_a_vpn_is_no_guest(lan: Lan) -> None:
    """A real tap of each kind, with one sender behind it: QEMU sets IFF_VNET_HDR, OpenVPN and tinc do not."""
    on(lan, "link add lan0 type bridge")
    on(lan, "link set lan0 up")
    remote, machine = "02:88:00:00:00:01", "02:88:00:00:00:02"
    taps: dict[int, bytes] = {}
    try:
        with inside(lan.server.inside.name):
            for name, sender, flag in (("vpn", remote, 0), ("vnet0", machine, _IFF_VNET_HDR)):
                tap = os.open("/dev/net/tun", os.O_RDWR)
                header = bytes(10) if flag else b""  # virtio_net_hdr
                taps[tap] = header + b"\xff" * 6 + bytes.fromhex(sender.replace(":", "")) + bytes(48)
                request = struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI | flag)
                fcntl.ioctl(tap, _TUNSETIFF, request)
                on(lan, f"link set {name} master lan0 up")

            def learned() -> bool:
                for tap, frame in taps.items():
                    os.write(tap, frame)
                command = ["bridge", "-n", lan.server.inside.name, "fdb", "show"]
                known = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                return remote in known and machine in known

            until(learned, "the bridge has learned both senders")
            assert netlink.read_lan(GuestDetector()).guests == {machine}
    finally:
        for tap in taps:
            os.close(tap)


@lan_test
def test_ready_follows_cable_and_card(lan: Lan) -> None:
    with inside(lan.server.inside.name):
        index = netlink.read_lan(GuestDetector()).links[0].index
        assert netlink.is_link_ready(index)
        lan.server.unplug()
        assert not netlink.is_link_ready(index)
        assert not netlink.read_lan(GuestDetector()).links[0].ready
        losses = netlink.read_lan(GuestDetector()).links[0].carrier_losses
        lan.server.plug_in()
        lan.server.unplug()
        lan.server.plug_in()
        assert netlink.read_lan(GuestDetector()).links[0].carrier_losses == losses + 1
        lan.server.leave()
        assert not netlink.is_link_ready(index)
        assert not netlink.is_link_ready(index + 1000), "no such link"


@lan_test
def test_neighbours_as_the_kernel_has_them(lan: Lan) -> None:
    client = lan.join("client")
    client.take("10.77.1.10/24")
    client.say_hello("10.77.1.1")
    for command in (
        "neighbour replace 10.77.1.20 lladdr 02:00:00:00:00:20 nud stale dev eth0",
        "neighbour replace fd77::20 lladdr 02:00:00:00:00:20 nud reachable dev eth0",
        "neighbour replace 10.77.1.21 nud failed dev eth0",
    ):
        on(lan, command)
    with inside(lan.server.inside.name):
        seen = {each.address: each for each in netlink.read_neighbours()}
    assert seen["10.77.1.10"].mac == client.mac
    assert 0 <= seen["10.77.1.10"].confirmed_ago < 120
    assert not seen["10.77.1.20"].reachable
    assert seen["fd77::20"].reachable
    assert "10.77.1.21" not in seen


@lan_test
def test_interfaces_with_their_counters(lan: Lan) -> None:
    client = lan.join("client")
    client.take("10.77.1.10/24")
    for command in (
        "link add docker0 type bridge",
        "address add 172.17.0.1/16 dev docker0",
        "link add veth1 type veth peer name inside",
        "link set veth1 master docker0",
        "link add lan0 type bridge",
        "link add wire link eth0 type macvlan mode bridge",
        "link set wire master lan0",
        "link add vpn type bridge",
        "tuntap add tap0 mode tap",
        "link set tap0 master vpn",
        "link add ve-box type veth peer name host0",
    ):
        on(lan, command)
    with inside(lan.server.inside.name):
        before = {each.name: each for each in netlink.read_interfaces()}
        client.inside.run("ping", "-c1", "-W20", "-s1400", "10.77.1.1")
        after = {each.name: each for each in netlink.read_interfaces()}
    assert before["lo"].loopback
    assert {name for name, each in before.items() if each.guests_only} == {"docker0", "ve-box"}
    assert before["docker0"].addresses == (ip_interface("172.17.0.1/16"),)
    assert (before["veth1"].kind, before["veth1"].master) == ("veth", "docker0")
    assert 2800 <= after["eth0"].byte_count - before["eth0"].byte_count < 10_000
    assert after["veth1"].byte_count == before["veth1"].byte_count


class Script:
    """A netlink socket that answers with what it was given, and counts how often it was asked."""

    asked = 0

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_args: object) -> None:
        return None

    def sendto(self, *_args: object) -> None:
        type(self).asked += 1

    def recvfrom(self, _size: int) -> tuple[bytes, tuple[int, int]]:
        return self.answers.pop(0), (0, 0)


def message(kind: int, flags: int, body: bytes = b"") -> bytes:
    return pack_message(NetlinkMessage(kind, 1, body, flags))


ENTRY = (
    struct.pack("=BxxxiHBB", 2, 2, 2, 0, 1)
    + struct.pack("=HH4s", 8, 1, bytes([10, 0, 0, 7]))
    + struct.pack("=HH6sxx", 10, 2, bytes.fromhex("02aabbccddee"))
)
"""Of a neighbour, 10.0.0.7."""


def test_a_dump_that_was_interrupted_is_repeated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    torn, whole = message(28, 0x12, ENTRY) + message(3, 0x12), message(28, 2, ENTRY) + message(3, 2)
    for answers in ([torn, whole], [torn, torn]):
        Script.asked = 0
        sockets = [Script(each) for each in answers]
        monkeypatch.setattr(netlink, "_open", lambda _protocol: sockets.pop(0))  # noqa: B023 - used up within this turn
        assert [each.address for each in netlink.read_neighbours()] == ["10.0.0.7"]
        assert Script.asked == 2


def test_a_message_of_another_type_does_not_end_a_dump(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = message(1, 0) + message(28, 2, ENTRY) + message(3, 2)  # NLMSG_NOOP first
    monkeypatch.setattr(netlink, "_open", lambda _protocol: Script(answer))
    assert [each.address for each in netlink.read_neighbours()] == ["10.0.0.7"]


def test_a_refusal_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netlink, "_open", lambda _protocol: Script(message(2, 0, struct.pack("=i", -1))))
    with pytest.raises(HostError, match=rf"^[^\n]+: {os.strerror(1)}; [^\n]+$"):
        netlink.read_lan(GuestDetector())


def test_a_forbidden_socket_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> socket.socket:
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(HostError, match=r"allow the service AF_NETLINK$"):
        netlink.is_link_ready(2)
