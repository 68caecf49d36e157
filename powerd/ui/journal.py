"""Journal entries: event names, message ids and fields, and the one-line status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeAlias

from powerd.core.dataclass import dataclass
from powerd.core.snapshot import Reason, Status
from powerd.disks.model import Disk
from powerd.smart.model import Finding, Severity
from powerd.ui.layout import action_verb, format_time, sanitize

EventName: TypeAlias = Literal[
    "listening",
    "start",
    "phase",
    "warning",
    "going-down",
    "woke",
    "wake-storm",
    "source-failed",
    "source-recovered",
    "source-still-failed",
    "remark",
    "client",
    "action-result",
    "spin-down",
    "spin-up",
    "disk-wake",
    "disk",
    "finding",
    "reload",
    "reload-failed",
    "error",
]
MESSAGE_IDS: Final[Mapping[EventName, str]] = {
    "listening": "d3c1b8a7c0a24d7b9a3c7d31f1b6e7c4",
    "start": "b20a0a0b5cb7439a9dfc29d93ca181bd",
    "phase": "33a1590eff2141759920cae82a572435",
    "warning": "34b090d7bdfc4cb9975dd00f4c7e373a",
    "going-down": "321bc8f65014416e8670e952b02037e7",
    "woke": "6b1d9e0c3f9a4c0f8f6f0f3c2b7de615",
    "wake-storm": "ee633a6eeb0b4492a54b6b3aaa637a89",
    "source-failed": "fba14fec6f2e41e5a223fdee78206e2f",
    "source-recovered": "6e0457284775492b856769fc7a358c7c",
    "source-still-failed": "5b02ad5ea0ff4cdaa13f188904ac3957",
    "remark": "ef9a6dda2cbf4f6abb09c85555492e99",
    "client": "c9dfcc9956bc49328a3fe19161bcc58c",
    "action-result": "8f18d862d6d24785a7752548f853ba2f",
    "spin-down": "1c1bb1c2b0c94e1d8e9a5dc7c5b0a3f4",
    "spin-up": "5a3f0a83d1b84c1c9b6de1e9ce3f7c02",
    "disk-wake": "a1c53698b3284432ab86d8c7ad7c77fc",
    "disk": "0f7a6f6c5b3e4b0f9f0c8d54a1d2e6b9",
    "finding": "4f0d5a7b1d5e4a0c9b1c6c5f2a7e9d31",
    "reload": "c303f1e53f9f4eb5bbe9b19c1d18f633",
    "reload-failed": "df417db453fb46ce8469f513dfb60ce9",
    "error": "9e6aa6c617ea43fb85fb9ebed908ae91",
}
"""One id per event, for ``journalctl MESSAGE_ID=…``; they never change.

listening: the addresses of the UI; start: the first decision; phase: a change of the state; warning: an
announced sleep; going-down: the beginning of a sleep, and woke: its end, whichever program requested it;
wake-storm: repeated wake-ups without a present client; source-failed, source-recovered, source-still-failed:
the availability of a source; remark: a limitation of this machine; client: a change of clients;
action-result: the result of an action; spin-down, spin-up, disk: changes and problems of disks; disk-wake:
what has woken a disk; finding: a finding of a health check; reload, reload-failed: the configuration was read
again, or is invalid; error: any other error.
"""

ERROR, WARNING, NOTICE, INFO = 3, 4, 5, 6
"""Priorities as in syslog(3)."""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One journal message.

    Attributes:
        message: one line of text, free of control characters.
        priority: as in syslog(3).
        fields: MESSAGE_ID, POWERD_EVENT and further fields.
    """

    message: str
    priority: int
    fields: Mapping[str, str]


def make_entry(event: EventName, message: str, priority: int = INFO, **details: str) -> JournalEntry:
    """A JournalEntry; ``details`` become fields: ``subject`` is POWERD_SUBJECT."""
    fields = {f"POWERD_{name.upper()}": sanitize(text) for name, text in details.items()}
    return JournalEntry(
        sanitize(message), priority, {"MESSAGE_ID": MESSAGE_IDS[event], "POWERD_EVENT": event, **fields}
    )


def finding_entry(disk: Disk, smart_finding: Finding, remark: str = "") -> JournalEntry:
    """The entry of a finding, with the advice what to do, and a remark, one clause."""
    priority = {Severity.ALARM: ERROR, Severity.WARNING: WARNING, Severity.NOTE: NOTICE}[
        smart_finding.severity
    ]
    details = {
        "subject": disk.device,
        "disk": disk.id,
        "reason": smart_finding.text,
        "finding": smart_finding.kind,
    }
    clauses = "; ".join(filter(None, (smart_finding.text, smart_finding.advice_for(disk.device), remark)))
    return make_entry("finding", f"{disk.device}: {clauses}", priority, **details)


def main_blocker(reasons: Iterable[Reason]) -> Reason | None:
    """The most severe reason that blocks sleep."""
    return next((reason for reason in reasons if reason.blocks_sleep), None)


def status_line(status: Status) -> str:
    """The state and its main reason, for STATUS= of sd_notify(3). It changes with them only."""
    decision, phase = status.decision, status.decision.phase
    blocker_count = sum(reason.blocks_sleep for reason in decision.reasons)
    blocker = main_blocker(decision.reasons)
    plan, observing = decision.planned_sleep, status.mode == "observe"
    if phase == "going-down":
        return sanitize(f"going down: {blocker.text}" if blocker else "going down")
    if plan is not None:
        when, action_text = (
            format_time(plan.at.wall, status.now.wall),
            action_verb(plan.sleep_action),
        )
        if phase == "warning":
            return f"{'would' if observing else 'will'} {action_text} at {when} unless there is activity"
        return f"{phase}: {'would' if observing else 'may'} {action_text} at {when} at the earliest"
    if blocker is None:
        return f"{phase}: nothing needs the server, and no sleep is planned"
    more = f", and {blocker_count - 1} more" if blocker_count > 1 else ""
    return sanitize(f"{phase}: {blocker.subject}: {blocker.text}{more}")
