"""Stand-ins for the machine that play what a test tells them to, on the running loop's time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from powerd.host.values import Completed, HostError
from powerd.model import Answered, DiskId, DiskOrder, Found, Moment, Power

BEGIN = 1_780_000_000.0
"""POSIX time at loop time 0."""


@dataclass(slots=True)
class LoopClock:
    """The running loop's time is CLOCK_MONOTONIC; the machine sleeps and is set when the test says so."""

    slept: float = 0.0
    step: float = 0.0

    def now(self) -> Moment:
        mono = asyncio.get_running_loop().time()
        wall = datetime.fromtimestamp(BEGIN + mono + self.slept + self.step, UTC)
        return Moment(mono, self.slept, wall)


@dataclass(slots=True)
class Stopped:
    """A clock that stands still."""

    def now(self) -> Moment:
        return Moment(0.0, 0.0, datetime.fromtimestamp(BEGIN, UTC))


@dataclass(slots=True)
class Hands:
    """Writes down what it is told to do.

    Attributes:
        calls: in their order, the method's name first.
        end: how every command ends.
        refusal: what the machine says instead of obeying.
    """

    calls: list[tuple[object, ...]] = field(default_factory=list)
    end: Completed = field(default=Completed(0, "", ""))
    refusal: str | None = None

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,  # noqa: ASYNC109 - as Hands.run
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        self._note("run", tuple(argv), timeout, *(env or {}).items(), *([stdin] if stdin else []))
        return self.end

    async def logind(self, action: str) -> None:
        self._note("logind", action)

    async def magic(self, mac: str, to: Sequence[str]) -> None:
        self._note("magic", mac, tuple(to))

    async def disk(self, order: DiskOrder) -> Found:
        self._note("disk", order)
        return Answered(Power.ACTIVE)

    async def guard(self, disks: tuple[DiskId, ...]) -> tuple[DiskId, tuple[DiskId, ...], float]:
        self._note("guard", disks)
        return disks[0], disks[1:], 1.0

    async def broadcast(self, text: str) -> None:
        self._note("broadcast", text)

    def _note(self, *call: object) -> None:
        self.calls.append(call)
        if self.refusal is not None:
            raise HostError(self.refusal)
