"""Kea's leases in its memfile: CSV with a header, a log in which the last row of an address counts.

Source: Kea Administrator Reference Manual, "Memfile - Basic Storage for Leases" and "The LFC Process".
The clean-up (LFC) leaves a header alone in the file itself; what it has kept is in ``.completed``, or in
``.2`` and ``.1``. Columns have been added by nearly each version, so they go by their names.
"""

from __future__ import annotations

import re
from typing import Final

from powerd.sources.leases.found import HostEntry, LeaseFormat, ParseResult
from powerd.sources.leases.reading import LineReader
from powerd.sources.leases.words import (
    mac_from_duid,
    parse_address,
    parse_mac,
    parse_octets,
    quote,
    sanitize_name,
)

_HEADER_START: Final = "address,"
_ESCAPED: Final = re.compile(r"&#x([0-9a-fA-F]{2})")
_PREFIX_DELEGATION: Final = "2"
_DEFAULT_STATE: Final = "0"
_INFINITE_LIFETIME: Final = 0xFFFFFFFF
_MAX_NUMBER: Final = 1 << 40


class KeaReader(LineReader):
    """Reads the companions and then the file, each with a header of its own; lines count from its header."""

    def __init__(self) -> None:
        super().__init__()
        self._columns: list[str] = []
        self._entries: dict[str, HostEntry] = {}

    def read_line(self, text: str) -> None:
        """See LineReader."""
        if text.startswith(_HEADER_START):
            self._columns = [name.strip() for name in text.split(",")]
            self.number = 1
            return
        cells = text.split(",")
        if len(cells) != len(self._columns):
            self.errors.add(
                self.number, f"{quote(text)} has not the {len(self._columns)} columns of the header"
            )
            return
        try:
            self._add_row(dict(zip(self._columns, cells, strict=True)))
        except ValueError as error:
            self.errors.add(self.number, str(error))

    def _add_row(self, row: dict[str, str]) -> None:
        if row.get("lease_type") == _PREFIX_DELEGATION:
            return
        address = parse_address(row["address"])
        if not address:
            raise ValueError(f"{quote(row['address'])} is no address")
        lifetime = _parse_number(row.get("valid_lifetime", ""))
        expires = None if lifetime == _INFINITE_LIFETIME else float(_parse_number(row.get("expire", "")))
        mac = parse_mac(row.get("hwaddr", "")) or mac_from_duid(parse_octets(row.get("duid", "")))
        ended = lifetime == 0 or row.get("state", _DEFAULT_STATE) != _DEFAULT_STATE
        if ended and not mac:
            self._entries.pop(address, None)
            return
        name = sanitize_name(_ESCAPED.sub(lambda match: chr(int(match[1], 16)), row.get("hostname", "")))
        self._entries[address] = HostEntry(address, mac, name, 0.0 if ended and expires is None else expires)

    def result(self) -> ParseResult:
        """See LineReader."""
        return ParseResult(
            tuple(self._entries.values()), self.errors.skipped, tuple(self.errors.descriptions)
        )


def _parse_number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"{quote(text)} is no number")
    return min(int(text[:20]), _MAX_NUMBER)


LEASES_FORMAT: Final = LeaseFormat(
    name="kea",
    paths=("/var/lib/kea/kea-leases4.csv", "/var/lib/kea/kea-leases6.csv"),
    recognise=lambda text: text.lstrip().startswith(_HEADER_START),
    new_reader=KeaReader,
    companions=((".completed",), (".2", ".1")),
)
