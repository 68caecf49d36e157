from __future__ import annotations

import asyncio

import pytest
from fakes.ports import RecordingPorts

from powerd.core.actions import ActionResult, CancelWarning, SleepAction, WarnUsers
from powerd.power import actuator


@pytest.mark.parametrize(
    ("action", "what"),
    [
        ("suspend", "goes to sleep"),
        ("suspend-then-hibernate", "goes to sleep"),
        ("poweroff", "powers off"),
        ("command", "runs its sleep command"),
    ],
)
def test_people_read_what_is_coming_when_and_what_to_do(action: SleepAction, what: str) -> None:
    ports = RecordingPorts()
    text = f"this server {what} in 1min unless somebody needs it (`powerd why`)"
    assert asyncio.run(actuator.execute_announcement(WarnUsers(0, action, 60.0), ports)) == ActionResult(
        True, f"announced: {text}"
    )
    assert ports.calls == [("broadcast", text)]


@pytest.mark.parametrize(
    ("action", "what"),
    [
        ("hibernate", "does not go to sleep"),
        ("poweroff", "does not power off"),
        ("command", "does not run its sleep command"),
    ],
)
def test_people_read_what_does_not_come_after_all_and_why(action: SleepAction, what: str) -> None:
    ports = RecordingPorts()
    text = f"cancelled, this server {what} now: tv: home, answers ping"
    warning = CancelWarning(0, action, "tv: home, answers ping")
    assert asyncio.run(actuator.execute_announcement(warning, ports)) == ActionResult(
        True, f"announced: {text}"
    )
    assert ports.calls == [("broadcast", text)]


def test_no_name_of_a_host_s_writes_to_a_terminal_what_it_likes() -> None:
    assert "\x1b" not in actuator.announcement_text(CancelWarning(0, "suspend", "tv\x1b[2J\0: home"))
    assert ":" not in actuator.announcement_text(CancelWarning(0, "suspend", "")), "no reason, no colon"
