"""Stand-ins for the machine that play what a test tells them to, on the running loop's time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fakes.unused_ports import UnusedPorts

from powerd.core.time import Moment
from powerd.disks.model import DiskAction, DiskId, PowerMode, PowerStatus
from powerd.linux.ports import Ports
from powerd.linux.values import HostError, ProcessResult
from powerd.power.model import WakeupState
from powerd.smart.actions import DiskResult

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
class StoppedClock:
    """A clock that stands still."""

    def now(self) -> Moment:
        return Moment(0.0, 0.0, datetime.fromtimestamp(BEGIN, UTC))


def ports(host: object, effects: object = None) -> Ports:
    """All ports of one fake, or of two: ``effects`` is preferred for the methods that it has."""
    fake: Any = host if effects is None else _Either(effects, host)
    wakeups = getattr(host, "read_wakeup_state", WakeupState)
    return Ports(fake, fake, fake, fake, fake, wakeups)


class _Either:
    def __init__(self, first: object, second: object) -> None:
        self._first, self._second = first, second

    def __getattr__(self, name: str) -> object:
        unused = getattr(UnusedPorts, name, None)
        overridden = name in vars(self._first) if hasattr(self._first, "__dict__") else False
        own = overridden or getattr(type(self._first), name, unused) is not unused
        return getattr(self._first if own else self._second, name)


@dataclass(slots=True)
class RecordingPorts(UnusedPorts):
    """Writes down what it is told to do.

    Attributes:
        calls: in their order, the method's name first.
        command_result: how every command ends.
        error: what the machine says instead of obeying.
    """

    calls: list[tuple[object, ...]] = field(default_factory=list)
    command_result: ProcessResult = field(default=ProcessResult(0, "", ""))
    error: str | None = None

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,  # noqa: ASYNC109 - as Hands.run
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
    ) -> ProcessResult:
        self._record("run", tuple(argv), timeout, *(env or {}).items(), *([stdin] if stdin else []))
        return self.command_result

    async def request_sleep(self, action: str) -> None:
        self._record("logind", action)

    async def send_magic_packet(self, mac: str, to: Sequence[str]) -> None:
        self._record("magic", mac, tuple(to))

    async def execute_disk_action(self, action: DiskAction) -> DiskResult:
        self._record("disk", action)
        return PowerStatus(PowerMode.ACTIVE)

    async def wait_first_access(self, disks: tuple[DiskId, ...]) -> tuple[DiskId, tuple[DiskId, ...], float]:
        self._record("guard", disks)
        return disks[0], disks[1:], 1.0

    async def broadcast(self, text: str) -> None:
        self._record("broadcast", text)

    def _record(self, *call: object) -> None:
        self.calls.append(call)
        if self.error is not None:
            raise HostError(self.error)
