"""Serialises alarms for the HTTP API; not in view.py, because a command must not load what this imports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from powerd.core.snapshot import Status
from powerd.core.time import Moment
from powerd.messages.alarms import alarms
from powerd.ui.timestamps import timestamp

if TYPE_CHECKING:
    from powerd.ui.schema import AlarmJson


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
