from __future__ import annotations

import asyncio
from typing import get_args

import pytest
from scripted import Hands

from powerd.actuators import power
from powerd.host.values import Completed
from powerd.model import Action, Sleep

COMMAND = Sleep(1, "command", ("/usr/local/sbin/goodnight", "--quietly"), timeout=90.0)


def obey(order: Sleep, hands: Hands) -> tuple[bool, str]:
    return asyncio.run(power.obey(order, hands))


@pytest.mark.parametrize("action", [action for action in get_args(Action) if action != "command"])
def test_all_other_actions_are_logind_s(action: Action) -> None:
    hands = Hands()
    assert obey(Sleep(0, action), hands) == (True, f"logind accepted: {action}")
    assert hands.calls == [("logind", action)]


def test_a_command_is_run_as_it_stands_with_its_bound() -> None:
    hands = Hands()
    assert obey(COMMAND, hands) == (True, "ran /usr/local/sbin/goodnight --quietly")
    assert hands.calls == [("run", COMMAND.command, 90.0)]


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (Completed(3, "", ""), "/usr/local/sbin/goodnight ended with status 3"),
        (Completed(-9, "", ""), "/usr/local/sbin/goodnight was ended by signal 9"),
        (
            Completed(1, "out", "one\nno such pool\n\n"),
            "/usr/local/sbin/goodnight ended with status 1: no such pool",
        ),
        (Completed(1, "", "  \n"), "/usr/local/sbin/goodnight ended with status 1"),
    ],
)
def test_a_command_that_fails_is_told_with_its_last_word(end: Completed, text: str) -> None:
    assert obey(COMMAND, Hands(end=end)) == (False, text)


def test_a_last_word_is_not_a_novel() -> None:
    _, observed = obey(COMMAND, Hands(end=Completed(1, "", "x" * 10_000)))
    assert len(observed) < 300
