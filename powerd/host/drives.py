"""Orders to disks in the helper's words, and its answers in the model's. No I/O but the asking."""

from __future__ import annotations

from pathlib import Path

from powerd import model
from powerd.helper.protocol import (
    AwaitFirstAccess,
    CheckHealthRequest,
    DriveResponse,
    HealthResponse,
    PowerResponse,
    ProtocolError,
    ReadDriveRequest,
    ReadPowerRequest,
    SetApmRequest,
    SetTimerRequest,
    SpinDownRequest,
    StartTestRequest,
)
from powerd.host.helper import HELPER_SOCKET, send_request
from powerd.host.values import DiskError, RefusedByHelperError
from powerd.model import APM_WITHOUT_STANDBY, DiskAction, DiskId, DiskResult, FailureCause
from powerd.model.plain import health_from_json
from powerd.model.standby_timer import encode_timer


async def request_disk_action(  # noqa: PLR0911 - one row for each order
    action: DiskAction, socket_path: Path = HELPER_SOCKET
) -> DiskResult:
    """Have the helper that listens on ``at`` carry out ``order``.

    Raises:
        DiskError: it refuses, or the drive does.
        HostError: it is not there, or gives no answer.
    """
    try:
        match action:
            case model.CheckPowerMode(disk=disk):
                return to_power_status(await send_request(ReadPowerRequest(disk), socket_path))
            case model.SpinDown(disk=disk, method=method):
                return to_power_status(await send_request(SpinDownRequest(disk, method), socket_path))
            case model.SetStandbyTimer(disk=disk, seconds=seconds):
                return to_power_status(
                    await send_request(SetTimerRequest(disk, encode_timer(seconds).value), socket_path)
                )
            case model.SetApmLevel(disk=disk, level=level):
                return to_power_features(
                    await send_request(
                        SetApmRequest(disk, level, spin_down=level < APM_WITHOUT_STANDBY), socket_path
                    )
                )
            case model.ReadPowerFeatures(disk=disk):
                return to_power_features(await send_request(ReadDriveRequest(disk), socket_path))
            case model.CheckHealth(disk=disk, may_wake=wake, device_type=kind):
                return to_health(await send_request(CheckHealthRequest(disk, wake, kind), socket_path))
            case model.StartTest(disk=disk, test=test, device_type=kind):
                return to_power_status(await send_request(StartTestRequest(disk, test, kind), socket_path))
    except RefusedByHelperError as error:
        raise DiskError(str(error), FailureCause(error.cause), error.commands) from None
    except ProtocolError as error:
        raise DiskError(f"{action.disk}: cannot be asked for: {error}", FailureCause.FAILED) from None


async def wait_first_access(
    disks: tuple[DiskId, ...], socket_path: Path = HELPER_SOCKET
) -> tuple[DiskId, tuple[DiskId, ...], float]:
    """Watch sleeping disks until one is accessed and the others have been woken; ends when cancelled.

    Returns:
        The one accessed, the others, and the seconds that waking them took.

    Raises:
        HostError: the helper refuses, or is not there.
    """
    answer = await send_request(AwaitFirstAccess(disks), socket_path)
    return DiskId(answer.disk), tuple(DiskId(disk) for disk in answer.others), answer.seconds


def to_power_status(answer: PowerResponse) -> model.PowerStatus:
    """A drive's word on its power."""
    return model.PowerStatus(model.PowerMode(answer.state), answer.commands, answer.stopped)


def to_health(answer: HealthResponse) -> model.HealthReading:
    """A drive's health; its time is for the caller to say."""
    return model.HealthReading(health_from_json(answer.health), answer.kind, answer.commands)


def to_power_features(answer: DriveResponse) -> model.PowerFeatures:
    """What a drive can do."""
    return model.PowerFeatures(answer.apm, answer.apm_supported, answer.epc, answer.commands)
