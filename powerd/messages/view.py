"""Serialises alarms for the HTTP API, and shows them as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from powerd.core.snapshot import Status
from powerd.core.time import Moment
from powerd.messages.alarms import alarms
from powerd.ui.layout import Paint, Style, labelled_lines
from powerd.ui.schema import AlarmJson
from powerd.ui.timestamps import timestamp

ALARM_STYLES: Final[dict[str, Style]] = {"alarm": "bad", "warning": "doubt"}


def alarms_json(status: Status | None, now: Moment, reload_error: str | None) -> list[AlarmJson]:
    """The value of ``alarms`` of ``/api/status``; arguments as of alarms()."""
    return [
        {
            "id": alarm.id,
            "subject": alarm.subject,
            "text": alarm.text,
            "remedy": alarm.remedy,
            "since": timestamp(alarm.since, now) if alarm.since else None,
            "severity": alarm.severity,
        }
        for alarm in alarms(status, reload_error)
    ]


def alarm_lines(rows: Sequence[AlarmJson], label_width: int, paint: Paint) -> Iterator[str]:
    """The lines of ``powerd status`` and ``powerd why``: a paragraph for each alarm, and its remedy."""
    for row in rows:
        text = f"{row['subject']}: {row['text']}"
        yield from labelled_lines(label_width, row["severity"], text, paint, ALARM_STYLES[row["severity"]])
        yield from labelled_lines(label_width, "", row["remedy"], paint)
