"""Format of the lease file of odhcpd, OpenWrt's DHCP server: comment lines in a hosts file.

Source: odhcpd's statefiles.c. A line is ``# LINK DUID IAID NAME EXPIRES ASSIGNED LENGTH ADDRESS/LENGTH ...``;
in an IPv4 lease the IAID is ``ipv4`` and the DUID is the MAC.
"""

from __future__ import annotations

import re
from typing import Final

from powerd.presence.leases.fields import (
    mac_from_duid,
    mac_from_octets,
    parse_address,
    parse_octets,
    quote,
    sanitize_name,
)
from powerd.presence.leases.format import HostEntry, LeaseFormat, LineReader

_SIGNATURE: Final = re.compile(
    r"\s*+# \S+ [\da-f]{2,260} (?:ipv4|[\da-f]{1,8}) \S+ -?\d{1,12} [\da-f]+ \d{1,3} "
)
_MIN_FIELDS: Final = 8
_NEVER: Final = "-1"
_EXPIRY: Final = re.compile(r"-1|\d{1,12}")
_HOST_PREFIX_LENGTHS: Final = frozenset({"32", "128"})


class OdhcpdReader(LineReader):
    """Parses one lease per comment line; the other lines are for the resolver."""

    def read_line(self, text: str) -> None:
        """See LineReader."""
        mark, *fields = text.split()
        if mark != "#" and not parse_address(mark):
            self.skip(f"{quote(text)} is not a line of a hosts file")
        if mark != "#" or not fields:
            return
        if len(fields) < _MIN_FIELDS:
            self.skip(f"{quote(text)} does not have the fields of a lease")
            return
        _link, client, iaid, name, expiry, _assigned, _length, *prefixes = fields
        octets = parse_octets(client)
        mac = mac_from_octets(octets or b"") if iaid == "ipv4" else mac_from_duid(octets)
        expires = None
        if not _EXPIRY.fullmatch(expiry):
            self.warn(f"{quote(expiry)} is not a time")
        elif expiry != _NEVER:
            expires = float(expiry)
        if octets is None:
            self.warn(f"{quote(client)} is not an identifier")
        host_name = None if name == "-" else sanitize_name(name)
        for prefix in prefixes:
            text, _, length = prefix.partition("/")
            if address := parse_address(text):
                if not length or length in _HOST_PREFIX_LENGTHS:  # others are prefixes delegated to a router
                    self.output.add(HostEntry(address, mac, host_name, expires))
            else:
                self.skip(f"{quote(prefix)} is not an address")


FORMAT: Final = LeaseFormat(
    name="odhcpd",
    paths=("/tmp/hosts/odhcpd", "/tmp/odhcpd.leases"),  # noqa: S108 - the paths on OpenWrt; they are only read
    recognise=lambda text: _SIGNATURE.match(text) is not None,
    new_reader=OdhcpdReader,
)
