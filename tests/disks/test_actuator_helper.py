"""Disk actions are sent to a helper over a real socket, and its responses are received as they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
from powerd.helper.protocol.messages import (
    AwaitFirstAccess,
    GroupSpinUpResponse,
    Refused,
    Request,
    Response,
)
from powerd.linux.helper_client import HelperClient
from powerd.linux.values import HostError, RefusedByHelperError
from powerd.smart.actions import DiskResult

DISK = DiskId("ata-WDC_WD20EFRX_1")
STANDBY = PowerStatus(PowerMode.STANDBY, 1)
FEATURES = PowerFeatures(127, apm_supported=True, epc_enabled=False, commands=2)


def exchange(at: Path, response: Response, call: Callable[[HelperClient], Any]) -> tuple[list[Request], Any]:
    """The requests that a helper with one response receives, and the result of ``call``."""
    requests: list[Request] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(parse_request(await reader.readline()))
        writer.write(encode_response(response))
        await writer.drain()
        writer.close()

    async def run() -> Any:  # noqa: ANN401 - the result of any call
        async with await asyncio.start_unix_server(serve, at):
            return await call(HelperClient(at))

    return requests, asyncio.run(run())


@pytest.mark.parametrize(
    ("action", "result"),
    [
        (CheckPowerMode(DISK), STANDBY),
        (SpinDown(DISK, "scsi"), STANDBY),
        (SpinDown(DISK, "ata"), PowerStatus(PowerMode.STANDBY, 2, spin_down_sent=True)),
        (SetStandbyTimer(DISK, 1260), PowerStatus(PowerMode.ACTIVE, 1)),
        (SetApmLevel(DISK, 127), FEATURES),
        (SetApmLevel(DISK, 128), FEATURES),
        (ReadPowerFeatures(DISK), FEATURES),
    ],
)
def test_an_action_is_one_request(
    tmp_path: Path, action: DiskAction, result: PowerStatus | PowerFeatures
) -> None:
    received: tuple[list[Request], DiskResult] = exchange(
        tmp_path / "s", result, lambda helper: helper.execute_disk_action(action)
    )
    assert received == ([action], result)


@pytest.mark.parametrize("cause", FailureCause)
def test_a_refusal_keeps_its_cause(tmp_path: Path, cause: FailureCause) -> None:
    with pytest.raises(RefusedByHelperError, match=r"^it will not$") as caught:
        exchange(
            tmp_path / "s",
            Refused("it will not", cause),
            lambda helper: helper.execute_disk_action(CheckPowerMode(DISK)),
        )
    assert caught.value.cause is cause


def test_a_refusal_counts_the_commands_sent_nevertheless(tmp_path: Path) -> None:
    refused = Refused("a SMART self-test runs", FailureCause.BUSY, 3)
    with pytest.raises(RefusedByHelperError) as caught:
        exchange(tmp_path / "s", refused, lambda helper: helper.execute_disk_action(SpinDown(DISK, "ata")))
    assert (caught.value.cause, caught.value.commands) == (FailureCause.BUSY, 3)


def test_without_a_helper_the_drive_is_not_to_blame(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no helper listens") as caught:
        asyncio.run(HelperClient(tmp_path / "s").execute_disk_action(CheckPowerMode(DISK)))
    assert not isinstance(caught.value, RefusedByHelperError)


@pytest.mark.parametrize(
    "action",
    [
        CheckPowerMode(DiskId("a/b")),
        SetApmLevel(DISK, 255),
        SetStandbyTimer(DISK, 19_801),
    ],
)
def test_an_invalid_action_is_never_sent(tmp_path: Path, action: DiskAction) -> None:
    with pytest.raises(RefusedByHelperError, match=r"^not a request to the helper: ") as caught:
        asyncio.run(HelperClient(tmp_path / "s").execute_disk_action(action))
    assert caught.value.cause is FailureCause.FAILED


def test_a_group_watch_returns_the_disks_spun_up(tmp_path: Path) -> None:
    other = DiskId("ata-WDC_WD20EFRX_2")
    response = GroupSpinUpResponse(first_disk=DISK, other_disks=(other,), failed_disks=(), duration=7.5)
    requests, result = exchange(
        tmp_path / "s", response, lambda helper: helper.wait_first_access((DISK, other))
    )
    assert requests == [AwaitFirstAccess((DISK, other))]
    assert result == (DISK, (other,), 7.5)
