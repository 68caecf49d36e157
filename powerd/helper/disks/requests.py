"""Requests about disks; each disk has an executor of its own, so a failing disk delays no other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from powerd.disks.model import (
    CheckPowerMode,
    DiskId,
    FailureCause,
    GroupSpinUp,
    PowerFeatures,
    PowerMode,
    PowerStatus,
    ReadPowerFeatures,
    SetApmLevel,
    SetStandbyTimer,
    SpinDown,
)
from powerd.helper.disks.device import DiskDevice, find_disk
from powerd.helper.disks.dirty_data import quiet_window, stays_idle
from powerd.helper.disks.drive import DriveSession
from powerd.helper.disks.first_access import wait_for_first_access
from powerd.helper.errors import WARNING, RefusalError, log_line
from powerd.helper.executor import SerialExecutor
from powerd.helper.protocol.deadlines import QUEUE_TIMEOUT
from powerd.helper.protocol.messages import (
    REQUEST_NAMES,
    AwaitFirstAccess,
    DiskRequest,
    DiskResponse,
)
from powerd.helper.smart import smartctl
from powerd.helper.subprocess import ToolRunner, Tools
from powerd.smart.actions import CheckHealth, HealthReading, StartTest

MAX_EXECUTORS: Final = 256
"""Disks with requests at the same time."""


class DiskRequests:
    """Executes requests about disks; the only state is which devices hang.

    Args:
        root: the directory that paths start at.
        tools: where hdparm and smartctl are.
        allow_loops: loop devices count as disks; for tests.
        runner: starts the tools; None = one for ``tools``.
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
        self._spin_ups: set[asyncio.Task[GroupSpinUp]] = set()

    @property
    def busy(self) -> bool:
        """A request about a disk is being executed, or a disk hangs."""
        return any(executor.busy for executor in self._executors.values())

    async def execute(self, request: DiskRequest) -> DiskResponse:
        """Execute ``request``.

        Raises:
            RefusalError: it was not executed.
        """
        if isinstance(request, AwaitFirstAccess):
            return await self._await_first_access(request)
        disk = self._find_disk(request.disk)
        executor = self._executor_of(disk)
        drive = DriveSession(disk, executor, self._runner, self._root)
        try:
            if isinstance(request, SpinDown):
                return await self._spin_down(request, disk, drive, executor)
            async with self._reserve(executor, REQUEST_NAMES[type(request)]):
                return await _execute(request, disk, drive)
        except RefusalError as error:
            error.commands = drive.commands
            raise

    async def _spin_down(
        self, request: SpinDown, disk: DiskDevice, drive: DriveSession, executor: SerialExecutor
    ) -> PowerStatus:
        """Spin a disk down; watch it first, with its executor free, if its dirty data is not counted."""
        seconds = quiet_window(disk, self._root)
        if seconds:
            async with self._reserve(executor, REQUEST_NAMES[type(request)]):
                already_stopped = await drive.already_stopped(request)
            if already_stopped is not None:
                return already_stopped
            if not await stays_idle(disk, self._root, seconds):
                reason = "data was written to it, or will be soon; wait until it is idle"
                raise RefusalError(f"{disk.name} is not spun down: {reason}", FailureCause.BUSY)
        async with self._reserve(executor, REQUEST_NAMES[type(request)]):
            return await drive.spin_down(request)

    @contextlib.asynccontextmanager
    async def _reserve(self, executor: SerialExecutor, purpose: str) -> AsyncIterator[None]:
        """Reserve the disk, and a slot to run tools."""
        async with executor.reserve(purpose), self._runner.slot():
            yield

    async def _await_first_access(self, request: AwaitFirstAccess) -> GroupSpinUp:
        disks = [self._find_disk(name) for name in request.disks]
        accessed = await wait_for_first_access(disks, self._root)
        others = [name for name in request.disks if name != accessed.name]
        # The client disconnects as soon as it sees a disk spinning. The other disks still spin up then: a
        # read that was cancelled would put the executor of a healthy drive into quarantine.
        spin_up = asyncio.get_running_loop().create_task(self._spin_up_group(accessed.name, others))
        self._spin_ups.add(spin_up)
        spin_up.add_done_callback(self._spin_ups.discard)
        return await asyncio.shield(spin_up)

    async def _spin_up_group(self, accessed: str, names: Sequence[str]) -> GroupSpinUp:
        """Read all disks of ``names`` at the same time."""
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        results = await asyncio.gather(*map(self._spin_up_one, names))
        spun_up = tuple(name for name, ok in zip(names, results, strict=True) if ok)
        failed = tuple(name for name, ok in zip(names, results, strict=True) if not ok)
        return GroupSpinUp(
            first_disk=DiskId(accessed),
            other_disks=tuple(map(DiskId, spun_up)),
            failed_disks=tuple(map(DiskId, failed)),
            duration=round(loop.time() - started_at, 3),
        )

    async def _spin_up_one(self, name: str) -> bool:
        try:
            disk = self._find_disk(name)
            executor = self._executor_of(disk)
            async with executor.reserve("spin-up"):
                await DriveSession(disk, executor, self._runner, self._root).spin_up()
        except RefusalError as error:
            log_line(WARNING, f"not spun up: {error}")
            return False
        return True

    def _find_disk(self, name: str) -> DiskDevice:
        return find_disk(self._root, name, allow_loops=self._allow_loops)

    def _executor_of(self, disk: DiskDevice) -> SerialExecutor:
        """The executor of the device; a disk may have several names."""
        device = disk.node.name
        if device not in self._executors:
            if len(self._executors) >= MAX_EXECUTORS:
                self._executors = {
                    name: executor for name, executor in self._executors.items() if executor.busy
                }
            if len(self._executors) >= MAX_EXECUTORS:
                raise RefusalError(
                    f"{MAX_EXECUTORS} disks have requests already; try again in a moment",
                    FailureCause.BUSY,
                )
            self._executors[device] = SerialExecutor(f"{disk.name} ({device})", QUEUE_TIMEOUT)
        return self._executors[device]


async def _execute(
    request: CheckPowerMode | SetStandbyTimer | SetApmLevel | ReadPowerFeatures | CheckHealth | StartTest,
    disk: DiskDevice,
    drive: DriveSession,
) -> PowerStatus | PowerFeatures | HealthReading:
    match request:
        case CheckHealth():
            return await smartctl.check_health(request, disk, drive)
        case StartTest():
            await smartctl.start_test(request, disk, drive)
            return drive.power_status(PowerMode.ACTIVE)
        case CheckPowerMode():
            return await drive.check_power_mode()
        case SetStandbyTimer():
            return await drive.set_standby_timer(request.seconds)
        case SetApmLevel():
            return await drive.set_apm_level(request)
        case ReadPowerFeatures():
            return await drive.read_power_features()
