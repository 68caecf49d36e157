"""Parsers of the fields that all lease files share: addresses, MACs, names and identifiers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Final

_MAC: Final = re.compile(r"[0-9a-f][02468ace](?::[0-9a-f]{2}){5}")
_MAC_LENIENT: Final = re.compile(r"0*[0-9A-Fa-f]{1,2}(?:[:-]0*[0-9A-Fa-f]{1,2}){5}")
_HEX: Final = re.compile(r"[0-9A-Fa-f]{1,2}(?>(?:[:-]?[0-9A-Fa-f]{2}|[:-][0-9A-Fa-f])*)")
_HOST_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?>(?:\.[A-Za-z0-9_-]{1,63})*)\.?")
_NULL_MAC: Final = "00:00:00:00:00:00"
_LOOPBACK, _MULTICAST, _MULTICAST6 = 127, 224, 0xFF
_MAX_NAME: Final = 253
_MAX_QUOTED, _MAX_QUOTE_INPUT = 40, 1000
_REPLACEMENT: Final = "\ufffd"
_MAC_OCTETS: Final = 6
_DUID_LLT, _DUID_LL, _ETHERNET = 1, 3, 1


def parse_address(text: str) -> str | None:
    """An IPv4 or IPv6 unicast address in its shortest form; None for anything else."""
    try:
        if ":" not in text:
            first = inet_pton(AF_INET, text)[0]
            return text if 0 < first < _MULTICAST and first != _LOOPBACK else None
        packed = inet_pton(AF_INET6, text)
    except (OSError, ValueError):  # ValueError: a NUL, or text that cannot be encoded
        return None
    return None if packed[0] == _MULTICAST6 or not any(packed[:15]) else inet_ntop(AF_INET6, packed)


def parse_mac(text: str) -> str | None:
    """A unicast Ethernet address, lower case with colons; None for anything else.

    Accepts ``-`` for ``:``, single digits, and leading zeros.
    """
    if not _MAC.fullmatch(text):
        if not _MAC_LENIENT.fullmatch(text):
            return None
        text = ":".join(octet[-2:].rjust(2, "0") for octet in text.lower().replace("-", ":").split(":"))
        if not _MAC.fullmatch(text):  # a group address
            return None
    return None if text == _NULL_MAC else text


def sanitize_name(text: str) -> str | None:
    """A host name that is safe to print: without a trailing dot and without control characters."""
    name = text.strip().rstrip(".")
    if not name.isprintable():
        name = "".join(letter for letter in name if letter.isprintable())
    return name[:_MAX_NAME] or None


def is_host_name(text: str) -> bool:
    """Whether the text can be resolved (RFC 1123); a number with dots is a mistyped address."""
    last = text.rstrip(".").rpartition(".")[2]
    return len(text) <= _MAX_NAME and not last.isdecimal() and _HOST_NAME.fullmatch(text) is not None


def parse_octets(text: str) -> bytes | None:
    """Hexadecimal octets, separated by ``:`` or ``-`` or not at all; None for anything else."""
    if not _HEX.fullmatch(text):
        return None
    if ":" in text or "-" in text:
        text = "".join(octet.rjust(2, "0") for octet in re.split("[:-]", text))
    return bytes.fromhex(text) if len(text) % 2 == 0 else None


def mac_from_duid(duid: Sequence[int] | None) -> str | None:
    """The Ethernet address in a DHCP unique identifier of type LLT or LL (RFC 8415, section 11)."""
    if not duid or len(duid) < 4 or duid[2] << 8 | duid[3] != _ETHERNET:  # noqa: PLR2004 - two fields of two octets
        return None
    start = {_DUID_LLT: 8, _DUID_LL: 4}.get(duid[0] << 8 | duid[1])
    return mac_from_octets(duid[start:]) if start else None


def mac_from_octets(octets: Sequence[int]) -> str | None:
    """The Ethernet address of six octets; None for another length, or for a group address."""
    if len(octets) != _MAC_OCTETS:
        return None
    return parse_mac(":".join(f"{octet:02x}" for octet in octets))


def quote(text: str) -> str:
    """The text in double quotes for an error message: printable, at most 40 characters."""
    text = " ".join(text[:_MAX_QUOTE_INPUT].split())
    text = text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}…"
    return f'"{"".join(letter if letter.isprintable() else _REPLACEMENT for letter in text)}"'
