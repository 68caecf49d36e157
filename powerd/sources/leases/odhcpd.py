"""Leases of odhcpd, OpenWrt's DHCP server: comment lines in a hosts file.

Source: odhcpd's statefiles.c. A line is ``# LINK DUID IAID NAME UNTIL ASSIGNED LENGTH ADDRESS/LENGTH …``;
in a lease of IPv4 the IAID is ``ipv4`` and the DUID is the MAC.
"""

from __future__ import annotations

import re
from typing import Final

from powerd.sources.leases.found import Format, Found, Lead
from powerd.sources.leases.reading import LineReader
from powerd.sources.leases.words import address_of, mac_of_duid, mac_of_octets, name_of, octets_of, shown

_FIRST: Final = re.compile(r"\s*+# \S+ [\da-f]{2,260} (?:ipv4|[\da-f]{1,8}) \S+ -?\d{1,12} [\da-f]+ \d{1,3} ")
_FIELDS: Final = 8
_NEVER: Final = "-1"
_UNTIL: Final = re.compile(r"-1|\d{1,12}")
_WHOLE_LENGTHS: Final = frozenset({"32", "128"})


class Reader(LineReader):
    """Reads one lease per comment line; the other lines are for the resolver."""

    def __init__(self) -> None:
        super().__init__()
        self._leads: dict[str, Lead] = {}

    def line(self, text: str) -> None:
        """See LineReader."""
        mark, *words = text.split()
        if mark != "#" or not words:
            return
        if len(words) < _FIELDS or not _UNTIL.fullmatch(words[4]):
            self.faults.note(self.number, f"{shown(text)} has not the fields of a lease")
            return
        _link, client, iaid, name, until, _assigned, _length, *places = words
        octets = octets_of(client)
        mac = mac_of_octets(octets or b"") if iaid == "ipv4" else mac_of_duid(octets)
        expires = None if until == _NEVER else float(until)
        for place in places:
            text, _, length = place.partition("/")
            if address := address_of(text):
                if not length or length in _WHOLE_LENGTHS:  # another is a prefix, delegated to a router
                    lead = Lead(address, mac, None if name == "-" else name_of(name), expires)
                    self._leads[address] = lead
            else:
                self.faults.note(self.number, f"{shown(place)} is no address")

    def found(self) -> Found:
        """See LineReader."""
        return Found(tuple(self._leads.values()), self.faults.skipped, tuple(self.faults.first))


FORMAT: Final = Format(
    name="odhcpd",
    paths=("/tmp/hosts/odhcpd", "/tmp/odhcpd.leases"),  # noqa: S108 - where OpenWrt has its leases; they are only read
    recognise=lambda text: _FIRST.match(text) is not None,
    reader=Reader,
)
