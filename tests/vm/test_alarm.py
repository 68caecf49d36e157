"""The RTC wakes a real machine in time for timers and times of day, whichever program suspended it."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple

import pytest
from rig.lan import Host
from rig.wait import stays, until
from vm.lab import come_to_rest
from vm.server import RTC, STALL, Server
from vm.service import Powerd, config

pytestmark = pytest.mark.vm

SOONEST: Final = 60
"""Seconds; no alarm is nearer (powerd/helper/protocol/codec.py, MIN_AHEAD)."""
PUNCTUAL: Final = 5.0
"""Seconds by which it may wake up too early, or too late without a delay; the RTC counts whole seconds."""
NOTES: Final = "/var/lib/powerd/hooked"
NIGHTLY: Final = "/run/nightly"
FALLS_ASLEEP: Final = 60
"""Seconds that a slow machine may take from the choice of a time until it sleeps and the alarm is set."""
SHORT: Final = 'min_sleep = "1min"'


def up_at(server: Server, wanted: float) -> str:
    """Lines of [wake] that wake the server at this POSIX time: a time of day, and how long before."""
    minute = math.ceil(wanted / 60) * 60
    at = server.run("date", f"--date=@{minute}", "+%H:%M")
    return f'at = ["{at}"]\nbefore = "{minute - math.floor(wanted)}s"\n{SHORT}'


def hooks() -> str:
    """Lines of [hooks] whose commands record their environment."""
    noting = {"before_sleep": "before $POWERD_WHAT", "after_wake": "after $POWERD_CAUSE"}
    return "\n".join(f'{name} = ["/bin/sh", "-c", "echo {note} >>{NOTES}"]' for name, note in noting.items())


def planned(powerd: Powerd) -> float:
    """POSIX time of the next wake-up that is planned; 0 = none."""
    entries = powerd.status().get("next_wake")
    return datetime.fromisoformat(entries).timestamp() if entries else 0.0


class Ahead(NamedTuple):
    """By how many seconds, at least and at most, the server's clock is ahead of this machine's."""

    least: float
    most: float


def sleeps_until(server: Server, wanted: float, ahead: Ahead) -> None:
    """Wait until the server sleeps, and until it wakes up by itself at this time of its clock.

    It is awake once it runs; how long an emulated processor then takes to answer is its own affair.
    """
    until(lambda: not server.asleep, "the alarm wakes the server", within=3 * SOONEST + STALL, every=0.1)
    seen = time.time()
    assert wanted - PUNCTUAL <= seen + ahead.most
    assert seen + ahead.least <= wanted + PUNCTUAL + STALL
    now = ahead_of_here(server)
    assert now.least - PUNCTUAL < ahead.most, "it knows what time it is"
    assert now.most + PUNCTUAL > ahead.least, "it knows what time it is"


def ahead_of_here(server: Server) -> Ahead:
    before = time.time()
    entries = server.now()
    return Ahead(entries - time.time(), entries - before)


def test_alarm_for_a_time_of_day_when_somebody_else_suspends_it(
    server: Server, powerd: Powerd, laptop: Host
) -> None:
    """`systemctl suspend` while a client is present: powerd prepares a sleep that it would not request."""
    server.run("rm", "--force", NOTES)
    powerd.start(config(laptop))
    powerd.sees(laptop)
    fast = ahead_of_here(server)
    wanted = server.now() + SOONEST + FALLS_ASLEEP
    powerd.take(config(laptop, wake=up_at(server, wanted), hooks=hooks()))
    until(lambda: planned(powerd), "the wake-up is planned")
    assert planned(powerd) == pytest.approx(wanted, abs=1)
    server.suspend()
    sleeps_until(server, wanted, fast)

    until(partial(alarm_entries, powerd, 2), "the wake-up is reported", every=0.5)
    down, up = powerd.turns()
    assert (down.event, up.event, up.cause) == ("going-down", "woke", "alarm")
    assert "another program" in down.text
    assert "wake.at" in up.text
    until(lambda: "after" in server.run("cat", NOTES), "the hook has run")
    assert server.run("cat", NOTES).splitlines() == ["before sleep", "after alarm"]
    until(lambda: server.alarm() is None, "its alarm is cleared")
    powerd.ready()


def alarm_entries(powerd: Powerd, turns: int) -> bool:
    """Whether the journal has this number of entries about a sleep and the wake-up."""
    return len(powerd.turns()) == turns


@contextlib.contextmanager
def nightly(server: Server, *when: str) -> Iterator[None]:
    """A systemd timer, ``nightly.timer``, that elapses once and records the time; removed at the end."""
    server.run("rm", "--force", NIGHTLY)
    job = ["sh", "-c", f"date +%s >{NIGHTLY}"]
    server.run("systemd-run", "--unit=nightly", *when, "--timer-property=AccuracySec=1us", *job)
    try:
        yield
    finally:
        if server.asleep:
            come_to_rest(server)
        server.run("systemctl", "stop", "nightly.timer", check=False)


@pytest.fixture
def in_local_time(server: Server) -> Iterator[None]:
    """Its RTC keeps local time, five and a half hours from UTC (/etc/adjtime, adjtime_config(5))."""
    server.run("timedatectl", "set-timezone", "Asia/Kolkata")
    server.run("timedatectl", "set-local-rtc", "1")
    try:
        before, rtc = server.now(), int(server.run("cat", f"{RTC}/since_epoch"))
        assert before + 5.5 * 3600 - PUNCTUAL < rtc < server.now() + 5.5 * 3600 + PUNCTUAL
        yield
    finally:
        if server.asleep:
            come_to_rest(server)
        server.run("timedatectl", "set-local-rtc", "0")
        server.run("timedatectl", "set-timezone", "Etc/UTC")


@pytest.mark.usefixtures("in_local_time")
def test_alarm_for_a_calendar_timer(server: Server, powerd: Powerd, laptop: Host) -> None:
    """After powerd's own request the server wakes before the timer, and stays up for the job."""
    before = 30  # more than the possible delay
    powerd.start(config(laptop))  # before the time is chosen: it takes half a minute on a slow machine
    powerd.sees(laptop)
    fast = ahead_of_here(server)
    job = server.now() + SOONEST + before + FALLS_ASLEEP
    date = server.run("date", f"--date=@{job:.0f}", "+%F %T")
    with nightly(server, f"--on-calendar={date}"):
        wake = f'timers = ["nightly.timer"]\nbefore = "{before}s"\n{SHORT}'
        # after_resume covers the job and the queries of this test.
        powerd.take(config(laptop, wake=wake, absent_after=1, idle_for=1, after_resume="10min"))
        until(lambda: planned(powerd), "the wake-up is planned")
        laptop.leave()
        until(lambda: server.asleep, "the server is suspended")
        sleeps_until(server, job - before, fast)
        ran = until(lambda: server.run("cat", NIGHTLY, check=False), "the job runs")
        assert job - 2 <= float(ran) <= job + 2 + STALL
    (woke,) = (entry for entry in powerd.turns() if entry.event == "woke")
    assert woke.cause == "alarm"
    assert "nightly.timer" in woke.text
    until(lambda: server.alarm() is None, "its alarm is cleared")


