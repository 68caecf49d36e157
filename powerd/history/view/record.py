"""The JSON of the record itself, from which `powerd simulate` makes it again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo
from typing import TypedDict

from powerd.history.codec import Entry, LineWriter
from powerd.history.model import Record, StateChange
from powerd.history.view.api import rfc3339_time


class RecordJson(TypedDict):
    """``GET /api/record``; ``lines`` are those of a file of the record (history/codec.py)."""

    since: str
    until: str
    lines: list[str]


def record_json(record: Record, zone: tzinfo | None) -> RecordJson:
    """The value of ``/api/record``."""
    writer = LineWriter()
    text = "".join(map(writer.lines, _entries(record)))
    return {
        "since": rfc3339_time(record.since, zone),
        "until": rfc3339_time(record.until, zone),
        "lines": text.splitlines(),
    }


def _entries(record: Record) -> Iterator[Entry]:
    """The entries of which make_record() makes the record; states end before others begin."""
    changes = [
        (each.begin, 1, StateChange(each.begin, each.subject, each.state, each.seen))
        for each in record.intervals
    ]
    changes += [
        (each.end, 0, StateChange(each.end, each.subject, "none"))
        for each in record.intervals
        if each.end is not None
    ]
    for _, _, change in sorted(changes, key=lambda each: each[:2]):
        yield change
    yield from record.sleeps
    yield from record.disk_wakes
