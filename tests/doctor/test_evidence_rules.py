"""What the record of wakes shows of each diagnosis, and the order that follows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from powerd.doctor.evidence_rules import count_wakes, order_by_wakes
from powerd.doctor.model import AccessPattern, Diagnosis, OwnFile

NOW: Final = datetime(2026, 1, 12, 20, 16, tzinfo=UTC)


def diagnosis(id_: str, *, fixable: bool = False, **pattern: tuple[str, ...]) -> Diagnosis:
    files = (OwnFile("/etc/powerd.conf", "x\n"),) if fixable else ()
    return Diagnosis(id_, id_, "", "", files=files, accesses=AccessPattern(**pattern))


def row(disk: str = "sda", hours: float = 1, **culprit: str | None) -> dict[str, Any]:
    at = (NOW - timedelta(hours=hours)).isoformat()
    return {"disk": disk, "at": at, "unit": None, "comm": None, "path": None, **culprit}


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
        ({}, False),
    ],
)
def test_one_match_is_enough(culprit: dict[str, str], *, matches: bool) -> None:
    cron = diagnosis("cron", units=("cron.service",), comms=("cron",), paths=("/var/spool/cron/",))
    assert count_wakes([cron], [{**row(), **culprit}], NOW) == ({"cron": {"sda": 1}} if matches else {})


def test_a_diagnosis_without_a_pattern_has_no_evidence() -> None:
    assert count_wakes([diagnosis("noatime")], [row(), row(path="/x", unit="", comm="")], NOW) == {}


def test_only_the_last_day_counts_by_disk() -> None:
    cron = diagnosis("cron", comms=("cron",))
    rows = [row("sdb", hours, comm="cron") for hours in (1, 2, 23.9, 24, 30)] + [row(comm="cron")]
    assert count_wakes([cron], rows, NOW) == {"cron": {"sdb": 3, "sda": 1}}
    assert count_wakes([cron], rows, None) == {}


@pytest.mark.parametrize("broken", [{}, {"at": None}, {"at": "yesterday", "comm": "cron"}])
def test_rows_of_another_form_do_not_count(broken: dict[str, Any]) -> None:
    assert count_wakes([diagnosis("cron", comms=("cron",))], [broken], NOW) == {}


def test_the_order() -> None:
    few, many, other, by_hand = (
        diagnosis("few"),
        diagnosis("many"),
        diagnosis("z", fixable=True),
        diagnosis("a"),
    )
    wakes = {"few": {"sda": 2}, "many": {"sda": 1, "sdb": 2}}
    assert order_by_wakes([by_hand, few, other, many], wakes) == (many, few, other, by_hand)
