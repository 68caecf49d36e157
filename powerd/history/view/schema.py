"""The schema of ``/api/history`` and ``/api/timeline``, as ui/schema.py for the others.

Times are RFC 3339 with offset, durations are seconds, and an unknown value is None.
"""

from __future__ import annotations

from typing import Literal, TypedDict


class SleepJson(TypedDict):
    """A sleep, an attempt, or in observe mode a would-be sleep.

    ``rule`` is the number of the sleep rule, 1 is the first; None = another program requested it.
    ``woken_by`` is the cause of the wake-up; of a would-be sleep "alarm", "needed" (by somebody)
    or "stopped" (with powerd, or its mode); of both "unrecorded": ``end`` is the latest possible.
    ``came_at`` is when ``came`` first needed the server, after the sleep or as its end. ``false``: that was
    so soon after the begin that the person was probably present. ``detail`` is the kernel's details of the
    wake-up, or why the attempt failed.
    """

    begin: str
    end: str | None
    action: str
    rule: int | None
    mode: Literal["observe", "enforce"]
    result: Literal["slept", "would-sleep", "called-off", "failed"]
    asleep: float
    alarm: str | None
    woken_by: str | None
    detail: str | None
    called_off_by: str | None
    came_at: str | None
    came: str | None
    false: bool


class CulpritJson(TypedDict):
    """A culprit, and the number of wakes of a disk by it; all None = unknown."""

    unit: str | None
    owner: str | None
    comm: str | None
    wakes: int


class DiskHistoryJson(TypedDict):
    """Spin-downs and wakes of a disk, the most frequent culprit first.

    ``spinning`` and ``standby`` are times in which the server was awake.
    """

    disk: str
    device: str | None
    spin_downs: int
    spinning: float
    standby: float
    wakes: int
    culprits: list[CulpritJson]


class BlockerJson(TypedDict):
    """For how long a client, an activity or another reason has kept the server awake.

    ``seconds`` are those in which the server was awake; ``alone``: in which nothing else kept it awake.
    """

    kind: Literal["client", "activity", "blocker"]
    subject: str
    text: str
    seconds: float
    alone: float


class TrialJson(TypedDict):
    """The would-be sleeps of observe mode: the number of nights, from noon to noon, and the seconds.

    ``came`` are those that somebody has ended, oldest first.
    """

    night_count: int
    seconds: float
    came: list[SleepJson]


class HistoryJson(TypedDict):
    """``GET /api/history``; ``sleeps`` is newest first. ``trial`` None = no would-be sleep.

    ``problems`` as in ReportJson.
    """

    since: str
    until: str
    sleeps: list[SleepJson]
    trial: TrialJson | None
    disks: list[DiskHistoryJson]
    blockers: list[BlockerJson]
    problems: list[str]


class SegmentJson(TypedDict):
    """A part of the timeline.

    ``by`` are names: what kept the server awake, the longest first, or what requested the sleep.
    ``would_sleep``: in observe mode the server would have been asleep.
    """

    state: Literal["awake", "idle", "asleep", "off"]
    begin: str
    end: str
    by: list[str]
    would_sleep: bool


class TimelineJson(TypedDict):
    """``GET /api/timeline``: segments without gaps or overlaps, oldest first."""

    since: str
    until: str
    segments: list[SegmentJson]


class SleepHoursJson(TypedDict):
    """Sleeps, and their seconds."""

    count: int
    seconds: float


class EnergyJson(TypedDict):
    """The energy of the recorded time, in kWh, and its price; None = ``history.price`` is not configured.

    ``saved``: in comparison with a server that is awake all the time. ``would_save``: likewise, by what would
    have been slept in observe mode.
    """

    kwh: float
    saved_kwh: float
    would_save_kwh: float
    cost: float | None
    saved: float | None
    would_save: float | None


class ReportJson(TypedDict):
    """``GET /api/report``.

    ``awake`` are the recorded seconds in which the server was, and ``unrecorded`` those in which powerd did
    not run. ``energy`` None = ``history.watts`` is not configured. ``false_sleeps`` are those to which
    somebody came within minutes, newest first. ``called_off``: numbers of cancelled warnings by cause.
    ``problems``: why a part of the record could not be read, one sentence each.
    """

    since: str
    until: str
    awake: float
    asleep: SleepHoursJson
    would_sleep: SleepHoursJson
    unrecorded: float
    failed: int
    energy: EnergyJson | None
    woken_by: dict[str, int]
    false_sleeps: list[SleepJson]
    called_off: dict[str, int]
    blockers: list[BlockerJson]
    disks: list[DiskHistoryJson]
    problems: list[str]


class RecordHeadJson(TypedDict):
    """``GET /api/record`` without its lines.

    ``configuration`` is the path of the daemon's configuration file, None = unknown; ``problems`` as in
    ReportJson.
    """

    since: str
    until: str
    configuration: str | None
    problems: list[str]


class RecordJson(RecordHeadJson):
    """``GET /api/record``; ``lines`` are those of a file of the record (history/codec.py)."""

    lines: list[str]
