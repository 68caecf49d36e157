"""The JSON of ``powerd report``: hours, energy, what kept the server awake, disks, and false sleeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import tzinfo
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from powerd.history.model import Interval, Record, SleepRecord, State, Subject
from powerd.history.view.api import blocks, disk_rows, label, rfc3339_time, seconds_within, sleep_json

if TYPE_CHECKING:
    from powerd.history.view.schema import (
        BlockerReportJson,
        DiskReportJson,
        EnergyJson,
        ReportJson,
        SleepHoursJson,
    )

_JOULES_PER_KWH: Final = 3.6e6
_MAX_ROWS: Final = 100
_Key: TypeAlias = tuple[str, str]
"""Kind and name of what keeps the server awake."""


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
    slept = [each for each in record.sleeps if each.result == "slept" and each.action != "reboot"]
    would_be = [each for each in record.sleeps if each.result == "would-sleep"]
    asleep = _hours(slept, record)
    would_sleep = _hours(would_be, record)
    awake, seconds, alone = _awake_seconds(record, slept)
    unrecorded = record.until - record.since - awake - asleep["seconds"]
    ended = [each for each in slept if each.woken_by is not None]
    called_off = Counter(each.called_off_by for each in record.sleeps if each.result == "called-off")
    return {
        "since": rfc3339_time(record.since, zone),
        "until": rfc3339_time(record.until, zone),
        "awake": awake,
        "asleep": asleep,
        "would_sleep": would_sleep,
        "unrecorded": max(0.0, unrecorded),
        "failed": sum(each.result == "failed" for each in record.sleeps),
        "energy": _energy(awake, asleep["seconds"], would_sleep["seconds"], use),
        "woken_by": dict(Counter(str(each.woken_by) for each in ended).most_common()),
        "false_sleeps": [sleep_json(each, zone) for each in reversed(slept + would_be) if each.is_false],
        "called_off": _by_subject(called_off),
        "blockers": _blockers(record, seconds, alone),
        "disks": list(_disks(record)),
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
    """Numbers of warnings by who has called them off, the most frequent first."""
    counts: Counter[str] = Counter()
    for who, count in called_off.items():
        counts[who.partition(": ")[0] or "unknown"] += count
    return dict(counts.most_common())


def _awake_seconds(
    record: Record, slept: list[SleepRecord]
) -> tuple[float, dict[_Key, float], dict[_Key, float]]:
    """How long the server was awake as far as it is recorded, and what kept it awake.

    Returns:
        The seconds; the seconds of each subject; of these, those in which nothing else kept it awake.
    """
    seconds: dict[_Key, float] = {}
    alone: dict[_Key, float] = {}
    started: dict[_Key, float] = {}
    active: dict[_Key, int] = {}
    recorded = asleep = 0
    awake, last = 0.0, record.since
    for at, step, key in _edges(record, slept):
        if recorded and not asleep:
            awake += at - last
            if len(active) == 1:
                (only,) = active
                alone[only] = alone.get(only, 0.0) + at - last
        last = at
        if key == _ASLEEP:
            asleep += step
        elif key == _RECORDED:
            recorded += step
        elif (count := active.get(key, 0) + step) == 0:
            del active[key]
            seconds[key] = seconds.get(key, 0.0) + awake - started[key]
        else:
            active[key] = count
            if step > 0 and count == 1:
                started[key] = awake
    return awake, seconds, alone


_ASLEEP: Final[_Key] = ("asleep", "")
_RECORDED: Final[_Key] = ("server", "")


def _edges(record: Record, slept: list[SleepRecord]) -> list[tuple[float, int, _Key]]:
    """The begin (1) and the end (-1) of each sleep, and of each state that counts, by time in the period."""
    since, until = record.since, record.until
    keys: dict[tuple[Subject, State], _Key | None] = {}
    edges: list[tuple[float, int, _Key]] = []
    for interval in record.intervals:
        subject, state, begin, end, _ = interval
        if (subject, state) not in keys:
            keys[subject, state] = _key(interval)
        key = keys[subject, state]
        if key is None:
            continue
        first = max(since, begin)  # max() takes four times as long
        last = end if end is not None and end < until else until
        if last > first:
            edges += ((first, 1, key), (last, -1, key))
    for sleep in slept:
        first, last = max(sleep.begin, since), until if sleep.end is None else min(sleep.end, until)
        if last > first:
            edges += ((first, 1, _ASLEEP), (last, -1, _ASLEEP))
    edges.sort(key=itemgetter(0))
    return edges


def _key(interval: Interval) -> _Key | None:
    """What an interval counts for; None = nothing."""
    if interval.subject.kind == "server":
        return None if interval.state == "stopped" else _RECORDED
    return (interval.subject.kind, label(interval)) if blocks(interval) else None


def _blockers(
    record: Record, seconds: dict[_Key, float], alone: dict[_Key, float]
) -> list[BlockerReportJson]:
    longest = sorted(seconds, key=lambda key: (-seconds[key], key))[:_MAX_ROWS]
    texts: dict[_Key, str] = {}
    for subject in dict.fromkeys(each.subject for each in reversed(record.intervals)):
        texts.setdefault((subject.kind, subject.name or subject.id), subject.text)
    return [
        {
            "kind": key[0],  # type: ignore[typeddict-item] # blocks() admits these kinds only
            "subject": key[1],
            "text": texts[key] or "home",
            "seconds": seconds[key],
            "alone": alone.get(key, 0.0),
        }
        for key in longest
    ]


def _disks(record: Record) -> Iterator[DiskReportJson]:
    """The disks with the seconds in which they were spinning."""
    spinning: dict[str, float] = {}
    for each in record.intervals:
        if each.subject.kind == "disk" and each.state == "spinning":
            seconds = seconds_within(each.begin, each.end, record)
            spinning[each.subject.id] = spinning.get(each.subject.id, 0.0) + seconds
    for row in disk_rows(record):
        yield {**row, "spinning": spinning.get(row["disk"], 0.0)}
