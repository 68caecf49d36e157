"""The control packets of MQTT 5.0 that a client needs, as bytes.

The specification is https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html; numbers in comments are its
sections. MQTT 5 and not 3.1.1, because it delays a will beyond a short interruption, and limits the size of
packets.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 8, 9
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14
MAX_PACKET: Final = 1 << 16
"""Bytes of a packet that the client receives."""
FIRST_ERROR: Final = 0x80
"""Reason codes from here on are errors (2.4)."""
WITH_WILL: Final = b"\x04"
"""The reason of a DISCONNECT after which the will is published (3.14.2.1)."""
BAD_LOGIN, NOT_AUTHORIZED = 0x86, 0x87
_MAX_SHIFT: Final = 21
"""A variable integer has at most four bytes of seven bits (1.5.5)."""
_SERVER_KEEP_ALIVE, _RECEIVE_MAXIMUM = 0x13, 0x21
_PROPERTY_SIZES: Final = {
    # Bytes of the value of a property (2.2.2.2); 0 = a length of two bytes and as many bytes.
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((_SERVER_KEEP_ALIVE, _RECEIVE_MAXIMUM, 0x22, 0x23), 2),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), 4),
    **dict.fromkeys((0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F), 0),
}
REASONS: Final = {
    # 2.4, those for which there is a remedy.
    0x84: "it does not support MQTT 5",
    0x85: "it refuses the name of this client; set mqtt.name",
    BAD_LOGIN: "it refuses the login; check mqtt.user and mqtt.password_file",
    NOT_AUTHORIZED: "it does not permit this login to do that; check the broker's access control",
    0x88: "it is not available",
    0x89: "it is busy",
    0x8A: "it has banned this client",
    0x8B: "it shuts down",
    0x8D: "it has received nothing for too long",
    0x8E: "another client uses the same name; set mqtt.name",
    0x97: "its quota is exceeded",
}


class Packet(NamedTuple):
    """A control packet: its type, its flags, and all that follows the fixed header."""

    kind: int
    flags: int
    body: bytes


class ConnectionAccepted(NamedTuple):
    """The answer to CONNECT (3.2).

    Attributes:
        reason: the reason code.
        keep_alive: seconds that the broker imposes; None = those of the client.
        receive_maximum: packets that may wait for their acknowledgement.
    """

    reason: int
    keep_alive: int | None = None
    receive_maximum: int = 0xFFFF


def reason_text(code: int) -> str:
    """What a reason code means, one clause."""
    return REASONS.get(code, f"it answers with reason code 0x{code:02x}")


def encode(kind: int, body: bytes = b"", flags: int = 0) -> bytes:
    """The bytes of a packet."""
    return bytes([kind << 4 | flags]) + _variable_integer(len(body)) + body


def encode_connect(  # noqa: PLR0913 - the fields of the packet
    client: str,
    keep_alive: int,
    *,
    will: tuple[str, bytes],
    will_delay: int,
    session_expiry: int,
    login: tuple[str, bytes] | None,
) -> bytes:
    """CONNECT (3.1), with a retained will of QoS 1, and continuing the session if there is one.

    Args:
        client: the name of the client.
        keep_alive: seconds.
        will: topic and payload.
        will_delay: seconds from the end of a connection to the publication of the will.
        session_expiry: seconds from the end of a connection to that of the session.
        login: user and password; None = none.
    """
    flags = 0b0010_1100 | (0b1100_0000 if login else 0)
    properties = struct.pack(">BIBI", 0x11, session_expiry, 0x27, MAX_PACKET)
    will_properties = struct.pack(">BI", 0x18, will_delay)
    body = _string("MQTT") + struct.pack(">BBH", 5, flags, keep_alive) + _with_length(properties)
    body += _string(client) + _with_length(will_properties) + _string(will[0]) + _binary(will[1])
    if login:
        body += _string(login[0]) + _binary(login[1])
    return encode(CONNECT, body)


def encode_publish(topic: str, payload: bytes, packet: int, *, retain: bool) -> bytes:
    """PUBLISH (3.3) with QoS 1."""
    body = _string(topic) + struct.pack(">HB", packet, 0) + payload
    return encode(PUBLISH, body, 0b0010 | retain)


def encode_subscribe(topics: Sequence[str], packet: int) -> bytes:
    """SUBSCRIBE (3.8) with QoS 0, so that the client has nothing to acknowledge."""
    body = struct.pack(">HB", packet, 0) + b"".join(_string(topic) + b"\0" for topic in topics)
    return encode(SUBSCRIBE, body, 0b0010)


def decode_connack(body: bytes) -> ConnectionAccepted:
    """CONNACK (3.2). Raises ValueError if it is damaged."""
    if len(body) < 2:  # noqa: PLR2004 - flags and reason code
        raise ValueError("its answer to CONNECT is cut off")
    # A broker of MQTT 3.1.1 answers without properties, and 1 = it does not support this version.
    if len(body) == 2:  # noqa: PLR2004 - flags and reason code
        return ConnectionAccepted(0x84 if body[1] else 0)
    properties, _ = _properties(body, 2)
    keep_alive, maximum = properties.get(_SERVER_KEEP_ALIVE), properties.get(_RECEIVE_MAXIMUM, 0xFFFF)
    return ConnectionAccepted(body[1], keep_alive, max(1, maximum))


def decode_publish(packet: Packet) -> tuple[str, bytes]:
    """The topic and the payload of a PUBLISH (3.3). Raises ValueError if it is damaged."""
    topic, position = _take_binary(packet.body, 0)
    if packet.flags & 0b0110:
        position += 2
    _, position = _properties(packet.body, position)
    return topic.decode(), packet.body[position:]


def decode_puback(body: bytes) -> tuple[int, int]:
    """The number of the packet and the reason code of a PUBACK (3.4). Raises ValueError if it is damaged."""
    if len(body) < 2:  # noqa: PLR2004 - the number
        raise ValueError("an acknowledgement is cut off")
    return int.from_bytes(body[:2], "big"), body[2] if len(body) > 2 else 0  # noqa: PLR2004 - the number


def decode_suback(body: bytes) -> int:
    """The worst reason code of a SUBACK (3.9). Raises ValueError if it is damaged."""
    _, position = _properties(body, 2)
    return max(body[position:], default=0)


class PacketReader:
    """Takes packets from a stream of bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Packet]:
        """The packets that are complete with ``data``.

        Raises:
            ValueError: the bytes are not a packet, or a packet is too large; one clause.
        """
        self._buffer += data
        while (packet := self._take()) is not None:
            yield packet

    def _take(self) -> Packet | None:
        length, shift, position = 0, 0, 1
        while True:
            if position >= len(self._buffer):
                return None
            byte = self._buffer[position]
            length |= (byte & 0x7F) << shift
            position, shift = position + 1, shift + 7
            if not byte & 0x80:
                break
            if shift > _MAX_SHIFT:
                raise ValueError("it does not answer as an MQTT broker; check its address and port")
        if length > MAX_PACKET:
            raise ValueError("it does not answer as an MQTT broker, or sends more than was requested")
        if len(self._buffer) < position + length:
            return None
        first, body = self._buffer[0], bytes(self._buffer[position : position + length])
        del self._buffer[: position + length]
        return Packet(first >> 4, first & 0x0F, body)