def test_alarm_for_a_monotonic_timer_that_somebody_has_moved(
    server: Server, powerd: Powerd, laptop: Host
) -> None:
    """The alarm is as far ahead as the timer is at the sleep, however long the server has been up.

    No signal announces a changed timer, so powerd reads the timers again before a sleep.

    Not slept through: systemd 252 puts the timer off by the time that the machine has slept, even one with
    WakeSystem=, so its job would not run in the end.
    """
    at_first, later = 14_400, 1800
    waking = "--timer-property=WakeSystem=yes"
    with nightly(server, f"--on-active={at_first}", waking):
        powerd.start(config(laptop, wake='timers = ["nightly.timer"]\nbefore = "0s"'))
        until(lambda: planned(powerd), "the wake-up is planned")
    start = server.uptime()
    with nightly(server, f"--on-active={later}", waking):
        ended = server.uptime()
        assert server.uptime() > 10 * PUNCTUAL, "an error of as much would be seen"
        assert planned(powerd) > server.now() + 2 * later, "it knows of the first only"
        server.suspend()
        server.wake()
    asked = server.run("journalctl", "--unit=powerd-helper", "--output=cat", "--grep=set-alarm")
    alarm = json.loads(asked.splitlines()[-1].partition("; ")[2])
    before, rtc, after = server.uptime(), int(server.run("cat", f"{RTC}/since_epoch")), server.uptime()
    rings = alarm["at"] - rtc
    assert start + later - after - PUNCTUAL <= rings <= ended + later - before + PUNCTUAL + STALL
    # A powerd that is stopped while logind still reports the sleep leaves its alarm to the next one.
    until(lambda: server.alarm() is None, "its alarm is cleared")


