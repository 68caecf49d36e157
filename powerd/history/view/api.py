"""The JSON of the record."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from itertools import chain, islice, pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from powerd.core.time import rfc3339
from powerd.history.codec import Entry, LineWriter
from powerd.history.model import OFF_ACTIONS, Record, SleepRecord
from powerd.history.view.totals import Totals, add_up, blocks, label
from powerd.ui.layout import action_verb

if TYPE_CHECKING:
    from powerd.history.view.schema import (
        BlockerJson,
        DiskHistoryJson,
        HistoryJson,
        RecordHeadJson,
        SegmentJson,
        SleepJson,
        TimelineJson,
        TrialJson,
    )

_MAX_ROWS: Final = 100
_MAX_NAMES: Final = 3
_PART: Final = 2000
"""Entries of the record that are in memory as text at once."""
_NOON: Final = timedelta(hours=12)


def history_json(record: Record, zone: tzinfo | None) -> HistoryJson:
    """The value of ``/api/history``; times are in ``zone``."""
    found = add_up(record)
    return {
        "since": rfc3339_time(record.since, zone),
        "until": rfc3339_time(record.until, zone),
        "sleeps": [sleep_json(each, zone) for each in reversed(record.sleeps)],
        "trial": trial_json(record, zone),
        "disks": list(disk_rows(record, found)),
        "blockers": blocker_rows(found),
        "problems": [*record.problems],
    }


def record_parts(record: Record, zone: tzinfo | None, configuration: str) -> Iterator[str]:
    """The value of ``/api/record`` as JSON, from which `powerd simulate` makes the record again.

    It comes in parts of some 50 KB: a year has 2.6 MB, which would take 15 MB as one text and its lines.
    """
    about: RecordHeadJson = {
        "since": rfc3339_time(record.since, zone),
        "until": rfc3339_time(record.until, zone),
        "configuration": configuration or None,
        "problems": [*record.problems],
    }
    writer, separator = LineWriter(), ""
    entries: Iterator[Entry] = chain(record.changes, record.sleeps, record.disk_wakes)
    yield json.dumps(about).removesuffix("}") + ', "lines": ['
    while text := "".join(map(writer.lines, islice(entries, _PART))):
        yield separator + ", ".join(map(json.dumps, text.splitlines()))
        separator = ", "
    yield "]}"


def trial_json(record: Record, zone: tzinfo | None) -> TrialJson | None:
    """The would-be sleeps of observe mode; None = none."""
    sleeps = [each for each in record.sleeps if each.mode == "observe" and each.result == "would-sleep"]
    if not sleeps:
        return None
    dates = {(datetime.fromtimestamp(each.begin, zone) - _NOON).date() for each in sleeps}
    return {
        "night_count": len(dates),
        "seconds": sum(seconds_within(each.begin, each.end, record) for each in sleeps),
        "came": [sleep_json(each, zone) for each in sleeps if each.came_at is not None],
    }


def rfc3339_time(at: float, zone: tzinfo | None) -> str:
    """A POSIX time as the API has it."""
    return rfc3339(datetime.fromtimestamp(at, zone))


def _optional_time(at: float | None, zone: tzinfo | None) -> str | None:
    return None if at is None else rfc3339_time(at, zone)


def sleep_json(sleep: SleepRecord, zone: tzinfo | None) -> SleepJson:
    """A sleep, an attempt, or a would-be sleep."""
    return {
        "begin": rfc3339_time(sleep.begin, zone),
        "end": _optional_time(sleep.end, zone),
        "action": sleep.action,
        "rule": None if sleep.rule is None else sleep.rule + 1,
        "mode": sleep.mode,
        "result": sleep.result,
        "asleep": sleep.asleep,
        "alarm": _optional_time(sleep.alarm, zone),
        "woken_by": sleep.woken_by,
        "detail": sleep.detail or None,
        "called_off_by": sleep.called_off_by or None,
        "came_at": _optional_time(sleep.came_at, zone),
        "came": sleep.came or None,
        "false": sleep.is_false,
    }


def disk_rows(record: Record, found: Totals) -> Iterator[DiskHistoryJson]:
    """Spin-downs and wakes of each disk."""
    devices = found.devices
    culprits: defaultdict[str, Counter[tuple[str, str, str]]] = defaultdict(Counter)
    for wake in record.disk_wakes:
        culprits[wake.disk][wake.unit, wake.owner, wake.comm] += 1
    for disk in sorted({*devices, *culprits}, key=lambda disk: (devices.get(disk, "~"), disk)):
        yield {
            "disk": disk,
            "device": devices.get(disk) or None,
            "spin_downs": found.spin_downs[disk],
            "spinning": found.seconds.get(("disk", disk, "spinning"), 0.0),
            "standby": found.seconds.get(("disk", disk, "standby"), 0.0),
            "wakes": culprits[disk].total(),
            "culprits": [
                {"unit": unit or None, "owner": owner or None, "comm": comm or None, "wakes": count}
                for (unit, owner, comm), count in culprits[disk].most_common()
            ],
        }


def seconds_within(begin: float, end: float | None, record: Record) -> float:
    """The seconds of a sleep or a state within the period; ``end`` None = it lasts."""
    return max(0.0, min(record.until if end is None else end, record.until) - max(begin, record.since))


def blocker_rows(found: Totals) -> list[BlockerJson]:
    """What kept the server awake, the longest first."""
    keys = [key for key, seconds in found.seconds.items() if key[0] != "disk" and seconds]
    return [
        {
            "kind": key[0],  # type: ignore[typeddict-item] # of the kinds that block
            "subject": key[1],
            "text": found.texts[key],
            "seconds": found.seconds[key],
            "alone": found.alone.get(key, 0.0),
        }
        for key in sorted(keys, key=lambda key: (-found.seconds[key], key))[:_MAX_ROWS]
    ]


class _Part(NamedTuple):
    """A part of the timeline; ``layer`` decides between parts at the same time, the highest wins."""

    begin: float
    end: float
    layer: int
    state: str
    by: tuple[str, ...] = ()
    would_sleep: bool = False


def timeline_json(record: Record, zone: tzinfo | None) -> TimelineJson:
    """The value of ``/api/timeline``."""
    layers: defaultdict[int, list[_Part]] = defaultdict(list)
    for part in sorted(_parts(record)):
        if part.end > part.begin:
            layers[part.layer].append(part)
    edges = {edge for parts in layers.values() for part in parts for edge in (part.begin, part.end)}
    segments: list[_Part] = []
    for begin, end in pairwise(sorted(edges | {record.since, record.until})):
        top = next(filter(None, (_covering(layers[layer], begin, end) for layer in (3, 2, 1))), None)
        top = top or _Part(begin, end, 0, "off", (_STOPPED,))
        previous = segments[-1] if segments else None
        if previous is not None and previous[3:] == top[3:]:
            segments[-1] = previous._replace(end=end)
        else:
            segments.append(top._replace(begin=begin, end=end))
    return {
        "since": rfc3339_time(record.since, zone),
        "until": rfc3339_time(record.until, zone),
        "segments": [_segment_json(each, zone) for each in _with_blockers(segments, record)],
    }


def _covering(parts: list[_Part], begin: float, end: float) -> _Part | None:
    """The part of a layer that covers a time; parts of a layer do not overlap."""
    index = bisect_right(parts, begin, key=lambda part: part.begin) - 1
    return parts[index] if index >= 0 and parts[index].end >= end else None


_STOPPED: Final = "nothing was recorded"


def _parts(record: Record) -> Iterator[_Part]:
    """The states of the server, above them would-be sleeps, and above these the sleeps."""
    since, until = record.since, record.until
    for each in record.intervals:
        if each.subject.kind == "server":
            end = until if each.end is None else each.end
            state, by = ("off", (_STOPPED,)) if each.state == "stopped" else (each.state, ())
            yield _Part(max(each.begin, since), min(end, until), 1, state, by)
    for sleep in record.sleeps:
        begin, end = max(sleep.begin, since), min(until if sleep.end is None else sleep.end, until)
        who = "another program" if sleep.rule is None else f"sleep rule {sleep.rule + 1}"
        by = (f"{action_verb(sleep.action)}, by {who}",)
        if sleep.result == "would-sleep":
            yield _Part(begin, end, 2, "idle", by, would_sleep=True)
        elif sleep.result == "slept":
            yield _Part(begin, end, 3, "off" if sleep.action in OFF_ACTIONS else "asleep", by)


def _with_blockers(segments: list[_Part], record: Record) -> Iterator[_Part]:
    """The segments, those in which the server was awake with what kept it awake the longest."""
    seconds: list[defaultdict[str, float]] = [defaultdict(float) for _ in segments]
    begins = [each.begin for each in segments]
    for each in record.intervals:
        if not blocks(each.subject, each.state):
            continue
        end = record.until if each.end is None else each.end
        for index in range(max(0, bisect_right(begins, each.begin) - 1), bisect_left(begins, end)):
            overlap = min(end, segments[index].end) - max(each.begin, segments[index].begin)
            if overlap > 0:
                seconds[index][label(each.subject)] += overlap
    for segment, found in zip(segments, seconds, strict=True):
        if segment.state == "awake":
            longest = sorted(found, key=lambda name: (-found[name], name))
            segment = segment._replace(by=tuple(longest[:_MAX_NAMES]))  # noqa: PLW2901 - with its names
        yield segment


def _segment_json(part: _Part, zone: tzinfo | None) -> SegmentJson:
    return {
        "state": part.state,  # type: ignore[typeddict-item] # _parts() makes no other states
        "begin": rfc3339_time(part.begin, zone),
        "end": rfc3339_time(part.end, zone),
        "by": list(part.by),
        "would_sleep": part.would_sleep,
    }
