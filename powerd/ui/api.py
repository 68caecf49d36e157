"""Serialises a Status into the JSON values of the HTTP API. Every other view is made from these values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from powerd import __version__
from powerd.activity.model import ActivityReport, ActivityRow
from powerd.attribution.model import AttributionReport
from powerd.core.snapshot import Decision, Snapshot, Status
from powerd.core.time import Moment, Unavailable, rfc3339, timestamp, wall_time_after
from powerd.disks.model import Disk, DiskId
from powerd.disks.state import DiskReport, DisksReport, DiskState
from powerd.history.model import BlockerTimes
from powerd.messages.alarms import alarms
from powerd.power.model import PowerReport, SleepRequest, SleepRequestFacts
from powerd.presence.model import ClientState, ClientStatus, PresenceReport
from powerd.presence.silences import Limit
from powerd.requests.model import AcceptedSleep, KeepAwake, KeepAwakeFacts, WakeOnLanResult
from powerd.smart.model import SmartReport, SmartReports
from powerd.smart.view.api import smart_json

if TYPE_CHECKING:
    from powerd.ui.schema import (
        AcceptedSleepJson,
        ActivityJson,
        AlarmJson,
        BlockersJson,
        ClientCountsJson,
        ClientJson,
        DecisionJson,
        DiskJson,
        KeepAwakeJson,
        LimitJson,
        MagicPacketJson,
        SleepRequestJson,
        SourceJson,
        StatusJson,
        WakeOnLanJson,
        WatchJson,
    )

_STATE_ORDER: Final = {
    ClientState.PRESENT: 0,
    ClientState.DOZING: 1,
    ClientState.UNKNOWN: 2,
    ClientState.ABSENT: 3,
}


def status_json(
    status: Status | None, now: Moment, error: str | None = None, reload_error: str | None = None
) -> StatusJson:
    """The value of ``/api/status``.

    Args:
        status: the last decision; None = there is none yet.
        now: the present moment.
        error: why no decisions are being made; None = they are.
        reload_error: why the last reload has not applied the configuration file; None = it has.
    """
    decision = status.decision if status else None
    wake_time = decision.part(PowerReport).wake_time if decision else None
    request = decision.part(SleepRequestFacts).sleep_request if decision else None
    return {
        "alarms": _alarms_json(status, now, reload_error),
        "mode": status.mode if status else None,
        "state": decision.phase if decision else "starting",
        "since": timestamp(status.phase_since, now) if status else None,
        "decision": _decision_json(decision, now),
        "clients": _client_counts_json(decision.part(PresenceReport).client_statuses if decision else ()),
        "keep_awake": [
            keep_awake_json(keep, now) for keep in status.snapshot.part(KeepAwakeFacts).keep_awake.values()
        ]
        if status
        else [],
        "sleep_request": sleep_request_json(request, now) if request else None,
        "activity": activity_json(status, now),
        "disks": disks_json(status, now),
        "watch": _watch_json(decision.part(AttributionReport)) if decision else None,
        "next_wake": rfc3339(wake_time.at.wall) if wake_time else None,
        "next_wake_reason": wake_time.reason if wake_time else None,
        "version": __version__,
        "now": rfc3339(now.wall),
        "sources": _sources_json(status.snapshot) if status else [],
        "error": error,
        "reload_error": reload_error,
    }


def keep_awake_json(keep: KeepAwake, now: Moment) -> KeepAwakeJson:
    """A row of ``keep_awake``, and the response of ``/api/keep``."""
    return {
        "id": keep.id,
        "because": keep.reason,
        "since": timestamp(keep.since, now),
        "until": timestamp(keep.until, now) if keep.until else None,
        "not_stored": keep.not_stored or None,
    }


def sleep_request_json(request: SleepRequest, now: Moment) -> SleepRequestJson:
    """``sleep_request`` in ``/api/status``, and the response of ``DELETE /api/sleep``."""
    return {
        "now": request.over_clients,
        "since": timestamp(request.since, now),
        "until": timestamp(request.until, now),
    }


def accepted_sleep_json(accepted: AcceptedSleep, now: Moment) -> AcceptedSleepJson:
    """The response of ``POST /api/sleep``."""
    status = accepted.status
    decision = _decision_json(status.decision if status else None, now)
    return {
        **sleep_request_json(accepted.request, now),
        "mode": status.mode if status else None,
        "action": decision["action"],
        "at_earliest": decision["at_earliest"],
        "waits_for": [reason for reason in decision["reasons"] if reason["keeps_awake"]],
    }


def wake_on_lan_json(result: WakeOnLanResult) -> WakeOnLanJson:
    """The response of ``/api/wake``."""
    sent: list[MagicPacketJson] = [{"link": link, "to": to} for link, to in result.destinations]
    return {"host": result.label, "mac": result.mac, "sent": sent}


def clients_json(status: Status | None, now: Moment) -> list[ClientJson]:
    """The value of ``/api/clients``: present, dozing, unknown, then absent, each by name."""
    client_statuses = status.decision.part(PresenceReport).client_statuses if status else ()
    return [
        _client_json(client_status, now) for client_status in sorted(client_statuses, key=_client_sort_key)
    ]


def activity_json(status: Status | None, now: Moment) -> list[ActivityJson]:
    """The value of ``/api/activity``: one row for each activity, and for each check without one."""
    rows = status.decision.part(ActivityReport).rows if status else ()
    return [_activity_json(row, now) for row in rows]


def _activity_json(row: ActivityRow, now: Moment) -> ActivityJson:
    activity = row.activity
    return {
        "check": row.check,
        "state": row.state.value if row.state else None,
        "subject": activity.subject if activity else None,
        "text": (activity.text if activity else row.reason) or None,
        "value": activity.value if activity else None,
        "unit": (activity.unit or None) if activity else None,
        "threshold": activity.threshold if activity else None,
        "keeps_awake": row.keeps_awake,
        "since": timestamp(row.since, now) if row.since else None,
        "took": round(row.took, 6),
    }


def disks_json(status: Status | None, now: Moment) -> list[DiskJson]:
    """The value of ``/api/disks``: those that may spin down first, then the others, by the kernel's names."""
    if status is None:
        return []
    smart = status.decision.part(SmartReports).smart
    return [
        _disk_json(report, smart.get(report.disk.id), now)
        for report in sorted(status.decision.part(DisksReport).disks, key=_disk_sort_key)
    ]