def test_sleep_that_is_over_at_once(server: Server, powerd: Powerd, laptop: Host) -> None:
    """A sleep of less than a second, which its clocks may not show, is reported, and after_resume applies.

    The wake-up is planned beyond the range of the RTC of this machine, which is a day.
    """
    rest = "10min"  # longer than the time until the query of the reasons
    wake = f'at = ["{server.run("date", "--date=+3 days", "+%a")} 06:30"]'
    powerd.start(config(laptop, after_resume=rest, wake=wake))
    powerd.sees(laptop)
    for nap in range(1, 4):
        server.suspend()
        server.wake()
        until(partial(alarm_entries, powerd, 2 * nap), f"nap {nap} is reported", every=0.5)
        powerd.ready()
    entries = powerd.turns()
    assert [entry.event for entry in entries] == ["going-down", "woke"] * 3
    assert {entry.cause for entry in entries if entry.event == "woke"} == {"button"}
    assert "intermediate one for wake.at" in entries[-1].text
    until(lambda: server.alarm() is None, "its alarm is cleared")
    laptop.leave()
    powerd.logs(f"waits until {rest} after the wake-up")


@pytest.fixture
def others_alarm(server: Server) -> Iterator[int]:
    """An alarm of another program, some hours ahead, because many RTCs accept at most a day."""
    server.run("sh", "-c", f"echo 0 >{RTC}/wakealarm; echo +20000 >{RTC}/wakealarm")
    at = server.alarm()
    assert at is not None
    yield at
    server.run("sh", "-c", f"echo 0 >{RTC}/wakealarm")


def test_no_alarm_of_its_own_outlives_it(
    server: Server, powerd: Powerd, laptop: Host, others_alarm: int
) -> None:
    """powerd is killed, then stopped, while a hook delays a sleep: the other alarm is restored."""
    soon = up_at(server, server.now() + 7200)
    slow = 'before_sleep = ["/bin/sleep", "90"]\ntimeout = "2min"'
    back = range(others_alarm - 1, others_alarm + 60)  # it is set again, in whole seconds from then
    powerd.start(config(laptop, wake=soon, hooks=slow, absent_after=1, idle_for=1))
    for end in ("kill", "stop"):
        laptop.leave()
        until(lambda: (server.alarm() or others_alarm) < others_alarm - 60, "its own alarm stands")
        if end == "stop":
            powerd.stop()
        else:
            laptop.come_back()  # powerd then only has to clear the alarm
            powerd.kill("KILL")
            until(lambda: powerd.restarts() == 1, "systemd starts another")
        until(lambda: server.alarm() in back, f"after the {end} only others' alarm stands")
    stays(lambda: server.monitor.state() == "running", "no sleep is left behind either", seconds=1)


@pytest.fixture
def started_once(server: Server) -> Iterator[None]:
    """systemd does not start powerd again after a kill, and a slow machine has time for ExecStopPost=."""
    directory = "/run/systemd/system/powerd.service.d"
    server.lay(f"{directory}/once.conf", "[Service]\nRestart=no\nTimeoutStopSec=5min\n")
    server.run("systemctl", "daemon-reload")
    yield
    server.run("sh", "-c", f"rm -r {directory}; systemctl daemon-reload")


@pytest.mark.usefixtures("started_once")
def test_no_alarm_is_left_by_a_kill_after_which_no_other_starts(
    server: Server, powerd: Powerd, laptop: Host, others_alarm: int
) -> None:
    """ExecStopPost= of the unit clears powerd's alarm, and restores the one of another program."""
    soon = up_at(server, server.now() + 7200)
    slow = 'before_sleep = ["/bin/sleep", "90"]\ntimeout = "2min"'
    back = range(others_alarm - 1, others_alarm + 60)
    powerd.start(config(laptop, wake=soon, hooks=slow, absent_after=1, idle_for=1))
    laptop.leave()
    until(lambda: (server.alarm() or others_alarm) < others_alarm - 60, "its own alarm stands")
    powerd.kill("KILL")
    until(lambda: powerd.shown("ActiveState") == "failed", "systemd has ended it")
    assert server.alarm() in back
