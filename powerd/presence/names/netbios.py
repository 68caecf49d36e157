"""The node status request of the NetBIOS name service and its reply (RFC 1002, 4.2.17 and 4.2.18)."""

from __future__ import annotations

import struct
from typing import Final

from powerd.presence.names.dns import HEADER, RECORD, skip_name, usable_name

_NAME: Final = struct.Struct("!15sBH")  # the name, padded with spaces; its suffix; flags
_RESPONSE, _ERROR, _GROUP = 0x8000, 0x000F, 0x8000
_NBSTAT, _INTERNET = 0x21, 1
_ANY_NAME: Final = (
    b"\x20CK" + b"A" * 30 + b"\0"
)  # "*" and 15 zero bytes, each as two letters (RFC 1001, 14.1)
_WORKSTATION, _FILE_SERVER = 0x00, 0x20


def build_query(identifier: int) -> bytes:
    """A request for all names of the host that gets it."""
    return HEADER.pack(identifier, 0, 1, 0, 0, 0) + _ANY_NAME + struct.pack("!HH", _NBSTAT, _INTERNET)


def parse_reply(packet: bytes, address: str) -> str | None:
    """The name of the host; None = no name. It is sent in capitals and means the same in lower case."""
    try:
        _, flags, questions, answers, *_ = HEADER.unpack_from(packet)
        if not flags & _RESPONSE or flags & _ERROR or questions or not answers:
            return None
        offset = skip_name(packet, HEADER.size)
        kind, _, _, size = RECORD.unpack_from(packet, offset)
        offset += RECORD.size
        table = packet[offset + 1 : offset + size]
        rows = [_NAME.unpack_from(table, n * _NAME.size) for n in range(packet[offset])]
    except (ValueError, IndexError, struct.error):
        return None
    if kind != _NBSTAT:
        return None
    unique = {suffix: name for name, suffix, row_flags in reversed(rows) if not row_flags & _GROUP}
    name = unique.get(_WORKSTATION, unique.get(_FILE_SERVER, b""))
    return usable_name(name.rstrip(b" \0").decode("ascii", errors="replace").lower(), address)
