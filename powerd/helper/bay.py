"""All disks: each has a lane, so that a dying one hangs nobody but itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from powerd import model
from powerd.helper import smart
from powerd.helper.disks import Disk, find
from powerd.helper.errors import RefusalError
from powerd.helper.guard import first_access
from powerd.helper.lane import Lane
from powerd.helper.log import WARNING, tell
from powerd.helper.messages.bounds import TURN
from powerd.helper.protocol import (
    CheckHealth,
    DiskAnswer,
    DiskRequest,
    Drive,
    DriveHealth,
    DriveRequest,
    Guard,
    Power,
    ReadDrive,
    ReadPower,
    Roused,
    SetApm,
    SetTimer,
    SmartRequest,
    StandBy,
    StartTest,
)
from powerd.helper.spindle import Spindle
from powerd.helper.tool import Runner, Tools
from powerd.helper.unseen import stays_quiet, window

LANES: Final = 256
"""Disks that may be dealt with."""


class Bay:
    """Carries out requests about disks; remembers nothing but what hangs.

    Args:
        root: where paths begin.
        tools: where hdparm and smartctl are.
        loops: loop devices are disks too; for tests.
        runner: what starts tools; None = one for ``tools``.
    """

    def __init__(
        self, root: Path, tools: Tools | None = None, *, loops: bool = False, runner: Runner | None = None
    ) -> None:
        self._root = root
        self._loops = loops
        self._runner = runner or Runner(tools or Tools())
        self._lanes: dict[str, Lane] = {}
        self._rousing: set[asyncio.Task[Roused]] = set()

    @property
    def busy(self) -> bool:
        """Something is under way at a disk, or hangs."""
        return any(lane.busy for lane in self._lanes.values())

    async def serve(self, request: DiskRequest) -> DiskAnswer:
        """The answer.

        Raises:
            RefusalError: it was not done.
        """
        if isinstance(request, Guard):
            return await self._guard(request)
        disk = self._find(request.disk)
        lane = self._lane(disk)
        spindle = Spindle(disk, lane, self._runner, self._root)
        try:
            if isinstance(request, StandBy):
                return await self._stand_by(request, disk, spindle, lane)
            async with self._turn(lane, request.word):
                return await _obey(request, disk, spindle)
        except RefusalError as error:
            error.commands = spindle.commands
            raise

    async def _stand_by(self, request: StandBy, disk: Disk, spindle: Spindle, lane: Lane) -> Power:
        """Stop a disk; where data may wait for it unseen, it is watched first, outside of its lane."""
        seconds = window(disk, self._root)
        if seconds:
            async with self._turn(lane, request.word):
                rests = await spindle.rests(request)
            if rests is not None:
                return rests
            if not await stays_quiet(disk, self._root, seconds):
                why = "data was written to it, or is about to be; wait until it is idle"
                raise RefusalError(f"{disk.name} is not stopped: {why}", model.Trouble.BUSY)
        async with self._turn(lane, request.word):
            return await spindle.stand_by(request)

    @contextlib.asynccontextmanager
    async def _turn(self, lane: Lane, what: str) -> AsyncIterator[None]:
        """A turn in which tools run."""
        async with lane.turn(what), self._runner.place():
            yield

    async def _guard(self, request: Guard) -> Roused:
        disks = [self._find(name) for name in request.disks]
        first = await first_access(disks, self._root)
        others = [name for name in request.disks if name != first.name]
        # Who asked goes as soon as a disk is seen awake. Its spindles still start then: reads that were given
        # up would leave their lanes in quarantine, and well drives hanging.
        rousing = asyncio.get_running_loop().create_task(self._rouse(first.name, others))
        self._rousing.add(rousing)
        rousing.add_done_callback(self._rousing.discard)
        return await asyncio.shield(rousing)

    async def _rouse(self, cause: str, names: Sequence[str]) -> Roused:
        """Read all disks of ``names`` at the same time."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        ends = await asyncio.gather(*map(self._rouse_one, names))
        read = tuple(name for name, done in zip(names, ends, strict=True) if done)
        failed = tuple(name for name, done in zip(names, ends, strict=True) if not done)
        return Roused(disk=cause, others=read, failed=failed, seconds=round(loop.time() - begun, 3))

    async def _rouse_one(self, name: str) -> bool:
        try:
            disk = self._find(name)
            lane = self._lane(disk)
            async with lane.turn("rouse"):
                await Spindle(disk, lane, self._runner, self._root).rouse()
        except RefusalError as error:
            tell(WARNING, f"not roused: {error}")
            return False
        return True

    def _find(self, name: str) -> Disk:
        return find(self._root, name, loops=self._loops)

    def _lane(self, disk: Disk) -> Lane:
        """The lane of the device, whatever name it was asked for by."""
        device = disk.node.name
        if device not in self._lanes:
            if len(self._lanes) >= LANES:
                self._lanes = {name: lane for name, lane in self._lanes.items() if lane.busy}
            if len(self._lanes) >= LANES:
                raise RefusalError(
                    f"{LANES} disks are being dealt with; ask again in a moment", model.Trouble.BUSY
                )
            self._lanes[device] = Lane(f"{disk.name} ({device})", TURN)
        return self._lanes[device]


async def _obey(
    request: ReadPower | SetTimer | DriveRequest | SmartRequest, disk: Disk, at: Spindle
) -> Power | Drive | DriveHealth:
    match request:
        case CheckHealth():
            return await smart.check(request, disk, at)
        case StartTest():
            await smart.begin_test(request, disk, at)
            return at.power(model.Power.ACTIVE)
        case ReadPower():
            return await at.read_power()
        case SetTimer():
            return await at.set_timer(request)
        case SetApm():
            return await at.set_apm(request)
        case ReadDrive():
            return await at.read_drive(request)
