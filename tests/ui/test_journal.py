"""Lines of the journal: what they are made of, and the state in one of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ui.smart_statuses import HOSTILE, OLD, PENDING, WORN
from ui.statuses import HOSTILE_NAME, OUTLOOKS, at

from powerd.smart.model import Finding, Severity
from powerd.ui.journal import MESSAGE_IDS, finding_entry, make_entry, status_line


@pytest.mark.parametrize("name", OUTLOOKS)
def test_no_number_in_the_status_line_changes_by_itself(name: str) -> None:
    """Its wording is in golden/next.txt."""
    given = OUTLOOKS[name]
    assert status_line(replace(given, now=at(30))) == status_line(given)


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
        (PENDING, 3, f"sdb: {PENDING.text}; {PENDING.advice_for('sdb')}"),
        (replace(PENDING, severity=Severity.WARNING), 4, f"sdb: {PENDING.text}; {PENDING.advice_for('sdb')}"),
        (WORN, 5, f"sdb: {WORN.text}; {WORN.advice}"),
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
