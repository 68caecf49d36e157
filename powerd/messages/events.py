"""The messages that a new Status leads to; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from powerd.attribution.model import AttributionReport, Wake
from powerd.config.message_options import MessageOptions
from powerd.config.values import format_duration
from powerd.core.reasons import day_and_time
from powerd.core.snapshot import Status
from powerd.core.time import Moment
from powerd.disks.model import Disk
from powerd.disks.state import DisksReport
from powerd.messages.alarms import server_alarms
from powerd.messages.model import (
    MAX_SUBJECT,
    MAX_TEXT,
    Alarm,
    Message,
    MessageEvent,
    MessageSeverity,
    clean_text,
)
from powerd.power.model import SleepMemory, TransitionFacts, WakeupCause
from powerd.power.sleep_rules import VERBS
from powerd.smart.findings import new_findings
from powerd.smart.model import Finding, Severity, SmartReports

FREQUENT_WAKES: Final = 8
"""Wakes of one disk by one program in a day from which a message is sent. People wake a disk less often, and
an hourly job wakes it 24 times."""
FAILED_SLEEP_AFTER: Final = 300.0
"""Seconds after the first failure of a sleep at which a message is sent if the server has still not slept."""
_DAY: Final = 86400.0
_SHOWN_SLEEP: Final = 60.0
"""Seconds; of a shorter sleep the duration is not shown."""
_ALARM_EVENTS: Final[dict[str, MessageEvent]] = {
    "sleep": "could-not-sleep",
    "wake-storm": "wake-storm",
    "source": "source-failed",
}
"""Events by the first word of the id of an alarm."""
_CAUSE_TEXT: Final = {
    WakeupCause.ALARM: " by the alarm",
    WakeupCause.NETWORK: " by the network",
    WakeupCause.BUTTON: " by a button",
    WakeupCause.UNKNOWN: "",
}
_SEVERITIES: Final[Mapping[Severity, MessageSeverity]] = {
    Severity.ALARM: "alarm",
    Severity.WARNING: "warning",
    Severity.NOTE: "note",
}


def find_messages(
    before: Status | None, after: Status, options: MessageOptions, *, standing: bool = False
) -> tuple[Message, ...]:
    """The messages about what has changed, of the events that are configured.

    Args:
        before: the previous Status; None = ``after`` is the first.
        after: the new Status.
        options: the events, and the address of the page.
        standing: all alarms that stand are new, because no message was made of them.
    """
    found = (
        *_findings(before, after, standing=standing),
        *_alarms(None if standing else before, after),
        *_warning(before, after, options.page),
        *_woke(before, after),
        *_frequent_wakes(before, after),
    )
    return tuple(each for each in found if each.event in options.events)


def _message(  # noqa: PLR0913 - the fields of a Message
    event: MessageEvent,
    now: Moment,
    subject: str,
    text: str,
    advice: str = "",
    *,
    severity: MessageSeverity = "warning",
    key: str = "",
    until: float | None = None,
    details: Mapping[str, str] | None = None,
) -> Message:
    """A Message; its texts may come from untrusted hosts."""
    cleaned = tuple([(name, clean_text(value, MAX_TEXT)) for name, value in (details or {}).items()])
    return Message(
        event,
        now.wall.timestamp(),
        severity,
        clean_text(subject, MAX_SUBJECT),
        clean_text(text, MAX_TEXT),
        clean_text(advice, MAX_TEXT),
        clean_text(key, MAX_TEXT),
        until,
        cleaned,
    )


def _findings(before: Status | None, after: Status, *, standing: bool) -> Iterator[Message]:
    """Findings that are not in the record of their drive; SmartService records them after this decision."""
    known = set() if before is None else {(disk.id, finding) for disk, finding in _fresh_findings(before)}
    found = [*_fresh_findings(after)]
    if standing:
        known = set()
        found += [each for each in _standing_findings(after) if each not in found]
    for disk, finding in found:
        if (disk.id, finding) not in known:
            details = {
                "disk": disk.id,
                "device": disk.device,
                "model": disk.model,
                "serial": disk.serial,
                "kind": finding.kind,
            }
            severity = _SEVERITIES[finding.severity]
            yield _message(
                "finding",
                after.now,
                disk.device,
                finding.text,
                finding.advice_for(disk.device),
                severity=severity,
                details=details,
            )


def _fresh_findings(status: Status) -> Iterator[tuple[Disk, Finding]]:
    smart = status.decision.part(SmartReports).smart
    changed = {name: each for name, each in smart.items() if each.findings != each.record.notified_findings}
    if not changed:
        return
    for disk in (report.disk for report in status.decision.part(DisksReport).disks):
        if (report := changed.get(disk.id)) is not None:
            for finding in new_findings(report.record.notified_findings, report.findings):
                yield disk, finding


def _standing_findings(status: Status) -> Iterator[tuple[Disk, Finding]]:
    """Those that are alarms (messages/alarms.py): neither notes nor acknowledged."""
    smart = status.decision.part(SmartReports).smart
    for disk in (report.disk for report in status.decision.part(DisksReport).disks):
        if (report := smart.get(disk.id)) is not None:
            for finding in report.findings:
                if finding.severity >= Severity.WARNING and finding.kind not in report.acknowledged:
                    yield disk, finding


def _alarms(before: Status | None, after: Status) -> Iterator[Message]:
    """Alarms about the server that are new."""
    known = {alarm.id for alarm in _lasting_alarms(before)} if before is not None else set()
    for alarm in _lasting_alarms(after):
        event = _ALARM_EVENTS.get(alarm.id.partition(" ")[0])
        if alarm.id not in known and event is not None:
            yield _message(event, after.now, alarm.subject, alarm.text, alarm.remedy, key=alarm.id)


def _lasting_alarms(status: Status) -> Iterator[Alarm]:
    """All alarms but a sleep that has just failed: it is retried after a minute, and after another two."""
    for alarm in server_alarms(status):
        lasts = status.now.mono - alarm.since.mono if alarm.since is not None else 0.0
        if alarm.id != "sleep" or lasts >= FAILED_SLEEP_AFTER:
            yield alarm


def _warning(before: Status | None, after: Status, page: str) -> Iterator[Message]:
    """The announcement of a sleep, with the way to stay up."""
    plan, now = after.decision.planned_sleep, after.now
    if (
        plan is None
        or after.decision.phase != "warning"
        or (before is not None and before.decision.phase == "warning")
    ):
        return
    text = f"the server will {VERBS[plan.sleep_action]} at {day_and_time(plan.at, now)} unless it is needed"
    advice = f"to keep it awake: {f'{page}#keep' if page else 'powerd keep 2h'}"
    yield _message("warning", now, "sleep", text, advice, severity="note", until=plan.at.wall.timestamp())


def _woke(before: Status | None, after: Status) -> Iterator[Message]:
    if before is None:
        yield from _started_again(after)
        return
    event = after.snapshot.part(TransitionFacts).wake_event
    if event is None or event == before.snapshot.part(TransitionFacts).wake_event:
        return
    seconds = max(after.now.slept - before.now.slept, event.slept)
    after_text = f" after {format_duration(seconds // 60 * 60)} of sleep" if seconds >= _SHOWN_SLEEP else ""
    detail = f": {event.detail}" if event.detail else ""
    text = f"the server woke up{after_text}{_CAUSE_TEXT[event.cause]}{detail}"
    yield _message("woke", after.now, "sleep", text, severity="note")


def _started_again(first: Status) -> Iterator[Message]:
    """The start of the server after a power-off by powerd."""
    state = first.decision.memory.part(SleepMemory).wake_storm
    if state.off_for is not None:
        lasted = format_duration(state.off_for // 60 * 60)
        text = f"the server was started{_CAUSE_TEXT[state.cause]} after it had been off for {lasted}"
        yield _message("woke", first.now, "sleep", text, severity="note")


def _frequent_wakes(before: Status | None, after: Status) -> Iterator[Message]:
    """Programs that have woken a disk for the FREQUENT_WAKES-th time within a day."""
    wakes = after.decision.part(AttributionReport).wakes
    if before is None or wakes is before.decision.part(AttributionReport).wakes:
        return
    known = _wakes_by_program(before)
    for (disk, program), count in _wakes_by_program(after).items():
        if known[disk, program] < FREQUENT_WAKES <= count:
            text = f"{program} woke {disk} {count} times in 24 h"
            advice = f"`powerd doctor` names causes that it can change, and `powerd wakes {disk}` each wake"
            yield _message("doctor", after.now, disk, text, advice, key=f"doctor {disk} {program}")


def _wakes_by_program(status: Status) -> Counter[tuple[str, str]]:
    """The wakes of the last 24 hours, by the device of the disk and the unit or process."""
    wakes = status.decision.part(AttributionReport).wakes
    devices = {report.disk.id: report.disk.device for report in status.decision.part(DisksReport).disks}
    return Counter(
        (device, program)
        for disk, of_disk in wakes.items()
        if (device := devices.get(disk)) is not None
        for wake in of_disk
        if status.now.mono + status.now.slept - wake.at.mono - wake.at.slept <= _DAY
        and (program := _program(wake))
    )


def _program(wake: Wake) -> str:
    """The culprit of the wake; "" = unknown, or powerd itself."""
    if wake.access is None or wake.access.own:
        return ""
    culprit = wake.access.culprit
    return culprit.owner or culprit.unit or culprit.comm
