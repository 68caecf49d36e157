from __future__ import annotations

import asyncio
from pathlib import Path

from fakes.lease_files import CountingFiles

from powerd.presence.leases.format import HostEntry
from powerd.presence.leases.hostapd import StationWatcher
from powerd.presence.leases.watcher import GRACE_PERIOD, EntryBatch

MAC, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"
PATTERNS = ("/run/hostapd/*", "/var/run/hostapd/*")
PHONE = EntryBatch("hostapd", (HostEntry(None, MAC, kind="station"),))


def poll(stations: StationWatcher, eyes: CountingFiles, now: float = 0) -> list[EntryBatch]:
    asyncio.run(stations.poll(eyes, now))
    return list(stations.batches())


def access_points(root: Path, **air: str | None) -> CountingFiles:
    eyes = CountingFiles(root)
    for name, stations in air.items():
        eyes.replace_file(f"/run/hostapd/{name}")
        eyes.station_lists[f"/run/hostapd/{name}"] = stations
    return eyes


def test_all_access_points_together(tmp_path: Path) -> None:
    eyes = access_points(tmp_path, wlan0=f"{MAC}\nflags=[ASSOC]\n", wlan1=f"{OTHER}\n{MAC}\n", wlan2="")
    assert poll(StationWatcher(PATTERNS), eyes) == [
        EntryBatch("hostapd", (HostEntry(None, MAC, kind="station"), HostEntry(None, OTHER, kind="station")))
    ]


def test_one_directory_under_two_names_is_asked_once(tmp_path: Path) -> None:
    eyes = access_points(tmp_path, wlan0=MAC)
    (tmp_path / "var").mkdir()
    (tmp_path / "var/run").symlink_to("../run")
    eyes.station_lists["/var/run/hostapd/wlan0"] = MAC
    assert poll(StationWatcher(PATTERNS), eyes) == [PHONE]


def test_a_station_that_leaves_is_remembered_but_no_evidence(tmp_path: Path) -> None:
    eyes, stations = access_points(tmp_path, wlan0=MAC), StationWatcher(PATTERNS)
    poll(stations, eyes)
    eyes.station_lists["/run/hostapd/wlan0"] = ""
    assert poll(stations, eyes, 1) == [EntryBatch("hostapd", (HostEntry(None, MAC),), stale=True)]
    assert poll(stations, eyes, GRACE_PERIOD + 2) == []


def test_an_access_point_that_does_not_answer_is_a_warning(tmp_path: Path) -> None:
    eyes, stations = access_points(tmp_path, wlan0=None, wlan1=MAC), StationWatcher(PATTERNS)
    assert poll(stations, eyes) == [PHONE]
    assert stations.warnings == ("/run/hostapd/wlan0 does not answer; is hostapd still running?",)
    eyes.unreadable.add("/run/hostapd/*")
    poll(stations, eyes)
    assert "cannot look into /run/hostapd/*" in stations.warnings[0]


def test_the_version_grows_with_changes_alone(tmp_path: Path) -> None:
    eyes, stations = access_points(tmp_path, wlan0=MAC), StationWatcher(PATTERNS)
    versions = []
    for air in (MAC, MAC, None, None, MAC, ""):
        eyes.station_lists["/run/hostapd/wlan0"] = air
        poll(stations, eyes)
        versions.append(stations.version)
    assert versions == [1, 1, 2, 2, 3, 4]
