"""Lines of the journal: what they are made of, and the state in one of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ui.smart_statuses import HOSTILE, OLD, PENDING, WORN
from ui.statuses import HOSTILE_NAME, NOW, STATUSES, at, decision, make_status, status

from powerd.core.snapshot import PlannedSleep, Reason, Status
from powerd.smart.model import Finding, Severity
from powerd.ui.journal import MESSAGE_IDS, finding_entry, make_entry, status_line

HOME = (Reason("tv", "is home", NOW),)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (make_status("awake", reasons=HOME), "awake: tv: is home"),
        (STATUSES["idle"], "idle: would power off at 02:14 at the earliest"),
        (STATUSES["warning"], "will suspend at 21:16 unless there is activity"),
        (
            make_status("going-down", reasons=(Reason("sleep", "about to suspend", NOW),)),
            "going down: about to suspend",
        ),
    ],
)
def test_status_line(given: Status, line: str) -> None:
    assert status_line(given) == line
    assert status_line(replace(given, now=at(30))) == line, "no number in it that changes by itself"


def test_a_plan_is_worded_by_mode() -> None:
    output = replace(decision("idle"), planned_sleep=PlannedSleep(0, "suspend", at(600)))
    assert status_line(status(output, mode="enforce")) == "idle: may suspend at 21:26 at the earliest"


def test_message_ids_are_128_bit_and_distinct() -> None:
    ids = list(MESSAGE_IDS.values())
    assert len(set(ids)) == len(ids)
    assert all(len(text) == 32 and int(text, 16) and text == text.lower() for text in ids)


def test_an_entry_holds_no_control_character() -> None:
    line = make_entry("client", HOSTILE_NAME, client=HOSTILE_NAME)
    assert line.message.isprintable()
    assert all(text.isprintable() for text in line.fields.values())


@pytest.mark.parametrize(
    ("found", "priority", "message"),
    [
        (PENDING, 3, f"sdb: {PENDING.text}; {PENDING.advice}"),
        (replace(PENDING, severity=Severity.WARNING), 4, f"sdb: {PENDING.text}; {PENDING.advice}"),
        (WORN, 5, "sdb: 90 % of its rated life is used up; plan its replacement"),
    ],
)
def test_a_finding_is_reported_by_its_severity(found: Finding, priority: int, message: str) -> None:
    line = finding_entry(OLD, found)
    assert (line.message, line.priority) == (message, priority)
    assert line.fields == {
        "MESSAGE_ID": MESSAGE_IDS["finding"],
        "POWERD_EVENT": "finding",
        "POWERD_SUBJECT": "sdb",
        "POWERD_DISK": OLD.id,
        "POWERD_REASON": found.text,
        "POWERD_FINDING": found.kind,
    }


def test_firmware_strings_steer_no_terminal() -> None:
    line = finding_entry(HOSTILE, Finding(HOSTILE_NAME, Severity.ALARM, HOSTILE_NAME, HOSTILE_NAME))
    assert line.message.isprintable()
    assert all(text.isprintable() for text in line.fields.values())
