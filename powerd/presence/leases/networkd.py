"""Format of systemd-networkd's lease files (since systemd 256): one JSON object per link.

Source: systemd.network(5), PersistLeases=, and sd-dhcp-server-lease.c. Without leases there is no file.
"""

from __future__ import annotations

import json
import re
from typing import Final

from powerd.presence.leases.fields import mac_from_octets, parse_address, quote, sanitize_name
from powerd.presence.leases.format import (
    DocumentReader,
    HostEntry,
    LeaseFormat,
    ParseResult,
    parse_failure,
)

_SIGNATURE: Final = re.compile(r'\s*+\{(?s:.)*?"(?:Leases|BootID)"\s*:')
_ETHERNET: Final = 1
_ADDRESS_OCTETS: Final = 4
_MICROSECONDS: Final = 1_000_000
_MAX_EXPIRY: Final = 1 << 60


class NetworkdReader(DocumentReader):
    """Parses the leases of one link."""

    def parse(self, text: str) -> ParseResult:
        """See DocumentReader."""
        try:
            link = json.loads(text)
        except json.JSONDecodeError as error:
            return parse_failure(f"line {error.lineno}: {error.msg}")
        except (ValueError, RecursionError):  # a number too long, or nested too deeply
            return parse_failure("it is not JSON that systemd-networkd writes")
        rows = link.get("Leases", []) if isinstance(link, dict) else None
        if not isinstance(rows, list):
            return parse_failure("it holds no list of leases")
        for row in rows:
            try:
                entry = _lease_entry(row if isinstance(row, dict) else {})
            except ValueError as error:
                self.output.skip("a lease", str(error))
                continue
            self.output.add(entry)
            if (
                entry.mac is None
                and row.get("HardwareAddress")
                and row.get("HardwareAddressType", 1) == _ETHERNET
            ):
                self.output.warn(
                    "a lease", f"{quote(str(row.get('HardwareAddress')))} is not an Ethernet address"
                )
        return self.output.result()


def _lease_entry(row: dict[str, object]) -> HostEntry:
    octets = _octet_list(row.get("Address"))
    address = parse_address(".".join(map(str, octets))) if len(octets) == _ADDRESS_OCTETS else None
    if not address:
        raise ValueError(f"{quote(str(row.get('Address')))} is not an address")
    length = row.get("HardwareAddressLength", 6)
    hardware = _octet_list(row.get("HardwareAddress"))[: length if isinstance(length, int) else 0]
    expiry_usec = row.get("ExpirationRealtimeUSec")
    expires = (
        expiry_usec / _MICROSECONDS
        if isinstance(expiry_usec, int) and 0 <= expiry_usec < _MAX_EXPIRY
        else None
    )
    return HostEntry(
        address,
        mac_from_octets(hardware) if row.get("HardwareAddressType", _ETHERNET) == _ETHERNET else None,
        sanitize_name(str(row.get("Hostname") or "")),
        expires,
    )


def _octet_list(value: object) -> list[int]:
    """The list of octets; [] if the value is anything else."""
    octets = value if isinstance(value, list) else []
    return octets if all(isinstance(octet, int) and 0 <= octet <= 0xFF for octet in octets) else []  # noqa: PLR2004 - an octet's largest


FORMAT: Final = LeaseFormat(
    name="systemd-networkd",
    paths=("/var/lib/systemd/network/dhcp-server-lease/*",),
    recognise=lambda text: _SIGNATURE.match(text) is not None,
    new_reader=NetworkdReader,
    absent_means_empty=True,
)
