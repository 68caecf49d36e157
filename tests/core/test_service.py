from __future__ import annotations

import asyncio

import pytest
from fakes.ports import RecordingPorts
from ui.statuses import decision, status

from powerd.config.options import Options
from powerd.core.actions import Action, ActionResult, Mode, Sleep, WarnUsers
from powerd.core.service import Environment, execute
from powerd.core.state import StateStore
from powerd.core.storage import Storage
from powerd.disks.model import DiskId, SpinDown
from powerd.power.refresh import Refresher
from powerd.power.service import PowerService
from powerd.simulation.clock import StoppedClock

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


def executed(action: Action, host: RecordingPorts, mode: Mode) -> ActionResult:
    """The result of an action by the actuators of the power domain."""
    environment = Environment(StoppedClock(), StateStore(), Options, Storage(None), pytest.fail, "")
    refresher = Refresher(environment, {}, lambda: status(decision("going-down")))
    power = PowerService(host.ports(), environment, refresher, lambda _: None, lambda _: asyncio.sleep(0))
    return asyncio.run(execute(action, power.actuators, mode))


@pytest.mark.parametrize(("action", "text"), ORDERS)
def test_in_observe_mode_no_port_is_used(action: Action, text: str) -> None:
    ports = RecordingPorts()
    assert executed(action, ports, "observe") == ActionResult(True, f"would have {text}")
    assert ports.calls == []


@pytest.mark.parametrize("action", [action for action, _ in ORDERS])
def test_in_enforce_mode_one_port_is_used_once(action: Action) -> None:
    ports = RecordingPorts()
    ok, observed, *_ = executed(action, ports, "enforce")
    assert ok
    assert "would" not in observed
    assert len(ports.calls) == 1


@pytest.mark.parametrize("action", [action for action, _ in ORDERS])
def test_a_refusal_of_the_machine_is_reported_unchanged(action: Action) -> None:
    error = "backup (pid 7) blocks it: nightly backup"
    ports = RecordingPorts(error=error)
    assert executed(action, ports, "enforce") == ActionResult(False, error)
    assert len(ports.calls) == 1, "whether to try again is not an actuator's to say"


def test_an_action_without_an_actuator_fails() -> None:
    result = executed(SpinDown(DiskId("ata-a"), "ata"), RecordingPorts(), "enforce")
    assert not result.ok
    assert "SpinDown" in result.message
