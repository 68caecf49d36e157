"""The table of ``powerd activity``; its wording is in tests/ui/golden/activity.txt."""

from __future__ import annotations

import pytest
from ui.statuses import HOSTILE_NAME, NOW, working

from powerd.activity.view import activity_text, effect_text, poll_time_text, quantity
from powerd.ui.api import status_json
from powerd.ui.layout import width


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (None, "B/s", "-"),
        (0.0, "B/s", "0 B/s"),
        (999.0, "B/s", "999 B/s"),
        (4_200.0, "B/s", "4.2 kB/s"),
        (4_250_000.0, "B/s", "4.2 MB/s"),
        (123_400_000.0, "B", "123 MB"),
        (7e18, "B", "7000000 TB"),
        (1.25, "%", "1.2 %"),
        (3.0, None, "3"),
        (125.0, "s", "2 min"),
        (12345.0, "", "12345"),
    ],
)
def test_quantities(value: float | None, unit: str | None, expected: str) -> None:
    assert quantity(value, unit) == expected


def test_no_check_is_enabled() -> None:
    status = status_json(None, NOW)
    assert activity_text([], status).count("\n") == 1
    assert poll_time_text([]) == ""


def test_the_time_of_the_polls_is_that_of_the_slowest() -> None:
    """All run at the same time."""
    rows = status_json(working(), NOW)["activity"]
    for row in rows:
        row["took"] = 0.004
    rows[-1]["took"] = 1.5
    text = " ".join(poll_time_text(rows).split())
    assert f"in 1.5 s; the slowest: {rows[-1]['check']}" in text
    assert f" {len({row['check'] for row in rows})} checks " in text


@pytest.mark.parametrize(("subject", "effect"), [(None, "failed, ignored"), ("meeting", "does not count")])
def test_an_event_that_is_known_in_spite_of_a_failure(subject: str | None, effect: str) -> None:
    rows = status_json(working(), NOW)["activity"]
    row = next(each for each in rows if each["state"] == "failed" and not each["keeps_awake"])
    row["subject"] = subject
    assert effect_text(row, observing=False) == effect


def test_hostile_names_break_neither_line_nor_terminal(columns: int) -> None:
    status = status_json(working(), NOW)
    for row in status["activity"]:
        row["check"] = row["subject"] = row["text"] = HOSTILE_NAME
    text = activity_text(status["activity"], status)
    assert all(line.isprintable() and width(line) <= columns for line in text.splitlines())
