"""Carries out one request at one disk, in a turn of that disk's lane.

A disk that the kernel has suspended is not opened: that alone would wake it. Nothing is sent to a sleeping
disk but CHECK POWER MODE, which leaves it asleep; so that comes first, in the same turn.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from powerd.disks.model import APM_WITHOUT_STANDBY, FailureCause, PowerMode
from powerd.helper.disks import dirty_data, first_access, hdparm, sg_io
from powerd.helper.disks.device import DiskDevice
from powerd.helper.errors import RefusalError
from powerd.helper.executor import SerialExecutor
from powerd.helper.protocol.deadlines import MOTOR_COMMAND, QUICK_COMMAND, SELF_TEST_QUERY, THREAD_MARGIN
from powerd.helper.protocol.messages import (
    DriveResponse,
    PowerResponse,
    ReadDriveRequest,
    SetApmRequest,
    SetTimerRequest,
    SpinDownRequest,
)
from powerd.helper.smart import self_test
from powerd.helper.smart.device_types import device_types, drive_reached
from powerd.helper.smart.values import parse_object
from powerd.helper.subprocess import CompletedTool, ToolOptions, ToolRunner


class DriveSession:
    """One disk, within a turn of its lane; each method is one request, or the first half of one.

    Args:
        disk: which.
        executor: its lane.
        runner: starts tools.
        root: where paths begin.

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

    async def read_power(self) -> PowerResponse:
        """Whether it spins."""
        return self.power_response(await self.power_state())

    async def already_stopped(self, request: SpinDownRequest) -> PowerResponse | None:
        """Why there is nothing to stop; None = it may be stopped, as far as can be known at once."""
        state = await self._state_if_reported(request.how)
        if state.is_stopped or state is PowerMode.SUSPENDED:
            return self.power_response(state)
        await self._require_not_busy(spins=state is PowerMode.ACTIVE)
        return None

    async def spin_down(self, request: SpinDownRequest) -> PowerResponse:
        """Stop it, unless it is asleep already or there is a hindrance."""
        already_stopped = await self.already_stopped(request)
        if already_stopped is not None:
            return already_stopped
        if request.how == "ata":
            result = await self.run(hdparm.spin_down(self._device), MOTOR_COMMAND)
            hdparm.require_success(result, "-y")
        else:
            self.commands += 1
            await self._executor.run_in_thread(
                partial(sg_io.spin_down, self._disk), MOTOR_COMMAND + THREAD_MARGIN
            )
        return self.power_response(PowerMode.STANDBY, stopped=True)

    async def set_timer(self, request: SetTimerRequest) -> PowerResponse:
        """Set its standby timer, if it spins."""
        await self._require_ata("setting its timer")
        result = await self.run(hdparm.set_timer(self._device, request.value), QUICK_COMMAND)
        hdparm.require_success(result, "-S")
        return self.power_response(PowerMode.ACTIVE)

    async def set_apm(self, request: SetApmRequest) -> DriveResponse:
        """Set its APM level, if it spins, and believe what it then says."""
        if request.level < APM_WITHOUT_STANDBY and not request.spin_down:
            raise RefusalError(
                f"APM level {request.level} lets {self._disk.name} stop when it likes to; ask for it with "
                f"spin_down, or for {APM_WITHOUT_STANDBY} or more"
            )
        await self._require_ata("setting its APM level")
        result = await self.run(hdparm.set_apm(self._device, request.level), QUICK_COMMAND, commands=2)
        identity = hdparm.identity_of(result, "-B")
        if identity.apm != request.level:
            raise RefusalError(
                f"{self._disk.name} took APM level {request.level} and shows {identity.apm or 'none'}; "
                "leave its APM as it is"
            )
        return self._drive_response(identity)

    async def read_drive(self, _: ReadDriveRequest) -> DriveResponse:
        """What it can do, if it spins."""
        await self._require_ata("asking what it can do")
        result = await self.run(hdparm.identify(self._device), QUICK_COMMAND)
        return self._drive_response(hdparm.identity_of(result, "--Istdout"))

    async def spin_up(self) -> None:
        """Wake it."""
        await self._executor.run_in_thread(partial(first_access.spin_up, self._disk), MOTOR_COMMAND)

    async def power_state(self) -> PowerMode:
        """What it says of itself, unless the kernel has suspended it; one that starts says so when it has."""
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
                f"{self._disk.name} did not answer within {QUICK_COMMAND:g} s, and the kernel gave it up "
                f"({result.last_error_line}); see dmesg",
                FailureCause.UNRESPONSIVE,
            )
        return hdparm.power_of(result)

    async def require_spinning(self, purpose: str) -> None:
        """Refuse ``what``, such as "reading its health", unless it is known that it spins."""
        state = await self.power_state()
        if state is PowerMode.UNKNOWN:
            raise RefusalError(
                f"{self._disk.name} does not say whether it spins, and {purpose} could wake it; leave it out"
            )
        if state is not PowerMode.ACTIVE:
            raise RefusalError(
                f"{self._disk.name} is asleep ({state}), and {purpose} would wake it; ask again later",
                FailureCause.IN_STANDBY,
            )

    async def run(
        self, argv: list[str], seconds: float, commands: int = 1, options: ToolOptions | None = None
    ) -> CompletedTool:
        """Run a tool that sends so many commands to the disk."""
        try:
            result = await self._runner.run(argv, seconds, self._executor, options or ToolOptions())
        except RefusalError as error:
            if error.cause is not FailureCause.HELPER_UNAVAILABLE:  # it was begun
                self.commands += commands
            raise
        self.commands += commands
        return result

    def power_response(self, state: PowerMode, *, stopped: bool = False) -> PowerResponse:
        """The answer that tells its state."""
        return PowerResponse(disk=self._disk.name, state=state, commands=self.commands, stopped=stopped)

    async def _state_if_reported(self, how: str) -> PowerMode:
        """As state(); what only knows SCSI's way to stop need not know how to say."""
        try:
            return await self.power_state()
        except RefusalError:
            if how == "ata" or self._executor.quarantined:
                raise
            return PowerMode.UNKNOWN

    async def _require_ata(self, purpose: str) -> None:
        """Refuse ``what``, which takes an ATA disk, unless it is one that is known to spin."""
        if self._disk.scsi_only:
            raise RefusalError(f"{self._disk.name} is no ATA disk, and {purpose} takes one; leave it out")
        await self.require_spinning(purpose)

    async def _require_not_busy(self, *, spins: bool) -> None:
        """A disk that may be asleep is not asked for its self-test, as that could wake it."""
        busy_reason = await self._executor.run_in_thread(
            partial(dirty_data.busy_reason, self._disk, self._root), QUICK_COMMAND
        )
        if busy_reason is None and spins:
            busy_reason = await self._self_test_busy_reason()
        if busy_reason is not None:
            raise RefusalError(f"{self._disk.name} is not stopped: {busy_reason}", FailureCause.BUSY)

    async def _self_test_busy_reason(self) -> str | None:
        """Why its self-test is a hindrance; None = it runs none, or no way leads to what it says of that."""
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
            if result.status < 0 or drive_reached(result.status):  # by a signal: it may have been there
                return self_test.busy_reason(parse_object(result.out))
        return None

    def _drive_response(self, identity: hdparm.Identity) -> DriveResponse:
        return DriveResponse(
            disk=self._disk.name,
            apm=identity.apm,
            apm_supported=identity.apm_supported,
            epc=identity.epc,
            commands=self.commands,
        )
