"""What ``status`` and ``why`` print."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from ui.disk_statuses import similar_disks
from ui.statuses import NOW, OUTLOOKS, STATUSES, clients_unavailable, idle

from powerd.ui.api import status_json
from powerd.ui.layout import Style, width
from powerd.ui.schema import StatusJson
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
    assert re.search(r"^error +the last decision is 5 min old$", output, re.MULTILINE)


@pytest.mark.parametrize("text", [status_text, why_text])
def test_a_configuration_that_is_not_in_force_is_shown(text: Callable[[StatusJson], str]) -> None:
    assert "clients.evry" in text(status_json(idle("enforce"), NOW, None, "clients.evry: unknown key"))
    assert "clients.evry" not in text(status_json(idle("enforce"), NOW))


@pytest.mark.parametrize(
    ("name", "terms"),
    [
        ("idle", ["Would", "power off", "02:14", "4 h 58 min"]),
        ("idle, enforce mode", ["May", "power off", "02:14", "4 h 58 min"]),
        ("warning", ["Will", "suspend", "21:16", "45 s"]),
        ("warning, observe mode", ["Would", "suspend", "21:16", "45 s"]),
        ("warning, overdue", ["Would", "suspend now"]),
        ("two blockers", ["2"]),
        ("no rule", ["[[sleep]]"]),
    ],
)
def test_outlook(name: str, terms: list[str]) -> None:
    """Its wording is in golden/next.txt."""
    sentence = next_sentence(status_json(OUTLOOKS[name], NOW))
    assert all(term in sentence for term in terms)


@pytest.mark.parametrize(
    ("count", "whose", "since"), [(4, "sdb, sdc, sdd, sde", "21:09"), (5, "sdb and 4 more", "21:10")]
)
def test_the_same_reason_of_several_disks_is_printed_once(count: int, whose: str, since: str) -> None:
    output = why_text(status_json(similar_disks(count), NOW)).splitlines()
    rows = [re.split(" {2,}", line.strip()) for line in output if "since 21" in line]
    waiting, *_ = (reason.text for reason in similar_disks(count).decision.reasons)
    assert rows[0] == [whose, waiting, f"since {since}"]
    assert len(rows) == 2


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
