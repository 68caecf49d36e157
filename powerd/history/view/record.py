"""The JSON of the record itself, from which `powerd simulate` makes it again."""

from __future__ import annotations

from datetime import tzinfo
from typing import TypedDict

from powerd.history.codec import Entry, LineWriter
from powerd.history.model import Record
from powerd.history.view.api import rfc3339_time


class RecordJson(TypedDict):
    """``GET /api/record``.

    ``lines`` are those of a file of the record (history/codec.py), ``problems`` as in ReportJson.
    """

    since: str
    until: str
    lines: list[str]
    problems: list[str]


def record_json(record: Record, zone: tzinfo | None) -> RecordJson:
    """The value of ``/api/record``."""
    writer = LineWriter()
    entries: tuple[Entry, ...] = (*record.changes, *record.sleeps, *record.disk_wakes)
    text = "".join(map(writer.lines, entries))
    return {
        "since": rfc3339_time(record.since, zone),
        "until": rfc3339_time(record.until, zone),
        "lines": text.splitlines(),
        "problems": [*record.problems],
    }
