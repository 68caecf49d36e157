from __future__ import annotations

import asyncio

import pytest
from fakes.unused_ports import UnusedPorts

from powerd.core.actions import ActionResult
from powerd.disks import actuator
from powerd.disks.model import (
    CheckPowerMode,
    DiskAction,
    DiskId,
    FailureCause,
    PowerFeatures,
    PowerMode,
    PowerStatus,
    ReadPowerFeatures,
    SetApmLevel,
    SetStandbyTimer,
    SpinDown,
)
from powerd.linux.values import HostError, RefusedByHelperError
from powerd.smart.actions import DiskResult

DISK = DiskId("ata-WDC_1")
APM = PowerFeatures(apm=127, apm_supported=True)


class FakeHelper(UnusedPorts):
    """A helper with prepared answers."""

    def __init__(self, answer: DiskResult | Exception) -> None:
        self.answer = answer
        self.asked: list[DiskAction] = []

    async def execute_disk_action(self, action: DiskAction) -> DiskResult:
        self.asked.append(action)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("action", "found", "observed"),
    [
        (CheckPowerMode(DISK), PowerStatus(PowerMode.ACTIVE), "it spins"),
        (CheckPowerMode(DISK), PowerStatus(PowerMode.STANDBY), "it is in standby"),
        (CheckPowerMode(DISK), PowerStatus(PowerMode.SLEEPING), "it sleeps"),
        (CheckPowerMode(DISK), PowerStatus(PowerMode.UNKNOWN), "it does not report whether it spins"),
        (CheckPowerMode(DISK), PowerStatus(PowerMode.SUSPENDED), "the kernel has suspended it"),
        (
            SpinDown(DISK, "ata"),
            PowerStatus(PowerMode.STANDBY, spin_down_sent=True),
            "sent the spin-down command (ATA)",
        ),
        (SpinDown(DISK, "ata"), PowerStatus(PowerMode.STANDBY), "it is in standby already"),
        (SpinDown(DISK, "scsi"), PowerStatus(PowerMode.SUSPENDED), "the kernel has suspended it"),
        (SetStandbyTimer(DISK, 1200), PowerStatus(PowerMode.ACTIVE), "set its timer to 20min"),
        (SetStandbyTimer(DISK, 0), PowerStatus(PowerMode.ACTIVE), "switched its timer off"),
        (SetApmLevel(DISK, 127), APM, "set its APM level to 127: APM is 127"),
        (SetApmLevel(DISK, 127), PowerFeatures(apm_supported=True), "set its APM level to 127: APM is off"),
        (ReadPowerFeatures(DISK), PowerFeatures(), "read its power features: no APM"),
    ],
)
def test_an_action_is_executed_once_and_its_result_is_reported(
    action: DiskAction, found: DiskResult, observed: str
) -> None:
    hand = FakeHelper(found)
    assert asyncio.run(actuator.execute(action, hand)) == ActionResult(True, observed, found)
    assert hand.asked == [action]


@pytest.mark.parametrize(
    ("error", "done"),
    [
        (
            RefusedByHelperError("a self-test runs", FailureCause.BUSY, 3),
            ActionResult(False, "a self-test runs", FailureCause.BUSY, commands=3),
        ),
        (
            HostError("no helper listens"),
            ActionResult(False, "no helper listens", FailureCause.HELPER_UNAVAILABLE),
        ),
    ],
)
def test_a_refusal_is_reported_by_text_and_by_kind(error: HostError, done: ActionResult) -> None:
    """And with the commands that were sent to the drive all the same."""
    hand = FakeHelper(error)
    assert asyncio.run(actuator.execute(SpinDown(DISK, "ata"), hand)) == done
    assert len(hand.asked) == 1


def test_the_commands_that_an_answer_took_are_counted() -> None:
    hand = FakeHelper(PowerStatus(PowerMode.ACTIVE, 2))
    assert asyncio.run(actuator.execute(CheckPowerMode(DISK), hand)).commands == 2


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (CheckPowerMode(DISK), "checked its power mode"),
        (SpinDown(DISK, "ata"), "spun it down"),
        (SetApmLevel(DISK, 200), "set its APM level to 200"),
    ],
)
def test_what_would_have_been_done(action: DiskAction, text: str) -> None:
    assert actuator.describe_action(action) == text
