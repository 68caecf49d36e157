"""The connection to D-Bus as user powerd, with a real systemd and logind: signals, locks, timers, jobs.

The tests share one boot and run in the order they stand in: the last one powers the machine off.
"""

from __future__ import annotations

import json
import re
import shutil
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
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from powerd.activity.check import SleepOptions
from powerd.activity.checks import jobs, sessions
from powerd.core.clock import KernelClock
from powerd.core.poller import PollDepth
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

async def work(logind):
    options = SleepOptions(1800.0, 300.0, ())
    ports = SimpleNamespace(logind=logind, clock=KernelClock(), sleep_options=lambda: options)
    checks = [each.KIND.new(each.Options(), ports) for each in (sessions, jobs)]
    found = Path("/run/probe/work")
    while True:
        rows = [asdict(row) for check in checks for row in await check.poll(PollDepth.BEFORE_SLEEP)]
        found.with_suffix(".new").write_text(json.dumps(rows))
        found.with_suffix(".new").replace(found)
        await asyncio.sleep(0.1)

async def main():
    logind = LogindClient()
    await {"live": live, "ask": ask, "work": work}[sys.argv[1]](logind)
    logind.close()

asyncio.run(main())
"""
PYTHON: Final = "/opt/powerd/bin/python3"
POWERD: Final = ("setpriv", "--reuid=powerd", "--regid=powerd", "--clear-groups", PYTHON, "/srv/probe.py")
SSH: Final = "ssh -i /srv/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
WAITS: Final = ("waits for a key press", False)
ABLE: Final = (["na", "yes"], ["Read-only file system", "yes"])
"""Of suspend and poweroff; from systemd 257 on why not."""
SANDBOX: Final = tuple(
    f"--property={each}"
    for each in (
        *(
            "User=powerd",
            "RuntimeDirectory=probe",
            "RuntimeDirectoryPreserve=yes",
            "PrivateDevices=yes",
            "ProtectSystem=strict",
        ),
        *("ProtectProc=invisible", "ProcSubset=pid", "RestrictAddressFamilies=AF_UNIX"),
    )
)


class Server:
    """A booted machine with a probe that receives the signals of logind and holds delay locks."""

    def __init__(self, machine: Booted) -> None:
        self.machine = machine
        self.run = machine.run

    def ask(self, *timers: str) -> dict[str, Any]:
        """The signals that a separate connection receives."""
        report: dict[str, Any] = json.loads(self.run(*POWERD, "ask", *timers))
        return report

    def lines(self) -> list[str]:
        """The events and the actions of the probe, in their order."""
        return self.run("cat", "/run/probe/said", check=False).splitlines()

    def work(self) -> set[tuple[str, str, bool]]:
        """What the activity checks have found: subject, text, and whether it keeps the server awake."""
        rows = json.loads(self.run("cat", "/run/probe/work", check=False) or "[]")
        return {(row["subject"], row["text"], row["keeps_awake"]) for row in rows}

    def until_work(self, *rows: tuple[str, str, bool]) -> None:
        """Wait until the activity checks find exactly this."""
        until(self.work, f"the checks find {rows}", within=20, accept=lambda found: found == set(rows))

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
    until(lambda: server.lines().count("inhibitors True") > events, "the probe has received it")
    report = server.ask()
    assert [["idle", "sleep"], "backup", "night backup", "block"] in report["locks"]
    assert [["sleep"], "powerd", "a proof", "delay"] in report["locks"], "of another process, so of another"
    events = server.lines().count("inhibitors True")
    server.run("systemctl", "stop", "backup")
    until(lambda: server.lines().count("inhibitors True") > events, "the probe has received the end")


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
    assert "nosuch.timer (not-found)" in server.ask("auto", "nosuch.timer")["timers"]


def test_a_key_press_is_reported_with_its_terminal(server: Server) -> None:
    """A user becomes another user on a terminal, and PAM reports the session to logind."""
    if not server.run("sh", "-c", "ls /usr/lib/*/security/pam_systemd.so", check=False):
        pytest.skip("pam_systemd is not installed: apt-get install libpam-systemd")
    assert server.ask()["press"] is None
    login = "su --login --shell /bin/sh --command 'sleep infinity' games"
    server.run("systemd-run", "--unit=login", "script", "--quiet", "--command", login, "/dev/null")
    press = until(lambda: server.ask()["press"], "logind knows of the session")
    uptime = float(server.run("cat", "/proc/uptime").split()[0])
    assert re.fullmatch(r"games on pts/\d+", press[1])
    assert uptime - 120 < press[0] <= uptime
    server.run("loginctl", "terminate-user", "games")


def test_what_concerns_nobody_wakes_nobody(server: Server) -> None:
    """Units start and stop, with a D-Bus signal each; the probe is not woken."""
    before = server.switches()
    for _ in range(5):
        server.run("systemd-run", "--wait", "--quiet", "true")
    server.run("systemctl", "daemon-reload")
    assert server.switches() - before <= 1


@pytest.fixture(scope="module")
def workers(server: Server) -> Server:
    """With sshd, cron and at, and a user alice; the checks are polled in the sandbox of the service."""
    if missing := [name for name in ("sshd", "tmux", "cron", "atd") if shutil.which(name) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}; apt-get install openssh-server tmux cron at")
    server.run("useradd", "--create-home", "--shell=/bin/bash", "alice")
    server.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/srv/key")
    server.run("install", "-D", "--owner=alice", "/srv/key.pub", "/home/alice/.ssh/authorized_keys")
    server.machine.lay("etc/cron.d/proof", "@reboot root sleep 5000\n")
    server.run("systemctl", "start", "systemd-user-sessions", "ssh")
    server.run("systemd-run", "--unit=work", *SANDBOX, PYTHON, "/srv/probe.py", "work")
    return server


def test_a_job_in_an_ssh_session_is_work_until_it_ends(workers: Server) -> None:
    keys = workers.machine.root / "srv" / "keys"
    keys.touch()
    login = f"tail -f /srv/keys | {SSH} -tt alice@127.0.0.1"
    workers.run("systemd-run", "--unit=client", "sh", "-c", login)
    shell = re.compile(r"alice on pts/\d+, over SSH from 127\.0\.0\.1")

    def subjects() -> list[str]:
        return [row[0] for row in workers.work() if shell.fullmatch(row[0]) and row[1:] == WAITS]

    (subject,) = until(subjects, "alice has a shell", 60)

    def type_in(text: str) -> None:
        with keys.open("a") as terminal:
            terminal.write(text)

    type_in("sleep 2000\n")
    workers.until_work((subject, "runs sleep", True))
    type_in("\x03")
    workers.until_work((subject, *WAITS))
    type_in("nohup sleep 3000 >/dev/null 2>&1 & exit\n")
    workers.until_work(("alice, after logout", "runs sleep", True))
    workers.run("pkill", "-xu", "alice", "sleep")
    workers.until_work()


def test_a_job_in_tmux_is_work_and_its_shells_are_not(workers: Server) -> None:
    workers.run("sh", "-c", f"{SSH} alice@127.0.0.1 tmux new-session -d")
    workers.run("sh", "-c", f"{SSH} alice@127.0.0.1 tmux new-window -d sleep 4000")
    workers.until_work(("alice, after logout", "runs sleep", True))
    workers.run("pkill", "-xu", "alice", "sleep")
    workers.until_work()
    assert workers.run("pgrep", "-u", "alice", "tmux")
    workers.run("pkill", "-u", "alice", "tmux")


def test_jobs_of_cron_and_at_and_oneshot_services_are_work(workers: Server) -> None:
    workers.run("systemctl", "start", "cron", "atd")
    workers.until_work(("cron.service", "runs sleep", True))
    workers.run("pkill", "-fx", "sleep 5000")
    workers.until_work()
    workers.run("sh", "-c", "echo 'exec sleep 6000' | at now")
    workers.until_work(("atd.service", "runs sleep", True))
    workers.run("pkill", "-fx", "sleep 6000")
    oneshot = ("--no-block", "--property=Type=oneshot", "sleep", "7000")
    workers.run("systemd-run", "--unit=restic-home", *oneshot)
    workers.run("systemd-run", "--unit=other", *oneshot)
    workers.until_work(("restic-home.service", "is running", True))
    workers.run("systemctl", "stop", "restic-home", "other")
    workers.until_work()


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
