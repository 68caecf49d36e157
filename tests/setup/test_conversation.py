"""The questions: what is offered, the defaults, and answers that cannot be read."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from ui.disk_statuses import DISK_STATUSES
from ui.statuses import NOW, STATUSES

from powerd.config.load import parse
from powerd.core.snapshot import Status
from powerd.setup.configuration import configuration_text
from powerd.setup.conversation import Dialogue, Surroundings, ask_all
from powerd.setup.model import Answers
from powerd.ui.api import clients_json, status_json
from powerd.ui.layout import width

CAN: Mapping[str, str] = {"suspend": "yes", "poweroff": "yes"}


def evidence(given: Status | None, can_sleep: Mapping[str, str] = CAN) -> Surroundings:
    rows = clients_json(given, NOW)
    return Surroundings(lambda: rows, status_json(given, NOW)["disks"], NOW.wall, can_sleep)


def talk(known: Surroundings, *lines: str) -> tuple[Answers, str]:
    """The answers to these lines, and all that is printed; without lines all defaults."""
    shown: list[str] = []
    rest = iter(lines)
    answers = ask_all(Dialogue(shown.append, (lambda _: next(rest)) if lines else None), known)
    assert next(rest, None) is None, "every line is read"
    return answers, "".join(shown)


def test_all_defaults() -> None:
    answers, shown = talk(evidence(DISK_STATUSES["new home"]))
    assert [comment.partition(",")[0] for _, comment in answers.ignore] == ["kitchen-bulb", "printer"]
    assert (answers.action, str(answers.during[0]), str(answers.wake_at[0])) == (
        "suspend",
        "00:00-08:00",
        "08:00",
    )
    assert answers.spin_down is not None
    assert len(answers.spin_down) == 4
    assert answers.spin_down_after == 1200
    assert not answers.enforce
    assert "solid state" in shown


def test_other_answers() -> None:
    answers, _ = talk(
        evidence(DISK_STATUSES["new home"]),
        *("2", "23:00-07:00; Sat,Sun 00:00-24:00", "", "1", "1h"),
        *("2,4-5", "3 the shop", "none", "ntfy://topic", "y"),
    )
    assert len(answers.ignore) == 3
    assert [name for _, name in answers.names] == ["the shop"]
    assert answers.action == "poweroff"
    assert [str(each) for each in answers.wake_at] == ["07:00", "Mon,Sun 00:00"]
    assert answers.spin_down is not None
    assert len(answers.spin_down) == 1
    assert (answers.spin_down_after, answers.notify, answers.enforce) == (3600, ("ntfy://topic",), True)


def test_an_answer_that_cannot_be_read_is_asked_again() -> None:
    answers, shown = talk(evidence(None), "9", "x", "3", "nonsense", "none", "maybe", "n")
    assert answers == Answers()
    assert shown.count("! ") == 4


@pytest.mark.parametrize("answer", ["no", "na"])
def test_what_the_hardware_cannot_is_not_offered(answer: str) -> None:
    answers, shown = talk(evidence(None, {"suspend": answer, "poweroff": "yes"}))
    assert answers.action == "poweroff"
    assert "suspend is not offered" in shown


@pytest.mark.parametrize("can_sleep", [{}, {"suspend": "challenge", "poweroff": ""}])
def test_what_logind_does_not_know_is_offered(can_sleep: Mapping[str, str]) -> None:
    answers, shown = talk(evidence(None, can_sleep))
    assert answers.action == "suspend"
    assert "not offered" not in shown


def test_without_clients_and_disks_nothing_is_asked_of_them() -> None:
    answers, _ = talk(Surroundings(None, None, None, CAN), "", "", "", "", "")
    assert (answers.ignore, answers.spin_down) == ((), None)


@pytest.mark.parametrize("name", STATUSES | DISK_STATUSES)
def test_every_line_fits_and_the_file_is_valid(name: str, columns: int) -> None:
    answers, shown = talk(evidence((STATUSES | DISK_STATUSES)[name]))
    parse(configuration_text(answers).encode(), "f")
    for line in shown.splitlines():
        assert width(line) <= columns
        assert line.isprintable()
