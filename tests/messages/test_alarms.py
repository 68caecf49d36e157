"""Which alarms stand: each cause, its end, the order, and the texts of ``status`` and ``why``."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core.snapshot_strategies import T0
from power.decision_scenario import SLEEP, SUSPEND, DecisionScenario
from ui.smart_statuses import HEALTH, OLD, PENDING, RED, hostile_drive, report, smart_status, status_of_drives
from ui.statuses import NOW, at, decision, make_status, status
from ui.transitions import wake_storm

from powerd.core.actions import CompletedAction
from powerd.core.reasons import ESCALATE_AFTER, unavailable_reason
from powerd.core.snapshot import Memory, Reason, Status
from powerd.messages.alarms import NOBODY, alarms
from powerd.messages.model import Alarm, MessageFacts
from powerd.power.model import SleepCancelled
from powerd.power.sleep_rules import SLEEP_FAILED_AFTER
from powerd.smart.model import Finding, Severity
from powerd.ui.api import status_json
from powerd.ui.layout import width
from powerd.ui.status import status_text, why_text

HOT = Finding("temperature", Severity.WARNING, "it is at 60 °C or more", "give it air")


def ids(given: Status | None, reload_error: str | None = None) -> list[str]:
    return [alarm.id for alarm in alarms(given, reload_error)]


def unavailable(subject: str, text: str, seconds: float, *, blocks_sleep: bool = True) -> Status:
    """The status with the reason for a source that has been unavailable for so long."""
    since = at(-seconds)
    memory = replace(Memory.initial(NOW), reasons_since={(subject, text): since})
    reason = unavailable_reason(subject, text, memory, NOW)
    return status(decision("awake", (Reason(subject, reason.text, since, blocks_sleep),)))


def source_failed(seconds: float, *, blocks_sleep: bool = True) -> Status:
    return unavailable("clients", "no carrier", seconds, blocks_sleep=blocks_sleep)


def check_failed(seconds: float) -> Status:
    return unavailable("nfs", "permission denied", seconds)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, []),
        (make_status(), []),
        (smart_status(), [("drive ata-ST3500418AS_S2", "sdb", "alarm")]),
        (status_of_drives({RED: report(RED, HEALTH, HOT)}), [(f"drive {RED.id}", "sda", "warning")]),
        (wake_storm()[1], [("wake-storm", "sleep", "warning")]),
        (source_failed(ESCALATE_AFTER - 1), []),
        (source_failed(ESCALATE_AFTER), [("source clients", "clients", "warning")]),
        (source_failed(ESCALATE_AFTER, blocks_sleep=False), []),
        (check_failed(ESCALATE_AFTER), [("source nfs", "nfs", "warning")]),
        (unavailable("mqtt", "refused", ESCALATE_AFTER), [("source mqtt", "mqtt", "warning")]),
    ],
)
def test_each_cause(given: Status | None, expected: list[tuple[str, str, str]]) -> None:
    assert [(alarm.id, alarm.subject, alarm.severity) for alarm in alarms(given)] == expected


def test_a_drive_has_one_alarm_until_its_findings_are_acknowledged() -> None:
    both = report(RED, HEALTH, HOT, PENDING)
    (alarm,) = alarms(status_of_drives({RED: both}))
    assert (alarm.severity, alarm.text.startswith(PENDING.text)) == ("alarm", True)
    assert f"powerd smart {RED.device} --test long" in alarm.remedy
    (alarm,) = alarms(status_of_drives({RED: replace(both, acknowledged=frozenset({PENDING.kind}))}))
    assert (alarm.severity, alarm.text) == ("warning", HOT.text)
    acknowledged = frozenset({PENDING.kind, HOT.kind})
    assert ids(status_of_drives({RED: replace(both, acknowledged=acknowledged)})) == []


def test_the_worst_is_first() -> None:
    given = status_of_drives({RED: report(RED, HEALTH, HOT), OLD: report(OLD, HEALTH, PENDING)})
    assert ids(given, "no TOML") == [f"drive {OLD.id}", f"drive {RED.id}", "reload"]


class FailedSleeps(DecisionScenario):
    """FailedSleeps in which the sleep fails."""

    def alarm(self, seconds: float) -> Alarm | None:
        given = replace(make_status(), decision=self.decide(seconds), now=self.now)
        return next(iter(alarms(given)), None)

    def fail(self, seconds: float, answer: object = None) -> None:
        self.decide(seconds)
        self.results[type(SLEEP)] = CompletedAction(SLEEP, self.at, ok=False, message="no", answer=answer)


def test_a_failed_sleep_is_an_alarm_until_the_server_has_slept() -> None:
    scenario = FailedSleeps()
    scenario.fail(600)
    alarm = scenario.alarm(601)
    assert alarm is not None
    assert (alarm.id, alarm.text) == ("sleep", "could not suspend: no")
    assert alarm.since is not None
    assert alarm.since.mono == T0 + 600
    scenario.somebody_home = True
    still = scenario.alarm(900)
    assert still is not None
    assert still.text == alarm.text, "who comes home reads it"
    scenario.slept += 3600
    assert scenario.alarm(960) is None


def test_a_sleep_that_powerd_has_cancelled_is_no_alarm() -> None:
    scenario = FailedSleeps()
    scenario.fail(600, SleepCancelled())
    assert scenario.alarm(601) is None


def test_a_sleep_that_was_accepted_and_does_not_come_is_an_alarm() -> None:
    scenario = FailedSleeps()
    scenario.decide(600)
    scenario.action_completed(SLEEP)
    assert scenario.alarm(601 + SLEEP_FAILED_AFTER - 2) is None
    assert scenario.alarm(601 + SLEEP_FAILED_AFTER) is not None


def test_a_command_that_succeeds_ends_the_alarm() -> None:
    scenario = FailedSleeps(SUSPEND.replace('"suspend"', '"command"\ncommand = ["/bin/true"]'))
    rule = replace(SLEEP, sleep_action="command", command=("/bin/true",))
    scenario.decide(600)
    scenario.action_completed(rule, ok=False)
    assert scenario.alarm(601) is not None
    scenario.decide(661)
    scenario.action_completed(rule)
    assert scenario.alarm(662) is None


def test_an_alarm_says_that_nobody_was_notified() -> None:
    given = smart_status()
    silent = replace(given, snapshot=given.snapshot.with_parts(MessageFacts(configured=False)))
    assert NOBODY in alarms(silent)[0].remedy
    assert NOBODY not in alarms(given)[0].remedy


@pytest.mark.parametrize(
    ("waiting", "seconds", "expected"), [(3, ESCALATE_AFTER, ["messages"]), (3, 60, []), (0, 9999, [])]
)
def test_messages_that_do_not_arrive_are_an_alarm(waiting: int, seconds: float, expected: list[str]) -> None:
    facts = MessageFacts(waiting=waiting, error="no answer", failing_since=at(-seconds))
    given = make_status()
    assert ids(replace(given, snapshot=given.snapshot.with_parts(facts))) == expected


def test_texts_begin_with_the_alarms() -> None:
    shown = status_json(smart_status(), NOW, None, "powerd.toml: clients.evry: unknown key")
    for text in (status_text(shown), why_text(shown)):
        assert text.startswith(f"alarm     sdb: {PENDING.text}")
        assert text.index("--acknowledge") < text.index("clients.evry") < text.index("awake since")


def test_hostile_texts_steer_nothing(columns: int) -> None:
    shown = status_json(hostile_drive(), NOW)
    assert len(shown["alarms"]) == 1
    for text in (status_text(shown), why_text(shown)):
        assert all(line.isprintable() and width(line) <= columns for line in text.splitlines())
