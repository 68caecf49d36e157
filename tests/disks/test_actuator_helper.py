"""Orders to disks in the helper's words and back, over a real socket to a helper that answers as told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from powerd.disks import actuator
from powerd.disks.disk_id import DiskId
from powerd.disks.model import (
    CheckPowerMode,
    DiskAction,
    DiskResult,
    FailureCause,
    PowerFeatures,
    PowerMode,
    PowerStatus,
    ReadPowerFeatures,
    SetApmLevel,
    SetStandbyTimer,
    SpinDown,
)
from powerd.helper.protocol import codec
from powerd.helper.protocol.codec import CAUSES, Refused, Request, Response, encode, parse_request
from powerd.linux.values import DiskError, HostError

DISK = DiskId("ata-WDC_WD20EFRX_1")
POWER = codec.PowerResponse(DISK, "standby", 1)
DRIVE = codec.DriveResponse(DISK, 127, apm_supported=True, epc=False, commands=2)


def asked(at: Path, answer: Response, ask: Callable[[Path], Any]) -> tuple[list[Request], Any]:
    """What a helper that always answers so is asked, and what becomes of it."""
    requests: list[Request] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(parse_request(await reader.readline()))
        writer.write(encode(answer))
        await writer.drain()
        writer.close()

    async def story() -> Any:  # noqa: ANN401 - whatever the question gives back
        async with await asyncio.start_unix_server(serve, at):
            return await ask(at)

    return requests, asyncio.run(story())


@pytest.mark.parametrize(
    ("order", "request_", "answer", "found"),
    [
        (
            CheckPowerMode(DISK),
            codec.ReadPowerRequest(DISK),
            POWER,
            PowerStatus(PowerMode.STANDBY, 1),
        ),
        (
            SpinDown(DISK, "scsi"),
            codec.SpinDownRequest(DISK, "scsi"),
            POWER,
            PowerStatus(PowerMode.STANDBY, 1),
        ),
        (
            SpinDown(DISK, "ata"),
            codec.SpinDownRequest(DISK, "ata"),
            codec.PowerResponse(DISK, "standby", 2, stopped=True),
            PowerStatus(PowerMode.STANDBY, 2, spin_down_sent=True),
        ),
        (
            SetStandbyTimer(DISK, 1260),
            codec.SetTimerRequest(DISK, 252),
            codec.PowerResponse(DISK, "active", 1),
            PowerStatus(PowerMode.ACTIVE, 1),
        ),
        (
            SetApmLevel(DISK, 127),
            codec.SetApmRequest(DISK, 127, spin_down=True),
            DRIVE,
            PowerFeatures(127, apm_supported=True, epc_enabled=False, commands=2),
        ),
        (
            SetApmLevel(DISK, 128),
            codec.SetApmRequest(DISK, 128, spin_down=False),
            DRIVE,
            PowerFeatures(127, apm_supported=True, epc_enabled=False, commands=2),
        ),
        (
            ReadPowerFeatures(DISK),
            codec.ReadDriveRequest(DISK),
            DRIVE,
            PowerFeatures(127, apm_supported=True, epc_enabled=False, commands=2),
        ),
    ],
)
def test_each_action_is_one_request(
    tmp_path: Path, order: DiskAction, request_: Request, answer: Response, found: DiskResult
) -> None:
    told = asked(tmp_path / "s", answer, lambda at: actuator.request_disk_action(order, at))
    assert told == ([request_], found)


@pytest.mark.parametrize("cause", CAUSES)
def test_each_cause_of_a_refusal_has_its_error_kind(tmp_path: Path, cause: str) -> None:
    with pytest.raises(DiskError, match=r"^it will not$") as caught:
        asked(
            tmp_path / "s",
            Refused("it will not", cause),
            lambda at: actuator.request_disk_action(CheckPowerMode(DISK), at),
        )
    assert caught.value.trouble is FailureCause(cause)


def test_a_refusal_reports_the_commands_that_were_sent_all_the_same(tmp_path: Path) -> None:
    refused = Refused("a SMART self-test runs", "busy", 3)
    with pytest.raises(DiskError) as caught:
        asked(tmp_path / "s", refused, lambda at: actuator.request_disk_action(SpinDown(DISK, "ata"), at))
    assert (caught.value.trouble, caught.value.commands) == (FailureCause.BUSY, 3)


def test_without_a_helper_the_disk_is_not_to_blame(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no helper listens") as caught:
        asyncio.run(actuator.request_disk_action(CheckPowerMode(DISK), tmp_path / "s"))
    assert not isinstance(caught.value, DiskError)


def test_an_invalid_request_fails(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match=r"^a/b: not a valid request: ") as caught:
        asyncio.run(actuator.request_disk_action(CheckPowerMode(DiskId("a/b")), tmp_path / "s"))
    assert caught.value.trouble is FailureCause.FAILED


def test_a_guard_reports_which_disks_were_spun_up(tmp_path: Path) -> None:
    other = DiskId("ata-WDC_WD20EFRX_2")
    roused = codec.GroupSpinUpResponse(disk=DISK, others=(other,), failed=(), seconds=7.5)
    requests, end = asked(tmp_path / "s", roused, lambda at: actuator.wait_first_access((DISK, other), at))
    assert requests == [codec.AwaitFirstAccess((DISK, other))]
    assert end == (DISK, (other,), 7.5)
