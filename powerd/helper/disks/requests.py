"""All disks: each has a lane, so that a dying one hangs nobody but itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from powerd.disks.model import FailureCause, PowerMode
from powerd.helper.disks.device import DiskDevice, find_disk
from powerd.helper.disks.dirty_data import quiet_window, stays_idle
from powerd.helper.disks.drive import DriveSession
from powerd.helper.disks.first_access import wait_for_first_access
from powerd.helper.errors import WARNING, RefusalError, log_line
from powerd.helper.executor import SerialExecutor
from powerd.helper.protocol.codec import DiskRequest, DiskResponse
from powerd.helper.protocol.deadlines import QUEUE_TIMEOUT
from powerd.helper.protocol.messages import (
    AwaitFirstAccess,
    CheckHealthRequest,
    DriveRequest,
    DriveResponse,
    GroupSpinUpResponse,
    HealthResponse,
    PowerResponse,
    ReadDriveRequest,
    ReadPowerRequest,
    SetApmRequest,
    SetTimerRequest,
    SmartRequest,
    SpinDownRequest,
    StartTestRequest,
)
from powerd.helper.smart import smartctl
from powerd.helper.subprocess import ToolRunner, Tools

MAX_EXECUTORS: Final = 256
"""Disks that may be dealt with."""


class DiskRequests:
    """Carries out requests about disks; remembers nothing but what hangs.

    Args:
        root: where paths begin.
        tools: where hdparm and smartctl are.
        allow_loops: loop devices are disks too; for tests.
        runner: what starts tools; None = one for ``tools``.
    """

    def __init__(
        self,
        root: Path,
        tools: Tools | None = None,
        *,
        allow_loops: bool = False,
        runner: ToolRunner | None = None,
    ) -> None:
        self._root = root
        self._allow_loops = allow_loops
        self._runner = runner or ToolRunner(tools or Tools())
        self._executors: dict[str, SerialExecutor] = {}
        self._spin_ups: set[asyncio.Task[GroupSpinUpResponse]] = set()

    @property
    def busy(self) -> bool:
        """Something is under way at a disk, or hangs."""
        return any(executor.busy for executor in self._executors.values())

    async def execute(self, request: DiskRequest) -> DiskResponse:
        """The answer.

        Raises:
            RefusalError: it was not done.
        """
        if isinstance(request, AwaitFirstAccess):
            return await self._await_first_access(request)
        disk = self._find_disk(request.disk)
        executor = self._executor_of(disk)
        drive = DriveSession(disk, executor, self._runner, self._root)
        try:
            if isinstance(request, SpinDownRequest):
                return await self._spin_down(request, disk, drive, executor)
            async with self._reserve(executor, request.wire_name):
                return await _execute(request, disk, drive)
        except RefusalError as error:
            error.commands = drive.commands
            raise

    async def _spin_down(
        self, request: SpinDownRequest, disk: DiskDevice, drive: DriveSession, executor: SerialExecutor
    ) -> PowerResponse:
        """Stop a disk; where data may wait for it unseen, it is watched first, outside of its lane."""
        seconds = quiet_window(disk, self._root)
        if seconds:
            async with self._reserve(executor, request.wire_name):
                already_stopped = await drive.already_stopped(request)
            if already_stopped is not None:
                return already_stopped
            if not await stays_idle(disk, self._root, seconds):
                reason = "data was written to it, or is about to be; wait until it is idle"
                raise RefusalError(f"{disk.name} is not stopped: {reason}", FailureCause.BUSY)
        async with self._reserve(executor, request.wire_name):
            return await drive.spin_down(request)

    @contextlib.asynccontextmanager
    async def _reserve(self, executor: SerialExecutor, purpose: str) -> AsyncIterator[None]:
        """A turn in which tools run."""
        async with executor.reserve(purpose), self._runner.slot():
            yield

    async def _await_first_access(self, request: AwaitFirstAccess) -> GroupSpinUpResponse:
        disks = [self._find_disk(name) for name in request.disks]
        accessed = await wait_for_first_access(disks, self._root)
        others = [name for name in request.disks if name != accessed.name]
        # Who asked goes as soon as a disk is seen awake. Its spindles still start then: reads that were given
        # up would leave their lanes in quarantine, and well drives hanging.
        spin_up = asyncio.get_running_loop().create_task(self._spin_up_group(accessed.name, others))
        self._spin_ups.add(spin_up)
        spin_up.add_done_callback(self._spin_ups.discard)
        return await asyncio.shield(spin_up)

    async def _spin_up_group(self, accessed: str, names: Sequence[str]) -> GroupSpinUpResponse:
        """Read all disks of ``names`` at the same time."""
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        results = await asyncio.gather(*map(self._spin_up_one, names))
        spun_up = tuple(name for name, ok in zip(names, results, strict=True) if ok)
        failed = tuple(name for name, done in zip(names, results, strict=True) if not done)
        return GroupSpinUpResponse(
            disk=accessed, others=spun_up, failed=failed, seconds=round(loop.time() - started_at, 3)
        )

    async def _spin_up_one(self, name: str) -> bool:
        try:
            disk = self._find_disk(name)
            executor = self._executor_of(disk)
            async with executor.reserve("rouse"):
                await DriveSession(disk, executor, self._runner, self._root).spin_up()
        except RefusalError as error:
            log_line(WARNING, f"not roused: {error}")
            return False
        return True

    def _find_disk(self, name: str) -> DiskDevice:
        return find_disk(self._root, name, allow_loops=self._allow_loops)

    def _executor_of(self, disk: DiskDevice) -> SerialExecutor:
        """The lane of the device, whatever name it was asked for by."""
        device = disk.node.name
        if device not in self._executors:
            if len(self._executors) >= MAX_EXECUTORS:
                self._executors = {
                    name: executor for name, executor in self._executors.items() if executor.busy
                }
            if len(self._executors) >= MAX_EXECUTORS:
                raise RefusalError(
                    f"{MAX_EXECUTORS} disks are being dealt with; ask again in a moment",
                    FailureCause.BUSY,
                )
            self._executors[device] = SerialExecutor(f"{disk.name} ({device})", QUEUE_TIMEOUT)
        return self._executors[device]


async def _execute(
    request: ReadPowerRequest | SetTimerRequest | DriveRequest | SmartRequest,
    disk: DiskDevice,
    drive: DriveSession,
) -> PowerResponse | DriveResponse | HealthResponse:
    match request:
        case CheckHealthRequest():
            return await smartctl.check_health(request, disk, drive)
        case StartTestRequest():
            await smartctl.start_test(request, disk, drive)
            return drive.power_response(PowerMode.ACTIVE)
        case ReadPowerRequest():
            return await drive.read_power()
        case SetTimerRequest():
            return await drive.set_timer(request)
        case SetApmRequest():
            return await drive.set_apm(request)
        case ReadDriveRequest():
            return await drive.read_drive(request)
