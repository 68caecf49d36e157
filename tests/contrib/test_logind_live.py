"""The connection to D-Bus as user powerd, with a real systemd and logind: signals, locks, timers, sessions.

The tests share one boot and run in the order they stand in: the last one powers the machine off.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any, Final

import pytest
from rig.boot import Booted, CannotBootError
from rig.lan import Lan
from rig.wait import stays, until

pytestmark = pytest.mark.lan

PROBE: Final = """\
import asyncio
import json
import os
import sys
from powerd.linux.dbus import Bus, BusInterface
from powerd.power.logind import LogindClient
from powerd.linux.values import HostError

async def live(logind):
    said = open("/run/probe/said", "a", buffering=1)
    locks = []
    async for event in logind.events():
        print(event.kind, event.start, file=said)
        if event.kind == "found":
            locks = [await logind.inhibit(what, "a proof", "delay") for what in ("sleep", "shutdown")]
            print("locked", [row.who for row in await logind.list_inhibitors()], file=said)
        if event.kind == "shutdown" and event.start:
            while not os.path.exists("/run/probe/release"):
                await asyncio.sleep(0.05)
            print("released", file=said)
            for lock in locks:
                os.close(lock)

async def ask(logind):
    try:
        found = await logind.list_timers(sys.argv[2:])
        timers = [[each.unit, each.wall, each.mono, each.pauses_in_sleep] for each in found]
    except HostError as error:
        timers = str(error)
    press = await logind.last_key_press()
    bus = Bus((), lambda member, contents: None)
    async with bus.connection("logind") as connection:
        login1, gone = "org.freedesktop.login1", "/org/freedesktop/login1/session/_7"
        gone = await BusInterface(login1, gone, login1 + ".Session").properties(connection)
    bus.close()
    print(json.dumps({
        "locks": [[sorted(row.what), row.who, row.why, row.mode] for row in await logind.list_inhibitors()],
        "able": [await logind.can_sleep(action) for action in ("suspend", "poweroff")],
        "press": [press.at, press.session] if press else None,
        "patience": await logind.inhibit_delay(),
        "timers": timers,
        "gone": gone,
    }))

async def main():
    logind = LogindClient()
    await {"live": live, "ask": ask}[sys.argv[1]](logind)
    logind.close()

