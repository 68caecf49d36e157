"""Whether a drive tests itself, by what smartctl says; its own words are in recorded/.

Those on SCSI are of a smartctl 7.3 whose commands were answered as a Seagate ST4000NM0023 answers them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from helper.fake_drives import FakeDrives
from hypothesis import given
from hypothesis import strategies as st

from powerd.helper.disks.device import find_disk
from powerd.helper.smart.report import parse_object
from powerd.helper.smart.self_test import BUSY_REASON, busy_reason, query, reports_running_test, reports_start

RECORDED: Final = Path(__file__).parents[1] / "recorded"


def recorded(name: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((RECORDED / name).read_text())
    return answer


@pytest.mark.parametrize(
    ("value", "running"),
    [(0xF9, True), (0xF0, True), (0x00, False), (0x19, False), ("249", False), (None, False)],
)
def test_of_ata(value: object, *, running: bool) -> None:
    answer = {"ata_smart_data": {"self_test": {"status": {"value": value, "string": "in progress"}}}}
    assert reports_running_test(answer) is running


def test_a_report_of_ata() -> None:
    """smartctl 7.3 of Debian 12."""
    report = recorded("smartctl-capabilities.json")
    assert busy_reason(report) is None
    status = report["ata_smart_data"]["self_test"]["status"]
    assert status["value"] == 0
    status["value"] = 249
    assert busy_reason(report) == BUSY_REASON


@pytest.mark.parametrize(
    ("name", "running"),
    [
        ("smartctl-scsi-testing.json", True),
        ("smartctl-scsi-sense.json", True),
        ("smartctl-scsi-tested.json", False),
        ("smartctl-scsi-no-log.json", False),
    ],
)
def test_reports_of_scsi(name: str, *, running: bool) -> None:
    """It is in the log; or in the answer to REQUEST SENSE alone, which is a mere line in this version."""
    assert busy_reason(recorded(name)) == (BUSY_REASON if running else None)


def test_older_versions_have_but_the_lines() -> None:
    answer = recorded("smartctl-scsi-testing.json")
    old = {key: value for key, value in answer.items() if not key.startswith("scsi_")}
    assert reports_running_test(old)
    old["smartctl"]["output"] = [line for line in old["smartctl"]["output"] if "progress" not in line]
    assert not reports_running_test(old)


@pytest.mark.parametrize("running", [True, False])
def test_newer_versions_print_json(*, running: bool) -> None:
    """From 7.6 on; its lines are not asked for where JSON does."""
    answer = recorded("smartctl-scsi-tested.json")
    status = {"in_progress": running, **({"completion_percent": 25} if running else {})}
    assert reports_running_test(answer | {"scsi_self_test_status": status}) is running


def test_each_kind_of_drive_has_its_question(tmp_path: Path) -> None:
    drives = FakeDrives(tmp_path, "sda")
    node = str(drives.root / "dev/sda")
    assert query(find_disk(drives.root, "ata-SDA"), "sat") == (
        ["smartctl", "--json=c", "-d", "sat", "-c", node],
        2,
    )
    drives.write("sys/block/sda/device/vendor", "SEAGATE \n")
    assert query(find_disk(drives.root, "ata-SDA"), "scsi") == (
        ["smartctl", "--json=co", "-d", "scsi", "-l", "selftest", node],
        9,
    )


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "smartctl",
                        "output",
                        "ata_smart_data",
                        "self_test",
                        "status",
                        "scsi_self_test_0",
                        "result",
                    ]
                ),
                inner,
            )
        ),
    )
)
def test_whatever_a_report_holds_it_is_read(reported: object) -> None:
    report = parse_object(json.dumps(reported))
    answer = busy_reason(report)
    assert answer is None if isinstance(reported, dict) else "does not report" in (answer or "")
    assert reports_start(report or {})


def test_an_invalid_report_is_a_busy_reason() -> None:
    assert "does not report" in (busy_reason(None) or "")


def test_a_report_without_self_tests_is_no_busy_reason() -> None:
    """So does a drive report that has no SMART."""
    assert busy_reason({"smartctl": {"exit_status": 4}}) is None
