"""dnsmasq's leases, as its source (lease.c) writes them; Pi-hole's and OpenWrt's alike.

A line is ``EXPIRES MAC ADDRESS NAME CLIENT-ID``, ``*`` standing for none. After a line ``duid …`` come
leases of IPv6, ``EXPIRES [T]IAID ADDRESS NAME DUID``. The file is written anew, in place, at each change.
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

_LEASES_SIGNATURE: Final = re.compile(
    r"\s*+(?:duid (?:[\da-f]{2}:)+[\da-f]{2}\s"
    r"|\d{1,12} (?:[\da-f]{2}[:-]){0,20}[\da-f]{2} [\d.]{7,15} \S+ \S+\s"
    r"|\d{1,12} T?\d{1,10} [\da-f:]{2,39} \S+ \S+\s)"
)
_HARDWARE_TYPE: Final = re.compile(r"[0-9a-f]{2}-")
_FIELD_COUNT: Final = 5
_MIN_TIMESTAMP: Final = 1_000_000_000
_MAX_TIMESTAMP: Final = 1 << 40


class DnsmasqReader(LineReader):
    """Reads one lease per line."""

    def __init__(self) -> None:
        super().__init__()
        self._entries: dict[str, HostEntry] = {}

    def read_line(self, text: str) -> None:
        """See LineReader."""
        fields = text.split()
        if fields[0] == "duid" and len(fields) > 1:
            return  # the server's own identifier
        if len(fields) != _FIELD_COUNT:
            self.errors.add(self.line_number, f"{quote(text)} has not the five fields of a lease")
            return
        expires, hardware, address, name, client = fields
        host = parse_address(address)
        if not host:
            self.errors.add(self.line_number, f"{quote(address)} is no address")
        elif not (expires.isascii() and expires.isdecimal()):
            self.errors.add(self.line_number, f"{quote(expires)} is no time")
        else:
            mac = (
                mac_from_duid(parse_octets(client))
                if ":" in host
                else parse_mac(_HARDWARE_TYPE.sub("", hardware, 1))
            )
            self._entries[host] = HostEntry(
                host, mac, None if name == "*" else sanitize_name(name), _parse_expiry(expires)
            )

    def result(self) -> ParseResult:
        """See LineReader."""
        return ParseResult(
            tuple(self._entries.values()), self.errors.skipped, tuple(self.errors.descriptions)
        )


def _parse_expiry(text: str) -> float | None:
    """POSIX seconds; None for 0 = never, and for durations, which a build without a real-time clock notes."""
    seconds = int(text[:20])
    return float(seconds) if _MIN_TIMESTAMP <= seconds <= _MAX_TIMESTAMP else None


LEASES_FORMAT: Final = LeaseFormat(
    name="dnsmasq",
    paths=(
        "/var/lib/misc/dnsmasq.leases",
        "/var/lib/dnsmasq/dnsmasq.leases",
        "/var/db/dnsmasq.leases",
        "/etc/pihole/dhcp.leases",
        "/tmp/dhcp.leases",  # noqa: S108 - where OpenWrt has its leases; it is only read
        # Leases of libvirt and LXC are left out: their clients run on this very machine, and sleep with it.
    ),
    recognise=lambda text: _LEASES_SIGNATURE.match(text) is not None,
    new_reader=DnsmasqReader,
)
