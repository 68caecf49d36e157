"""Reads a drive's health, and has drives test themselves, by smartctl(8), within a turn of the disk's lane.

``-n standby`` alone does not keep a disk asleep: smartctl ignores it where a bridge does not tell the power
mode, and opening a disk that the kernel has suspended wakes it. So the drive is asked for its mode first, and
one with a spindle that does not say is left alone. ``-d`` is given, as finding it out takes commands too.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from powerd.core.codec import CodecError, decode
from powerd.disks.model import FailureCause
from powerd.helper.disks.device import DiskDevice
from powerd.helper.disks.drive import DriveSession
from powerd.helper.errors import RefusalError
from powerd.helper.protocol.deadlines import MOTOR_COMMAND, READER_RUN, SMARTCTL_RUN
from powerd.helper.smart.device_types import device_types, drive_reached
from powerd.helper.smart.reader import error_message, left_asleep
from powerd.helper.smart.self_test import reports_start
from powerd.helper.smart.values import parse_object
from powerd.helper.subprocess import CompletedTool, ToolOptions
from powerd.smart.actions import CheckHealth, HealthReading, StartTest
from powerd.smart.model import Health

SMARTCTL_OUTPUT_CAP: Final = 1 << 20
"""Bytes that smartctl's answer may have."""
COMMANDS_PER_CHECK: Final = 12
"""Commands of ``smartctl --all`` to an ATA drive: identity, status, values, thresholds and six logs."""
_STANDBY_STATUS: Final = 3
"""The exit status asked for where the drive sleeps; the default, 2, is also that of a disk that is gone."""


async def check_health(request: CheckHealth, disk: DiskDevice, drive: DriveSession) -> HealthReading:
    """Read all that the drive says of its health.

    Raises:
        RefusalError: it is asleep, or gives no answer that can be read; of one that the kernel has suspended
            also where it may be woken, for it is the kernel's to wake.
    """
    if not request.may_wake or disk.runtime_suspended:
        await _require_awake(disk, drive, "reading its health")
    standby_option = () if request.may_wake else ("-n", f"standby,{_STANDBY_STATUS}")
    seconds = SMARTCTL_RUN + (MOTOR_COMMAND if request.may_wake else 0)
    for device_type in device_types(disk, request.device_type):
        argv = ["smartctl", "--json=co", "--all", *standby_option, "-d", device_type, str(disk.node)]
        result = await drive.run(argv, seconds, 1, ToolOptions(output_cap=SMARTCTL_OUTPUT_CAP))
        report = parse_object(result.out)
        if report is not None and left_asleep(report):
            raise RefusalError(
                f"{disk.name} is asleep, and reading its health would wake it; wait", FailureCause.IN_STANDBY
            )
        if drive_reached(result.status):
            break
    else:
        raise RefusalError(_unreachable_text(disk, _error_text(report, result)))
    drive.commands += COMMANDS_PER_CHECK - 1
    health = await _parse_health(result, drive)
    return HealthReading(health, device_type, drive.commands)


async def start_test(request: StartTest, disk: DiskDevice, drive: DriveSession) -> None:
    """Have the drive test itself, in the background.

    Raises:
        RefusalError: it is asleep, tests itself already, or cannot; or smartctl cannot.
    """
    await _require_awake(disk, drive, "a self-test")
    device_type = device_types(disk, request.device_type)[0]
    argv = ["smartctl", "--json=co", "-t", request.test, "-d", device_type, str(disk.node)]
    result = await drive.run(argv, SMARTCTL_RUN, 2)
    report = parse_object(result.out)
    if result.status:
        raise RefusalError(f"{disk.name} begins no {request.test} self-test: {_error_text(report, result)}")
    if not reports_start(report or {}):
        raise RefusalError(
            f"{disk.name} begins no {request.test} self-test: it has none, or smartctl is older than 7.4 and "
            "knows none of NVMe; see: smartctl --version"
        )


async def _require_awake(disk: DiskDevice, drive: DriveSession, purpose: str) -> None:
    """A drive without a spindle is awake whenever the kernel has not suspended it."""
    if disk.rotational or disk.runtime_suspended:
        await drive.require_spinning(purpose)


async def _parse_health(smartctl_result: CompletedTool, drive: DriveSession) -> Health:
    """The Health in smartctl's answer, made plain, by a child that alone knows pySMART."""
    argv = [
        sys.executable,
        "-I",
        "-m",
        "powerd.helper.smart.reader_child",
    ]  # by its path, for its venv's sake
    options = ToolOptions(path=Path(sys.executable), stdin=smartctl_result.out.encode())
    try:
        result = await drive.run(argv, READER_RUN, 0, options)
    except RefusalError as error:  # late or not, it is no fault of the disk, which has answered
        raise RefusalError(f"its health cannot be read: {error}") from None
    reply = parse_object(result.out) or {"error": f"it cannot be read: {result.last_error_line}"}
    if "health" not in reply:
        raise RefusalError(f"{reply.get('error')}; see: smartctl --all")
    try:
        return decode(Health, reply["health"])
    except CodecError as error:
        raise RefusalError(f"its health cannot be read: {error}; see: smartctl --all") from None


def _unreachable_text(disk: DiskDevice, reason: str) -> str:
    """What to tell of a drive that smartctl did not get through to, in whatever way."""
    if disk.is_nvme and any(words in reason for words in ("Permission denied", "not permitted")):
        return (
            f"{disk.name} cannot be read: NVMe drives take CAP_SYS_ADMIN, which the helper does not have; "
            "see contrib/systemd/powerd-helper-nvme.conf"
        )
    return f"smartctl could not ask the drive: {reason}; see: smartctl --all"


def _error_text(report: Mapping[str, Any] | None, result: CompletedTool) -> str:
    """What smartctl says went wrong, in JSON where it got as far as that."""
    return result.last_error_line if report is None else error_message(report)
