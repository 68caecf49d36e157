"""An action is one request to a helper on a real socket, and its result is reported."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

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
from powerd.helper.protocol.codec import encode_response, parse_request
from powerd.helper.protocol.messages import Refused, Request, Response
from powerd.linux.helper_client import HelperClient

DISK = DiskId("ata-WDC_1")
APM = PowerFeatures(apm=127, apm_supported=True, commands=2)
STATUS = PowerStatus(PowerMode.ACTIVE, 1)


def execute(at: Path, action: DiskAction, response: Response) -> tuple[list[Request], ActionResult]:
    """The requests that a helper with one response receives, and the result of the action."""
    requests: list[Request] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(parse_request(await reader.readline()))
        writer.write(encode_response(response))
        await writer.drain()
        writer.close()

    async def run() -> ActionResult:
        async with await asyncio.start_unix_server(serve, at):
            return await actuator.send_action(action, HelperClient(at))

    return requests, asyncio.run(run())


@pytest.mark.parametrize(
    ("action", "found", "terms"),
    [
        (CheckPowerMode(DISK), PowerStatus(PowerMode.ACTIVE), "spins"),
        (CheckPowerMode(DISK), PowerStatus(PowerMode.STANDBY), "in standby"),
        (CheckPowerMode(DISK), PowerStatus(PowerMode.SLEEPING), "sleep mode"),
        (CheckPowerMode(DISK), PowerStatus(PowerMode.UNKNOWN), "not report"),
        (CheckPowerMode(DISK), PowerStatus(PowerMode.SUSPENDED), "kernel suspended"),
        (
            SpinDown(DISK, "ata"),
            PowerStatus(PowerMode.STANDBY, spin_down_sent=True),
            "sent ATA",
        ),
        (SpinDown(DISK, "ata"), PowerStatus(PowerMode.STANDBY), "standby already"),
        (SpinDown(DISK, "scsi"), PowerStatus(PowerMode.SUSPENDED), "kernel suspended"),
        (SetStandbyTimer(DISK, 1200), STATUS, "timer 20min"),
        (SetStandbyTimer(DISK, 0), STATUS, "timer off"),
        (SetApmLevel(DISK, 127), APM, "127: APM 127"),
        (SetApmLevel(DISK, 127), PowerFeatures(apm_supported=True), "127: APM off"),
        (ReadPowerFeatures(DISK), PowerFeatures(), "no APM"),
    ],
)
def test_an_action_is_one_request_and_its_result_is_reported(
    tmp_path: Path, action: DiskAction, found: PowerStatus | PowerFeatures, terms: str
) -> None:
    """With the commands that the request took."""
    requests, result = execute(tmp_path / "s", action, found)
    assert requests == [action]
    assert result == ActionResult(True, result.message, found, found.commands)
    assert all(term in result.message for term in terms.split())


@pytest.mark.parametrize("cause", FailureCause)
def test_a_refusal_is_reported_by_text_and_by_cause(tmp_path: Path, cause: FailureCause) -> None:
    """With the number of commands that the drive has received."""
    action = SpinDown(DISK, "ata")
    requests, result = execute(tmp_path / "s", action, Refused("a self-test runs", cause, 3))
    assert requests == [action]
    assert result == ActionResult(False, "a self-test runs", cause, commands=3)


def test_without_a_helper_the_drive_is_not_to_blame(tmp_path: Path) -> None:
    result = asyncio.run(actuator.send_action(CheckPowerMode(DISK), HelperClient(tmp_path / "s")))
    assert (result.ok, result.answer) == (False, FailureCause.HELPER_UNAVAILABLE)


@pytest.mark.parametrize(
    "action", [CheckPowerMode(DiskId("a/b")), SetApmLevel(DISK, 255), SetStandbyTimer(DISK, 19_801)]
)
def test_an_invalid_action_is_never_sent(tmp_path: Path, action: DiskAction) -> None:
    requests, result = execute(tmp_path / "s", action, STATUS)
    assert requests == []
    assert (result.ok, result.answer) == (False, FailureCause.FAILED)


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (CheckPowerMode(DISK), "power mode"),
        (SpinDown(DISK, "ata"), "down"),
        (SetApmLevel(DISK, 200), "APM level to 200"),
    ],
)
def test_what_would_have_been_done(action: DiskAction, text: str) -> None:
    assert text in actuator.describe_action(action)
