"""The daemon neither sleeps on work in progress nor stays awake after its end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import pytest
from simulation.household import BERLIN, SimulationLog, daily, person, simulate

from powerd.activity.model import ACTIVITY, ActivityReport
from powerd.presence.model import CLIENTS
from powerd.simulation.world import Household

CONFIG: Final = b"""
mode = "%s"
[clients]
learn = "0s"
absent_after = "5min"
[awake]
after_start = "0s"
[[sleep]]
action = "suspend"
idle_for = "10min"
[activity.load]
"""
PRESSURE: Final = "some avg10={0} avg60={0} avg300={0} total=1"
SUBJECT: Final = "tasks have waited for the CPU for minutes"


def pressure(percent: str | None) -> Callable[[Household], None]:
    """From now on tasks wait for the CPU for this part of the time; None = the interface disappears."""

    def change(household: Household) -> None:
        for resource in ("cpu", "io", "memory"):
            path = f"/sys/fs/cgroup/{resource}.pressure"
            if percent is None:
                del household.files[path]
            else:
                household.files[path] = PRESSURE.format(percent if resource == "cpu" else "0.00")

    return change


def evening(*events: tuple[float, str | None], mode: str = "enforce", first: str = "0.00") -> SimulationLog:
    """Anna leaves at 18:00; it begins at 17:00 and ends at 23:00. Events are at hours after 17:00."""
    return simulate(
        [person("anna", 10, daily(8, 18))],
        begin="2026-03-10 17:00",
        days=0.25,
        config=CONFIG % mode.encode(),
        prepare=pressure(first),
        events=[(hours, pressure(percent)) for hours, percent in events],
    )


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-10 {text}").replace(tzinfo=BERLIN)


def test_it_sleeps_when_the_work_ends_within_a_round_and_the_idle_time() -> None:
    slept_at = evening((0.5, "40.00"), (3.0, "9.99")).sleep_times()[0]
    assert at("20:10") <= slept_at <= at("20:10") + timedelta(minutes=2)


def test_without_work_it_sleeps() -> None:
    slept_at = evening().sleep_times()[0]
    assert at("18:10") <= slept_at <= at("18:17")


@pytest.mark.long
def test_an_interface_that_disappears_keeps_the_server_awake_and_is_named() -> None:
    log = evening((0.5, None))
    assert log.sleep_times() == []
    assert any(reason.startswith("load: ") for reason in log.reasons())


def test_an_interface_that_never_existed_does_not_keep_it_awake() -> None:
    log = evening((0.0, None))
    assert log.sleep_times()[0] <= at("18:17")


@pytest.mark.long
def test_observe_mode_polls_all_checks_and_reports_what_they_would_do() -> None:
    log = evening((0.5, "40.00"), (3.0, "0.00"), mode="observe")
    working = [
        status.now.wall
        for status in log.statuses
        if any(row.keeps_awake for row in status.decision.part(ActivityReport).rows)
    ]
    assert working[0] <= at("17:32")
    assert at("19:58") <= working[-1] <= at("20:02")
    assert f"load: {SUBJECT}" in log.reasons()
    planned = [each.now.wall for each in log.statuses if each.decision.planned_sleep]
    assert not any(at("18:10") < wall < at("19:55") for wall in planned)


def test_the_checks_are_polled_in_the_round_of_the_clients() -> None:
    """The CPU wakes up once for both."""
    sources = [status.snapshot.sources for status in evening().statuses]
    activity, clients = ({each[name].at for each in sources if name in each} for name in (ACTIVITY, CLIENTS))
    together = [any(abs(at - other) < 0.01 for other in clients) for at in activity]
    assert len(together) > 60
    assert together.count(False) <= 2, "the first poll, and the one after the sleep"