def _disk_sort_key(report: DiskReport) -> tuple[bool, int, str]:
    name = report.disk.device
    return report.state is DiskState.EXCLUDED, len(name), name  # sdz before sdaa


def _disk_json(report: DiskReport, smart: SmartReport | None, now: Moment) -> DiskJson:
    disk, idle_since, at = report.disk, report.idle_since, report.spin_down_at
    return {
        "id": disk.id,
        "device": disk.device,
        "model": disk.model or None,
        "serial": disk.serial or None,
        "size": disk.size,
        "transport": disk.transport,
        "rpm": disk.rpm,
        "mounts": [{"where": mount.mount_point, "fs": mount.fs_type} for mount in disk.mounts],
        "group": disk.group,
        "state": report.state.value,
        "since": timestamp(report.since, now),
        "idle_for": None if idle_since is None else round(max(0.0, now.mono - idle_since), 1),
        "spin_down_after": report.spin_down_after,
        "spin_down_at": None if at is None else rfc3339(wall_time_after(max(0.0, at - now.mono), now)),
        "reason": report.reason or None,
        "method": report.method,
        "verified_method": report.verified_method,
        "standby_timer": report.standby_timer,
        "apm": report.apm,
        "spin_ups_today": report.spin_ups,
        "spin_downs_today": report.spin_downs,
        "last_wake": timestamp(report.last_spin_up, now) if report.last_spin_up else None,
        "smart": smart_json(disk, smart, now.wall.tzinfo) if smart else None,
    }


