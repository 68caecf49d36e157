from __future__ import annotations

import asyncio
from typing import get_args

import pytest
from scripted import Hands

from powerd.actuators import power
from powerd.host.values import Completed, HostError
from powerd.model import Action, Done, Sleep

COMMAND = Sleep(1, "command", ("/usr/local/sbin/goodnight", "--quietly"), timeout=90.0)


class Way:
    """Writes down where one was on it, among the hands' calls."""

    def __init__(self, hands: Hands, blocked: str | None = None) -> None:
        self._hands = hands
        self._blocked = blocked

    async def set_out(self, order: Sleep) -> None:
        self._hands.calls.append(("set out", order.action))
        if self._blocked:
            raise HostError(self._blocked)

    async def turn_back(self) -> None:
        self._hands.calls.append(("turn back",))


def obey(order: Sleep, hands: Hands) -> Done:
    return asyncio.run(power.obey(order, hands, Way(hands)))


@pytest.mark.parametrize("action", [action for action in get_args(Action) if action != "command"])
def test_all_other_actions_are_logind_s(action: Action) -> None:
    hands = Hands()
    assert obey(Sleep(0, action), hands) == Done(True, f"logind accepted: {action}")
    assert hands.calls == [("set out", action), ("logind", action)]


def test_without_an_alarm_that_stands_nobody_is_asked_to_sleep() -> None:
    hands = Hands()
    with pytest.raises(HostError, match="shows none"):
        asyncio.run(power.obey(COMMAND, hands, Way(hands, "rtc0 took an alarm and then shows none")))
    assert hands.calls == [("set out", "command")]


def test_a_sleep_that_is_refused_is_turned_back_from() -> None:
    hands = Hands(refusal="backup blocks it")
    with pytest.raises(HostError, match="backup"):
        obey(Sleep(0, "suspend"), hands)
    assert hands.calls == [("set out", "suspend"), ("logind", "suspend"), ("turn back",)]


def test_a_command_is_run_as_it_stands_with_its_bound() -> None:
    hands = Hands()
    assert obey(COMMAND, hands) == Done(True, "ran /usr/local/sbin/goodnight --quietly")
    assert hands.calls == [("set out", "command"), ("run", COMMAND.command, 90.0)]


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
    hands = Hands(end=end)
    assert obey(COMMAND, hands) == Done(False, text)
    assert hands.calls[-1] == ("turn back",)


def test_a_last_word_is_not_a_novel() -> None:
    assert len(obey(COMMAND, Hands(end=Completed(1, "", "x" * 10_000))).observed) < 300
