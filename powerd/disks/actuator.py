"""Executes an action for one disk: one request to the helper, and the message on its result."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from powerd.config.values import format_duration
from powerd.core.actions import ActionResult
from powerd.disks.ata_standby_timer import encode_timer
from powerd.disks.disk_id import DiskId
from powerd.disks.model import (
    APM_WITHOUT_STANDBY,
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
from powerd.helper.protocol.fields import ProtocolError
from powerd.helper.protocol.messages import (
    AwaitFirstAccess,
    CheckHealthRequest,
    DriveResponse,
    HealthResponse,
    PowerResponse,
    ReadDriveRequest,
    ReadPowerRequest,
    SetApmRequest,
    SetTimerRequest,
    SpinDownRequest,
    StartTestRequest,
)
from powerd.linux.helper_client import HELPER_SOCKET, send_request
from powerd.linux.ports import Helper
from powerd.linux.values import DiskError, HostError, RefusedByHelperError
from powerd.smart.actions import CheckHealth, HealthReading, StartTest
from powerd.smart.codec import health_from_json

_MODE_MESSAGES: Final = {
    PowerMode.ACTIVE: "it spins",
    PowerMode.STANDBY: "it is in standby",
    PowerMode.SLEEPING: "it sleeps",
    PowerMode.UNKNOWN: "it does not report whether it spins",
    PowerMode.SUSPENDED: "the kernel has suspended it",
}


def describe_action(action: DiskAction) -> str:  # noqa: PLR0911 - one branch for each action
    """The action in the past tense, for the message on its result."""
    match action:
        case CheckPowerMode():
            return "checked its power mode"
        case SpinDown():
            return "spun it down"
        case SetStandbyTimer(seconds=seconds):
            return f"set its timer to {format_duration(seconds)}" if seconds else "switched its timer off"
        case SetApmLevel(level=level):
            return f"set its APM level to {level}"
        case ReadPowerFeatures():
            return "read its power features"
        case CheckHealth():
            return "read its health"
        case StartTest(test=test):
            return f"started its {test} self-test"


async def execute(action: DiskAction, helper: Helper) -> ActionResult:
    """Execute the action once."""
    try:
        result = await helper.execute_disk_action(action)
    except DiskError as error:
        return ActionResult(False, str(error), error.trouble, error.commands)
    except HostError as error:
        return ActionResult(False, str(error), FailureCause.HELPER_UNAVAILABLE)
    commands = 0 if isinstance(result, FailureCause) else result.commands
    return ActionResult(True, _message(action, result), result, commands)


def _message(action: DiskAction, result: DiskResult) -> str:
    match action, result:
        case CheckPowerMode(), PowerStatus(mode=mode):
            return _MODE_MESSAGES[mode]
        case SpinDown(), PowerStatus(mode=mode, spin_down_sent=False):
            return f"{_MODE_MESSAGES[mode]} already" if mode.is_stopped else _MODE_MESSAGES[mode]
        case SpinDown(method=method), _:
            return f"sent the spin-down command ({method.upper()})"
        case _, PowerFeatures(apm_supported=False):
            return f"{describe_action(action)}: no APM"
        case _, PowerFeatures(apm=apm):
            return f"{describe_action(action)}: APM is {apm or 'off'}"
        case _:
            return describe_action(action)


async def request_disk_action(  # noqa: PLR0911 - one branch for each action
    action: DiskAction, socket_path: Path = HELPER_SOCKET
) -> DiskResult:
    """Have the helper that listens on ``socket_path`` execute ``action``.

    Raises:
        DiskError: the helper or the drive refuses.
        HostError: the helper is not there, or gives no answer.
    """
    try:
        match action:
            case CheckPowerMode(disk=disk):
                return to_power_status(await send_request(ReadPowerRequest(disk), socket_path))
            case SpinDown(disk=disk, method=method):
                return to_power_status(await send_request(SpinDownRequest(disk, method), socket_path))
            case SetStandbyTimer(disk=disk, seconds=seconds):
                return to_power_status(
                    await send_request(SetTimerRequest(disk, encode_timer(seconds).value), socket_path)
                )
            case SetApmLevel(disk=disk, level=level):
                return to_power_features(
                    await send_request(
                        SetApmRequest(disk, level, spin_down=level < APM_WITHOUT_STANDBY), socket_path
                    )
                )
            case ReadPowerFeatures(disk=disk):
                return to_power_features(await send_request(ReadDriveRequest(disk), socket_path))
            case CheckHealth(disk=disk, may_wake=wake, device_type=kind):
                return to_health(await send_request(CheckHealthRequest(disk, wake, kind), socket_path))
            case StartTest(disk=disk, test=test, device_type=kind):
                return to_power_status(await send_request(StartTestRequest(disk, test, kind), socket_path))
    except RefusedByHelperError as error:
        raise DiskError(str(error), FailureCause(error.cause), error.commands) from None
    except ProtocolError as error:
        raise DiskError(f"{action.disk}: not a valid request: {error}", FailureCause.FAILED) from None


async def wait_first_access(
    disks: tuple[DiskId, ...], socket_path: Path = HELPER_SOCKET
) -> tuple[DiskId, tuple[DiskId, ...], float]:
    """Watch stopped disks until one is accessed and the helper has started the others; ends when cancelled.

    Returns:
        The disk accessed, the others, and the seconds that their start took.

    Raises:
        HostError: the helper refuses, or is not there.
    """
    answer = await send_request(AwaitFirstAccess(disks), socket_path)
    return DiskId(answer.disk), tuple(DiskId(disk) for disk in answer.others), answer.seconds


def to_power_status(answer: PowerResponse) -> PowerStatus:
    """The power mode in an answer of the helper."""
    return PowerStatus(PowerMode(answer.state), answer.commands, answer.stopped)


def to_health(answer: HealthResponse) -> HealthReading:
    """The health in an answer of the helper; the caller dates it."""
    return HealthReading(health_from_json(answer.health), answer.kind, answer.commands)


def to_power_features(answer: DriveResponse) -> PowerFeatures:
    """The power features in an answer of the helper."""
    return PowerFeatures(answer.apm, answer.apm_supported, answer.epc, answer.commands)
