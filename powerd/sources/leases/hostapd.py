"""Stations that are associated with this machine's own access point, as hostapd tells them.

Source: hostapd's ctrl_iface_ap.c, the reply to STA-FIRST and STA-NEXT, which ``hostapd_cli all_sta`` shows: a
line with the MAC, then lines ``key=value``.
"""

from __future__ import annotations

from typing import Final

from powerd.sources.leases.found import HostEntry, ParseResult
from powerd.sources.leases.reading import LineReader
from powerd.sources.leases.words import parse_mac

CONTROL_SOCKET_PATTERNS: Final = ("/run/hostapd/*", "/var/run/hostapd/*")
"""Where hostapd has its control sockets, one per link; the second is mostly another name of the first."""


class StationReader(LineReader):
    """Reads stations; one that has not finished its association is nobody yet."""

    def __init__(self) -> None:
        super().__init__()
        self._stations: dict[str, HostEntry] = {}
        self._current_mac: str | None = None

    def read_line(self, text: str) -> None:
        """See LineReader."""
        if mac := parse_mac(text):
            self._current_mac = mac
            self._stations[mac] = HostEntry(None, mac, kind="station")
        elif self._current_mac and text.startswith("flags=") and "[ASSOC]" not in text:
            del self._stations[self._current_mac]
            self._current_mac = None

    def result(self) -> ParseResult:
        """See LineReader."""
        return ParseResult(tuple(self._stations.values()))
