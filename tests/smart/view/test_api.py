from __future__ import annotations

import json
from dataclasses import replace

import pytest
from ui.smart_statuses import OLD, RED, report, smart_status, status_of_drives

from powerd.core.actions import RequestRefusedError
from powerd.smart.view.api import smart_of, smarts_json


def test_a_row_for_each_drive_with_health_data() -> None:
    red, old, nvme = smarts_json(smart_status())
    assert (red["device"], red["health"], red["temperature"], red["power_on_hours"]) == (
        "sda",
        "ok",
        31,
        35392,
    )
    assert red["checked_at"] == "2026-01-12T12:16:00+01:00"
    assert red["next_check_at"] == "2026-01-13T12:16:00+01:00"
    assert (old["health"], old["self_test_running"]) == ("alarm", True)
    assert old["findings"][0] == {
        "acknowledged": False,
        "kind": "pending",
        "severity": "alarm",
        "text": "2 more sectors cannot be read, 8 in all",
        "advice": "check your backup, and run a long self-test: `powerd smart sdb --test long`",
    }
    assert (nvme["health"], nvme["checked_at"], nvme["error"]) == ("unknown", None, "Unknown USB bridge")
    assert smarts_json(None) == []


@pytest.mark.parametrize("name", ["sdb", "S2", OLD.id])
def test_one_drive_by_any_of_its_names(name: str) -> None:
    shown = smart_of(smart_status(), name)
    assert shown is not None
    assert (shown["protocol"], shown["passed"]) == ("ata", False)
    assert shown["attributes"][0]["failed"] == "now"
    assert shown["self_tests"] == [
        {
            "kind": "Extended offline",
            "status": "Completed: read failure",
            "passed": False,
            "power_on_hours": 61700,
        }
    ]
    assert [each["counters"] for each in shown["history"]] == [{"pending": 0}, {"pending": 6}, {"pending": 8}]
    assert shown["history"][-1]["at"] == shown["checked_at"] == shown["self_test_started_at"]["long"]
    json.dumps(shown)


@pytest.mark.parametrize("name", ["sdz", "vda", ""])
def test_a_disk_without_health_data(name: str) -> None:
    assert smart_of(smart_status(), name) is None
    assert smart_of(None, name) is None


def test_an_ambiguous_drive_name_is_refused() -> None:
    twin = replace(OLD, serial=RED.serial)
    status = status_of_drives({RED: report(RED, None), twin: report(twin, None)})
    with pytest.raises(RequestRefusedError, match=r'"S1" .*sda .*sdb'):
        smart_of(status, "S1")
    shown = smart_of(status, "sdb")
    assert shown is not None
    assert shown["id"] == OLD.id


def test_a_drive_that_was_never_checked() -> None:
    shown = smart_of(smart_status(), "nvme0n1")
    assert shown is not None
    assert (shown["protocol"], shown["passed"], shown["attributes"], shown["history"]) == (None, None, [], [])
