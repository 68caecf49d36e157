"""PTR queries and their replies (RFC 1035, section 4): to name servers, and to a host itself (RFC 6762, 5.5).

Hosts choose their names and send their replies themselves, so a reply may be malformed on purpose.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Final

from powerd.presence.leases.fields import is_host_name

HEADER: Final = struct.Struct("!6H")  # id, flags, and the numbers of questions, answers, and two more
RECORD: Final = struct.Struct("!HHIH")  # type, class, time to live, length of the data
_RESPONSE, _ERROR, _RECURSION_DESIRED = 0x8000, 0x000F, 0x0100
_PTR, _CNAME, _INTERNET = 12, 5, 1
_CACHE_FLUSH: Final = 0x8000
"""The top bit of the class in a reply of multicast DNS (RFC 6762, 10.2)."""
_POINTER: Final = 0xC0
_MAX_LABEL, _MAX_ENCODED = 63, 255
_MAX_RECORDS: Final = 32
_MAX_NAME: Final = 100
_GENERATED: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
"""A UUID, by which browsers and phones hide their address."""
_MEANINGLESS: Final = re.compile(r"(localhost|_gateway|android(-\d+)?|unknown)(\..*)?", re.IGNORECASE)


def pointer_name(address: str) -> str:
    """The name of the PTR record of an address: ``1.0.0.10.in-addr.arpa``."""
    return ip_address(address.partition("%")[0]).reverse_pointer


def build_query(address: str, identifier: int, *, recursive: bool) -> bytes:
    """A query for the PTR record of ``address``; ``recursive`` for a name server, but not for the host."""
    labels = b"".join(bytes([len(label)]) + label for label in pointer_name(address).encode().split(b"."))
    header = HEADER.pack(identifier, _RECURSION_DESIRED if recursive else 0, 1, 0, 0, 0)
    return header + labels + b"\0" + struct.pack("!HH", _PTR, _INTERNET)


def is_reply(packet: bytes, identifier: int) -> bool:
    """Whether a packet is a reply to the query with this identifier, also one that contains an error."""
    return len(packet) >= HEADER.size and _matches(packet, identifier)


def _matches(packet: bytes, identifier: int) -> bool:
    got, flags = HEADER.unpack_from(packet)[:2]
    return got == identifier and bool(flags & _RESPONSE)


def parse_reply(packet: bytes, address: str) -> str | None:
    """The name of ``address`` in a reply, without a trailing dot; None = it contains no usable name."""
    if len(packet) < HEADER.size or HEADER.unpack_from(packet)[1] & _ERROR:
        return None
    owners = {pointer_name(address)}
    try:
        for owner, kind, start in _answers(packet):
            if owner.lower() in owners and kind == _CNAME:  # a delegated network (RFC 2317)
                owners.add(_read_name(packet, start)[0].lower())
            elif owner.lower() in owners and kind == _PTR:
                return usable_name(_read_name(packet, start)[0], address)
    except (ValueError, IndexError, struct.error):
        pass
    return None


def _answers(packet: bytes) -> Iterator[tuple[str, int, int]]:
    """Each answer: its owner, its type, and where its data begins."""
    questions, answers = HEADER.unpack_from(packet)[2:4]
    offset = HEADER.size
    for _ in range(min(questions, _MAX_RECORDS)):
        offset = skip_name(packet, offset) + 4
    for _ in range(min(answers, _MAX_RECORDS)):
        owner, offset = _read_name(packet, offset)
        kind, record_class, _, size = RECORD.unpack_from(packet, offset)
        offset += RECORD.size
        if record_class & ~_CACHE_FLUSH == _INTERNET:
            yield owner, kind, offset
        offset += size


def skip_name(packet: bytes, offset: int) -> int:
    """The offset behind a name in a packet of DNS or of the NetBIOS name service.

    Raises:
        ValueError, IndexError: the packet is malformed.
    """
    return _read_name(packet, offset)[1]


def _read_name(packet: bytes, offset: int) -> tuple[str, int]:
    """A name, and the offset behind it. Pointers must point backwards, so that reading ends."""
    labels: list[bytes] = []
    end, lowest, size = None, offset, 0
    while count := packet[offset]:
        if count & _POINTER == _POINTER:
            end = offset + 2 if end is None else end
            offset = (count & ~_POINTER) << 8 | packet[offset + 1]
            if offset >= lowest:
                raise ValueError("a pointer that does not point backwards")
            lowest = offset
            continue
        label = packet[offset + 1 : offset + 1 + count]
        size += 1 + count
        if count > _MAX_LABEL or len(label) < count or size > _MAX_ENCODED or b"." in label:
            raise ValueError("a label that is too long or contains a dot")
        labels.append(label)
        offset += 1 + count
    return b".".join(labels).decode("ascii", errors="replace"), offset + 1 if end is None else end


def usable_name(name: str, address: str) -> str | None:
    """``name`` if it is a host name that is not made from the address; else None.

    Left out are names that a name server makes from the address, as ``host-10-0-0-1.lan``, and those that
    thousands of devices have.
    """
    name = name.rstrip(".")
    if len(name) > _MAX_NAME or not is_host_name(name) or name.endswith(".arpa"):
        return None
    first = name.partition(".")[0]
    if _MEANINGLESS.fullmatch(name) or _GENERATED.fullmatch(first) or _contains_address(first, address):
        return None
    return name


def _contains_address(label: str, address: str) -> bool:
    octets = address.split(".")
    numbers = [number.lstrip("0") or "0" for number in re.findall(r"\d+", label)]
    return len(octets) > 1 and any(_is_part(wanted, numbers) for wanted in (octets, octets[::-1]))


def _is_part(wanted: list[str], numbers: list[str]) -> bool:
    return any(numbers[n : n + len(wanted)] == wanted for n in range(len(numbers) - len(wanted) + 1))


def name_servers(resolv_conf: str) -> tuple[str, ...]:
    """The name servers on this machine or on a private network (resolv.conf(5)).

    Others do not know private addresses, so no query is sent to them.
    """
    lines = (line.split() for line in resolv_conf.splitlines())
    found = (words[1] for words in lines if words[:1] == ["nameserver"] and len(words) > 1)
    return tuple(server for server in found if _is_private(server))


def _is_private(address: str) -> bool:
    try:
        return not ip_address(address).is_global
    except ValueError:
        return False


def name_in_hosts(lines: Iterable[str], address: str) -> str | None:
    """The first name of an address in the lines of hosts(5)."""
    for line in lines:
        words = line.partition("#")[0].split()
        if len(words) > 1 and words[0] == address:
            return usable_name(words[1], address)
    return None