asyncio.run(main())
"""
PYTHON: Final = "/opt/powerd/bin/python3"
POWERD: Final = ("setpriv", "--reuid=powerd", "--regid=powerd", "--clear-groups", PYTHON, "/srv/probe.py")
ABLE: Final = (["na", "yes"], ["Read-only file system", "yes"])
"""Of suspend and poweroff; from systemd 257 on why not."""
SANDBOX: Final = tuple(
    f"--property={each}"
    for each in (
        *("User=powerd", "RuntimeDirectory=probe", "PrivateDevices=yes", "ProtectSystem=strict"),
        *("ProtectProc=invisible", "ProcSubset=pid", "RestrictAddressFamilies=AF_UNIX"),
    )
)


class Server:
    """A booted machine, on which a probe lives that hears of logind and holds delay locks."""

    def __init__(self, machine: Booted) -> None:
        self.machine = machine
        self.run = machine.run

    def ask(self, *timers: str) -> dict[str, Any]:
        """What a connection of its own is told."""
        report: dict[str, Any] = json.loads(self.run(*POWERD, "ask", *timers))
        return report

    def lines(self) -> list[str]:
        """What the probe has heard and done, in order."""
        return self.run("cat", "/run/probe/said", check=False).splitlines()

    def switches(self) -> int:
        """How often the probe has waited for something (proc_pid_status(5))."""
        pid = self.run("systemctl", "show", "--value", "--property=MainPID", "probe")
        found = re.search(
            r"^voluntary_ctxt_switches:\s+(\d+)", self.run("cat", f"/proc/{pid}/status"), re.MULTILINE
        )
        assert found is not None
        return int(found[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    scratch = tmp_path_factory.mktemp("boot")
    with Lan(scratch) as lan:
        try:
            with Booted(scratch, lan.server.inside) as machine:
                machine.install_powerd()
                machine.lay("srv/probe.py", PROBE)
                machine.lay("etc/systemd/logind.conf.d/proof.conf", "[Login]\nInhibitDelayMaxSec=90\n")
                machine.boot()
                yield Server(machine)
        except CannotBootError as error:
            pytest.skip(str(error))


def test_locks_are_had_by_the_user_of_the_service(server: Server) -> None:
    server.run("systemd-run", "--unit=probe", *SANDBOX, PYTHON, "/srv/probe.py", "live")
    until(lambda: server.lines()[1:], "the probe has its locks")
    assert server.lines()[0] == "found True"
    assert "powerd" not in server.lines()[1], "its own are not among those of others"
    listed = server.run("systemd-inhibit", "--list", "--no-pager")
    assert len(re.findall(r"powerd .* (?:sleep|shutdown) +a proof +delay", listed)) == 2


def test_locks_of_others_are_reported_and_cause_a_poll(server: Server) -> None:
    lock = ["systemd-inhibit", "--what=sleep:idle", "--who=backup", "--why=night backup", "--mode=block"]
    events = server.lines().count("inhibitors True")
    server.run("systemd-run", "--unit=backup", *lock, "sleep", "infinity")
    until(lambda: server.lines().count("inhibitors True") > events, "the probe has heard of it")
    report = server.ask()
    assert [["idle", "sleep"], "backup", "night backup", "block"] in report["locks"]
    assert [["sleep"], "powerd", "a proof", "delay"] in report["locks"], "of another process, so of another"
    events = server.lines().count("inhibitors True")
    server.run("systemctl", "stop", "backup")
    until(lambda: server.lines().count("inhibitors True") > events, "the probe has heard that it has gone")


def test_what_logind_can_and_how_long_it_waits(server: Server) -> None:
    """No container can be suspended."""
    report = server.ask()
    assert report["able"] in ABLE
    assert report["patience"] == 90.0
    assert report["gone"] == {}, "a session that has ended meanwhile"


def test_timers_are_reported_on_both_clocks(server: Server) -> None:
    calendar, monotonic = ("--on-calendar=2099-01-01 00:00:00 UTC",), ("--on-active=2h",)
    server.run("systemd-run", "--unit=century", *calendar, "true")
    server.run("systemd-run", "--unit=soon", *monotonic, "true")
    uptime = float(server.run("cat", "/proc/uptime").split()[0])
    (_, wall, mono, _), (_, none, later, pauses) = server.ask("century.timer", "soon.timer")["timers"]
    assert (wall, mono, none, pauses) == (4070908800.0, None, None, True)
    assert later == pytest.approx(uptime + 7200, abs=120)
    assert server.ask("auto")["timers"] == [], "neither would wake the machine"
    assert server.ask("auto", "nosuch.timer")["timers"].startswith(
        "there is no timer nosuch.timer (not-found)"
    )


def test_a_key_press_is_reported_with_its_terminal(server: Server) -> None:
    """Somebody becomes another user on a terminal of their own, and PAM tells logind."""
    if not server.run("sh", "-c", "ls /usr/lib/*/security/pam_systemd.so", check=False):
        pytest.skip("pam_systemd is not installed: apt-get install libpam-systemd")
    assert server.ask()["press"] is None
    login = "su --login --shell /bin/sh --command 'sleep infinity' games"
    server.run("systemd-run", "--unit=login", "script", "--quiet", "--command", login, "/dev/null")
    press = until(lambda: server.ask()["press"], "logind knows of the session")
    uptime = float(server.run("cat", "/proc/uptime").split()[0])
    assert re.fullmatch(r"games on pts/\d+", press[1])
    assert uptime - 120 < press[0] <= uptime
    server.run("systemctl", "stop", "login")


def test_what_concerns_nobody_wakes_nobody(server: Server) -> None:
    """Units come and go, and D-Bus tells of each; the probe sleeps on."""
    before = server.switches()
    for _ in range(5):
        server.run("systemd-run", "--wait", "--quiet", "true")
    server.run("systemctl", "daemon-reload")
    assert server.switches() - before <= 1


def test_logind_may_be_started_again(server: Server) -> None:
    server.run("systemctl", "restart", "systemd-logind")
    until(lambda: server.ask()["able"] in ABLE, "logind answers again")
    listed = server.run("systemd-inhibit", "--list", "--no-pager")
    assert len(re.findall(r"powerd .* a proof +delay", listed)) == 2, "locks outlive logind"


def test_a_shutdown_waits_for_the_delay_lock_and_no_longer(server: Server) -> None:
    server.run("systemctl", "poweroff")
    until(lambda: "shutdown True" in server.lines(), "the signal has come")
    nspawn = server.machine.nspawn
    assert nspawn is not None
    stays(lambda: nspawn.poll() is None and "released" not in server.lines(), "it waits for the lock", 2)
    server.run("touch", "/run/probe/release")
    try:
        nspawn.wait(80)
    except subprocess.TimeoutExpired:
        pytest.fail("it went on waiting: logind would for 90 s")
