"""The values of the domain: alarms, which people see until they are over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from powerd.core.time import Moment

AlarmSeverity: TypeAlias = Literal["alarm", "warning"]
"""``alarm``: needs action now; ``warning``: needs action within days."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """What a person has to know before anything else; it stands until it is acknowledged or over.

    Attributes:
        id: its stable identity: ``drive ata-...``, ``wake-storm``, ``sleep``, ``source clients``, ``reload``.
        subject: the drive, source or option concerned.
        text: what is wrong, one sentence without a number that changes every minute.
        remedy: what to do, one clause.
        since: None = unknown.
        severity: see AlarmSeverity.
    """

    id: str
    subject: str
    text: str
    remedy: str
    since: Moment | None
    severity: AlarmSeverity
