"""Runs the whole daemon in a scripted household on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from powerd.config.load import parse
from powerd.config.options import Options
from powerd.core.snapshot import Status
from powerd.daemon import Daemon
from powerd.simulation.clock import SimulatedClock
from powerd.simulation.virtual_loop import VirtualLoop, run
from powerd.simulation.world import Household, Person, posix_time

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = 3600.0
NIGHTLY = b"""
mode = "enforce"
[clients]
learn = "0s"
absent_after = "5min"
[[clients.class]]
name = "phone"
match = ["*phone*"]
absent_after = "15min"
[[sleep]]
action = "suspend"
during = ["23:00-07:00"]
idle_for = "30min"
"""


@dataclass(slots=True)
class SimulationLog:
    """The statuses and the household of a simulated run."""

    household: Household
    statuses: list[Status] = field(default_factory=list)

    def sleep_times(self) -> list[datetime]:
        """When the server went to sleep: true time, in the zone BERLIN."""
        return [datetime.fromtimestamp(at, BERLIN) for at, _ in self.household.performed]

    def reasons(self) -> set[str]:
        return {
            f"{reason.subject}: {reason.text}"
            for status in self.statuses
            for reason in status.decision.reasons
        }


def person(name: str, n: int, home: Callable[[float], bool], *, icmp: bool = True) -> Person:
    return Person(name, f"10.0.0.{n}", f"02:00:00:00:00:{n:02x}", home, answers_icmp=icmp)


def daily(begin: float, until: float, zone: ZoneInfo = BERLIN) -> Callable[[float], bool]:
    """Home each day from hour ``begin`` to hour ``until`` of local time, past midnight too."""

    def home(true: float) -> bool:
        at = datetime.fromtimestamp(true, zone)
        hour = at.hour + at.minute / 60
        return begin <= hour < until if begin < until else hour >= begin or hour < until

    return home


def simulate(  # noqa: PLR0913 - a script is all that it plays
    persons: Sequence[Person],
    *,
    begin: str,
    days: float,
    config: bytes = NIGHTLY,
    events: Sequence[tuple[float, Callable[[Household], None]]] = (),
    prepare: Callable[[Household], None] = lambda _: None,
    kind: Callable[..., Household] = Household,
) -> SimulationLog:
    """Simulate ``days`` of true time; ``events`` are (hours after the begin, change of the household)."""
    options: Options = parse(config, "test")
    loop = VirtualLoop()
    clock = SimulatedClock(started_at=posix_time(BERLIN, begin), zone=BERLIN, mono=loop.time)
    household = kind(clock, people=persons)
    prepare(household)
    log = SimulationLog(household)

    async def main() -> None:
        daemon = Daemon(options, household.ports(), clock, on_status=log.statuses.append)
        task = asyncio.create_task(daemon.run())
        pending = sorted(events, key=lambda event: event[0])
        end = clock.started_at + days * 86400
        while clock.true_time() < end:
            assert not task.done(), task.result()
            while pending and clock.true_time() >= clock.started_at + pending[0][0] * HOUR:
                pending.pop(0)[1](household)
            await asyncio.sleep(20)
        task.cancel()

    run(main(), loop=loop)
    return log


def until_hour(hour: float, zone: ZoneInfo = BERLIN) -> Callable[[float], float]:
    """The server is woken at the next ``hour`` of local time."""

    def wakes(asleep: float) -> float:
        at = datetime.fromtimestamp(asleep, zone)
        today = at.replace(hour=int(hour), minute=int(hour % 1 * 60), second=0, microsecond=0)
        wake = today.timestamp()
        return wake if wake > asleep else wake + 86400

    return wakes


def sundays_at_four(true: float) -> float:
    """The next Sunday at 04:00 of local time after a true time."""
    at = datetime.fromtimestamp(true, BERLIN).replace(hour=4, minute=0, second=0, microsecond=0)
    while at.weekday() != 6 or at.timestamp() <= true:
        at = (at + timedelta(days=1)).replace(hour=4)
    return at.timestamp()
