"""Kea's leases in its memfile: CSV with a header, a log in which the last row of an address counts.

Source: Kea Administrator Reference Manual, "Memfile - Basic Storage for Leases" and "The LFC Process".
The clean-up (LFC) leaves a header alone in the file itself; what it has kept is in ``.completed``, or in
``.2`` and ``.1``. Columns have been added by nearly each version, so they go by their names.
"""

from __future__ import annotations

import re
from typing import Final

from powerd.sources.leases.found import Format, Found, Lead
from powerd.sources.leases.reading import LineReader
from powerd.sources.leases.words import address_of, mac_of, mac_of_duid, name_of, octets_of, shown

_HEADER: Final = "address,"
_ESCAPED: Final = re.compile(r"&#x([0-9a-fA-F]{2})")
_PREFIX_DELEGATION: Final = "2"
_DEFAULT_STATE: Final = "0"
_FOR_EVER: Final = 0xFFFFFFFF
_LATEST: Final = 1 << 40


class Reader(LineReader):
    """Reads the companions and then the file, each with a header of its own; lines count from its header."""

    def __init__(self) -> None:
        super().__init__()
        self._columns: list[str] = []
        self._leads: dict[str, Lead] = {}

    def line(self, text: str) -> None:
        """See LineReader."""
        if text.startswith(_HEADER):
            self._columns = [name.strip() for name in text.split(",")]
            self.number = 1
            return
        cells = text.split(",")
        if len(cells) != len(self._columns):
            self.faults.note(
                self.number, f"{shown(text)} has not the {len(self._columns)} columns of the header"
            )
            return
        try:
            self._row(dict(zip(self._columns, cells, strict=True)))
        except ValueError as error:
            self.faults.note(self.number, str(error))

    def _row(self, row: dict[str, str]) -> None:
        if row.get("lease_type") == _PREFIX_DELEGATION:
            return
        address = address_of(row["address"])
        if not address:
            raise ValueError(f"{shown(row['address'])} is no address")
        lifetime = _number(row.get("valid_lifetime", ""))
        expires = None if lifetime == _FOR_EVER else float(_number(row.get("expire", "")))
        mac = mac_of(row.get("hwaddr", "")) or mac_of_duid(octets_of(row.get("duid", "")))
        over = lifetime == 0 or row.get("state", _DEFAULT_STATE) != _DEFAULT_STATE
        if over and not mac:
            self._leads.pop(address, None)
            return
        name = name_of(_ESCAPED.sub(lambda match: chr(int(match[1], 16)), row.get("hostname", "")))
        self._leads[address] = Lead(address, mac, name, 0.0 if over and expires is None else expires)

    def found(self) -> Found:
        """See LineReader."""
        return Found(tuple(self._leads.values()), self.faults.skipped, tuple(self.faults.first))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"{shown(text)} is no number")
    return min(int(text[:20]), _LATEST)


FORMAT: Final = Format(
    name="kea",
    paths=("/var/lib/kea/kea-leases4.csv", "/var/lib/kea/kea-leases6.csv"),
    recognise=lambda text: text.lstrip().startswith(_HEADER),
    reader=Reader,
    companions=((".completed",), (".2", ".1")),
)
