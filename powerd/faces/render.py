"""Status -> the JSON values of the API. Pure; every other face shows what stands here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from powerd import __version__
from powerd.faces.health_render import smart_json
from powerd.faces.shapes import (
    ClientJson,
    CountsJson,
    DecisionJson,
    DiskJson,
    KeepJson,
    MountJson,
    ReasonJson,
    SentJson,
    SourceJson,
    StatusJson,
    WokenJson,
)
from powerd.model import (
    Blind,
    Decision,
    DiskReport,
    DiskState,
    Keep,
    Moment,
    SmartReport,
    Snapshot,
    State,
    Status,
    Verdict,
    Woken,
)

_ORDER: Final = {State.PRESENT: 0, State.UNKNOWN: 1, State.ABSENT: 2}
_STEP: Final = 2.0
"""A wall clock that disagrees with the monotonic one by more, seconds, has been set since."""


def status_json(status: Status | None, now: Moment, trouble: str | None = None) -> StatusJson:
    """The value of ``/api/status``.

    Args:
        status: the last decision; None = there is none yet.
        now: the present moment.
        trouble: why no decisions are being made; None = they are.
    """
    decision = status.decision if status else None
    wake = decision.wake if decision else None
    return {
        "mode": status.mode if status else None,
        "state": decision.phase if decision else "starting",
        "since": _past(status.since, now) if status else None,
        "decision": _decision(decision, now),
        "clients": _counts(decision.verdicts if decision else ()),
        "keeps": [keep_json(keep, now) for keep in status.snapshot.keeps.values()] if status else [],
        "disks": disks_json(status, now),
        "next_wake": _rfc3339(wake.at.wall) if wake else None,
        "next_wake_for": wake.because if wake else None,
        "version": __version__,
        "now": _rfc3339(now.wall),
        "sources": _sources(status.snapshot) if status else [],
        "trouble": trouble,
    }


def keep_json(keep: Keep, now: Moment) -> KeepJson:
    """A row of ``keeps``, and the answer of ``/api/keep``."""
    return {
        "id": keep.id,
        "because": keep.because,
        "since": _past(keep.since, now),
        "until": _past(keep.until, now) if keep.until else None,
    }


def woken_json(woken: Woken) -> WokenJson:
    """The answer of ``/api/wake``."""
    sent = [SentJson(link=link, to=to) for link, to in woken.sent]
    return {"host": woken.label, "mac": woken.mac, "sent": sent}


def clients_json(status: Status | None, now: Moment) -> list[ClientJson]:
    """The value of ``/api/clients``: the present first, then the unknown, then the absent, each by name."""
    verdicts = status.decision.verdicts if status else ()
    return [_client(verdict, now) for verdict in sorted(verdicts, key=_rank)]


def disks_json(status: Status | None, now: Moment) -> list[DiskJson]:
    """The value of ``/api/disks``: those that may spin down first, then the others, by the kernel's names."""
    if status is None:
        return []
    smart = status.decision.smart
    return [
        _disk(report, smart.get(report.disk.id), now) for report in sorted(status.decision.disks, key=_place)
    ]


def _place(report: DiskReport) -> tuple[bool, int, str]:
    name = report.disk.device
    return report.state is DiskState.EXCLUDED, len(name), name  # sdz before sdaa


def _disk(report: DiskReport, smart: SmartReport | None, now: Moment) -> DiskJson:
    disk, idle, at = report.disk, report.idle_since, report.spin_down_at
    return {
        "id": disk.id,
        "device": disk.device,
        "model": disk.model or None,
        "serial": disk.serial or None,
        "size": disk.size,
        "transport": disk.transport,
        "rpm": disk.rpm,
        "mounts": [MountJson(where=mount.where, fs=mount.fs) for mount in disk.mounts],
        "group": disk.group,
        "state": report.state.value,
        "since": _past(report.since, now),
        "idle_for": None if idle is None else round(max(0.0, now.mono - idle), 1),
        "spin_down_after": report.spin_down_after,
        "spin_down_at": None if at is None else _rfc3339(_in(max(0.0, at - now.mono), now)),
        "waits": report.waits or None,
        "method": report.method,
        "worked": report.worked,
        "timer": report.timer,
        "apm": report.apm,
        "spin_ups_today": report.spin_ups,
        "spin_downs_today": report.spin_downs,
        "last_wake": _past(report.last_wake, now) if report.last_wake else None,
        "smart": smart_json(disk, smart, now.wall.tzinfo) if smart else None,
    }


def _rank(verdict: Verdict) -> tuple[int, str, str]:
    return _ORDER[verdict.state], verdict.client.label.casefold(), verdict.client.id


def _decision(decision: Decision | None, now: Moment) -> DecisionJson:
    plan = decision.plan if decision else None
    reasons = decision.reasons if decision else ()
    return {
        "action": plan.action if plan else None,
        "at_earliest": _rfc3339(plan.at.wall) if plan else None,
        "reasons": [
            ReasonJson(
                subject=reason.subject,
                text=reason.text,
                since=_past(reason.since, now),
                keeps_awake=reason.keeps_awake,
            )
            for reason in reasons
        ],
    }


def _counts(verdicts: tuple[Verdict, ...]) -> CountsJson:
    states = [verdict.state for verdict in verdicts if verdict.keeps_awake]
    return {
        "present": states.count(State.PRESENT),
        "unknown": states.count(State.UNKNOWN),
        "known": len(states),
    }


def _sources(snapshot: Snapshot) -> list[SourceJson]:
    words: list[SourceJson] = [
        {"id": name, "blind": word.why, "warnings": []}
        if isinstance(word, Blind)
        else {"id": name, "blind": None, "warnings": list(word.value)}
        for name, word in sorted(snapshot.sources.items())
    ]
    return words + [
        {"id": f"checks.{name}", "blind": check.why if isinstance(check, Blind) else None, "warnings": []}
        for name, check in sorted(snapshot.checks.items())
    ]


def _client(verdict: Verdict, now: Moment) -> ClientJson:
    client = verdict.client
    return {
        "id": client.id,
        "address": client.addresses[0] if client.addresses else None,
        "mac": client.mac,
        "name": client.name,
        "source": ", ".join(client.sources) or None,
        "class": verdict.class_name,
        "state": verdict.state.value,
        "last_seen": _past(verdict.heard, now) if verdict.heard else None,
        "evidence": verdict.how.value if verdict.how else None,
        "rtt_ms": None if verdict.rtt is None else round(verdict.rtt * 1000, 1),
        "keeps_awake": verdict.keeps_awake,
        "always_on": verdict.always_on,
        "on_link": verdict.on_link,
        "stale": client.stale,
        "why": verdict.why,
        "since": _past(verdict.since, now),
    }


def _past(moment: Moment, now: Moment) -> str:
    """When ``moment`` was, or will be, by the wall clock of today.

    What the wall clock said then is shown unless it has been set since (a board without a battery
    starts in 1970 and learns the time from the network): then it is counted back from now.
    """
    ago = (now.mono + now.slept) - (moment.mono + moment.slept)
    counted = now.wall.astimezone(UTC) - timedelta(seconds=ago)
    if abs((counted - moment.wall.astimezone(UTC)).total_seconds()) <= _STEP:
        return _rfc3339(moment.wall)
    return _rfc3339(counted.astimezone(now.wall.tzinfo))


def _in(seconds: float, now: Moment) -> datetime:
    """The wall clock so many seconds from now."""
    return (now.wall.astimezone(UTC) + timedelta(seconds=seconds)).astimezone(now.wall.tzinfo)


def _rfc3339(wall: datetime) -> str:
    return wall.isoformat(timespec="seconds")
