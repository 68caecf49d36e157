"""The packets of MQTT 5: what the specification shows, and what a hostile broker may send."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.linux import mqtt_codec as codec


def packets(data: bytes, size: int = 1) -> list[codec.Packet]:
    """The packets in a stream that arrives in pieces."""
    reader = codec.PacketReader()
    pieces = [data[n : n + size] for n in range(0, len(data), size)]
    return [packet for piece in pieces for packet in reader.feed(piece)]


@pytest.mark.parametrize("size", [1, 2, 1000])
@pytest.mark.parametrize("length", [0, 1, 117, 118, 16_000])
def test_a_message_arrives_as_it_was_sent(size: int, length: int) -> None:
    payload = b"x" * length
    data = codec.encode_publish("powerd/ä/server", payload, 7, retain=True) * 2
    found = packets(data, size)
    assert [codec.decode_publish(packet) for packet in found] == [("powerd/ä/server", payload)] * 2
    assert [packet.flags & 1 for packet in found] == [1, 1]


def test_connect() -> None:
    sent = codec.encode_connect(
        "c", 900, will=("t", b"w"), will_delay=60, session_expiry=60, login=("u", b"p")
    )
    assert sent == bytes.fromhex(
        "10 2a 0004 4d515454 05 ec 0384 0a 11 0000003c 27 00010000"
        "0001 63 05 18 0000003c 0001 74 0001 77 0001 75 0001 70"
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("0000 00", codec.ConnectionAccepted(0)),
        ("0086 00", codec.ConnectionAccepted(0x86)),
        ("0000", codec.ConnectionAccepted(0)),
        ("0001", codec.ConnectionAccepted(0x84)),
        ("0000 06 130078 21000a", codec.ConnectionAccepted(0, 120, 10)),
        ("0000 11 26 0001 61 0001 62 1f 0003 6e6f74 2a 01 24 01", codec.ConnectionAccepted(0)),
    ],
)
def test_connack(body: str, expected: codec.ConnectionAccepted) -> None:
    assert codec.decode_connack(bytes.fromhex(body)) == expected


@pytest.mark.parametrize(
    "body", ["", "00", "0000 05 13", "0000 03 7f0000", "0000 ffffffff7f", "0000 03 1f 00ff"]
)
def test_a_damaged_connack(body: str) -> None:
    with pytest.raises(ValueError, match=" "):
        codec.decode_connack(bytes.fromhex(body))


@pytest.mark.parametrize("data", ["20 ffffff7f", "20 ffffffff01", "30 818004"])
def test_a_packet_that_is_too_large(data: str) -> None:
    with pytest.raises(ValueError, match="MQTT broker"):
        packets(bytes.fromhex(data))


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_a_value_error(data: bytes) -> None:
    readers = (codec.decode_connack, codec.decode_puback, codec.decode_suback)
    for read in (*readers, lambda body: codec.decode_publish(codec.Packet(codec.PUBLISH, 2, body)), packets):
        with suppress(ValueError):
            read(data)
