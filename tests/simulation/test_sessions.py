"""Programs in login sessions and jobs of cron, and nobody present: no sleep before they end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import count

import pytest
from simulation.household import BERLIN, HOUR, SimulationLog, person, simulate

from powerd.linux.values import LoginSession
from powerd.simulation.machine import SimulatedUnit
from powerd.simulation.world import Household

IDLE = timedelta(minutes=30)
SHELL = {94: '"sshd: alice [priv]"', 118: "-bash"}
ALICE = LoginSession("alice", "pts/0", "10.0.0.44", "sshd")
CRON = {71: "/usr/sbin/cron -f"}


def simulate_from_ten(events: list[tuple[float, Callable[[Household], None]]]) -> SimulationLog:
    """From 22:00 to 4:00; the server sleeps after half an hour without need. Events are at hours."""
    return simulate(
        [person("phone", 14, lambda _: False)], begin="2026-06-01 22:00", days=0.25, events=events
    )


def set_unit(name: str, unit: SimulatedUnit | None) -> Callable[[Household], None]:
    def act(household: Household) -> None:
        household.units.pop(name, None)
        if unit is not None:
            household.units[name] = unit

    return act


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "busy", "idle", "reason"),
    [
        (
            "session-9.scope",
            SimulatedUnit({**SHELL, 121: "sleep 2000"}, session=ALICE),
            SimulatedUnit(SHELL, session=ALICE),
            "alice on pts/0, over SSH from 10.0.0.44: runs sleep",
        ),
        (
            "session-9.scope",
            SimulatedUnit({151: "tmux new", 152: "-bash", 153: "cp -v a b"}, sub="abandoned", session=ALICE),
            SimulatedUnit({151: "tmux new", 152: "-bash"}, sub="abandoned", session=ALICE),
            "alice, after logout: runs cp",
        ),
        (
            "restic-home.service",
            SimulatedUnit(active="activating", sub="start"),
            None,
            "restic-home.service: is running",
        ),
    ],
    ids=["a job over SSH", "a copy in tmux", "a backup"],
)
def test_it_sleeps_when_the_work_ends_within_a_round_and_the_idle_time(
    name: str, busy: SimulatedUnit, idle: SimulatedUnit | None, reason: str
) -> None:
    log = simulate_from_ten([(0.2, set_unit(name, busy)), (3.0, set_unit(name, idle))])
    end = datetime(2026, 6, 2, 1, tzinfo=BERLIN)
    assert end + IDLE <= log.sleep_times()[0] <= end + IDLE + timedelta(minutes=5)
    assert reason in log.reasons()


def test_neither_an_editor_nor_a_short_job_every_minute_keeps_it_awake() -> None:
    """The job runs at the very moments of the polls before a sleep, until three of them have met it."""
    pids = count(200)

    def events() -> Iterator[tuple[float, Callable[[Household], None]]]:
        yield 0.0, set_unit("session-9.scope", SimulatedUnit({**SHELL, 121: "vim x"}, session=ALICE))
        for minute in range(360):
            busy = SimulatedUnit({**CRON, next(pids): "php -f cron.php"})
            yield minute / 60, set_unit("cron.service", busy)
            yield minute / 60 + 5 / HOUR, set_unit("cron.service", SimulatedUnit(CRON))

    with_job, without = simulate_from_ten(list(events())), simulate_from_ten([])
    assert with_job.sleep_times()[0] <= without.sleep_times()[0] + 3 * IDLE + timedelta(minutes=2)
