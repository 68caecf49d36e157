"""Lines of the journal: what they are made of, and the state in one of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from faces.drives import OLD, PENDING, STRANGE, WORN
from faces.house import EVERY, EVIL, NOW, at, decision, status, world

from powerd.faces.journal import MESSAGE_IDS, entry, finding, status_line
from powerd.model import Finding, Plan, Reason, Severity, Status

HOME = (Reason("tv", "is home", NOW),)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (world("awake", reasons=HOME), "awake: tv: is home"),
        (EVERY["idle"], "idle: would power off at 02:14 at the earliest"),
        (EVERY["warning"], "will suspend at 21:16 unless something stirs"),
        (
            world("going-down", reasons=(Reason("sleep", "about to suspend", NOW),)),
            "going down: about to suspend",
        ),
    ],
)
def test_status_line(given: Status, line: str) -> None:
    assert status_line(given) == line
    assert status_line(replace(given, now=at(30))) == line, "no number in it that changes by itself"


def test_a_plan_is_worded_by_mode() -> None:
    said = replace(decision("idle"), plan=Plan(0, "suspend", at(600)))
    assert status_line(status(said, mode="enforce")) == "idle: may suspend at 21:26 at the earliest"


def test_message_ids_are_128_bit_and_distinct() -> None:
    ids = list(MESSAGE_IDS.values())
    assert len(set(ids)) == len(ids)
    assert all(len(text) == 32 and int(text, 16) and text == text.lower() for text in ids)


def test_an_entry_holds_no_control_character() -> None:
    line = entry("client", EVIL, client=EVIL)
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
def test_a_finding_is_told_by_its_severity(found: Finding, priority: int, message: str) -> None:
    line = finding(OLD, found)
    assert (line.message, line.priority) == (message, priority)
    assert line.fields == {
        "MESSAGE_ID": MESSAGE_IDS["finding"],
        "POWERD_EVENT": "finding",
        "POWERD_SUBJECT": "sdb",
        "POWERD_DISK": OLD.id,
        "POWERD_REASON": found.text,
        "POWERD_FINDING": found.kind,
    }


def test_what_firmware_says_steers_no_terminal() -> None:
    line = finding(STRANGE, Finding(EVIL, Severity.ALARM, EVIL, EVIL))
    assert line.message.isprintable()
    assert all(text.isprintable() for text in line.fields.values())
