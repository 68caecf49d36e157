"""The schema of the HTTP API: one TypedDict per JSON object, written by the daemon, read by the command line.

Times are RFC 3339 with offset, to whole seconds; durations are seconds; an unknown value is None. Scripts
rely on the keys: do not rename them. Every CLI command loads this module, so it imports nothing of powerd.
"""

from __future__ import annotations

from typing import Literal, TypedDict


class ReasonJson(TypedDict):
    """A reason that keeps the server awake, or a remark (``keeps_awake`` false)."""

    subject: str
    text: str
    since: str
    keeps_awake: bool


class DecisionJson(TypedDict):
    """The planned sleep (None: none is planned), and all reasons, the weightiest first."""

    action: str | None
    at_earliest: str | None
    reasons: list[ReasonJson]


class ClientCountsJson(TypedDict):
    """Numbers of clients: present, dozing, unknown, and known in total. Ignored clients are not counted."""

    present: int
    dozing: int
    unknown: int
    known: int


class SourceJson(TypedDict):
    """State of one source: ``error`` is why it is unavailable (None: it is available)."""

    id: str
    error: str | None
    warnings: list[str]


class KeepAwakeJson(TypedDict):
    """One keep-awake request. ``until`` is None for a hold, which ends with its command.

    ``not_stored`` is, in the response of ``/api/keep``, why the request or its end is forgotten at a restart.
    """

    id: str
    because: str
    since: str
    until: str | None
    not_stored: str | None


class SleepRequestJson(TypedDict):
    """A person's request to sleep; ``now``: present clients do not delay it."""

    now: bool
    since: str
    until: str


class AcceptedSleepJson(SleepRequestJson):
    """Response of ``POST /api/sleep``: what the sleep waits for, the action, and its time (None: unknown)."""

    mode: str | None
    action: str | None
    at_earliest: str | None
    waits_for: list[ReasonJson]


class MagicPacketJson(TypedDict):
    """One magic packet: the network interface, and the broadcast address that it was sent to."""

    link: str
    to: str


class WakeOnLanJson(TypedDict):
    """Response of ``POST /api/wake``."""

    host: str
    mac: str
    sent: list[MagicPacketJson]


class AlarmJson(TypedDict):
    """The condition with the highest priority for a person, until it is acknowledged or over.

    ``id`` is stable: ``drive ata-...``, ``wake-storm``, ``sleep``, ``source clients``, ``reload``.
    ``severity`` is "alarm" (needs action now) or "warning". ``since`` is None if it is unknown.
    """

    id: str
    subject: str
    text: str
    remedy: str
    since: str | None
    severity: Literal["alarm", "warning"]


class FindingJson(TypedDict):
    """One finding of a health check, and the advice what to do."""

    kind: str
    severity: Literal["note", "warning", "alarm"]
    text: str
    advice: str


class StandingFindingJson(FindingJson):
    """A finding that stands until a person acknowledges it; after that as long as the drive has it."""

    acknowledged: bool


class RecipientJson(TypedDict):
    """A row of the response of ``POST /api/notify/test``; ``error`` is why it was not sent (None: it was)."""

    to: str
    error: str | None


class SelfTestJson(TypedDict):
    """One entry of a drive's self-test log. ``passed`` is None for a test that was aborted."""

    kind: str
    status: str
    passed: bool | None
    power_on_hours: int | None


class AttributeJson(TypedDict):
    """One row of an ATA drive's attribute table. ``failed`` is "now", "past" or None."""

    id: int
    name: str
    value: int | None
    worst: int | None
    threshold: int | None
    raw: str
    prefail: bool
    failed: str | None


class SmartJson(TypedDict):
    """Health of one drive: a row of ``GET /api/smart``, and the key ``smart`` of ``GET /api/disks``.

    ``health`` is the severity of the gravest finding that is not acknowledged ("note" if all are), "ok" if
    there is none, "unknown" before the first check. ``error`` is why the last check failed (None: it has
    succeeded).
    """

    id: str
    device: str
    model: str
    serial: str
    health: Literal["ok", "note", "warning", "alarm", "unknown"]
    checked_at: str | None
    next_check_at: str | None
    self_test_running: bool
    temperature: int | None
    power_on_hours: int | None
    counters: dict[str, int]
    findings: list[StandingFindingJson]
    error: str | None


class SampleJson(TypedDict):
    """Values of one earlier check."""

    at: str
    passed: bool | None
    temperature: int | None
    counters: dict[str, int]


class SmartDetailJson(SmartJson):
    """``GET /api/smart/ID``. ``history`` is oldest first; ``self_test_started_at`` has one time per kind."""

    protocol: str | None
    passed: bool | None
    attributes: list[AttributeJson]
    self_tests: list[SelfTestJson]
    self_test_started_at: dict[str, str]
    history: list[SampleJson]


class MountJson(TypedDict):
    """One mounted file system of a disk; swap space is at ``[SWAP]``."""

    where: str
    fs: str


