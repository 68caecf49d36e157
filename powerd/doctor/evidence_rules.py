"""Joins diagnoses with the daemon's record: which disks each has woken, and how often each uses them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from powerd.doctor.model import AccessPattern, DaemonRecord, DoctorReport

PERIOD: Final = timedelta(hours=24)
"""Seconds for which wakes count; the record of accesses covers the last hour."""


def add_evidence(report: DoctorReport, record: DaemonRecord) -> DoctorReport:
    """The report with the wakes and accesses of each diagnosis by disk, and in the order of these.

    First come those with the most wakes, then those with the most accesses, then those that --fix can repair.
    Rows of the record that lack a key, or are about powerd's own accesses, count for nothing.
    """
    recent = [row for row in record.wakes if _is_recent(row, record.now)]
    wakes = {each.id: _count(each.accesses, recent, "") for each in report.diagnoses}
    accesses = {each.id: _count(each.accesses, record.accesses, "count") for each in report.diagnoses}
    diagnoses = sorted(
        report.diagnoses,
        key=lambda each: (
            -sum(wakes[each.id].values()),
            -sum(accesses[each.id].values()),
            not each.fixable,
            each.id,
        ),
    )
    others = Counter(
        _culprit(row)
        for row in recent
        if not row.get("own") and not any(_matches(each.accesses, row) for each in report.diagnoses)
    )
    return replace(
        report,
        diagnoses=tuple(diagnoses),
        wakes={id_: counts for id_, counts in wakes.items() if counts},
        accesses={id_: counts for id_, counts in accesses.items() if counts},
        other_wakes=dict(others.most_common()),
    )


def _is_recent(row: Mapping[str, Any], now: datetime) -> bool:
    try:
        return datetime.fromisoformat(row["at"]) > now - PERIOD
    except (KeyError, TypeError, ValueError):
        return False


def _count(pattern: AccessPattern, rows: Iterable[Mapping[str, Any]], number: str) -> dict[str, int]:
    """The sum of a key of the rows that match, by disk, the largest first; "" = each row counts once."""
    counts: Counter[str] = Counter()
    for row in rows:
        if _matches(pattern, row):
            counts[str(row.get("device") or row.get("disk"))] += int(row.get(number) or 0) if number else 1
    return {disk: count for disk, count in counts.most_common() if count}


def _culprit(row: Mapping[str, Any]) -> str:
    """The subject of a row: its container or session, its unit, or its process."""
    return str(row.get("owner") or row.get("unit") or row.get("comm") or "unknown")


def _matches(pattern: AccessPattern, row: Mapping[str, Any]) -> bool:
    unit, comm, path = (row.get(key) or "" for key in ("unit", "comm", "path"))
    return not row.get("own") and (
        unit in pattern.units or comm in pattern.comms or (path != "" and path.startswith(pattern.paths))
    )
