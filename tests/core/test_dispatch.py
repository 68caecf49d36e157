from __future__ import annotations

import asyncio

import pytest
from fakes.ports import RecordingPorts

from powerd.core import dispatch
from powerd.core.actions import Action, ActionResult, Sleep, WarnUsers
from powerd.daemon import actuators

ORDERS: list[tuple[Action, str]] = [
    (Sleep(0, "suspend"), "suspended"),
    (Sleep(0, "hibernate"), "hibernated"),
    (Sleep(0, "hybrid-sleep"), "gone to hybrid sleep"),
    (Sleep(0, "suspend-then-hibernate"), "suspended, to hibernate later"),
    (Sleep(0, "poweroff"), "powered off"),
    (Sleep(0, "command", ("/bin/good night", "-q")), "run '/bin/good night' -q"),
    (
        WarnUsers(0, "poweroff", 90.0),
        "announced: this server powers off in 1min30s unless somebody needs it (`powerd why`)",
    ),
]


class FakeTransition:
    """An easy one."""

    async def prepare_action(self, action: Sleep) -> None:
        del action

    async def cancel(self) -> None:
        pass


@pytest.mark.parametrize(("action", "text"), ORDERS)
def test_in_observe_mode_no_port_is_used(action: Action, text: str) -> None:
    hands = RecordingPorts()
    assert asyncio.run(
        dispatch.execute(action, actuators(hands.ports(), FakeTransition()), "observe")
    ) == ActionResult(True, f"would have {text}")
    assert hands.calls == []


@pytest.mark.parametrize("action", [action for action, _ in ORDERS])
def test_in_enforce_mode_one_port_is_used_once(action: Action) -> None:
    hands = RecordingPorts()
    ok, observed, *_ = asyncio.run(
        dispatch.execute(action, actuators(hands.ports(), FakeTransition()), "enforce")
    )
    assert ok
    assert "would" not in observed
    assert len(hands.calls) == 1


@pytest.mark.parametrize("action", [action for action, _ in ORDERS])
def test_a_refusal_of_the_machine_is_reported_unchanged(action: Action) -> None:
    hands = RecordingPorts(error="backup (pid 7) blocks it: nightly backup")
    assert asyncio.run(
        dispatch.execute(action, actuators(hands.ports(), FakeTransition()), "enforce")
    ) == ActionResult(False, "backup (pid 7) blocks it: nightly backup")
    assert len(hands.calls) == 1, "whether to try again is not an actuator's to say"
