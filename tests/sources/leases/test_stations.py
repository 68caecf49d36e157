from __future__ import annotations

import asyncio
from pathlib import Path

from sources.leases.trees import TreeEyes

from powerd.sources.leases.found import Lead
from powerd.sources.leases.kept import GRACE, Batch
from powerd.sources.leases.stations import Stations

MAC, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"
PATTERNS = ("/run/hostapd/*", "/var/run/hostapd/*")
PHONE = Batch("hostapd", (Lead(None, MAC, kind="station"),))


def look(stations: Stations, eyes: TreeEyes, now: float = 0) -> list[Batch]:
    asyncio.run(stations.look(eyes, now))
    return list(stations.batches())


def access_points(root: Path, **air: str | None) -> TreeEyes:
    eyes = TreeEyes(root)
    for name, stations in air.items():
        eyes.put(f"/run/hostapd/{name}")
        eyes.air[f"/run/hostapd/{name}"] = stations
    return eyes


def test_all_access_points_together(tmp_path: Path) -> None:
    eyes = access_points(tmp_path, wlan0=f"{MAC}\nflags=[ASSOC]\n", wlan1=f"{OTHER}\n{MAC}\n", wlan2="")
    assert look(Stations(PATTERNS), eyes) == [
        Batch("hostapd", (Lead(None, MAC, kind="station"), Lead(None, OTHER, kind="station")))
    ]


def test_one_directory_under_two_names_is_asked_once(tmp_path: Path) -> None:
    eyes = access_points(tmp_path, wlan0=MAC)
    (tmp_path / "var").mkdir()
    (tmp_path / "var/run").symlink_to("../run")
    eyes.air["/var/run/hostapd/wlan0"] = MAC
    assert look(Stations(PATTERNS), eyes) == [PHONE]


def test_a_station_that_leaves_is_remembered_but_no_evidence(tmp_path: Path) -> None:
    eyes, stations = access_points(tmp_path, wlan0=MAC), Stations(PATTERNS)
    look(stations, eyes)
    eyes.air["/run/hostapd/wlan0"] = ""
    assert look(stations, eyes, 1) == [Batch("hostapd", (Lead(None, MAC),), stale=True)]
    assert look(stations, eyes, GRACE + 2) == []


def test_an_access_point_that_does_not_answer_is_a_warning(tmp_path: Path) -> None:
    eyes, stations = access_points(tmp_path, wlan0=None, wlan1=MAC), Stations(PATTERNS)
    assert look(stations, eyes) == [PHONE]
    assert stations.warnings == ("/run/hostapd/wlan0 does not answer; is hostapd still running?",)
    eyes.barred.add("/run/hostapd/*")
    look(stations, eyes)
    assert "cannot look into /run/hostapd/*" in stations.warnings[0]


def test_the_version_grows_with_changes_alone(tmp_path: Path) -> None:
    eyes, stations = access_points(tmp_path, wlan0=MAC), Stations(PATTERNS)
    versions = []
    for air in (MAC, MAC, None, None, MAC, ""):
        eyes.air["/run/hostapd/wlan0"] = air
        look(stations, eyes)
        versions.append(stations.version)
    assert versions == [1, 1, 2, 2, 3, 4]
