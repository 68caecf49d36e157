"""Transit in a bedroom of its own: everything but the sources and the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from bedroom import Bedroom
from scripted import LoopClock

from powerd.board import Board
from powerd.config import Options, parse
from powerd.host.values import Completed, Going, HostError
from powerd.model import Decision, Memory, Moment, Sleep, Snapshot, Status, Wake
from powerd.rehearse.loop import run
from powerd.transit import Lock, Night, OwnAlarm, Transit

ENFORCE = 'mode = "enforce"\n'
HOOKS = (
    ENFORCE
    + """
[hooks]
before_sleep = ["/bin/good", "night"]
after_wake = ["/bin/good", "morning"]
timeout = "20s"
"""
)


class Machine(Bedroom):
    """Its hooks take time, and may fail.

    Attributes:
        ran: what was run, and what it was told.
        takes: seconds that each takes.
        end: how each ends.
    """

    def __init__(self, clock: LoopClock) -> None:
        super().__init__(clock)
        self.ran: list[tuple[str, str]] = []
        self.takes = 0.0
        self.end = Completed(0, "", "")

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,  # noqa: ASYNC109 - as Hands.run
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        assert stdin is None
        ((_, told),) = (env or {}).items()
        self.ran.append((" ".join(argv).removeprefix("/bin/"), told))
        await asyncio.sleep(min(self.takes, timeout))
        if self.takes > timeout:
            raise HostError(f"{argv[0]} was still running after {timeout:g} s and was ended")
        return self.end


class Rooms:
    """The way into a sleep, and what is seen of it."""

    def __init__(self, config: str = ENFORCE, document: object = None) -> None:
        self.clock = LoopClock()
        self.machine = Machine(self.clock)
        self.board = Board()
        self.complaints: list[str] = []
        self.heard: list[Going] = []
        self.written: list[object] = []
        self.back: str | None = None
        self.wanted: Wake | None = None
        self.deaf = False
        self.alarm = OwnAlarm(self.machine, self.machine, self.clock, document, self.written.append)
        self.night = Night(
            self.board,
            self.clock,
            self.machine,
            options=self.options(config),
            alarm=self.alarm,
            still=self._still,
            complain=self.complaints.append,
        )
        self.transit = Transit(
            self.board,
            self.clock,
            self.machine,
            self.night,
            Lock(self.machine, ("sleep", "shutdown"), "delay", self.complaints.append),
            wanted=self._wanted,
            hear=self.heard.append,
            complain=self.complaints.append,
        )

    @staticmethod
    def options(config: str) -> Options:
        return parse(config.encode(), "test")

    async def _still(self, since: float) -> str | None:
        assert since <= self.clock.now().mono
        return self.back

    async def _wanted(self) -> Wake | None:
        return self.wanted

    def at(self, seconds: float, because: str = "backup.timer") -> Wake:
        """A wake-up so many seconds ahead."""
        now = self.clock.now()
        return Wake(Moment(now.mono + seconds, now.slept, now.wall + timedelta(seconds=seconds)), because)

    async def decide(self) -> None:
        """As the engine does: on each change, and tell."""
        while True:
            await self.board.changed_or(asyncio.get_running_loop().time() + 60)
            if not self.deaf:
                self.tell(self.board.snapshot())

    def tell(self, snapshot: Snapshot) -> None:
        now = self.clock.now()
        decision = Decision(
            (),
            (),
            Memory.newborn(now),
            now.mono + 60,
            closely=False,
            phase="idle",
            plan=None,
            verdicts=(),
            wake=self.wanted,
        )
        self.transit.decided(Status(now, "enforce", snapshot, decision, now))

    async def order(self, action: str = "suspend", **more: object) -> None:
        """As the engine and the actuator do."""
        self.tell(self.board.snapshot())
        order = replace(Sleep(0, "suspend"), action=action, wake=self.wanted, **more)  # type: ignore[arg-type] # any action
        await self.night.set_out(order)
        await self.machine.logind(action)


def live(test: Callable[[Rooms], Awaitable[None]], config: str = ENFORCE, document: object = None) -> Rooms:
    """Run ``test`` while transit lives, and stop it after that."""
    rooms: list[Rooms] = []

    async def main() -> None:
        rooms.append(Rooms(config, document))
        lives = [asyncio.create_task(rooms[0].transit.live()), asyncio.create_task(rooms[0].decide())]
        await asyncio.sleep(1)
        await test(rooms[0])
        for life in lives:
            life.cancel()
        for life in lives:
            with suppress(asyncio.CancelledError):
                await life

    run(main())
    return rooms[0]
