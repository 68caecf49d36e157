from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.presence.leases.fields import (
    is_host_name,
    mac_from_duid,
    mac_from_octets,
    parse_address,
    parse_mac,
    parse_octets,
    quote,
    sanitize_name,
)

MAC = "02:00:00:00:00:01"


@given(st.ip_addresses())
def test_addresses_as_the_standard_library_has_them(address: object) -> None:
    expected = ip_address(str(address))
    group = expected.is_multicast or expected.is_loopback or expected.is_unspecified
    nowhere = expected.version == 4 and (expected.packed[0] == 0 or expected.packed[0] >= 224)
    if group or nowhere:
        assert parse_address(str(expected)) is None
    else:
        assert parse_address(expected.exploded) is not None
        assert ip_address(parse_address(expected.exploded) or "") == expected


@given(st.text())
def test_any_text(text: str) -> None:
    assert parse_address(text) is None or ip_address(text).version in {4, 6}
    assert parse_mac(text) is None or len(text) >= 11
    name = sanitize_name(text)
    assert name is None or (name.isprintable() and name)
    assert quote(text).isprintable()
    assert len(quote(text)) <= 43
    parse_octets(text)
    is_host_name(text)


@pytest.mark.parametrize(
    "text", ["", "10.0.0", "10.0.0.300", "010.0.0.1", "fe80::1%eth0", "1.2.3.4\0", "\udc80", "::", "::1"]
)
def test_no_address(text: str) -> None:
    assert parse_address(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MAC, MAC),
        ("02-00-00-00-00-01", MAC),
        ("2:0:0:0:0:1", MAC),
        ("0A:0B:0C:0D:0E:0F", "0a:0b:0c:0d:0e:0f"),
        ("a:b:c:d:e:f", "0a:0b:0c:0d:0e:0f"),
        ("00:00:00:00:00:00", None),
        ("0:0:0:0:0:0", None),
        ("ff:ff:ff:ff:ff:ff", None),
        ("01:00:5e:00:00:01", None),
        ("02:00:00:00:00", None),
        ("02:00:00:00:00:01:02", None),
        ("020000000001", None),
        (f"{MAC}\n", None),
    ],
)
def test_macs(text: str, expected: str | None) -> None:
    assert parse_mac(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0001", b"\0\x01"),
        ("00:1:ff", b"\0\x01\xff"),
        ("0-1", b"\0\x01"),
        ("123", None),
        ("", None),
        ("xy", None),
    ],
)
def test_octets(text: str, expected: bytes | None) -> None:
    assert parse_octets(text) == expected


@pytest.mark.parametrize(
    ("duid", "expected"),
    [
        (f"00:01:00:01:32:94:40:65:{MAC}", MAC),
        (f"00:03:00:01:{MAC}", MAC),
        (f"00:03:00:20:{MAC}", None),  # InfiniBand
        (f"00:02:00:01:{MAC}", None),  # an enterprise number
        ("00:03:00:01:02:00", None),
        ("00:04:00:01:02", None),
        ("00:03", None),
    ],
)
def test_duids(duid: str, expected: str | None) -> None:
    assert mac_from_duid(parse_octets(duid)) == expected


def test_no_duid() -> None:
    assert mac_from_duid(None) is None
    assert mac_from_octets([2, 0, 0, 0, 0]) is None


@pytest.mark.parametrize("text", ["tv", "tv.lan", "tv.lan.", "my_tv", "3com", "a" * 63])
def test_host_names(text: str) -> None:
    assert is_host_name(text)


@pytest.mark.parametrize("text", ["", "-tv", "a b", "10.0.0.300", "7", "a..b", "a" * 64, "a." * 200])
def test_no_host_names(text: str) -> None:
    assert not is_host_name(text)


def test_names_contain_no_control_characters() -> None:
    assert sanitize_name("tv\x1b[2J.lan.") == "tv[2J.lan"
    assert sanitize_name(" . ") is None
    assert quote("a\n\tb\0") == '"a b\N{REPLACEMENT CHARACTER}"'
    assert quote("x" * 100) == '"' + "x" * 40 + '…"'
