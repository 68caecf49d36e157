"""What the daemon's record shows of each diagnosis, and the order that follows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from powerd.doctor.evidence_rules import add_evidence
from powerd.doctor.model import AccessPattern, DaemonRecord, Diagnosis, DoctorReport, OwnFile

NOW: Final = datetime(2026, 1, 12, 20, 16, tzinfo=UTC)


def diagnosis(id_: str, *, fixable: bool = False, **pattern: tuple[str, ...]) -> Diagnosis:
    files = (OwnFile("/etc/powerd.conf", "x\n"),) if fixable else ()
    return Diagnosis(id_, id_, "", "", files=files, accesses=AccessPattern(**pattern))


def row(disk: str = "sda", hours: float = 1, **culprit: Any) -> dict[str, Any]:  # noqa: ANN401 - values of JSON
    at = (NOW - timedelta(hours=hours)).isoformat()
    empty = {"unit": None, "comm": None, "path": None, "own": False}
    return {"disk": f"ata-{disk}", "device": disk, "at": at, "count": 7, **empty, **culprit}


def wakes(found: Diagnosis, *rows: dict[str, Any]) -> dict[str, int]:
    report = add_evidence(DoctorReport((found,)), DaemonRecord(NOW, rows))
    return dict(report.wakes.get(found.id, {}))


@pytest.mark.parametrize(
    ("culprit", "matches"),
    [
        ({"unit": "cron.service"}, True),
        ({"comm": "cron"}, True),
        ({"path": "/var/spool/cron/crontabs"}, True),
        ({"unit": "cron.service", "comm": "sh", "path": "/x"}, True),
        ({"unit": "cron"}, False),
        ({"comm": "crond"}, False),
        ({"path": "/var/spool"}, False),
        ({"comm": "cron", "own": True}, False),
        ({}, False),
    ],
)
def test_one_match_is_enough(culprit: dict[str, Any], *, matches: bool) -> None:
    cron = diagnosis("cron", units=("cron.service",), comms=("cron",), paths=("/var/spool/cron/",))
    assert wakes(cron, {**row(), **culprit}) == ({"sda": 1} if matches else {})


def test_a_diagnosis_without_a_pattern_has_no_evidence() -> None:
    assert wakes(diagnosis("noatime"), row(), row(path="/x", unit="", comm="")) == {}


def test_only_the_last_day_counts_by_disk() -> None:
    cron = diagnosis("cron", comms=("cron",))
    rows = [row("sdb", hours, comm="cron") for hours in (1, 2, 23.9, 24, 30)]
    assert wakes(cron, *rows, row(comm="cron"), row(comm="cron", device=None)) == {
        "sdb": 3,
        "sda": 1,
        "ata-sda": 1,
    }


@pytest.mark.parametrize("broken", [{}, {"at": None}, {"at": "yesterday", "comm": "cron"}])
def test_rows_of_another_form_do_not_count(broken: dict[str, Any]) -> None:
    assert wakes(diagnosis("cron", comms=("cron",)), broken) == {}


def test_the_accesses_of_the_last_hour_are_added_up() -> None:
    cron = diagnosis("cron", comms=("cron",))
    rows = (row(comm="cron"), row(comm="cron", count=3), row("sdb", comm="cron", count=None))
    report = add_evidence(DoctorReport((cron,)), DaemonRecord(NOW, accesses=rows))
    assert report.accesses == {"cron": {"sda": 10}}
    assert report.wakes == {}


def test_the_order() -> None:
    few, many, busy = (diagnosis(name, comms=(name,)) for name in ("few", "many", "busy"))
    other, by_hand = diagnosis("z", fixable=True), diagnosis("a")
    rows = [row(comm="few"), row(comm="many"), row("sdb", comm="many")]
    record = DaemonRecord(NOW, rows, [row(comm="busy"), row(comm="few", count=1)])
    report = add_evidence(DoctorReport((by_hand, few, other, busy, many)), record)
    assert report.diagnoses == (many, few, busy, other, by_hand)


def test_wakes_that_no_diagnosis_explains() -> None:
    rows = [
        row(comm="cron"),
        row(comm="rsync", unit="backup.service"),
        row(comm="rsync", unit="backup.service"),
        row(comm="postgres", unit="docker-01.scope", owner="container web"),
        row(),
        row(comm="powerd", own=True),
        row(hours=25, comm="old"),
    ]
    report = add_evidence(DoctorReport((diagnosis("cron", comms=("cron",)),)), DaemonRecord(NOW, rows))
    assert list(report.other_wakes.items()) == [("backup.service", 2), ("container web", 1), ("unknown", 1)]
