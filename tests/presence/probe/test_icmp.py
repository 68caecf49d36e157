from __future__ import annotations

import os
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.linux.values import HostError
from powerd.presence.probe import icmp
from powerd.presence.probe.icmp import EchoReply, IcmpError

HOST_UNREACHABLE = 113
NET_UNREACHABLE = 101


def packet(identifier: int, sequence: int, *, kind: int = 0, code: int = 0, options: int = 0) -> bytes:
    header = bytes([0x45 + options]) + bytes(19 + 4 * options)
    return header + struct.pack("!BBHHH", kind, code, 0, identifier, sequence) + b"payload"


def extended(code: int, *, origin: int = 2, kind: int = 3, detail: int = 0) -> bytes:
    return struct.pack("=IBBBBII", code, origin, kind, detail, 0, 0, 0) + bytes(16)


def test_parse_echo() -> None:
    assert icmp.parse_echo(packet(777, 3), "10.0.0.9") == EchoReply("10.0.0.9", 777, 3)


def test_parse_echo_honours_the_header_length() -> None:
    assert icmp.parse_echo(packet(777, 3, options=10), "10.0.0.9") == EchoReply("10.0.0.9", 777, 3)


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        packet(1, 1)[:27],
        packet(1, 1, kind=8),
        packet(1, 1, kind=3),
        packet(1, 1, code=1),
        b"\x41" + packet(1, 1)[1:],
    ],
)
def test_parse_echo_of_anything_else(bad: bytes) -> None:
    assert icmp.parse_echo(bad, "10.0.0.9") is None


def test_host_unreachable_is_silence_and_everything_else_an_error() -> None:
    request = struct.pack("!BBHHH", 8, 0, 0, 777, 1)
    assert icmp.parse_icmp_error(request, extended(HOST_UNREACHABLE, detail=1), "10.0.0.9") is None
    error = icmp.parse_icmp_error(request, extended(NET_UNREACHABLE), "10.0.0.9")
    assert error == IcmpError("10.0.0.9", 777, f"a router reports: {os.strerror(NET_UNREACHABLE)}")
    assert icmp.parse_icmp_error(request, extended(HOST_UNREACHABLE, detail=13), "10.0.0.9") is not None
    assert icmp.parse_icmp_error(request, extended(NET_UNREACHABLE, origin=1), "10.0.0.9") is None
    assert icmp.parse_icmp_error(request[:5], extended(NET_UNREACHABLE), "10.0.0.9") is None


def test_a_datagram_has_a_valid_checksum() -> None:
    datagram = icmp.build_datagram(bytes([10, 0, 0, 1]), bytes([10, 0, 0, 9]), b"x" * 41)
    total = sum(struct.unpack("!10H", datagram[:20]))
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF, "RFC 1071: the sum over a right header is all ones"
    assert struct.unpack("!H", datagram[2:4])[0] == len(datagram) == 61
    assert datagram[12:20] == bytes([10, 0, 0, 1, 10, 0, 0, 9])


@given(st.binary(max_size=100), st.binary(max_size=60))
def test_the_parsers_accept_any_bytes(data: bytes, more: bytes) -> None:
    echo = icmp.parse_echo(data, "10.0.0.9")
    assert echo is None or echo.address == "10.0.0.9"
    icmp.parse_icmp_error(data, more, "10.0.0.9")


@given(st.binary(min_size=4, max_size=4), st.binary(min_size=4, max_size=4), st.binary(max_size=100))
def test_a_datagram_has_no_options_and_its_length(own: bytes, target: bytes, message: bytes) -> None:
    datagram = icmp.build_datagram(own, target, message)
    assert datagram[0] == 0x45
    assert datagram[20:] == message
    assert int.from_bytes(datagram[2:4], "big") == len(datagram)


@pytest.mark.lan
def test_only_replies_with_the_own_identifier_count() -> None:
    mine, other = icmp.EchoSocket(0x1234), icmp.EchoSocket(0x4321)
    try:
        mine.set_sequence(7)
        assert mine.send_request("127.0.0.1") == 0
        assert list(mine.read_replies()) == [EchoReply("127.0.0.1", 0x1234, 7)]
        assert list(other.read_replies()) == []
    finally:
        mine.close()
        other.close()


@pytest.mark.lan
def test_requests_of_others_are_filtered() -> None:
    mine = icmp.EchoSocket(0x1234)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as plain:
        plain.sendto(struct.pack("!BBHHH", 13, 0, 0, 0, 0), ("127.0.0.1", 0))
        with pytest.raises(BlockingIOError):
            mine.sock.recv(100)
    mine.close()


def test_the_error_of_a_socket_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kind: object) -> socket.socket:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(HostError, match=r"CAP_NET_RAW$"):
        icmp.EchoSocket(1)
