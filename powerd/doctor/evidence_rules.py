"""Joins diagnoses with the daemon's record of wakes: how often each woke which disks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from powerd.doctor.model import AccessPattern, Diagnosis

PERIOD: Final = timedelta(hours=24)
"""How far back wakes count."""


def count_wakes(
    diagnoses: Iterable[Diagnosis], rows: Iterable[Mapping[str, Any]], now: datetime | None
) -> dict[str, dict[str, int]]:
    """By id of each diagnosis that woke a disk within PERIOD, its wakes by disk, the most frequent first.

    Args:
        diagnoses: what applies.
        rows: ``/api/wakes``; rows that lack a key count for nothing.
        now: the end of PERIOD; None = there is no record.
    """
    recent = [row for row in rows if now is not None and _is_recent(row, now)]
    counts = {
        each.id: Counter(str(row.get("disk")) for row in recent if _matches(each.accesses, row))
        for each in diagnoses
    }
    return {id_: dict(count.most_common()) for id_, count in counts.items() if count}


def order_by_wakes(
    diagnoses: Iterable[Diagnosis], wakes: Mapping[str, Mapping[str, int]]
) -> tuple[Diagnosis, ...]:
    """The diagnoses with the most wakes first, then those that --fix can repair, then by id."""
    return tuple(
        sorted(diagnoses, key=lambda each: (-sum(wakes.get(each.id, {}).values()), not each.fixable, each.id))
    )


def _is_recent(row: Mapping[str, Any], now: datetime) -> bool:
    try:
        return datetime.fromisoformat(row["at"]) > now - PERIOD
    except (KeyError, TypeError, ValueError):
        return False


def _matches(pattern: AccessPattern, row: Mapping[str, Any]) -> bool:
    unit, comm, path = (row.get(key) or "" for key in ("unit", "comm", "path"))
    return unit in pattern.units or comm in pattern.comms or (path != "" and path.startswith(pattern.paths))
