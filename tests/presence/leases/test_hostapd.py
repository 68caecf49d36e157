from __future__ import annotations

from presence.leases.parsing import entries_of

from powerd.presence.leases.format import HostEntry
from powerd.presence.leases.hostapd import StationReader

ALL = """\
02:00:00:00:00:01
flags=[AUTH][ASSOC][AUTHORIZED][SHORT_PREAMBLE][WMM][HT]
aid=1
capability=0x431
supported_rates=82 84 8b 96
dot11RSNAStatsSTAAddress=02:00:00:00:00:07
rx_packets=1024
connected_time=3600
inactive_msec=20
02:00:00:00:00:02
flags=[AUTH]
aid=0
02:00:00:00:00:AA
flags=[AUTH][ASSOC][AUTHORIZED]
"""


def test_associated_stations() -> None:
    assert entries_of(StationReader, ALL) == {
        mac: HostEntry(None, mac, kind="station") for mac in ("02:00:00:00:00:01", "02:00:00:00:00:aa")
    }


def test_a_station_without_flags_counts() -> None:
    """Old versions show none; that hostapd names it is enough."""
    assert entries_of(StationReader, "02:00:00:00:00:01\naid=1\n").keys() == {"02:00:00:00:00:01"}


def test_nobody() -> None:
    assert entries_of(StationReader, "") == entries_of(StationReader, "flags=[AUTH]\nFAIL\n") == {}
