"""Which alarms stand, from the facts and memory of one Status; pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from powerd.core.reasons import ESCALATE_AFTER, escalated_text
from powerd.core.snapshot import Status
from powerd.core.time import add_seconds
from powerd.disks.state import DisksReport
from powerd.messages.model import Alarm, MessageFacts
from powerd.power.model import SleepMemory, WakeupCause
from powerd.smart.model import Severity, SmartReport, SmartReports

NOBODY: Final = "no message was sent: neither hooks.notify nor hooks.alert is set"
"""A clause about findings without a recipient."""


def alarms(status: Status | None, reload_error: str | None = None) -> tuple[Alarm, ...]:
    """The alarms that stand, the worst first.

    Args:
        status: the last decision; None = there is none yet.
        reload_error: why the last reload has not applied the configuration file; None = it has.
    """
    found = list(_failed_reload(reload_error))
    if status is not None:
        found = [*_drives(status), *server_alarms(status), *found, *_undelivered(status)]
    return tuple(sorted(found, key=lambda alarm: alarm.severity != "alarm"))


def server_alarms(status: Status) -> Iterator[Alarm]:
    """The alarms about the server itself, which also lead to messages."""
    yield from _wake_storm(status)
    yield from _failed_sleep(status)
    yield from _failed_sources(status)


def _drives(status: Status) -> Iterator[Alarm]:
    """One alarm for each drive with findings that are not acknowledged."""
    smart = status.decision.part(SmartReports).smart
    unwell = {name: each for name, each in smart.items() if each.findings and not each.healthy}
    if not unwell:
        return
    configured = status.snapshot.part(MessageFacts).configured
    for disk in (report.disk for report in status.decision.part(DisksReport).disks):
        report = unwell.get(disk.id)
        if report is not None and report.severity is not None and report.severity >= Severity.WARNING:
            yield _drive(disk.device, report, reported=configured)


def _drive(device: str, report: SmartReport, *, reported: bool) -> Alarm:
    findings = sorted(
        (
            each
            for each in report.findings
            if each.severity >= Severity.WARNING and each.kind not in report.acknowledged
        ),
        key=lambda finding: -finding.severity,
    )
    worst, more = findings[0], len(findings) - 1
    return Alarm(
        f"drive {report.disk}",
        device,
        worst.text + (f"; and {more} more: see `powerd smart {device}`" if more else ""),
        f"{worst.advice_for(device)}; then `powerd smart {device} --acknowledge`"
        + ("" if reported else f"; {NOBODY}"),
        None,
        "alarm" if worst.severity is Severity.ALARM else "warning",
    )


def _wake_storm(status: Status) -> Iterator[Alarm]:
    storm, now = status.decision.memory.part(SleepMemory).wake_storm, status.now
    if storm.stay_up_until is None:
        return
    by_network = {cause for _, cause in storm.unneeded_wakeups} == {WakeupCause.NETWORK}
    yield Alarm(
        "wake-storm",
        "sleep",
        f"the server was woken {len(storm.unneeded_wakeups)} times within an hour, and no client was "
        f"present: it stays awake for {storm.stay_up_for / 3600:.0f} h",
        "find who sends packets to it, or let its network cards wake it by magic packets only (ethtool -s "
        "CARD wol g)"
        if by_network
        else "the journal has the cause of each wake-up (journalctl -u powerd); disable what wakes it",
        add_seconds(now, storm.stay_up_until - storm.stay_up_for - now.mono - now.slept),
        "warning",
    )


def _failed_sleep(status: Status) -> Iterator[Alarm]:
    failure = status.decision.memory.part(SleepMemory).failed_sleep
    if failure is not None:
        at, text = failure
        since = add_seconds(status.now, at - status.now.mono)
        yield Alarm("sleep", "sleep", text, "see `powerd why` and journalctl -u powerd", since, "warning")


def _failed_sources(status: Status) -> Iterator[Alarm]:
    """Sources, checks and the broker that have been unavailable for long, if that keeps the server awake."""
    for reason in status.decision.reasons:
        text = escalated_text(reason.text)
        if text is not None and reason.blocks_sleep:
            remedy = "the server stays awake until this is repaired"
            yield Alarm(f"source {reason.subject}", reason.subject, text, remedy, reason.since, "warning")


def _undelivered(status: Status) -> Iterator[Alarm]:
    """Messages that have not reached any recipient for long."""
    facts, now = status.snapshot.part(MessageFacts), status.now
    since = facts.failing_since
    if facts.waiting and since is not None and now.mono - since.mono >= ESCALATE_AFTER:
        text = f"{facts.waiting} of them cannot be delivered: {facts.error}"
        yield Alarm("messages", "messages", text, "`powerd notify --test` tries again", since, "warning")


def _failed_reload(error: str | None) -> Iterator[Alarm]:
    if error is not None:
        remedy = "`powerd check` lists all faults; correct them, then `powerd reload`"
        yield Alarm("reload", "configuration", error, remedy, None, "warning")
