"""Which messages a pair of Statuses gives cause for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from facts import changed
from messages.test_alarms import check_failed, source_failed
from ui.smart_statuses import HEALTH, HOSTILE, PENDING, RED, WORN, hostile_drive, report, status_of_drives
from ui.statuses import HOSTILE_NAME, NOW, at, idle, make_status, warning
from ui.transitions import wake_storm, woken
from ui.wake_statuses import CONTAINER, access, by_disk, wake, watched

from powerd.config.load import parse
from powerd.config.message_options import MessageOptions
from powerd.core.reasons import ESCALATE_AFTER
from powerd.core.snapshot import Status
from powerd.messages.events import FREQUENT_WAKES, find_messages
from powerd.messages.model import MAX_TEXT, MESSAGE_EVENTS, Message
from powerd.power.model import WakeEvent, WakeStormState, WakeupCause
from powerd.smart.model import SmartReport

ALL = MessageOptions(events=MESSAGE_EVENTS)


def messages(before: Status | None, after: Status, options: MessageOptions = ALL) -> tuple[Message, ...]:
    return find_messages(before, after, options)


def known(given: SmartReport) -> SmartReport:
    """The report after its findings were recorded."""
    return replace(given, record=replace(given.record, notified_findings=given.findings))


def failed_sleep(seconds: float) -> Status:
    given = make_status("idle")
    memory = changed(given.decision.memory, failed_sleep=(NOW.mono - seconds, "could not suspend: no"))
    return replace(given, decision=replace(given.decision, memory=memory))


def wakes(count: int, *, own: bool = False, hours: float = 23.0) -> Status:
    return watched(
        by_disk([wake(3600 * hours * n / count, access(CONTAINER, own=own)) for n in range(count)])
    )


def started(state: WakeStormState) -> Status:
    given = make_status()
    memory = changed(given.decision.memory, wake_storm=state)
    return replace(given, decision=replace(given.decision, memory=memory))


FINDINGS = status_of_drives({RED: report(RED, HEALTH, PENDING, WORN)})
WOKEN = WakeEvent(NOW.mono + 2, WakeupCause.ALARM, "backup.timer")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, make_status(), []),
        (make_status(), FINDINGS, [("finding", "sda", "alarm"), ("finding", "sda", "note")]),
        (None, FINDINGS, [("finding", "sda", "alarm"), ("finding", "sda", "note")]),
        (FINDINGS, FINDINGS, []),
        (None, status_of_drives({RED: known(report(RED, HEALTH, PENDING))}), []),
        (idle("enforce"), warning(), [("warning", "sleep", "note")]),
        (None, warning(), [("warning", "sleep", "note")]),
        (warning(), warning(), []),
        (warning(), idle("enforce"), []),
        (make_status("idle"), woken(make_status(), WOKEN), [("woke", "sleep", "note")]),
        (make_status("idle"), woken(make_status(), None), []),
        (None, woken(make_status(), WOKEN), []),
        (None, started(WakeStormState(off_for=100.0)), [("woke", "sleep", "note")]),
        (make_status(), started(WakeStormState(off_for=100.0)), []),
        (None, started(WakeStormState()), []),
        (make_status("idle"), failed_sleep(299), []),
        (failed_sleep(299), failed_sleep(300), [("could-not-sleep", "sleep", "warning")]),
        (failed_sleep(300), failed_sleep(301), []),
        (*wake_storm(), [("wake-storm", "sleep", "warning")]),
        (None, wake_storm()[1], [("wake-storm", "sleep", "warning")]),
        (source_failed(60), source_failed(ESCALATE_AFTER), [("source-failed", "clients", "warning")]),
        (source_failed(ESCALATE_AFTER), source_failed(ESCALATE_AFTER), []),
        (check_failed(60), check_failed(ESCALATE_AFTER), [("source-failed", "nfs", "warning")]),
        (wakes(FREQUENT_WAKES - 1), wakes(FREQUENT_WAKES), [("doctor", "sda", "warning")]),
        (wakes(FREQUENT_WAKES), wakes(FREQUENT_WAKES + 1), []),
        (wakes(1), wakes(FREQUENT_WAKES, own=True), []),
        (wakes(1), wakes(FREQUENT_WAKES, hours=40), []),
        (None, wakes(FREQUENT_WAKES), []),
    ],
)
def test_events(before: Status | None, after: Status, expected: list[tuple[str, str, str]]) -> None:
    found = messages(before, after)
    assert [(each.event, each.subject, each.severity) for each in found] == expected
    assert messages(before, after, MessageOptions(events=())) == ()


def test_only_events_that_are_configured() -> None:
    options = parse(b'[messages]\nevents = ["woke"]', "test").messages
    assert messages(make_status(), FINDINGS, options) == ()
    assert len(messages(make_status("idle"), woken(make_status(), WOKEN), options)) == 1


def test_a_finding_has_what_the_hook_needs() -> None:
    finding = messages(None, FINDINGS)[0]
    assert (finding.text, finding.advice) == (PENDING.text, PENDING.advice_for("sda"))
    assert dict(finding.details) == {
        "disk": RED.id,
        "device": "sda",
        "model": RED.model,
        "serial": "S1",
        "kind": "pending",
    }


def test_a_warning_has_its_time_and_a_way_to_stay_up() -> None:
    (given,) = messages(idle("enforce"), warning())
    assert "suspend at Mon 21:16" in given.text
    assert "powerd keep" in given.advice
    assert given.until == at(45).wall.timestamp()
    (given,) = messages(None, warning(), replace(ALL, page="https://nas.lan/powerd/"))
    assert given.advice.endswith(" https://nas.lan/powerd/#keep")


def test_a_wake_up_has_its_cause_and_the_time_asleep() -> None:
    (given,) = messages(make_status("idle"), woken(make_status(), WOKEN))
    assert "by the alarm: backup.timer" in given.text


def test_a_start_after_a_power_off_has_its_cause_and_the_time_off() -> None:
    (given,) = messages(None, started(WakeStormState(off_for=8 * 3600.0 + 7, cause=WakeupCause.ALARM)))
    assert all(term in given.text for term in ("started", "alarm", "off for 8h"))


def test_the_culprit_is_named() -> None:
    (given,) = messages(wakes(1), wakes(24))
    assert "sda 24 times" in given.text
    assert "powerd doctor" in given.advice


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, hostile_drive()),
        (None, status_of_drives({HOSTILE: report(HOSTILE, HEALTH, replace(PENDING, text="x\n" * 9000))})),
        (
            make_status("idle"),
            woken(make_status(), replace(WOKEN, detail=HOSTILE_NAME * 99)),
        ),
    ],
)
def test_hostile_texts(before: Status | None, after: Status) -> None:
    (given,) = messages(before, after)
    for text in (given.subject, given.text, given.advice, *dict(given.details).values()):
        assert text.isprintable()
        assert len(text) <= MAX_TEXT
