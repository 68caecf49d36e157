"""Detects transitions between two decisions, and makes one journal entry of each.

Decisions without a change produce no entry, because a journal message is a disk write.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from powerd import __version__
from powerd.activity.model import ACTIVITY, ActivityFacts, ActivityReport, CheckId, CheckState
from powerd.attribution.view.events import wake_events
from powerd.core.actions import CancelWarning, CompletedAction, Sleep, WarnUsers
from powerd.core.snapshot import Decision, Reason, Snapshot, Status
from powerd.core.time import Reading, Unavailable
from powerd.disks.state import DisksReport
from powerd.disks.view.events import disk_events
from powerd.mqtt.model import SUBJECT as MQTT
from powerd.power.model import (
    LOGIND,
    NETWORK_CARDS,
    TIMERS,
    NetworkCardFacts,
    SleepMemory,
    SleepRequestFacts,
    TransitionFacts,
    WakeupCause,
)
from powerd.presence.model import ClientId, ClientState, ClientStatus, PresenceFacts, PresenceReport
from powerd.requests.model import KeepAwakeFacts
from powerd.smart.model import SmartReports
from powerd.ui.journal import (
    ERROR,
    INFO,
    NOTICE,
    WARNING,
    EventName,
    JournalEntry,
    main_blocker,
    make_entry,
    status_line,
)
from powerd.ui.layout import action_verb, format_duration, join_names

_WAKE_CAUSE_TEXT: Final = {
    WakeupCause.ALARM: "by the alarm",
    WakeupCause.NETWORK: "by the network",
    WakeupCause.BUTTON: "by a button",
    WakeupCause.UNKNOWN: "by an unknown cause",
}
_PHASE_EVENTS: Final[Mapping[str, EventName]] = {"warning": "warning", "going-down": "going-down"}
"""Phases with an event of their own, so that a dashboard can distinguish a sleep from a crash."""
_ROUTINE_PHASES: Final = frozenset({"awake", "idle"})
_BROKER_LOST_AFTER: Final = 60.0
"""Seconds without the broker after which an entry reports it."""
_MAX_SEPARATE_ENTRIES: Final = 3
"""Up to this number, clients that change together get one entry each; more share one entry."""


def shown_values(status: Status) -> Hashable:
    """The content of an open page without what changes in every round: times and measured values."""
    decision = status.decision
    plan, presence = decision.planned_sleep, decision.part(PresenceReport)
    return (
        decision.phase,
        None if plan is None else (plan.sleep_action, round(plan.at.mono)),
        tuple((reason.subject, reason.blocks_sleep) for reason in decision.reasons),
        tuple((each.client.id, each.state) for each in presence.client_statuses),
        tuple((report.disk.id, report.state) for report in decision.part(DisksReport).disks),
        tuple(
            (disk, report.acknowledged, report.testing, report.record.last and report.record.last.checked_at)
            for disk, report in decision.part(SmartReports).smart.items()
        ),
        tuple(status.snapshot.part(KeepAwakeFacts).keep_awake),
        decision.part(SleepRequestFacts).sleep_request is None,
    )


class TransitionDetector:
    """Remembers what has been reported, and makes the entries of each new Status."""

    def __init__(self) -> None:
        self._previous: Status | None = None
        self._reported_states: dict[ClientId, ClientState] = {}
        self._reported_remarks: set[tuple[str, str]] = set()
        self._inapplicable_checks: set[CheckId] = set()
        self._sleep_seconds = 0.0

    def entries(self, status: Status) -> list[JournalEntry]:
        """The transitions since the last call, the most severe first; [] if nothing changed."""
        before, self._previous = self._previous, status
        return [
            *_action_entries(before, status),
            *self._resume_entries(before, status),
            *_wake_storm_entries(before, status),
            *_phase_entries(before, status),
            *_source_entries(before, status),
            *self._remark_entries(status),
            *self._inapplicable_check_entries(status),
            *self._client_entries(status.decision.part(PresenceReport).client_statuses, status),
            *disk_events(before, status),
            *wake_events(before, status),
        ]

    def _resume_entries(self, before: Status | None, after: Status) -> Iterator[JournalEntry]:
        """The end of a sleep, once its cause is known. POWERD_SLEPT is the duration in seconds."""
        resumed_at, wake_event = (
            after.decision.memory.resumed_at,
            after.snapshot.part(TransitionFacts).wake_event,
        )
        if before is not None and resumed_at != before.decision.memory.resumed_at:
            self._sleep_seconds += after.now.slept - before.now.slept
        if (
            wake_event is None
            or before is None
            or wake_event == before.snapshot.part(TransitionFacts).wake_event
        ):
            return
        seconds_asleep, self._sleep_seconds = max(self._sleep_seconds, wake_event.slept), 0.0
        duration_text = format_duration(seconds_asleep) if seconds_asleep >= 1 else "less than a second"
        text = f"woke up after {duration_text} of sleep, {_WAKE_CAUSE_TEXT[wake_event.cause]}"
        yield make_entry(
            "woke",
            f"{text}: {wake_event.detail}" if wake_event.detail else text,
            NOTICE,
            subject="sleep",
            reason=wake_event.detail or _WAKE_CAUSE_TEXT[wake_event.cause],
            cause=wake_event.cause,
            slept=f"{seconds_asleep:.0f}",
        )

    def _remark_entries(self, status: Status) -> Iterator[JournalEntry]:
        """Remarks about the server itself, each once while powerd runs.

        Warnings about lease files come and go with the files; `powerd clients` shows them.
        """
        for reason in status.decision.reasons:
            key = (reason.subject, reason.text)
            if key not in self._reported_remarks and (
                (not reason.blocks_sleep and _is_about_server(reason, status))
                or _is_lost_broker(reason, status)
            ):
                self._reported_remarks.add(key)
                yield _subject_entry("remark", reason.subject, reason.text, WARNING)

    def _inapplicable_check_entries(self, status: Status) -> Iterator[JournalEntry]:
        """The checks whose interface this machine does not have, each once while powerd runs."""
        rows = status.decision.part(ActivityReport).rows
        inapplicable = {row.check for row in rows if row.state is CheckState.NOT_APPLICABLE}
        if new := sorted(inapplicable - self._inapplicable_checks):
            self._inapplicable_checks |= inapplicable
            text = f"checks for which this machine has no interface: {', '.join(new)}; see `powerd activity`"
            yield _subject_entry("remark", ACTIVITY, text, INFO)

    def _client_entries(
        self, client_statuses: tuple[ClientStatus, ...], status: Status
    ) -> Iterator[JournalEntry]:
        """Clients that have come, gone, or become unknown. Ignored clients are omitted."""
        relevant = {each.client.id: _without_doze(each) for each in client_statuses if each.blocks_sleep}
        self._reported_states = {
            name: state for name, state in self._reported_states.items() if name in relevant
        }
        blockers = {reason.subject for reason in status.decision.reasons if reason.blocks_sleep}
        groups: dict[ClientState, list[ClientStatus]] = {}
        for name, client_status in relevant.items():
            reported_state = self._reported_states.get(name)
            if client_status.state is reported_state or (
                client_status.state is ClientState.UNKNOWN
                and not _probe_failed(client_status, status, blockers)
            ):
                continue
            self._reported_states[name] = client_status.state
            if (
                reported_state is not None or client_status.state is not ClientState.ABSENT
            ):  # an absent client is not reported at the first decision
                groups.setdefault(client_status.state, []).append(client_status)
        for state, group in groups.items():
            yield from _client_group_entries(state, group)


def _without_doze(client_status: ClientStatus) -> ClientStatus:
    """A dozing client is present for the journal: it would write an entry for each nap."""
    if client_status.state is ClientState.DOZING:
        return replace(client_status, state=ClientState.PRESENT)
    return client_status


def _is_about_server(reason: Reason, status: Status) -> bool:
    """Whether a remark is about the server: logind, timers or network cards."""
    return all(
        name in {LOGIND, TIMERS, NETWORK_CARDS, *status.snapshot.part(NetworkCardFacts).network_cards}
        for name in reason.subject.split(", ")
    )


def _is_lost_broker(reason: Reason, status: Status) -> bool:
    """Whether the MQTT broker cannot be reached, and for longer than the moment after a wake-up."""
    return reason.subject == MQTT and status.now.mono - reason.since.mono >= _BROKER_LOST_AFTER


def _probe_failed(client_status: ClientStatus, status: Status, blockers: set[str]) -> bool:
    """Whether a client is unknown because its probe failed, and this blocks sleep.

    A client that was not probed because another one is present, or that has not been silent for long enough,
    has made no transition that leads to an entry; neither have clients behind an unavailable source.
    """
    observation = status.snapshot.part(PresenceFacts).observations.get(client_status.client.id)
    failed = isinstance(observation, Unavailable) or (
        isinstance(observation, Reading) and observation.value.silent_since is None
    )
    return failed and client_status.client.label in blockers


def _client_group_entries(state: ClientState, group: list[ClientStatus]) -> Iterator[JournalEntry]:
    priority = WARNING if state is ClientState.UNKNOWN else INFO
    if len(group) <= _MAX_SEPARATE_ENTRIES:
        for client_status in group:
            name, reason_text = client_status.client.label, client_status.reason
            yield make_entry(
                "client",
                f"{name} is {state}: {reason_text}",
                priority,
                client=client_status.client.id,
                subject=name,
                reason=reason_text,
            )
        return
    names = join_names([status.client.label for status in group], _MAX_SEPARATE_ENTRIES)
    message = f"{len(group)} clients are {state}: {names}"
    yield make_entry("client", message, priority, client=" ".join(status.client.id for status in group))


def _action_entries(before: Status | None, after: Status) -> Iterator[JournalEntry]:
    """Results of actions. Those of disk actions are reported with the state of the disk."""
    for kind, completed_action in after.snapshot.completed_actions.items():
        if before is None or before.snapshot.completed_actions.get(kind) == completed_action:
            continue
        action, result_text = completed_action.action, completed_action.message
        if isinstance(action, Sleep):
            message, priority = (
                f"could not {action_verb(action.sleep_action)}: {result_text}",
                ERROR,
            )
            if completed_action.ok:
                message, priority = f"{result_text}{_idle_suffix(before.decision, completed_action)}", NOTICE
            yield make_entry(
                "action-result",
                message,
                priority,
                subject=f"sleep rule {action.rule + 1}",
                reason=result_text,
            )
        elif isinstance(action, WarnUsers | CancelWarning) and not completed_action.ok:
            verb_phrase = "is" if isinstance(action, WarnUsers) else "is not"
            message = (
                f"cannot announce that the server {verb_phrase} to "
                f"{action_verb(action.sleep_action)}: {result_text}"
            )
            yield make_entry("action-result", message, WARNING, subject="warning", reason=result_text)


def _idle_suffix(decision: Decision, completed_action: CompletedAction) -> str:
    """How long the server had been idle when the action started."""
    since = decision.memory.part(SleepMemory).quiet_since
    if isinstance(completed_action.action, Sleep) and completed_action.action.requested:
        return ": a person had requested it"
    return (
        ""
        if since is None
        else f": nothing had needed the server for {format_duration(completed_action.started_at - since)}"
    )


def _wake_storm_entries(before: Status | None, after: Status) -> Iterator[JournalEntry]:
    """The beginning of a wake storm: repeated wake-ups without a present client."""
    wake_storm = after.decision.memory.part(SleepMemory).wake_storm
    previous_until = (
        before.decision.memory.part(SleepMemory).wake_storm.stay_up_until if before is not None else None
    )
    if wake_storm.stay_up_until in {None, previous_until}:
        return
    times = f"{len(wake_storm.unneeded_wakeups)} times within an hour, and no client was present"
    text = f"the server was woken {times}: it stays awake for {format_duration(wake_storm.stay_up_for)}"
    yield make_entry("wake-storm", text, WARNING, subject="sleep", reason=text)


def _phase_entries(before: Status | None, after: Status) -> Iterator[JournalEntry]:
    old, new = before.decision.phase if before else None, after.decision.phase
    if before is None:
        yield make_entry(
            "start", f"powerd {__version__} has started in {after.mode} mode; {_start_text(after)}", NOTICE
        )
        return
    other_shutdown = after.snapshot.part(TransitionFacts).shutdown is not None
    already_reported = (
        new == "going-down" and after.mode == "observe" and not other_shutdown
    )  # by the entry of the result
    if old == new or already_reported or (old, new) == ("going-down", "idle"):
        return  # nothing new, or reported by the entry of the result
    reasons = after.decision.reasons
    blocker = main_blocker(reasons)
    if blocker is None and new == "warning":
        blocker = next((reason for reason in reasons if reason.subject.startswith("sleep rule")), None)
    details = {"subject": blocker.subject, "reason": blocker.text} if blocker else {}
    yield make_entry(
        _PHASE_EVENTS.get(new, "phase"),
        _start_text(after) if old == "starting" else status_line(after),
        INFO if new in _ROUTINE_PHASES else NOTICE,
        **details,
    )


def _start_text(status: Status) -> str:
    """The state; its reason too, unless it is the failure of a source, which has an entry of its own."""
    blocker = main_blocker(status.decision.reasons)
    is_reported = blocker is not None and _failures(status.snapshot).get(blocker.subject) == blocker.text
    return status.decision.phase if is_reported else status_line(status)


def _source_entries(before: Status | None, after: Status) -> Iterator[JournalEntry]:
    """Sources and checks that have failed, recovered, or failed for so long that the reason escalates."""
    failed_before, failed_now = _failures(before.snapshot) if before else {}, _failures(after.snapshot)
    for name, error_text in failed_now.items():
        if name not in failed_before:
            yield _subject_entry("source-failed", name, error_text, WARNING)
        elif before is not None and (text := _escalated_text(name, before, after)):
            yield _subject_entry("source-still-failed", name, text, ERROR)
    for name in failed_before.keys() - failed_now.keys():
        yield make_entry("source-recovered", f"{name}: available again", NOTICE, subject=name)


def _subject_entry(event: EventName, subject: str, text: str, priority: int) -> JournalEntry:
    """An entry ``subject: text``."""
    return make_entry(event, f"{subject}: {text}", priority, subject=subject, reason=text)


def _failures(snapshot: Snapshot) -> dict[str, str]:
    """The error of each unavailable source and of each activity check that has failed."""
    sources = {
        str(name): source_status.reason
        for name, source_status in snapshot.sources.items()
        if isinstance(source_status, Unavailable)
    }
    checks = {
        str(check): result.reason
        for check, result in snapshot.part(ActivityFacts).results.items()
        if result.state is CheckState.FAILED
    }
    return sources | checks


def _escalated_text(name: str, before: Status, after: Status) -> str | None:
    """The longer text of a reason that has lasted since an earlier decision."""
    previous_reason, current_reason = (
        next((reason for reason in status.decision.reasons if reason.subject == name), None)
        for status in (before, after)
    )
    if previous_reason is None or current_reason is None or previous_reason.since != current_reason.since:
        return None
    return (
        current_reason.text
        if previous_reason.text != current_reason.text and previous_reason.text in current_reason.text
        else None
    )
