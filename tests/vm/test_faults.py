"""Faults on a real machine: the daemon is killed or hangs, or the clock is set; none leads to a sleep."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from rig.lan import Host
from rig.wait import stays, until
from vm.lab import come_to_rest
from vm.server import Server
from vm.service import EVERY, IDLE_FOR, Powerd, config

pytestmark = pytest.mark.vm


@contextlib.contextmanager
def drop_in(server: Server, unit: str, line: str) -> Iterator[None]:
    """Add a line to ``[Service]`` of this unit, which must not run; it is removed at the end."""
    path = f"/etc/systemd/system/{unit}.service.d/test.conf"
    server.lay(path, f"[Service]\n{line}\n")
    server.run("systemctl", "daemon-reload")
    yield
    come_to_rest(server)  # powerd would put the server to sleep again soon
    server.run("rm", path)
    server.run("systemctl", "daemon-reload")
    server.run("systemctl", "stop", unit)


@pytest.fixture
def impatient(server: Server) -> Iterator[None]:
    """Set systemd's watchdog to seconds instead of minutes."""
    with drop_in(server, "powerd", "WatchdogSec=40s"):
        yield


@pytest.fixture
def helpless(server: Server) -> Iterator[None]:
    """Deny the helper's sandbox the real-time clock."""
    server.run("systemctl", "stop", "powerd-helper.service")
    with drop_in(server, "powerd-helper", "ReadWritePaths="):
        yield


def test_killed_during_the_warning(server: Server, powerd: Powerd, laptop: Host) -> None:
    """An announced sleep ends with the daemon; systemd starts another, which begins without a warning."""
    warn = 30  # long enough to be killed in
    powerd.start(config(laptop, idle_for=warn, warn=f"{warn}s"))
    powerd.sees(laptop)
    first = powerd.pid()
    laptop.leave()
    until(lambda: powerd.state() == "warning", "the warning is given", every=0.2)
    server.lay("/etc/powerd/powerd.toml", config(laptop, idle_for=600, warn="10min"))  # for the second one
    powerd.kill("KILL")
    stays(lambda: server.monitor.state() == "running", "the announced time passes", seconds=warn, every=0.5)
    assert powerd.restarts() == 1
    assert powerd.pid() != first
    until(lambda: powerd.state() == "warning", "the second daemon warns again", every=0.2)


@pytest.mark.usefixtures("impatient")
def test_hanging_daemon(server: Server, powerd: Powerd, laptop: Host) -> None:
    """While the daemon hangs the server stays awake; the watchdog ends it, and the next one works."""
    powerd.start(config(laptop))
    powerd.sees(laptop)
    unresponsive = powerd.pid()
    powerd.kill("STOP")
    laptop.leave()
    until(lambda: powerd.restarts() == 1, "the watchdog has it started again", every=0.5)
    assert "watchdog" in server.run("journalctl", "--unit=powerd", "--output=cat", "--lines=50").lower()
    assert not server.run("ps", "--no-headers", "--pid", str(unresponsive), check=False)
    until(lambda: server.asleep, "the second daemon does its work")


def test_clock_set_into_the_window(server: Server, powerd: Powerd, laptop: Host) -> None:
    """A step of +9 h leads to no sleep; a daemon that starts after it sleeps, so the window is open."""
    now = datetime.fromisoformat(server.run("date", "--iso-8601=seconds"))
    opens, closes = (now + timedelta(hours=hours) for hours in (8, 12))
    scenario = f'during = ["{opens:%H:%M}-{closes:%H:%M}"]'
    powerd.start(config(laptop, rule=scenario))
    powerd.sees(laptop)
    laptop.leave()
    powerd.logs("waits for its window")
    server.run("date", "--set=+9 hours")
    try:
        powerd.logs("the wall clock was set")
        past = IDLE_FOR + 2 * EVERY
        stays(lambda: server.monitor.state() == "running", "it does nothing", seconds=past, every=0.5)
        server.run("systemctl", "restart", "powerd")
        until(lambda: server.asleep, "a new daemon knows nothing of the step")
    finally:
        come_to_rest(server)
        server.run("date", "--set=-9 hours")


@pytest.mark.usefixtures("helpless")
def test_clock_that_takes_no_alarm(server: Server, powerd: Powerd, laptop: Host) -> None:
    """A wake-up is required and no alarm can be set, so the server stays awake and reports why."""
    laptop.leave()
    later = server.run("date", "--date=6 hours", "+%H:%M")  # for an alarm that is due it would wait
    powerd.start(config(laptop, wake=f'at = ["{later}"]'))
    assert "could not suspend: rtc0" in powerd.logs("Read-only file system")
    stays(lambda: server.monitor.state() == "running", "it stays up", seconds=2 * EVERY, every=0.5)
