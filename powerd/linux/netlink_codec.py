"""Netlink messages and attributes as bytes (netlink(7), linux/netlink.h), of rtnetlink and generic netlink.

Nothing here touches the kernel. Parsers stop at a message or an attribute that is truncated.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

NLM_F_REQUEST: Final = 0x001
NLA_F_NESTED: Final = 0x8000
NLMSG_ERROR: Final = 2
NLMSG_DONE: Final = 3
_NLA_TYPE: Final = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER
_HEADER: Final = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_ATTRIBUTE: Final = struct.Struct("=HH")  # nlattr: length, type
_ERRNO: Final = struct.Struct(
    "=i"
)  # nlmsgerr and the end of a dump begin with the negative errno, 0 = success


class NetlinkMessage(NamedTuple):
    """One message: its type, the sequence number of its request, its body and its flags."""

    kind: int
    sequence: int
    body: bytes
    flags: int = 0

    @property
    def errno(self) -> int | None:
        """The errno of an acknowledgement or of the end of a dump, 0 = success; None = it has none."""
        if self.kind not in {NLMSG_ERROR, NLMSG_DONE} or len(self.body) < _ERRNO.size:
            return None
        return -int(_ERRNO.unpack_from(self.body)[0])


def pack_message(message: NetlinkMessage) -> bytes:
    """A message to the kernel."""
    length = _HEADER.size + len(message.body)
    return _HEADER.pack(length, message.kind, message.flags, message.sequence, 0) + message.body


def parse_messages(data: bytes) -> Iterator[NetlinkMessage]:
    """The messages of one datagram."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size or offset + length > len(data):
            return
        yield NetlinkMessage(kind, sequence, data[offset + _HEADER.size : offset + length], flags)
        offset += length + 3 & ~3


def pack_attribute(kind: int, value: bytes) -> bytes:
    """An attribute, padded to 4 bytes."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def parse_attributes(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """The attributes from ``offset`` on, by type."""
    attributes: dict[int, bytes] = {}
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size or offset + length > len(data):
            break
        attributes[kind & _NLA_TYPE] = data[offset + _ATTRIBUTE.size : offset + length]
        offset += length + 3 & ~3
    return attributes
