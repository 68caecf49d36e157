"""The whole daemon with checks on request: a media server, a command and a calendar."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Final

import pytest
from simulation.household import BERLIN, SimulationLog, daily, person, simulate

from powerd.linux.values import ProcessResult
from powerd.simulation.world import Household

CONFIG: Final = """
mode = "enforce"
[clients]
learn = "0s"
absent_after = "5min"
[awake]
after_start = "0s"
[[sleep]]
action = "suspend"
idle_for = "10min"
"""
MEDIA: Final = """
[[activity.http]]
name = "jellyfin"
url = "http://127.0.0.1:8096/Sessions"
jmespath = "[?NowPlayingItem].UserName"
text = "Jellyfin plays for"
"""
COMMAND: Final = """
[[activity.command]]
name = "backup"
command = ["/usr/bin/pgrep", "restic"]
"""
CALENDAR: Final = """
[[activity.calendar]]
name = "home"
path = "/etc/powerd/home.ics"
"""
PLAYING: Final = '[{"UserName": "alice", "NowPlayingItem": {"Name": "Dune"}}]'


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-10 {text}").replace(tzinfo=BERLIN)


def answers(body: str | None) -> Callable[[Household], None]:
    """From now on the media server answers this; None = it does not run."""

    def change(household: Household) -> None:
        household.servers.clear()
        if body is not None:
            data = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
            household.servers["127.0.0.1", 8096] = data

    return change


def ends_with(status: int, output: str = "") -> Callable[[Household], None]:
    """From now on every command ends so."""

    def change(household: Household) -> None:
        household.command_result = ProcessResult(status, output, "")

    return change


def evening(
    check: str,
    first: Callable[[Household], None],
    *events: tuple[float, Callable[[Household], None]],
    days: float,
) -> SimulationLog:
    """Anna leaves at 18:00; it begins at 17:00. Events are at hours after 17:00."""
    return simulate(
        [person("anna", 10, daily(8, 18))],
        begin="2026-03-10 17:00",
        days=days,
        config=(CONFIG + check).encode(),
        prepare=first,
        events=events,
    )


def performed(log: SimulationLog, name: str) -> list[datetime]:
    return [datetime.fromtimestamp(true, BERLIN) for true, what in log.household.performed if name in what]


def test_a_film_keeps_the_server_awake_until_its_end() -> None:
    log = evening(MEDIA, answers("[]"), (0.9, answers(PLAYING)), (1.5, answers("[]")), days=0.1)
    assert at("18:40") <= performed(log, "suspend")[0] <= at("18:43")
    assert any(re.match(r"127\.0\.0\.1:8096: .*alice", reason) for reason in log.reasons())


@pytest.mark.parametrize("body", [None, "<html>"])
def test_a_server_that_gives_no_proper_answer_keeps_the_server_awake(body: str | None) -> None:
    log = evening(MEDIA, answers("[]"), (0.9, answers(body)), days=0.07)
    assert performed(log, "suspend") == []
    assert any(reason.startswith("http:jellyfin: ") for reason in log.reasons())


def test_its_failure_can_be_ignored() -> None:
    log = evening(MEDIA + 'on_error = "ignore"\n', answers(None), days=0.07)
    assert at("18:10") <= performed(log, "suspend")[0] <= at("18:17")


def test_a_command_runs_when_a_sleep_is_near_and_until_the_work_has_ended() -> None:
    log = evening(COMMAND, ends_with(0), (1.5, ends_with(1)), days=0.1)
    assert at("18:10") <= performed(log, "pgrep")[0], "no child process while somebody is there"
    assert at("18:30") <= performed(log, "suspend")[0] <= at("18:43")
    assert any("pgrep" in reason for reason in log.reasons())


def test_the_server_wakes_up_for_an_event_and_stays_up_during_it() -> None:
    begin, end = at("19:30").timestamp(), at("19:50").timestamp()
    events = json.dumps([{"begin": begin, "end": end, "summary": "Backup"}])
    log = evening(CALENDAR, ends_with(0, events), days=0.15)
    first, second = performed(log, "suspend")[:2]
    assert at("18:10") <= first <= at("18:17")
    assert at("19:50") <= second <= at("20:04")
    awake = [status.now.wall for status in log.statuses if status.now.wall > first]
    assert at("19:28") <= awake[1] <= at("19:29")
    assert any(reason.endswith("until Tue 19:50") for reason in log.reasons())


def test_a_calendar_that_cannot_be_read_keeps_the_server_awake() -> None:
    log = evening(CALENDAR, ends_with(1), days=0.07)
    assert performed(log, "suspend") == []
