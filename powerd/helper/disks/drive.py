"""Executes the requests about one disk, while its executor is reserved.

A disk that the kernel has suspended is never opened, because an open wakes it. A disk in standby gets no
command but CHECK POWER MODE, which leaves it in standby. So each request begins with that command.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path

from powerd.disks.model import (
    APM_WITHOUT_STANDBY,
    FailureCause,
    PowerFeatures,
    PowerMode,
    PowerStatus,
    SetApmLevel,
    SpinDown,
    SpinDownMethod,
    encode_timer,
)
from powerd.helper.disks import dirty_data, first_access, hdparm, sg_io
from powerd.helper.disks.device import DiskDevice
from powerd.helper.errors import RefusalError
from powerd.helper.executor import SerialExecutor
from powerd.helper.protocol.deadlines import MOTOR_COMMAND, QUICK_COMMAND, SELF_TEST_QUERY, THREAD_MARGIN
from powerd.helper.smart import self_test
from powerd.helper.smart.report import device_types, drive_reached, parse_object
from powerd.helper.subprocess import CompletedTool, ToolOptions, ToolRunner


class DriveSession:
    """One disk, while its executor is reserved; each method is one request, or the first half of one.

    Args:
        disk: the disk.
        executor: the executor of the disk.
        runner: starts the tools.
        root: the directory that paths start at.

    Attributes:
        commands: sent to the disk past the block layer so far.
    """

    def __init__(self, disk: DiskDevice, executor: SerialExecutor, runner: ToolRunner, root: Path) -> None:
        self._disk = disk
        self._device = str(disk.node)
        self._executor = executor
        self._runner = runner
        self._root = root
        self.commands = 0

    async def check_power_mode(self) -> PowerStatus:
        """Read the power mode."""
        return self.power_status(await self.power_mode())

    async def already_stopped(self, request: SpinDown) -> PowerStatus | None:
        """The power mode of a disk that is stopped already; None = it may be spun down.

        Raises:
            RefusalError: the disk is busy.
        """
        mode = await self._power_mode_if_reported(request.method)
        if mode.is_stopped or mode is PowerMode.SUSPENDED:
            return self.power_status(mode)
        await self._require_not_busy(spinning=mode is PowerMode.ACTIVE)
        return None

    async def spin_down(self, request: SpinDown) -> PowerStatus:
        """Spin the disk down, unless it is in standby already.

        Raises:
            RefusalError: the disk is busy, or refuses.
        """
        already_stopped = await self.already_stopped(request)
        if already_stopped is not None:
            return already_stopped
        if request.method == "ata":
            result = await self.run(hdparm.spin_down(self._device), MOTOR_COMMAND)
            hdparm.require_success(result, "-y")
        else:
            self.commands += 1
            await self._executor.run_in_thread(
                partial(sg_io.spin_down, self._disk), MOTOR_COMMAND + THREAD_MARGIN
            )
        return self.power_status(PowerMode.STANDBY, spin_down_sent=True)

    async def set_standby_timer(self, seconds: int) -> PowerStatus:
        """Set the drive's standby timer; refused unless the drive is spinning."""
        await self._require_spinning_ata("setting its timer")
        result = await self.run(hdparm.set_timer(self._device, encode_timer(seconds).value), QUICK_COMMAND)
        hdparm.require_success(result, "-S")
        return self.power_status(PowerMode.ACTIVE)

    async def set_apm_level(self, request: SetApmLevel) -> PowerFeatures:
        """Set the APM level and read it back; refused unless the drive is spinning."""
        level = request.level
        if level < APM_WITHOUT_STANDBY and not request.allow_spin_down:
            raise RefusalError(
                f"APM level {level} allows {self._disk.name} to spin down by itself; confirm it with "
                f"allow_spin_down, or set {APM_WITHOUT_STANDBY} or more"
            )
        await self._require_spinning_ata("setting its APM level")
        result = await self.run(hdparm.set_apm(self._device, level), QUICK_COMMAND, commands=2)
        features = hdparm.power_features_of(result, "-B")
        if features.apm != level:
            raise RefusalError(
                f"{self._disk.name} accepted APM level {level} but reports {features.apm or 'none'}; "
                "do not set its APM level"
            )
        return replace(features, commands=self.commands)

    async def read_power_features(self) -> PowerFeatures:
        """Read the power features; refused unless the drive is spinning."""
        await self._require_spinning_ata("reading its power features")
        result = await self.run(hdparm.identify(self._device), QUICK_COMMAND)
        return replace(hdparm.power_features_of(result, "--Istdout"), commands=self.commands)

    async def spin_up(self) -> None:
        """Spin the disk up by reading a block."""
        await self._executor.run_in_thread(partial(first_access.spin_up, self._disk), MOTOR_COMMAND)

    async def power_mode(self) -> PowerMode:
        """The power mode; a suspended device is not opened. A drive that is spinning up delays its reply."""
        if self._disk.runtime_suspended:
            return PowerMode.SUSPENDED
        if self._disk.scsi_only:
            self.commands += 1
            return await self._executor.run_in_thread(
                partial(sg_io.read_power, self._disk), MOTOR_COMMAND + THREAD_MARGIN
            )
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        result = await self.run(hdparm.read_power(self._device), MOTOR_COMMAND)
        if result.status and loop.time() - started_at > QUICK_COMMAND:  # a drive refuses at once
            raise RefusalError(
                f"{self._disk.name} did not respond within {QUICK_COMMAND:g} s, and the kernel has "
                "disabled it "
                f"({result.last_error_line}); see dmesg",
                FailureCause.UNRESPONSIVE,
            )
        return hdparm.power_of(result)

    async def require_spinning(self, purpose: str) -> None:
        """Refuse ``purpose``, such as "reading its health", unless the drive reports that it is spinning."""
        mode = await self.power_mode()
        if mode is PowerMode.UNKNOWN:
            raise RefusalError(
                f"{self._disk.name} does not report whether it spins, and {purpose} could wake it; "
                "it is skipped"
            )
        if mode is not PowerMode.ACTIVE:
            raise RefusalError(
                f"{self._disk.name} is in standby ({mode}), and {purpose} would wake it; try again later",
                FailureCause.IN_STANDBY,
            )

    async def run(
        self, argv: list[str], seconds: float, commands: int = 1, options: ToolOptions | None = None
    ) -> CompletedTool:
        """Run a tool that sends ``commands`` commands to the disk."""
        try:
            result = await self._runner.run(argv, seconds, self._executor, options or ToolOptions())
        except RefusalError as error:
            if error.cause is not FailureCause.HELPER_UNAVAILABLE:  # the tool was started
                self.commands += commands
            raise
        self.commands += commands
        return result

    def power_status(self, mode: PowerMode, *, spin_down_sent: bool = False) -> PowerStatus:
        """The response with a power mode."""
        return PowerStatus(mode, self.commands, spin_down_sent)

    async def _power_mode_if_reported(self, method: SpinDownMethod) -> PowerMode:
        """The power mode; UNKNOWN for a disk that supports START STOP UNIT but no power mode query."""
        try:
            return await self.power_mode()
        except RefusalError:
            if method == "ata" or self._executor.quarantined:
                raise
            return PowerMode.UNKNOWN

    async def _require_spinning_ata(self, purpose: str) -> None:
        """Refuse ``purpose``, an ATA command, unless the disk is an ATA disk that is spinning."""
        if self._disk.scsi_only:
            raise RefusalError(
                f"{self._disk.name} is not an ATA disk, and {purpose} requires one; it is skipped"
            )
        await self.require_spinning(purpose)

    async def _require_not_busy(self, *, spinning: bool) -> None:
        """Refuse if the disk is busy; the self-test query could wake a disk that is not spinning."""
        busy_reason = await self._executor.run_in_thread(
            partial(dirty_data.busy_reason, self._disk, self._root), QUICK_COMMAND
        )
        if busy_reason is None and spinning:
            busy_reason = await self._self_test_busy_reason()
        if busy_reason is not None:
            raise RefusalError(f"{self._disk.name} is not spun down: {busy_reason}", FailureCause.BUSY)

    async def _self_test_busy_reason(self) -> str | None:
        """Why a self-test forbids a spin-down; None = none is running, or none is reported."""
        if self._disk.scsi_only:
            self.commands += 1
            if await self._executor.run_in_thread(
                partial(sg_io.self_test_in_progress, self._disk), QUICK_COMMAND
            ):
                return self_test.BUSY_REASON
        if self._runner.tools.find("smartctl") is None:
            return None
        for device_type in device_types(self._disk):
            argv, commands = self_test.query(self._disk, device_type)
            result = await self.run(argv, SELF_TEST_QUERY, commands)
            if result.status < 0 or drive_reached(
                result.status
            ):  # by a signal: it may have reached the drive
                return self_test.busy_reason(parse_object(result.out))
        return None
