"""Leases of systemd-networkd's DHCP server: one JSON object per link, since systemd 256.

Source: systemd.network(5), PersistLeases=, and sd-dhcp-server-lease.c. Without leases there is no file.
"""

from __future__ import annotations

import json
import re
from typing import Final

from powerd.sources.leases.found import Format, Found, Lead
from powerd.sources.leases.reading import Faults, WholeReader, nothing
from powerd.sources.leases.words import address_of, mac_of_octets, name_of, shown

_FIRST: Final = re.compile(r'\s*+\{(?s:.)*?"(?:Leases|BootID)"\s*:')
_ETHERNET: Final = 1
_ADDRESS_OCTETS: Final = 4
_MICROSECONDS: Final = 1_000_000
_NEVER: Final = 1 << 60


class Reader(WholeReader):
    """Reads the object that describes a link's leases."""

    def parse(self, text: str) -> Found:
        """See WholeReader."""
        try:
            link = json.loads(text)
        except json.JSONDecodeError as error:
            return nothing(f"line {error.lineno}: {error.msg}")
        except (ValueError, RecursionError):  # a number too long, or nested too deeply
            return nothing("it is no JSON that systemd-networkd would write")
        rows = link.get("Leases", []) if isinstance(link, dict) else None
        if not isinstance(rows, list):
            return nothing("it holds no list of leases")
        leads: dict[str, Lead] = {}
        faults = Faults()
        for row in rows:
            try:
                lead = _lease(row if isinstance(row, dict) else {})
                leads[lead.key] = lead
            except ValueError as error:
                faults.skipped += 1
                faults.first.append(f"a lease: {error}")
        return Found(tuple(leads.values()), faults.skipped, tuple(faults.first[:3]))


def _lease(row: dict[str, object]) -> Lead:
    octets = _octets(row.get("Address"))
    address = address_of(".".join(map(str, octets))) if len(octets) == _ADDRESS_OCTETS else None
    if not address:
        raise ValueError(f"{shown(str(row.get('Address')))} is no address")
    length = row.get("HardwareAddressLength", 6)
    hardware = _octets(row.get("HardwareAddress"))[: length if isinstance(length, int) else 0]
    until = row.get("ExpirationRealtimeUSec")
    ends = until / _MICROSECONDS if isinstance(until, int) and 0 <= until < _NEVER else None
    return Lead(
        address,
        mac_of_octets(hardware) if row.get("HardwareAddressType", _ETHERNET) == _ETHERNET else None,
        name_of(str(row.get("Hostname") or "")),
        ends,
    )


def _octets(value: object) -> list[int]:
    """A list of octets; [] if it is none."""
    octets = value if isinstance(value, list) else []
    return octets if all(isinstance(octet, int) and 0 <= octet <= 0xFF for octet in octets) else []  # noqa: PLR2004 - an octet's largest


FORMAT: Final = Format(
    name="systemd-networkd",
    paths=("/var/lib/systemd/network/dhcp-server-lease/*",),
    recognise=lambda text: _FIRST.match(text) is not None,
    reader=Reader,
    comes_and_goes=True,
)
