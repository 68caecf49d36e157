"""The JSON of ``powerd report``: hours, energy, what kept the server awake, disks, and false sleeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import tzinfo
from typing import TYPE_CHECKING, Final, NamedTuple

from powerd.history.model import Record, SleepRecord
from powerd.history.view.api import blocker_rows, disk_rows, rfc3339_time, seconds_within, sleep_json
from powerd.history.view.totals import add_up, slept

if TYPE_CHECKING:
    from powerd.history.view.schema import (
        EnergyJson,
        ReportJson,
        SleepHoursJson,
    )

_JOULES_PER_KWH: Final = 3.6e6


class PowerUse(NamedTuple):
    """What the server uses, as configured in ``[history]``; 0 = unknown.

    Attributes:
        awake, asleep: watts.
        price: of one kWh, in the owner's currency.
    """

    awake: float = 0.0
    asleep: float = 0.0
    price: float = 0.0


def report_json(record: Record, use: PowerUse, zone: tzinfo | None) -> ReportJson:
    """The value of ``/api/report``; times are in ``zone``."""
    found, sleeps = add_up(record), slept(record)
    would_be = [each for each in record.sleeps if each.result == "would-sleep"]
    asleep = _hours(sleeps, record)
    would_sleep = _hours(would_be, record)
    unrecorded = record.until - record.since - found.awake - asleep["seconds"]
    ended = [each for each in sleeps if each.woken_by is not None]
    called_off = Counter(each.called_off_by for each in record.sleeps if each.result == "called-off")
    return {
        "since": rfc3339_time(record.since, zone),
        "until": rfc3339_time(record.until, zone),
        "awake": found.awake,
        "asleep": asleep,
        "would_sleep": would_sleep,
        "unrecorded": max(0.0, unrecorded),
        "failed": sum(each.result == "failed" for each in record.sleeps),
        "energy": _energy(found.awake, asleep["seconds"], would_sleep["seconds"], use),
        "woken_by": dict(Counter(str(each.woken_by) for each in ended).most_common()),
        "false_sleeps": [sleep_json(each, zone) for each in reversed(sleeps + would_be) if each.is_false],
        "called_off": _by_subject(called_off),
        "blockers": blocker_rows(found),
        "disks": list(disk_rows(record, found)),
        "problems": [*record.problems],
    }


def _hours(sleeps: list[SleepRecord], record: Record) -> SleepHoursJson:
    return {
        "count": len(sleeps),
        "seconds": sum(seconds_within(each.begin, each.end, record) for each in sleeps),
    }


def _energy(awake: float, asleep: float, would_sleep: float, use: PowerUse) -> EnergyJson | None:
    """The energy of the recorded time; None = the watts are not configured."""
    if not use.awake:
        return None
    kwh = (awake * use.awake + asleep * use.asleep) / _JOULES_PER_KWH
    saved = asleep * (use.awake - use.asleep) / _JOULES_PER_KWH
    would_save = would_sleep * (use.awake - use.asleep) / _JOULES_PER_KWH
    price = use.price or None
    return {
        "kwh": kwh,
        "saved_kwh": saved,
        "would_save_kwh": would_save,
        "cost": None if price is None else kwh * price,
        "saved": None if price is None else saved * price,
        "would_save": None if price is None else would_save * price,
    }


def _by_subject(called_off: Mapping[str, int]) -> dict[str, int]:
    """Numbers of cancelled warnings by cause, the most frequent first."""
    counts: Counter[str] = Counter()
    for who, count in called_off.items():
        counts[who.partition(": ")[0] or "unknown"] += count
    return dict(counts.most_common())
