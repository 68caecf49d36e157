"""The shapes of the API's JSON: what the daemon's HTTP face writes and the command line reads.

Times are RFC 3339 with offset to whole seconds, durations are seconds, unknown is None. The names are
kept stable: scripts read them. Nothing heavy is imported here, for the command line pays for it each time.
"""

from __future__ import annotations

from typing import Literal, TypedDict

from powerd.faces.health_shapes import SmartJson


class ReasonJson(TypedDict):
    """Why the server is awake, or a remark (``keeps_awake`` false)."""

    subject: str
    text: str
    since: str
    keeps_awake: bool


class DecisionJson(TypedDict):
    """The sleep in sight, None where there is none, and every reason, weightiest first."""

    action: str | None
    at_earliest: str | None
    reasons: list[ReasonJson]


class ClientCountsJson(TypedDict):
    """How many clients are present, cannot be told, and are known; those that never count are left out."""

    present: int
    unknown: int
    known: int


class SourceJson(TypedDict):
    """A source's word on itself: why it is ``blind`` (None = it sees), and its warnings."""

    id: str
    blind: str | None
    warnings: list[str]


class KeepJson(TypedDict):
    """Who wants the server awake on purpose: a keep, or a hold (``until`` None) while its command runs."""

    id: str
    because: str
    since: str
    until: str | None


class MagicPacketJson(TypedDict):
    """Where a magic packet went: the network card, and the broadcast address."""

    link: str
    to: str


class WakeOnLanJson(TypedDict):
    """The answer of ``POST /api/wake``."""

    host: str
    mac: str
    sent: list[MagicPacketJson]


class MountJson(TypedDict):
    """Something on a disk that is mounted; swap space is at ``[SWAP]``."""

    where: str
    fs: str


class DiskJson(TypedDict):
    """One row of ``GET /api/disks``.

    ``device`` is the kernel's name of today, ``id`` the one to rely on. ``spin_down_after`` is idleness in
    seconds, 0 = never; ``spin_down_at`` is when that will be if nothing stirs, None = not in sight. ``waits``
    says for what, or why the disk is left alone. ``method`` is as configured, ``worked`` the way by which it
    has verifiably gone down (``ata``, ``scsi``), None = none yet. ``spin_ups_today`` and ``spin_downs_today``
    are of the last 24 hours. ``timer`` is what the drive's own timer really has, seconds.
    """

    id: str
    device: str
    model: str | None
    serial: str | None
    size: int
    transport: str
    rpm: int | None
    mounts: list[MountJson]
    group: str | None
    state: str
    since: str
    idle_for: float | None
    spin_down_after: float
    spin_down_at: str | None
    waits: str | None
    method: str
    worked: str | None
    timer: int | None
    apm: int | None
    spin_ups_today: int
    spin_downs_today: int
    last_wake: str | None
    smart: SmartJson | None


class StatusJson(TypedDict):
    """``GET /api/status``.

    ``now`` is the server's time, against which all others can be told; ``trouble`` says why no decisions are
    being made (None = they are). ``next_wake`` is when an alarm would end a sleep that begins now, and
    ``next_wake_for`` for what (None = nothing asks for that). ``mode`` and ``since`` are None only while
    ``state`` is ``starting``.
    """

    mode: str | None
    state: str
    since: str | None
    decision: DecisionJson
    clients: ClientCountsJson
    keeps: list[KeepJson]
    disks: list[DiskJson]
    next_wake: str | None
    next_wake_for: str | None
    version: str
    now: str
    sources: list[SourceJson]
    trouble: str | None


ClientJson = TypedDict(
    "ClientJson",
    {
        "id": str,
        "address": str | None,
        "mac": str | None,
        "name": str | None,
        "source": str | None,
        "class": str | None,  # a word of Python's, hence this spelling of the whole type
        "state": Literal["present", "absent", "unknown"],
        "last_seen": str | None,
        "evidence": str | None,
        "rtt_ms": float | None,
        "keeps_awake": bool,
        "always_on": bool,
        "on_link": bool,
        "stale": bool,
        "why": str,
        "since": str,
    },
)
"""One row of ``GET /api/clients``; ``source`` names all of its sources with commas between."""
