"""dnsmasq's leases, as its source (lease.c) writes them; Pi-hole's and OpenWrt's alike.

A line is ``EXPIRES MAC ADDRESS NAME CLIENT-ID``, ``*`` standing for none. After a line ``duid …`` come
leases of IPv6, ``EXPIRES [T]IAID ADDRESS NAME DUID``. The file is written anew, in place, at each change.
"""

from __future__ import annotations

import re
from typing import Final

from powerd.sources.leases.found import Format, Found, Lead
from powerd.sources.leases.reading import LineReader
from powerd.sources.leases.words import address_of, mac_of, mac_of_duid, name_of, octets_of, shown

_FIRST: Final = re.compile(
    r"\s*+(?:duid (?:[\da-f]{2}:)+[\da-f]{2}\s"
    r"|\d{1,12} (?:[\da-f]{2}[:-]){0,20}[\da-f]{2} [\d.]{7,15} \S+ \S+\s"
    r"|\d{1,12} T?\d{1,10} [\da-f:]{2,39} \S+ \S+\s)"
)
_HARDWARE_TYPE: Final = re.compile(r"[0-9a-f]{2}-")
_FIELDS: Final = 5
_EARLIEST: Final = 1_000_000_000
_LATEST: Final = 1 << 40


class Reader(LineReader):
    """Reads one lease per line."""

    def __init__(self) -> None:
        super().__init__()
        self._leads: dict[str, Lead] = {}

    def line(self, text: str) -> None:
        """See LineReader."""
        words = text.split()
        if words[0] == "duid" and len(words) > 1:
            return  # the server's own identifier
        if len(words) != _FIELDS:
            self.faults.note(self.number, f"{shown(text)} has not the five fields of a lease")
            return
        expires, hardware, address, name, client = words
        host = address_of(address)
        if not host:
            self.faults.note(self.number, f"{shown(address)} is no address")
        elif not (expires.isascii() and expires.isdecimal()):
            self.faults.note(self.number, f"{shown(expires)} is no time")
        else:
            mac = (
                mac_of_duid(octets_of(client)) if ":" in host else mac_of(_HARDWARE_TYPE.sub("", hardware, 1))
            )
            self._leads[host] = Lead(host, mac, None if name == "*" else name_of(name), _instant(expires))

    def found(self) -> Found:
        """See LineReader."""
        return Found(tuple(self._leads.values()), self.faults.skipped, tuple(self.faults.first))


def _instant(text: str) -> float | None:
    """POSIX seconds; None for 0 = never, and for durations, which a build without a real-time clock notes."""
    seconds = int(text[:20])
    return float(seconds) if _EARLIEST <= seconds <= _LATEST else None


FORMAT: Final = Format(
    name="dnsmasq",
    paths=(
        "/var/lib/misc/dnsmasq.leases",
        "/var/lib/dnsmasq/dnsmasq.leases",
        "/var/db/dnsmasq.leases",
        "/etc/pihole/dhcp.leases",
        "/tmp/dhcp.leases",  # noqa: S108 - where OpenWrt has its leases; it is only read
        # Leases of libvirt and LXC are left out: their clients run on this very machine, and sleep with it.
    ),
    recognise=lambda text: _FIRST.match(text) is not None,
    reader=Reader,
)
