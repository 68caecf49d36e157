"""What ``status`` and ``why`` print."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from ui.disk_statuses import similar_disks
from ui.statuses import NOW, OUTLOOKS, STATUSES, clients_unavailable, decision, idle, status

from powerd.core.snapshot import Reason
from powerd.ui.api import status_json
from powerd.ui.layout import Style, width
from powerd.ui.schema import StatusJson
from powerd.ui.status import next_sentence, status_text, why_text


@pytest.mark.parametrize("name", STATUSES)
@pytest.mark.parametrize("text", [status_text, why_text])
def test_every_line_fits_and_steers_nothing(name: str, text: type, columns: int) -> None:
    output: str = text(status_json(STATUSES[name], NOW, "a trouble " * 20))
    assert output.endswith("\n")
    for line in output.splitlines():
        assert width(line) <= columns
        assert line.isprintable()
        assert line == line.rstrip()


def test_status_of_a_failure() -> None:
    output = status_text(status_json(clients_unavailable(), NOW, "decision late"))
    assert re.search(r"^error +decision late$", output, re.MULTILINE)


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
    ("count", "whose", "since"), [(4, "sdb, sdc, sdd, sde", "21:09"), (6, "sdb and 5 more", "21:11")]
)
def test_the_same_reason_of_several_disks_is_printed_once(count: int, whose: str, since: str) -> None:
    output = why_text(status_json(similar_disks(count), NOW)).splitlines()
    rows = [re.split(" {2,}", line.strip()) for line in output if "since 21" in line]
    waiting, *_ = (reason.text for reason in similar_disks(count).decision.reasons)
    assert rows[0] == [whose, waiting, f"since {since}"]
    assert len(rows) == 2


def test_the_same_reason_of_several_clients_is_printed_once() -> None:
    reasons = [Reason(f"host-{n}", "may be home: silent", NOW) for n in range(15)]
    given = status_json(status(decision("awake", tuple(reasons))), NOW)
    rows = [line for line in why_text(given).splitlines() if "may be home" in line]
    assert [row.split("  ")[1] for row in rows] == ["host-0 and 14 more"]
    assert "not sleep" in next_sentence(given)


def test_that_there_is_no_rule_is_shown_once() -> None:
    text = why_text(status_json(OUTLOOKS["no rule"], NOW))
    assert text.count("[[sleep]]") == 1


def test_a_request_to_sleep_is_shown() -> None:
    given = status_json(idle("enforce"), NOW)
    until = given["now"].replace("21:16", "23:16")
    given["sleep_request"] = {"now": True, "since": given["now"], "until": until}
    assert re.search(r"23:16.*`powerd sleep --cancel`", " ".join(status_text(given).split()))


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
