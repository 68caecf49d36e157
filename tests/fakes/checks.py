"""Activity checks whose results are scripted, and the ports that a check gets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from fakes.ports import RecordingPorts

from powerd.activity.check import CheckKind, CheckPorts, SleepOptions
from powerd.activity.model import Activity
from powerd.config.activity_options import (
    ActivityOptions,
    CheckSettings,
    ConfiguredCheck,
    NamedCheckSettings,
)
from powerd.core.clock import Clock
from powerd.core.poller import PollDepth
from powerd.disks.model import DiskFacts
from powerd.linux.ports import Ports
from powerd.simulation.clock import SimulatedClock

WORKS = Activity("backup", "copies", keeps_awake=True)
BELOW = Activity("load", "is low", keeps_awake=False, value=1.0, unit="%", threshold=10)


def check_ports(  # noqa: PLR0913 - a check may use all of them
    ports: Ports | None = None,
    clock: Clock | None = None,
    *,
    idle_for: float = 1800.0,
    min_sleep: float = 300.0,
    timers: tuple[str, ...] = (),
    disks: Callable[[], DiskFacts | None] = DiskFacts,
) -> CheckPorts:
    """The ports of a server where nothing happens, or ``ports``."""
    ports = ports or RecordingPorts().ports()
    return CheckPorts(
        ports.files,
        ports.network,
        ports.logind,
        ports.helper,
        ports.processes,
        clock or SimulatedClock(),
        lambda: SleepOptions(idle_for, min_sleep, timers),
        disks,
    )


@dataclass(frozen=True, slots=True)
class NoOptions:
    """A fake check has none."""


@dataclass
class FakeCheck:
    """A check that returns ``activities``, or what ``script`` returns.

    Attributes:
        polls: the depth of each poll.
        instances: how often the check has been made.
    """

    name: str
    activities: tuple[Activity, ...] = ()
    script: Callable[[], Awaitable[tuple[Activity, ...]]] | None = None
    near_sleep_only: bool = False
    polls: list[PollDepth] = field(default_factory=list)
    instances: int = 0

    async def poll(self, depth: PollDepth) -> tuple[Activity, ...]:
        self.polls.append(depth)
        return self.activities if self.script is None else await self.script()

    def kind(self) -> CheckKind:
        def new(_options: object, _ports: CheckPorts) -> FakeCheck:
            self.instances += 1
            return self

        return CheckKind(self.name, NoOptions, new, near_sleep_only=self.near_sleep_only)


def activity_options(names: Sequence[str], on_error: str = "awake", **of_checks: str) -> ActivityOptions:
    """``[activity]`` with these checks, ``http:jellyfin`` for one of a list, and ``on_error`` of some."""

    def configured(id_: str) -> ConfiguredCheck:
        kind, _, name = id_.partition(":")
        error_policy = of_checks.get(kind)
        settings = (
            NamedCheckSettings(on_error=error_policy, name=name)  # type: ignore[arg-type] # a Literal
            if name
            else CheckSettings(on_error=error_policy)  # type: ignore[arg-type] # a Literal
        )
        return ConfiguredCheck(kind, settings, NoOptions())

    return ActivityOptions(on_error, tuple(configured(each) for each in names))  # type: ignore[arg-type] # a Literal
