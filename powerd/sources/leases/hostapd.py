"""Stations that are associated with this machine's own access point, as hostapd tells them.

Source: hostapd's ctrl_iface_ap.c, the reply to STA-FIRST and STA-NEXT, which ``hostapd_cli all_sta`` shows: a
line with the MAC, then lines ``key=value``.
"""

from __future__ import annotations

from typing import Final

from powerd.sources.leases.found import Found, Lead
from powerd.sources.leases.reading import LineReader
from powerd.sources.leases.words import mac_of

CONTROLS: Final = ("/run/hostapd/*", "/var/run/hostapd/*")
"""Where hostapd has its control sockets, one per link; the second is mostly another name of the first."""


class Reader(LineReader):
    """Reads stations; one that has not finished its association is nobody yet."""

    def __init__(self) -> None:
        super().__init__()
        self._stations: dict[str, Lead] = {}
        self._latest: str | None = None

    def line(self, text: str) -> None:
        """See LineReader."""
        if mac := mac_of(text):
            self._latest = mac
            self._stations[mac] = Lead(None, mac, kind="station")
        elif self._latest and text.startswith("flags=") and "[ASSOC]" not in text:
            del self._stations[self._latest]
            self._latest = None

    def found(self) -> Found:
        """See LineReader."""
        return Found(tuple(self._stations.values()))
