"""Reads a drive's health and starts self-tests by smartctl(8), while the executor of the disk is reserved.

``-n standby`` alone does not keep a disk in standby: smartctl ignores it behind a bridge that does not
report the power mode, and opening a suspended disk wakes it. So the power mode is read first, and a drive
with a spindle that does not report it is not checked. ``-d`` is always given, because detection sends
commands too.
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
from powerd.helper.smart.report import device_types, drive_reached, error_message, left_asleep, parse_object
from powerd.helper.smart.self_test import reports_start
from powerd.helper.subprocess import CompletedTool, ToolOptions
from powerd.smart.actions import CheckHealth, HealthReading, StartTest
from powerd.smart.model import Health

SMARTCTL_OUTPUT_CAP: Final = 1 << 20
"""Bytes of a report of smartctl."""
COMMANDS_PER_CHECK: Final = 12
"""Commands of ``smartctl --all`` to an ATA drive: identity, status, values, thresholds and six logs."""
_SSD_COMMANDS: Final = 3
"""Commands of ``-l ssd``: the log directory, and two pages of the Device Statistics."""
_STANDBY_STATUS: Final = 3
"""The exit status for a drive in standby; the default, 2, is also that of a missing disk."""


async def check_health(request: CheckHealth, disk: DiskDevice, drive: DriveSession) -> HealthReading:
    """Read the drive's health.

    Raises:
        RefusalError: the drive is in standby, or its report cannot be read; a suspended drive is refused
            even if it may be woken, because only the kernel wakes it.
    """
    if not request.may_wake or disk.runtime_suspended:
        await _require_awake(disk, drive, "reading its health")
    options: tuple[str, ...] = () if request.may_wake else ("-n", f"standby,{_STANDBY_STATUS}")
    # the wear of an ATA SSD by the standard (ACS-3); USB bridges often do not let the command through
    reads_statistics = not (disk.rotational or disk.is_nvme or disk.scsi_only or disk.on_usb)
    options += ("-l", "ssd") if reads_statistics else ()
    seconds = SMARTCTL_RUN + (MOTOR_COMMAND if request.may_wake else 0)
    for device_type in device_types(disk, request.device_type):
        argv = ["smartctl", "--json=co", "--all", *options, "-d", device_type, str(disk.node)]
        result = await drive.run(argv, seconds, 1, ToolOptions(output_cap=SMARTCTL_OUTPUT_CAP))
        report = parse_object(result.out)
        if report is not None and left_asleep(report):
            raise RefusalError(
                f"{disk.name} is in standby, and reading its health would wake it; try again later",
                FailureCause.IN_STANDBY,
            )
        if drive_reached(result.status):
            break
    else:
        raise RefusalError(_unreachable_text(disk, _error_text(report, result)))
    drive.commands += COMMANDS_PER_CHECK - 1 + (_SSD_COMMANDS if reads_statistics else 0)
    health = await _parse_health(result, drive)
    return HealthReading(health, device_type, drive.commands)


async def start_test(request: StartTest, disk: DiskDevice, drive: DriveSession) -> None:
    """Start a self-test, which runs in the background.

    Raises:
        RefusalError: the drive is in standby, runs a test already, or has none; or smartctl fails.
    """
    await _require_awake(disk, drive, "a self-test")
    device_type = device_types(disk, request.device_type)[0]
    argv = ["smartctl", "--json=co", "-t", request.test, "-d", device_type, str(disk.node)]
    result = await drive.run(argv, SMARTCTL_RUN, 2)
    report = parse_object(result.out)
    if result.status:
        raise RefusalError(
            f"{disk.name} did not start the {request.test} self-test: {_error_text(report, result)}"
        )
    if not reports_start(report or {}):
        raise RefusalError(
            f"{disk.name} did not start the {request.test} self-test: it supports none, or "
            "smartctl is older than 7.4 and supports none of NVMe; see: smartctl --version"
        )


async def _require_awake(disk: DiskDevice, drive: DriveSession, purpose: str) -> None:
    """Refuse a drive in standby; one without a spindle is awake unless the kernel has suspended it."""
    if disk.rotational or disk.runtime_suspended:
        await drive.require_spinning(purpose)


async def _parse_health(smartctl_result: CompletedTool, drive: DriveSession) -> Health:
    """The health in a report, by a child process, which alone imports pySMART."""
    argv = [
        sys.executable,
        "-I",
        "-m",
        "powerd.helper.smart.reader",
    ]  # by its path, which selects the virtual environment
    options = ToolOptions(path=Path(sys.executable), stdin=smartctl_result.out.encode())
    try:
        result = await drive.run(argv, READER_RUN, 0, options)
    except RefusalError as error:  # not the disk's fault, whether late or not: the disk has responded
        raise RefusalError(f"its health cannot be read: {error}") from None
    reply = parse_object(result.out) or {"error": f"it cannot be read: {result.last_error_line}"}
    if "health" not in reply:
        raise RefusalError(f"{reply.get('error')}; see: smartctl --all")
    try:
        return decode(Health, reply["health"])
    except CodecError as error:
        raise RefusalError(f"its health cannot be read: {error}; see: smartctl --all") from None


def _unreachable_text(disk: DiskDevice, reason: str) -> str:
    """The message for a drive that smartctl has not reached by any device type."""
    if disk.is_nvme and any(words in reason for words in ("Permission denied", "not permitted")):
        return (
            f"{disk.name} cannot be read: NVMe drives require CAP_SYS_ADMIN, which the helper does not have; "
            "see contrib/systemd/powerd-helper-nvme.conf"
        )
    return f"smartctl could not query the drive: {reason}; see: smartctl --all"


def _error_text(report: Mapping[str, Any] | None, result: CompletedTool) -> str:
    """The error of smartctl, from the JSON if there is any."""
    return result.last_error_line if report is None else error_message(report)
