"""Serialises the health of drives into the JSON values of the HTTP API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Final, Literal

from powerd.core.snapshot import Status
from powerd.disks.model import Disk, find_disk
from powerd.disks.state import DisksReport
from powerd.smart.model import Counter, Finding, Severity, SmartReport, SmartReports

if TYPE_CHECKING:
    from powerd.ui.schema import FindingJson, SmartDetailJson, SmartJson

_SEVERITY_NAMES: Final[Mapping[Severity, Literal["note", "warning", "alarm"]]] = {
    Severity.NOTE: "note",
    Severity.WARNING: "warning",
    Severity.ALARM: "alarm",
}


def smarts_json(status: Status | None) -> list[SmartJson]:
    """The value of ``/api/smart``: every drive that reports its health, in the order of ``/api/disks``."""
    if status is None:
        return []
    smart, zone = status.decision.part(SmartReports).smart, status.now.wall.tzinfo
    shown = ((report.disk, smart.get(report.disk.id)) for report in status.decision.part(DisksReport).disks)
    return [smart_json(disk, report, zone) for disk, report in shown if report is not None]


def smart_details(status: Status | None) -> list[SmartDetailJson]:
    """The details of every drive that reports its health, for the page."""
    drives = (smart_of(status, row["id"]) for row in smarts_json(status))
    return [each for each in drives if each is not None]


def smart_of(status: Status | None, query: str) -> SmartDetailJson | None:
    """The value of ``/api/smart/ID``; None = no drive with health data matches.

    Args:
        status: the latest status; None = there is none yet.
        query: the id, device or serial number of a disk.

    Raises:
        RequestRefusedError: several disks match.
    """
    if status is None:
        return None
    disk = find_disk((report.disk for report in status.decision.part(DisksReport).disks), query)
    report = status.decision.part(SmartReports).smart.get(disk.id) if disk else None
    return _detail(disk, report, status.now.wall.tzinfo) if disk and report else None


def smart_json(disk: Disk, report: SmartReport, zone: tzinfo | None) -> SmartJson:
    """One element of ``/api/smart``."""
    last = report.record.last
    return {
        "id": disk.id,
        "device": disk.device,
        "model": disk.model,
        "serial": disk.serial,
        "health": health_status(report),
        "checked_at": _rfc3339(last.checked_at, zone) if last else None,
        "next_check_at": report.next_check_at.isoformat(timespec="seconds") if report.next_check_at else None,
        "self_test_running": report.testing,
        "temperature": last.temperature if last else None,
        "power_on_hours": last.power_on_hours if last else None,
        "counters": _counters(last.counters) if last else {},
        "findings": [
            {**_finding(finding, disk.device), "acknowledged": finding.kind in report.acknowledged}
            for finding in report.findings
        ],
        "error": report.check_error or None,
    }


def health_status(report: SmartReport) -> Literal["ok", "note", "warning", "alarm", "unknown"]:
    """The highest severity among the findings that stand; "unknown" if there was no check."""
    if report.record.last is None:
        return "unknown"
    return "ok" if report.severity is None else _SEVERITY_NAMES[report.severity]


def _detail(disk: Disk, report: SmartReport, zone: tzinfo | None) -> SmartDetailJson:
    record, last = report.record, report.record.last
    return {
        **smart_json(disk, report, zone),
        "protocol": last.protocol if last else None,
        "passed": last.passed if last else None,
        "attributes": [
            {
                "id": each.number,
                "name": each.name,
                "value": each.value,
                "worst": each.worst,
                "threshold": each.threshold,
                "raw": each.raw,
                "prefail": each.prefail,
                "failed": each.failed,
            }
            for each in (last.attributes if last else ())
        ],
        "self_tests": [
            {"kind": each.kind, "status": each.status, "passed": each.passed, "power_on_hours": each.hours}
            for each in (last.self_tests if last else ())
        ],
        "self_test_started_at": {kind: _rfc3339(at, zone) for kind, at in record.test_started_at.items()},
        "history": [
            {
                "at": _rfc3339(each.checked_at, zone),
                "passed": each.passed,
                "temperature": each.temperature,
                "counters": _counters(each.counters),
            }
            for each in record.samples
        ],
    }


def _finding(finding: Finding, device: str) -> FindingJson:
    return {
        "kind": finding.kind,
        "severity": _SEVERITY_NAMES[finding.severity],
        "text": finding.text,
        "advice": finding.advice_for(device),
    }


def _counters(counters: Mapping[Counter, int]) -> dict[str, int]:
    return {counter.value: count for counter, count in counters.items()}


def _rfc3339(posix: float, zone: tzinfo | None) -> str:
    return datetime.fromtimestamp(posix, zone).isoformat(timespec="seconds")
