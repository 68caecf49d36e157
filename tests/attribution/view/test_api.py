"""The JSON of wakes and accesses."""

from __future__ import annotations

import json

import pytest
from ui.disk_statuses import active
from ui.statuses import NOW
from ui.wake_statuses import WAKE_STATUSES, watched, woken

from powerd.attribution.model import AttributionReport, WatchLevel
from powerd.attribution.view.api import accesses_json, wakes_json
from powerd.ui.api import status_json
from powerd.ui.schema import AccessJson, WakeJson

WAKE_KEYS = {"disk", "at", "slept_for", "unit", "pid", "comm", "path", "op", "how"}


@pytest.mark.parametrize("name", WAKE_STATUSES)
def test_wakes_and_accesses_have_the_keys_of_the_schema(name: str) -> None:
    wakes, accesses = wakes_json(WAKE_STATUSES[name], NOW), accesses_json(WAKE_STATUSES[name], NOW)
    assert wakes is not None
    assert accesses is not None
    assert all(set(each) == set(WakeJson.__annotations__) > WAKE_KEYS for each in wakes)
    assert all(set(each) == set(AccessJson.__annotations__) for each in accesses)
    assert [each["at"] for each in wakes] == sorted((each["at"] for each in wakes), reverse=True)
    output = status_json(WAKE_STATUSES[name], NOW)
    assert output["watch"] is not None
    assert output["watch"]["level"] in list(WatchLevel)
    assert json.loads(json.dumps([wakes, accesses, output])) == [wakes, accesses, output]


def test_a_wake_and_one_of_which_nothing_is_known() -> None:
    rows = wakes_json(woken(), NOW) or []
    assert rows[0] == {
        "disk": "ata-WDC_WD20EFRX-68EUZN0_WCC-SDA",
        "device": "sda",
        "at": "2026-01-12T21:01:00+01:00",
        "slept_for": 3000.0,
        "unit": "cron.service",
        "owner": None,
        "pid": 812,
        "comm": "cron",
        "path": "/var/spool/cron/crontabs",
        "inode": 131_073,
        "op": "read",
        "how": "trace",
        "sure": "certain",
        "own": False,
        "explanation": None,
    }
    (unknown,) = wakes_json(WAKE_STATUSES["counters only"], NOW) or []
    for key in ("unit", "owner", "pid", "comm", "path", "inode", "op"):
        assert dict(unknown)[key] is None, key
    assert (unknown["how"], unknown["sure"]) == ("counters", "unknown")


def test_an_access() -> None:
    rows = accesses_json(woken(), NOW) or []
    jellyfin = next(row for row in rows if row["unit"] == "jellyfin.service")
    assert (jellyfin["device"], jellyfin["op"], jellyfin["count"], jellyfin["size"]) == (
        "sdb",
        "read",
        180,
        4096,
    )
    assert (jellyfin["since"], jellyfin["last"]) == (
        "2026-01-12T20:16:00+01:00",
        "2026-01-12T21:16:00+01:00",
    )
    assert [row["device"] for row in rows] == ["sda"] * 7 + ["sdb"] * 3, "as in /api/disks"


@pytest.mark.parametrize("query", ["sdb", "WCC-SDB", "ata-WDC_WD20EFRX-68EUZN0_WCC-SDB"])
def test_one_disk_by_any_of_its_names(query: str) -> None:
    for rows in (wakes_json(woken(), NOW, query), accesses_json(woken(), NOW, query)):
        assert rows
        assert {row["device"] for row in rows} == {"sdb"}


def test_a_disk_that_is_detached_or_unknown() -> None:
    given = watched(woken().decision.part(AttributionReport), active("sdb"))
    rows = wakes_json(given, NOW, "ata-WDC_WD20EFRX-68EUZN0_WCC-SDA")
    assert rows
    assert {row["device"] for row in rows} == {None}
    for query in ("sdz", "", "sda"):
        assert wakes_json(given, NOW, query) is None
        assert accesses_json(given, NOW, query) is None
    assert (wakes_json(None, NOW), accesses_json(None, NOW)) == ([], [])
