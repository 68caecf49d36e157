from __future__ import annotations

import json
from dataclasses import replace

import pytest
from ui.smart_statuses import OLD, PENDING, RED, report, smart_status, status_of_drives
from ui.statuses import NOW

from powerd.requests.model import RequestRefusedError
from powerd.smart.view.api import finding_json, smart_of, smarts_json


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
        "kind": "pending",
        "severity": "alarm",
        "text": "2 more sectors cannot be read, 8 in all",
        "advice": "check your backup, and run a long self-test: powerd smart DISK --test long",
    }
    assert (nvme["health"], nvme["checked_at"], nvme["error"]) == ("unknown", None, "Unknown USB bridge")
    assert smarts_json(None) == []


@pytest.mark.parametrize("word", ["sdb", "S2", OLD.id])
def test_one_drive_by_any_of_its_names(word: str) -> None:
    told = smart_of(smart_status(), word)
    assert told is not None
    assert (told["protocol"], told["passed"]) == ("ata", False)
    assert told["attributes"][0]["failed"] == "now"
    assert told["self_tests"] == [
        {
            "kind": "Extended offline",
            "status": "Completed: read failure",
            "passed": False,
            "power_on_hours": 61700,
        }
    ]
    assert [each["counters"] for each in told["history"]] == [{"pending": 0}, {"pending": 6}, {"pending": 8}]
    assert told["history"][-1]["at"] == told["checked_at"] == told["self_test_started_at"]["long"]
    json.dumps(told)


@pytest.mark.parametrize("word", ["sdz", "vda", ""])
def test_a_disk_without_health_data(word: str) -> None:
    assert smart_of(smart_status(), word) is None
    assert smart_of(None, word) is None


def test_an_ambiguous_drive_name_is_refused() -> None:
    twin = replace(OLD, serial=RED.serial)
    status = status_of_drives({RED: report(RED, None), twin: report(twin, None)})
    with pytest.raises(RequestRefusedError, match='"S1" may be sda or sdb'):
        smart_of(status, "S1")
    told = smart_of(status, "sdb")
    assert told is not None
    assert told["id"] == OLD.id


def test_a_drive_that_was_never_checked() -> None:
    told = smart_of(smart_status(), "nvme0n1")
    assert told is not None
    assert (told["protocol"], told["passed"], told["attributes"], told["history"]) == (None, None, [], [])


def test_what_a_hook_is_given() -> None:
    given = finding_json(OLD, PENDING, NOW)
    assert json.loads(json.dumps(given)) == {
        "disk": "ata-ST3500418AS_S2",
        "device": "sdb",
        "model": "ST3500418AS",
        "serial": "S2",
        "at": "2026-01-12T21:16:00+01:00",
        "kind": "pending",
        "severity": "alarm",
        "text": PENDING.text,
        "advice": PENDING.advice,
    }
