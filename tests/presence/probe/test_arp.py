from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.linux.values import HostError
from powerd.presence.probe import arp
from powerd.presence.probe.arp import ArpReply

MINE, THEIRS = bytes.fromhex("02aabbccddee"), bytes.fromhex("021122334455")
OWN, TARGET = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 9])


def reply(opcode: int = 2, *, protocol: int = 0x0800, hlen: int = 6) -> bytes:
    return struct.pack("!HHBBH6s4s6s4s", 1, protocol, hlen, 4, opcode, THEIRS, TARGET, MINE, OWN)


def test_a_request_has_the_layout_of_rfc_826() -> None:
    assert arp.build_request(MINE, OWN, TARGET).hex(" ") == (
        "00 01 08 00 06 04 00 01 02 aa bb cc dd ee 0a 00 00 01 00 00 00 00 00 00 0a 00 00 09"
    )


def test_parse_reply() -> None:
    assert arp.parse_reply(reply() + bytes(18)) == ArpReply("10.0.0.9", "02:11:22:33:44:55")


@pytest.mark.parametrize(
    "bad", [b"", reply()[:27], reply(1), reply(4), reply(protocol=0x86DD), reply(hlen=8)]
)
def test_parse_reply_of_anything_else(bad: bytes) -> None:
    assert arp.parse_reply(bad) is None


@given(st.binary(max_size=60))
def test_the_parser_accepts_any_bytes(data: bytes) -> None:
    arp.parse_reply(data)


@given(st.binary(min_size=6, max_size=6), st.binary(min_size=4, max_size=4))
def test_only_a_reply_opcode_is_a_reply(mac: bytes, address: bytes) -> None:
    request = arp.build_request(mac, address, TARGET)
    assert arp.parse_reply(request) is None
    turned = request[:7] + b"\x02" + request[8:]
    assert arp.parse_reply(turned) == ArpReply(socket.inet_ntoa(address), mac.hex(":"))


def test_the_error_of_a_socket_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kind: object) -> socket.socket:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(HostError, match=r"Operation not permitted; .*CAP_NET_RAW"):
        arp.ArpSocket()
