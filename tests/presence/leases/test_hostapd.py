from __future__ import annotations

import asyncio
from pathlib import Path

from fakes.lease_files import CountingFiles
from presence.leases.parsing import entries_of

from powerd.presence.leases.format import HostEntry
from powerd.presence.leases.hostapd import StationReader, StationWatcher
from powerd.presence.leases.watcher import GRACE_PERIOD

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
    """Old versions of hostapd print none."""
    assert entries_of(StationReader, "02:00:00:00:00:01\naid=1\n").keys() == {"02:00:00:00:00:01"}


def test_no_stations() -> None:
    assert entries_of(StationReader, "") == entries_of(StationReader, "flags=[AUTH]\nFAIL\n") == {}


MAC, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"
PATTERNS = ("/run/hostapd/*", "/var/run/hostapd/*")
PHONE = HostEntry(None, MAC, kind="station", source="hostapd")


def poll(stations: StationWatcher, machine: CountingFiles, now: float = 0) -> list[HostEntry]:
    asyncio.run(stations.poll(machine, machine, now))
    return list(stations.retained.entries)


def access_points(root: Path, **stations: str | None) -> CountingFiles:
    machine = CountingFiles(root)
    for name, station_list in stations.items():
        machine.replace_file(f"/run/hostapd/{name}")
        machine.station_lists[f"/run/hostapd/{name}"] = station_list
    return machine


def test_all_access_points_together(tmp_path: Path) -> None:
    machine = access_points(tmp_path, wlan0=f"{MAC}\nflags=[ASSOC]\n", wlan1=f"{OTHER}\n{MAC}\n", wlan2="")
    assert poll(StationWatcher(PATTERNS), machine) == [
        PHONE,
        PHONE._replace(mac=OTHER),
    ]


def test_a_socket_that_two_patterns_match_is_queried_once(tmp_path: Path) -> None:
    machine = access_points(tmp_path, wlan0=MAC)
    (tmp_path / "var").mkdir()
    (tmp_path / "var/run").symlink_to("../run")
    machine.station_lists["/var/run/hostapd/wlan0"] = MAC
    assert poll(StationWatcher(PATTERNS), machine) == [PHONE]


def test_a_station_that_leaves_is_retained_but_no_evidence(tmp_path: Path) -> None:
    machine, stations = access_points(tmp_path, wlan0=MAC), StationWatcher(PATTERNS)
    poll(stations, machine)
    machine.station_lists["/run/hostapd/wlan0"] = ""
    assert poll(stations, machine, 1) == [PHONE._replace(kind="lease", stale=True)]
    assert poll(stations, machine, GRACE_PERIOD + 2) == []


def test_an_access_point_that_does_not_answer_is_a_warning(tmp_path: Path) -> None:
    machine, stations = access_points(tmp_path, wlan0=None, wlan1=MAC), StationWatcher(PATTERNS)
    assert poll(stations, machine) == [PHONE]
    (warning,) = stations.warnings
    assert warning.startswith("/run/hostapd/wlan0 does not answer")
    machine.unreadable.add("/run/hostapd/*")
    poll(stations, machine)
    assert "cannot list /run/hostapd/*" in stations.warnings[0]


def test_the_version_increases_with_changes_only(tmp_path: Path) -> None:
    machine, stations = access_points(tmp_path, wlan0=MAC), StationWatcher(PATTERNS)
    versions = []
    for station_list in (MAC, MAC, None, None, MAC, ""):
        machine.station_lists["/run/hostapd/wlan0"] = station_list
        poll(stations, machine)
        versions.append(stations.version)
    assert versions == [1, 1, 2, 2, 3, 4]
