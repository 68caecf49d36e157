"""Carries out one request at one disk, in a turn of that disk's lane.

A disk that the kernel has suspended is not opened: that alone would wake it. Nothing is sent to a sleeping
disk but CHECK POWER MODE, which leaves it asleep; so that comes first, in the same turn.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from powerd import model
from powerd.helper import hdparm, pending, rouse, scsi, self_test
from powerd.helper.disks import Disk
from powerd.helper.done import Done
from powerd.helper.errors import RefusalError
from powerd.helper.lane import Lane
from powerd.helper.messages.bounds import MOVING, QUICK, SELF_TEST, SPARE
from powerd.helper.protocol import Drive, Power, ReadDrive, SetApm, SetTimer, StandBy
from powerd.helper.smart_values import document
from powerd.helper.smart_ways import kinds, reached
from powerd.helper.tool import Extra, Runner
from powerd.model import APM_WITHOUT_STANDBY, Trouble


class Spindle:
    """One disk, within a turn of its lane; each method is one request, or the first half of one.

    Args:
        disk: which.
        lane: its lane.
        runner: starts tools.
        root: where paths begin.

    Attributes:
        commands: sent to the disk past the block layer so far.
    """

    def __init__(self, disk: Disk, lane: Lane, runner: Runner, root: Path) -> None:
        self._disk = disk
        self._device = str(disk.node)
        self._lane = lane
        self._runner = runner
        self._root = root
        self.commands = 0

    async def read_power(self) -> Power:
        """Whether it spins."""
        return self.power(await self.state())

    async def rests(self, request: StandBy) -> Power | None:
        """Why there is nothing to stop; None = it may be stopped, as far as can be known at once."""
        state = await self._state_if_told(request.how)
        if state.asleep or state is model.Power.SUSPENDED:
            return self.power(state)
        await self._demand_no_hindrance(spins=state is model.Power.ACTIVE)
        return None

    async def stand_by(self, request: StandBy) -> Power:
        """Stop it, unless it is asleep already or there is a hindrance."""
        rests = await self.rests(request)
        if rests is not None:
            return rests
        if request.how == "ata":
            done = await self.run(hdparm.stand_by(self._device), MOVING)
            hdparm.succeeded(done, "-y")
        else:
            self.commands += 1
            await self._lane.in_thread(partial(scsi.stand_by, self._disk), MOVING + SPARE)
        return self.power(model.Power.STANDBY, stopped=True)

    async def set_timer(self, request: SetTimer) -> Power:
        """Set its standby timer, if it spins."""
        await self._demand_ata("setting its timer")
        done = await self.run(hdparm.set_timer(self._device, request.value), QUICK)
        hdparm.succeeded(done, "-S")
        return self.power(model.Power.ACTIVE)

    async def set_apm(self, request: SetApm) -> Drive:
        """Set its APM level, if it spins, and believe what it then says."""
        if request.level < APM_WITHOUT_STANDBY and not request.spin_down:
            raise RefusalError(
                f"APM level {request.level} lets {self._disk.name} stop when it likes to; ask for it with "
                f"spin_down, or for {APM_WITHOUT_STANDBY} or more"
            )
        await self._demand_ata("setting its APM level")
        done = await self.run(hdparm.set_apm(self._device, request.level), QUICK, commands=2)
        identity = hdparm.identity_of(done, "-B")
        if identity.apm != request.level:
            raise RefusalError(
                f"{self._disk.name} took APM level {request.level} and shows {identity.apm or 'none'}; "
                "leave its APM as it is"
            )
        return self._drive(identity)

    async def read_drive(self, _: ReadDrive) -> Drive:
        """What it can do, if it spins."""
        await self._demand_ata("asking what it can do")
        done = await self.run(hdparm.identify(self._device), QUICK)
        return self._drive(hdparm.identity_of(done, "--Istdout"))

    async def rouse(self) -> None:
        """Wake it."""
        await self._lane.in_thread(partial(rouse.rouse, self._disk), MOVING)

    async def state(self) -> model.Power:
        """What it says of itself, unless the kernel has suspended it; one that starts says so when it has."""
        if self._disk.asleep_by_kernel:
            return model.Power.SUSPENDED
        if self._disk.pure_scsi:
            self.commands += 1
            return await self._lane.in_thread(partial(scsi.read_power, self._disk), MOVING + SPARE)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        done = await self.run(hdparm.read_power(self._device), MOVING)
        if done.status and loop.time() - begun > QUICK:  # a drive refuses at once
            raise RefusalError(
                f"{self._disk.name} did not answer within {QUICK:g} s, and the kernel gave it up "
                f"({done.last_words}); see dmesg",
                Trouble.HUNG,
            )
        return hdparm.power_of(done)

    async def demand_spinning(self, what: str) -> None:
        """Refuse ``what``, such as "reading its health", unless it is known that it spins."""
        state = await self.state()
        if state is model.Power.UNKNOWN:
            raise RefusalError(
                f"{self._disk.name} does not say whether it spins, and {what} could wake it; leave it out"
            )
        if state is not model.Power.ACTIVE:
            raise RefusalError(
                f"{self._disk.name} is asleep ({state}), and {what} would wake it; ask again later",
                Trouble.ASLEEP,
            )

    async def run(
        self, argv: list[str], seconds: float, commands: int = 1, extra: Extra | None = None
    ) -> Done:
        """Run a tool that sends so many commands to the disk."""
        try:
            done = await self._runner.run(argv, seconds, self._lane, extra or Extra())
        except RefusalError as error:
            if error.cause is not Trouble.UNREACHED:  # it was begun
                self.commands += commands
            raise
        self.commands += commands
        return done

    def power(self, state: model.Power, *, stopped: bool = False) -> Power:
        """The answer that tells its state."""
        return Power(disk=self._disk.name, state=state, commands=self.commands, stopped=stopped)

    async def _state_if_told(self, how: str) -> model.Power:
        """As state(); what only knows SCSI's way to stop need not know how to say."""
        try:
            return await self.state()
        except RefusalError:
            if how == "ata" or self._lane.hangs:
                raise
            return model.Power.UNKNOWN

    async def _demand_ata(self, what: str) -> None:
        """Refuse ``what``, which takes an ATA disk, unless it is one that is known to spin."""
        if self._disk.pure_scsi:
            raise RefusalError(f"{self._disk.name} is no ATA disk, and {what} takes one; leave it out")
        await self.demand_spinning(what)

    async def _demand_no_hindrance(self, *, spins: bool) -> None:
        """A disk that may be asleep is not asked for its self-test, as that could wake it."""
        why = await self._lane.in_thread(partial(pending.hindrance, self._disk, self._root), QUICK)
        if why is None and spins:
            why = await self._self_test()
        if why is not None:
            raise RefusalError(f"{self._disk.name} is not stopped: {why}", Trouble.BUSY)

    async def _self_test(self) -> str | None:
        """Why its self-test is a hindrance; None = it runs none, or no way leads to what it says of that."""
        if self._disk.pure_scsi:
            self.commands += 1
            if await self._lane.in_thread(partial(scsi.tests_itself, self._disk), QUICK):
                return self_test.HINDRANCE
        if self._runner.tools.find("smartctl") is None:
            return None
        for kind in kinds(self._disk):
            argv, commands = self_test.question(self._disk, kind)
            done = await self.run(argv, SELF_TEST, commands)
            if done.status < 0 or reached(done.status):  # by a signal: it may have been there
                return self_test.hindrance(document(done.out))
        return None

    def _drive(self, identity: hdparm.Identity) -> Drive:
        return Drive(
            disk=self._disk.name,
            apm=identity.apm,
            apm_supported=identity.apm_supported,
            epc=identity.epc,
            commands=self.commands,
        )
