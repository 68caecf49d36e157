"""Replies of real servers (avahi 0.8, dnsmasq 2.90, nmbd 4.17), and what is wrong with others."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.presence.names import dns, netbios

AVAHI = bytes.fromhex(
    "1267840000010001000000000135013902373702313007696e2d61646472046172706100000c0001c00c000c00010000000a0016"
    "0e6c6976696e672d726f6f6d2d7476056c6f63616c00"
)
DNSMASQ = bytes.fromhex(
    "1267858000010001000000000138013902373702313007696e2d61646472046172706100000c0001c00c000c000100000000000d"
    "077072696e746572036c616e00"
)
NOT_FOUND = bytes.fromhex(
    "126781850001000000000000023939013902373702313007696e2d61646472046172706100000c0001"
)
NMBD = (
    bytes.fromhex("126784000000000100000000")
    + netbios.build_query(1)[12:-4]
    + bytes.fromhex(
        "0021000100000000008905"
        "414e4e41532d504320202020202020000400414e4e41532d504320202020202020030400"
        "414e4e41532d504320202020202020200400"
        "574f524b47524f5550202020202020008400574f524b47524f55502020202020201e8400"
    )
    + bytes(46)
)


@pytest.mark.parametrize(
    ("parse", "packet", "address", "name"),
    [
        (dns.parse_reply, AVAHI, "10.77.9.5", "living-room-tv.local"),
        (dns.parse_reply, DNSMASQ, "10.77.9.8", "printer.lan"),
        (dns.parse_reply, DNSMASQ, "10.77.9.9", None),
        (dns.parse_reply, NOT_FOUND, "10.77.9.99", None),
        (netbios.parse_reply, NMBD, "10.77.9.6", "annas-pc"),
        (netbios.parse_reply, DNSMASQ, "10.77.9.8", None),
        (dns.parse_reply, NMBD, "10.77.9.6", None),
        (dns.parse_reply, b"", "10.77.9.6", None),
        (netbios.parse_reply, b"", "10.77.9.6", None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_recorded_replies(
    parse: Callable[[bytes, str], str | None], packet: bytes, address: str, name: str | None
) -> None:
    assert parse(packet, address) == name


def reply(*records: tuple[str, int, bytes], questions: int = 0) -> bytes:
    """A reply to a query for 10.0.0.5 with these answers: owner, type and data."""
    body = b"".join(
        encoded(owner) + struct.pack("!HHIH", kind, 1, 10, len(data)) + data for owner, kind, data in records
    )
    return struct.pack("!6H", 1, 0x8400, questions, len(records), 0, 0) + body


def encoded(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label for label in name.encode("latin-1").split(b".")) + b"\0"


OWNER = dns.pointer_name("10.0.0.5")


def test_a_delegated_network_is_followed() -> None:
    delegated = reply(
        (OWNER, 5, encoded("5.0-25.0.0.10.in-addr.arpa")),
        ("5.0-25.0.0.10.in-addr.arpa", 12, encoded("tv.example.org")),
    )
    assert dns.parse_reply(delegated, "10.0.0.5") == "tv.example.org"


@pytest.mark.parametrize(
    "name",
    [
        "tv\x1b[31m.lan",
        "tv\nx.lan",
        "a b.lan",
        "t\xfcr.lan",
        "-tv",
        "10.0.0.5",
        "host-10-0-0-5.lan",
        "5-0-0-10.dyn.example",
        "ip-010-000-000-005",
        "localhost",
        "_gateway",
        "Android-3.local",
        "5f7c2a90-1f00-4f7a-8f5e-0123456789ab.local",
        "x" * 60 + "." + "y" * 60,
        "5.0.0.10.in-addr.arpa",
        "1234",
    ],
)
def test_a_name_that_is_hostile_or_says_nothing_is_no_name(name: str) -> None:
    assert dns.parse_reply(reply((OWNER, 12, encoded(name))), "10.0.0.5") is None


@pytest.mark.parametrize("name", ["tv", "nas2.fritz.box", "esp_0A1B2C", "room-5", "tv-10-0.lan"])
def test_other_names_are_taken_as_they_are(name: str) -> None:
    assert dns.parse_reply(reply((OWNER, 12, encoded(name))), "10.0.0.5") == name


@pytest.mark.parametrize(
    "data",
    [
        b"\xc0\x0c" * 2,  # a pointer to itself
        b"\xc0\xff",  # a pointer forwards
        b"\x40tv\0",
        b"\x3ftv",
        b"\x04a.bc\0",
        b"",
    ],
)
def test_a_malformed_name_is_no_name(data: bytes) -> None:
    assert dns.parse_reply(reply((OWNER, 12, data)), "10.0.0.5") is None


def test_a_link_local_address_has_a_pointer_name() -> None:
    assert dns.build_query("fe80::1%eth0", 1, recursive=False).endswith(b"\3ip6\4arpa\0\0\x0c\0\1")


@given(st.binary(max_size=300), st.integers(0, 200), st.integers(0, 255))
def test_no_packet_raises_or_yields_an_unsafe_name(noise: bytes, at: int, octet: int) -> None:
    for original in (AVAHI, DNSMASQ, NMBD, b""):
        packet = bytearray(original + noise)
        if packet:
            packet[at % len(packet)] = octet
        for parse in (dns.parse_reply, netbios.parse_reply):
            for address in ("10.77.9.5", "10.77.9.8", "10.77.9.6"):
                name = parse(bytes(packet), address)
                assert name is None or (name.isprintable() and " " not in name and len(name) <= 100)


def test_only_a_reply_with_the_identifier_is_one() -> None:
    assert dns.is_reply(AVAHI, 0x1267)
    assert not dns.is_reply(AVAHI, 0x1268)
    assert not dns.is_reply(dns.build_query("10.0.0.5", 1, recursive=True), 1)
    assert not dns.is_reply(AVAHI[:5], 0x1267)


def test_only_name_servers_that_may_know_private_addresses_are_asked() -> None:
    text = "#\nnameserver 8.8.8.8\nnameserver 192.168.1.1\nnameserver 127.0.0.53\nnameserver x\nnameserver\n"
    assert dns.name_servers(text) == ("192.168.1.1", "127.0.0.53")


def test_names_in_the_hosts_file() -> None:
    lines = ["127.0.0.1 localhost", "10.0.0.5\ttv.lan tv # x", "#10.0.0.6 no", "10.0.0.7", "10.0.0.8 \x1b"]
    names = [dns.name_in_hosts(lines, f"10.0.0.{n}") for n in (5, 6, 7, 8)]
    assert names == ["tv.lan", None, None, None]
