"""What ``status`` and ``why`` print."""

from __future__ import annotations

import re

import pytest
from ui.disk_statuses import similar_disks
from ui.statuses import (
    NOW,
    STATUSES,
    at,
    clients_unavailable,
    decision,
    idle,
    status,
    warning,
)

from powerd.core.snapshot import PlannedSleep, Reason, Status
from powerd.ui.api import status_json
from powerd.ui.layout import Style, width
from powerd.ui.status import next_sentence, status_text, why_text


@pytest.mark.parametrize("name", STATUSES)
@pytest.mark.parametrize("text", [status_text, why_text])
def test_every_line_fits_and_steers_nothing(name: str, text: type) -> None:
    output: str = text(status_json(STATUSES[name], NOW, "a trouble " * 20))
    assert output.endswith("\n")
    for line in output.splitlines():
        assert width(line) <= 80
        assert line.isprintable()
        assert line == line.rstrip()


def test_status_of_a_failure() -> None:
    output = status_text(status_json(clients_unavailable(), NOW, "the last decision is 5 min old"))
    assert "error     the last decision is 5 min old\n" in output


NO_RULE = Reason(
    "sleep", "no [[sleep]] rule is configured, so the server never sleeps", NOW, blocks_sleep=False
)
HOME = Reason("tv", "is home", NOW)


@pytest.mark.parametrize(
    ("given", "output"),
    [
        (idle("observe"), "Would power off at 02:14 at the earliest (in 4 h 58 min)."),
        (idle("enforce"), "May power off at 02:14 at the earliest (in 4 h 58 min)."),
        (warning("enforce"), "Will suspend at 21:16 (in 45 s), unless there is activity."),
        (warning("observe"), "Would suspend at 21:16 (in 45 s), unless there is activity."),
        (
            status(decision("warning", (), (), PlannedSleep(0, "suspend", at(-1)))),
            "Would suspend now, unless there is activity.",
        ),
        (status(decision("going-down")), "Going down now."),
        (status(decision("awake", (HOME,))), "Will not sleep while this lasts."),
        (status(decision("awake", (HOME, HOME))), "Will not sleep while any of these 2 lasts."),
        (
            status(decision("awake", (HOME, NO_RULE))),
            "No [[sleep]] rule is configured, so the server never sleeps.",
        ),
        (status(decision("idle")), "No sleep is planned."),
        (None, "Waiting for the first readings; nothing is decided yet."),
    ],
)
def test_outlook(given: Status | None, output: str) -> None:
    assert next_sentence(status_json(given, NOW)) == output


@pytest.mark.parametrize(
    ("count", "whose", "since"), [(4, "sdb, sdc, sdd, sde", "21:09"), (5, "sdb and 4 more", "21:10")]
)
def test_the_same_reason_of_several_disks_is_printed_once(count: int, whose: str, since: str) -> None:
    output = why_text(status_json(similar_disks(count), NOW)).splitlines()
    rows = [re.split(" {2,}", line.strip()) for line in output if "since 21" in line]
    assert rows[0] == [whose, "waits for 20min of idleness", f"since {since}"]
    assert [row[1] for row in rows[1:]] == ["is being spun down"]


def test_an_action_of_a_newer_daemon_is_printed_unchanged() -> None:
    output = status_json(idle(), NOW)
    output["decision"]["action"] = "levitate"
    assert next_sentence(output).startswith("Would levitate at 02:14")


def test_paint_colours_but_changes_no_text() -> None:
    painted: list[Style] = []

    def paint(text: str, style: Style) -> str:
        painted.append(style)
        return f"<{text}>"

    for name in STATUSES:
        output = status_json(STATUSES[name], NOW)
        for text in (status_text, why_text):
            marked = text(output, paint).replace("<", "").replace(">", "")
            assert marked.split() == text(output).replace("<", "").replace(">", "").split()
    assert {"strong", "dim", "good", "doubt"} <= set(painted)