def _watch_json(report: AttributionReport) -> WatchJson:
    return {"level": report.level.value, "reason": report.level_reason or None}


def blockers_json(times: BlockerTimes, now: Moment) -> BlockersJson:
    """The value of ``/api/blockers``."""
    return {
        "since": timestamp(times.since, now) if times.since else None,
        "blockers": [
            {"subject": blocker.subject, "text": blocker.text, "seconds": round(seconds, 1)}
            for blocker, seconds in times.totals(now)
        ],
    }


def disks_by_id(status: Status | None) -> dict[DiskId, Disk]:
    """All disks, in the order of ``/api/disks``."""
    reports = status.decision.part(DisksReport).disks if status else ()
    return {report.disk.id: report.disk for report in sorted(reports, key=_disk_sort_key)}


def _client_sort_key(client_status: ClientStatus) -> tuple[int, str, str]:
    return _STATE_ORDER[client_status.state], client_status.client.label.casefold(), client_status.client.id


def _alarms_json(status: Status | None, now: Moment, reload_error: str | None) -> list[AlarmJson]:
    """The value of ``alarms`` of ``/api/status``; arguments as of status_json()."""
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


def _decision_json(decision: Decision | None, now: Moment) -> DecisionJson:
    plan = decision.planned_sleep if decision else None
    reasons = decision.reasons if decision else ()
    return {
        "action": plan.sleep_action if plan else None,
        "at_earliest": rfc3339(plan.at.wall) if plan else None,
        "reasons": [
            {
                "subject": reason.subject,
                "text": reason.text,
                "since": timestamp(reason.since, now),
                "keeps_awake": reason.blocks_sleep,
            }
            for reason in reasons
        ],
    }


def _client_counts_json(client_statuses: tuple[ClientStatus, ...]) -> ClientCountsJson:
    states = [client_status.state for client_status in client_statuses if client_status.blocks_sleep]
    return {
        "present": states.count(ClientState.PRESENT),
        "dozing": states.count(ClientState.DOZING),
        "unknown": states.count(ClientState.UNKNOWN),
        "known": len(states),
    }


def _sources_json(snapshot: Snapshot) -> list[SourceJson]:
    return [
        {"id": name, "error": source_status.reason, "warnings": []}
        if isinstance(source_status, Unavailable)
        else {"id": name, "error": None, "warnings": list(source_status.value)}
        for name, source_status in sorted(snapshot.sources.items())
    ]


def _client_json(client_status: ClientStatus, now: Moment) -> ClientJson:
    client = client_status.client
    return {
        "id": client.id,
        "address": client.addresses[0] if client.addresses else None,
        "mac": client.mac,
        "maker": client.maker,
        "name": client.name,
        "source": ", ".join(client.sources) or None,
        "class": client_status.class_name,
        "state": client_status.state.value,
        "last_seen": timestamp(client_status.last_seen, now) if client_status.last_seen else None,
        "evidence": client_status.evidence.value if client_status.evidence else None,
        "rtt_ms": None if client_status.rtt is None else round(client_status.rtt * 1000, 1),
        "keeps_awake": client_status.blocks_sleep,
        "always_on": client_status.always_on,
        "on_link": client_status.on_link,
        "remark": client_status.remark,
        "stale": client.stale,
        "reason": client_status.reason,
        "since": timestamp(client_status.since, now),
        "absent_after": client_status.absent_after,
        "limit": None if (limit := client_status.limit) is None else _limit_json(limit),
    }


def _limit_json(limit: Limit) -> LimitJson:
    return {
        "basis": limit.basis,
        "longest_nap": round(limit.longest_nap, 1) or None,
        "surprises": limit.surprises,
    }