class DiskJson(TypedDict):
    """One row of ``GET /api/disks``.

    ``device`` is the kernel's name, which may change at the next boot; ``id`` is stable. ``spin_down_after``
    is the configured idle time, 0 = never. ``spin_down_at`` is the planned time (None: none is planned).
    ``reason`` is what the spin-down waits for, or why the disk is excluded. ``method`` is the configured
    method, ``verified_method`` ("ata", "scsi") the one that has been confirmed to work (None: none yet).
    ``spin_ups_today`` and ``spin_downs_today`` count the last 24 hours. ``standby_timer`` is the setting of
    the drive's own timer.
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
    reason: str | None
    method: str
    verified_method: str | None
    standby_timer: int | None
    apm: int | None
    spin_ups_today: int
    spin_downs_today: int
    last_wake: str | None
    smart: SmartJson | None


class ActivityJson(TypedDict):
    """One row of ``GET /api/activity``: something that a check has measured, or a check without it.

    ``state`` is that of the check: "measured", "failed", "not applicable" or "polled before a sleep" (None:
    it has not been polled yet). ``subject``, ``value``, ``unit``, ``threshold`` and ``since`` are None where
    the check has measured nothing, or does not know them. ``text`` describes the work, or why there is no
    measurement. ``took`` is the duration of the last poll.
    """

    check: str
    state: str | None
    subject: str | None
    text: str | None
    value: float | None
    unit: str | None
    threshold: float | None
    keeps_awake: bool
    since: str | None
    took: float


class AccessedJson(TypedDict):
    """What a row of ``GET /api/accesses`` and of ``GET /api/wakes`` has: who has accessed which disk.

    ``device`` is None if the disk is detached. ``owner`` is what the unit stands for: "container web",
    "virtual machine nas2", "alice's session 3". ``how`` is the level that has found it. ``sure`` is
    "certain" (the kernel names the process), "likely" (joined by time, or to a unit only) or "unknown".
    ``own``: it is powerd's own, and does not count as use.
    """

    disk: str
    device: str | None
    unit: str | None
    owner: str | None
    pid: int | None
    comm: str | None
    path: str | None
    inode: int | None
    op: str | None
    how: Literal["counters", "cgroups", "trace", "files"]
    sure: Literal["certain", "likely", "unknown"]
    own: bool


class AccessJson(AccessedJson):
    """One row of ``GET /api/accesses``: what one culprit has done to a disk within the last hour.

    ``op`` is the most frequent operation, ``count`` the number of all, ``size`` their bytes (None: unknown).
    """

    count: int
    size: int | None
    since: str
    last: str


class WakeJson(AccessedJson):
    """One row of ``GET /api/wakes``: a disk in standby was started, with the first access.

    ``slept_for`` is the time in standby. ``explanation`` is why it is not known better (None: it is certain).
    """

    at: str
    slept_for: float | None
    explanation: str | None


class BlockerTimeJson(TypedDict):
    """How long a reason has kept the server awake in the last 24 hours, in seconds."""

    subject: str
    text: str
    seconds: float


class BlockersJson(TypedDict):
    """``GET /api/blockers``, the longest first; ``since`` is the beginning of the record."""

    since: str | None
    blockers: list[BlockerTimeJson]


class WatchJson(TypedDict):
    """How accesses to disks are attributed: the level in use, and why no better one is (None: it is best)."""

    level: Literal["counters", "cgroups", "trace", "files"]
    reason: str | None


class StatusJson(TypedDict):
    """``GET /api/status``.

    ``now`` is the server's time. ``error`` is why no decisions are made (None: they are). ``next_wake`` is
    when an alarm would end a sleep that begins now, and ``next_wake_reason`` for what (None: no wake-up is
    requested). ``alarms`` has the worst first. ``reload_error`` is why the last reload has not applied the
    configuration file. ``mode``, ``since`` and ``watch`` are None only while ``state`` is ``starting``.
    """

    alarms: list[AlarmJson]
    mode: str | None
    state: str
    since: str | None
    decision: DecisionJson
    clients: ClientCountsJson
    keep_awake: list[KeepAwakeJson]
    sleep_request: SleepRequestJson | None
    activity: list[ActivityJson]
    disks: list[DiskJson]
    watch: WatchJson | None
    next_wake: str | None
    next_wake_reason: str | None
    version: str
    now: str
    sources: list[SourceJson]
    error: str | None
    reload_error: str | None


class LimitJson(TypedDict):
    """How the limit of silence of a client has been learned (None: the configuration sets it).

    ``basis`` is "start" (not enough is known yet), "naps", "answers" (it never naps) or "surprise" (it was
    absent by its limit lately, and was there). ``longest_nap`` is in seconds, None without naps.
    """

    basis: Literal["start", "naps", "answers", "surprise"]
    longest_nap: float | None
    surprises: int


ClientJson = TypedDict(
    "ClientJson",
    {
        "id": str,
        "address": str | None,
        "mac": str | None,
        "maker": str | None,  # of its network card, or "private address" for a random MAC address
        "name": str | None,
        "source": str | None,
        "class": str | None,  # a keyword of Python, hence the functional syntax
        "state": Literal["present", "dozing", "absent", "unknown"],
        "last_seen": str | None,
        "evidence": str | None,
        "rtt_ms": float | None,
        "keeps_awake": bool,
        "always_on": bool,
        "on_link": bool,
        "remark": str | None,
        "stale": bool,
        "reason": str,
        "since": str,
        "absent_after": float,
        "limit": LimitJson | None,
    },
)
"""One row of ``GET /api/clients``. ``source`` lists all sources of the client, separated by commas."""