def _variable_integer(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte (1.5.5)
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _with_length(data: bytes) -> bytes:
    return _variable_integer(len(data)) + data


def _binary(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


def _string(text: str) -> bytes:
    return _binary(text.encode())


def _take_binary(data: bytes, position: int) -> tuple[bytes, int]:
    """The bytes behind a length of two bytes, and the position after them."""
    end = position + 2 + int.from_bytes(data[position : position + 2], "big")
    if end > len(data):
        raise ValueError("a packet is cut off")
    return data[position + 2 : end], end


def _properties(data: bytes, position: int) -> tuple[dict[int, int], int]:
    """The numbers among the properties at ``position`` (2.2.2), and the position after all of them."""
    length, position = _take_variable_integer(data, position)
    end, found = position + length, dict[int, int]()
    if end > len(data):
        raise ValueError("a packet is cut off")
    while position < end:
        kind, start = data[position], position + 1
        position = _property_end(data, kind, start)
        if _PROPERTY_SIZES.get(kind):
            found[kind] = int.from_bytes(data[start:position], "big")
    return found, end


def _property_end(data: bytes, kind: int, position: int) -> int:
    """The position after the value of a property of this kind."""
    size = _PROPERTY_SIZES.get(kind)
    if size:
        return position + size
    if size == 0:
        return _take_binary(data, position)[1]
    if kind == 0x26:  # noqa: PLR2004 - user property: two strings
        return _take_binary(data, _take_binary(data, position)[1])[1]
    if kind == 0x0B:  # noqa: PLR2004 - subscription identifier: a variable integer
        return _take_variable_integer(data, position)[1]
    raise ValueError(f"a packet has the unknown property 0x{kind:02x}")


def _take_variable_integer(data: bytes, position: int) -> tuple[int, int]:
    """The variable integer (1.5.5) at ``position``, and the position after it."""
    value, shift = 0, 0
    while position < len(data) and shift <= _MAX_SHIFT:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if not byte & 0x80:
            return value, position
    raise ValueError("a packet is cut off")
