"""Jobs of systemd, cron and at on a simulated machine; tests/contrib/test_logind_live.py has a real one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest
from fakes.checks import check_ports
from fakes.ports import RecordingPorts

from powerd.activity.check import NotApplicableError
from powerd.activity.checks.jobs import JobsCheck, Options
from powerd.activity.model import Activity
from powerd.core.poller import PollDepth
from powerd.linux.dbus import NotRunningError
from powerd.linux.values import HostError, UnitStart
from powerd.simulation.clock import SimulatedClock
from powerd.simulation.machine import SimulatedMachine, SimulatedUnit

BY_TIMER = UnitStart(900.0, ("x.timer",))
CRON = {71: "/usr/sbin/cron -f"}
STOCK = {
    "cron.service": SimulatedUnit(CRON),
    "atd.service": SimulatedUnit({73: "/usr/sbin/atd -f"}),
    "user@1000.service": SimulatedUnit({97: "/lib/systemd/systemd --user"}, cgroup="/init.scope"),
    "rsync.service": SimulatedUnit({74: "/usr/bin/rsync --daemon"}),
    "ssh.service": SimulatedUnit({75: "sshd: /usr/sbin/sshd -D"}),
    "dpkg-db-backup.timer": SimulatedUnit(sub="waiting"),
}
"""The units of a stock Debian on which nothing happens."""


@dataclass
class Server:
    """A stock Debian, and the check that polls it once a minute."""

    options: Options = field(default=Options())
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.machine = SimulatedMachine(SimulatedClock(mono=lambda: self.now), units={**STOCK})
        self.machine.users[1000] = "anna"
        self.machine.timer_elapses["dpkg-db-backup.timer"] = lambda now: now + 7200
        ports = replace(RecordingPorts().ports(), logind=self.machine)
        self.check = JobsCheck(self.options, check_ports(ports, self.machine.clock))

    def poll(self, depth: PollDepth = PollDepth.ROUTINE) -> tuple[Activity, ...]:
        self.now += 60
        return asyncio.run(self.check.poll(depth))

    def blockers(self, depth: PollDepth = PollDepth.ROUTINE) -> list[tuple[str, str]]:
        return [(each.subject, each.text) for each in self.poll(depth) if each.keeps_awake]


@pytest.mark.parametrize("depth", PollDepth)
def test_a_stock_debian_is_idle(depth: PollDepth) -> None:
    server = Server()
    assert [server.poll(depth) for _ in range(3)] == [(), (), ()]


@pytest.mark.parametrize(
    "name", ["restic-home", "borgmatic", "apt-daily-upgrade", "fstrim", "btrfs-scrub@srv", "nightly-backup-2"]
)
def test_a_oneshot_service_keeps_awake_while_it_runs(name: str) -> None:
    server = Server()
    unit = f"{name}.service"
    server.machine.units[unit] = SimulatedUnit(active="activating", sub="start", start=UnitStart(500.0, ()))
    (activity,) = server.poll()
    assert (activity.subject, activity.text, activity.since) == (unit, "is running", 500.0)
    server.machine.units[unit] = SimulatedUnit(active="inactive", sub="dead")
    assert server.blockers() == []


@pytest.mark.parametrize(
    ("name", "unit", "counts"),
    [
        ("restic", SimulatedUnit(start=BY_TIMER), True),  # Type=simple, as people write it
        ("restic", SimulatedUnit(start=UnitStart(9.0, ("restic.path",))), False),
        ("restic", SimulatedUnit(), False),  # a daemon
        ("restic", SimulatedUnit(active="deactivating", sub="stop-post"), True),
        ("restic", SimulatedUnit(active="active", sub="exited", start=BY_TIMER), False),
        ("restic", SimulatedUnit(active="activating", sub="auto-restart"), False),
        ("restic", SimulatedUnit(active="activating", sub="auto-restart-queued"), False),
        ("restic", SimulatedUnit(active="failed", sub="failed", start=BY_TIMER), False),
        ("sysstat-collect", SimulatedUnit(active="activating", sub="start"), False),
        ("logrotate", SimulatedUnit(active="activating", sub="start"), False),
    ],
)
def test_daemons_and_other_services_do_not_count(name: str, unit: SimulatedUnit, counts: bool) -> None:  # noqa: FBT001 - a column
    server = Server()
    server.machine.units[f"{name}.service"] = unit
    assert bool(server.blockers()) is counts


@pytest.mark.parametrize(
    ("unit", "processes", "name"),
    [
        ("cron.service", {179: "/usr/sbin/CRON -f", 180: '/bin/sh -c "sleep 45"', 181: "sleep 45"}, "sleep"),
        ("cron.service", {179: "/usr/sbin/CRON -f", 180: '/bin/sh -c ":"'}, "sh"),
        ("atd.service", {164: "/usr/sbin/atd -f", 166: "sh", 168: "rsync a b"}, "rsync"),
        ("crond.service", {70: "/usr/sbin/crond -n", 90: "/usr/bin/bash /usr/local/bin/nightly"}, "nightly"),
        ("anacron.service", {70: "/usr/sbin/anacron -d -q -s", 90: "run-parts /etc/cron.daily"}, "run-parts"),
    ],
)
def test_a_job_of_cron_or_at_keeps_awake_until_it_ends(
    unit: str, processes: dict[int, str], name: str
) -> None:
    server = Server()
    server.machine.units[unit] = SimulatedUnit({**CRON, **processes})
    assert server.blockers() == []
    assert server.blockers() == [(unit, f"runs {name}")]
    server.machine.units[unit] = SimulatedUnit(CRON)
    assert server.poll() == ()


@pytest.mark.parametrize(
    "programs", [["tmux new-session -d", "-bash"], ["SCREEN -dmS x", "bash"], ['"tmux: server"', "htop"]]
)
def test_what_waits_for_a_person_below_cron_is_no_job(programs: list[str]) -> None:
    """``@reboot tmux new -d``; what runs in it counts."""
    server = Server()
    waiting = {**CRON, **dict(enumerate(programs, 200))}
    server.machine.units["cron.service"] = SimulatedUnit(waiting)
    assert [server.poll(depth) for depth in PollDepth] == [()] * len(PollDepth)
    server.machine.units["cron.service"] = SimulatedUnit({**waiting, 300: "rsync a b"})
    server.poll()
    assert server.blockers() == [("cron.service", "runs rsync")]


@pytest.mark.parametrize(
    ("command", "counts"),
    [
        ("/usr/bin/rclone mount gdrive: /home/a/g", False),
        ("rclone --config /home/a/rclone.conf --vfs-cache-mode=full mount gdrive: /g", False),
        ("rclone serve webdav gdrive:", False),
        ("rclone rcd --rc-web-gui", False),
        ("restic -r /srv/repo mount /mnt", False),
        ("/usr/bin/python3 /usr/bin/borg mount /srv/repo /mnt", False),
        ("kopia server start", False),
        ("rclone sync /home/a gdrive: --exclude mount", True),
        ("restic -r /srv/repo backup /mnt /mount", True),
        ("restic backup server", True),
        ("borg create /srv/repo::mount /home", True),
        ("kopia snapshot create server", True),
        ("restic" + " --exclude /home/a/.cache/x/y" * 40 + " backup /home", True),
        ("restic" + " --cacert /etc/my-ca.pem -r rest:http://nas:8000/a-b" * 40 + " mount /mnt", False),
    ],
)
def test_a_user_service_that_mounts_or_serves_is_no_job(command: str, counts: bool) -> None:  # noqa: FBT001 - a column
    server = Server()
    unit = SimulatedUnit({500: command}, cgroup="/app.slice/rclone-gdrive.service")
    server.machine.units["user@1000.service"] = unit
    assert bool(server.blockers()) is counts


@pytest.mark.parametrize(("more", "counts"), [({}, False), ({502: "restic backup /srv"}, True)])
def test_the_shell_that_has_started_a_server_is_no_job(more: dict[int, str], counts: bool) -> None:  # noqa: FBT001 - a column
    server = Server()
    processes = {500: '/bin/sh -c "sleep 9; rclone mount gdrive: /g"', 501: "rclone mount gdrive: /g", **more}
    unit = SimulatedUnit(processes, cgroup="/app.slice/rclone-gdrive.service")
    server.machine.units["user@1000.service"] = unit
    assert bool(server.blockers()) is counts


def test_a_short_job_every_minute_counts_before_a_sleep_only() -> None:
    """Nextcloud's cron.php, Munin, a script that pings: none of them holds the server for ever."""
    server = Server()
    for pid in range(300, 310):
        server.machine.units["cron.service"] = SimulatedUnit({**CRON, pid: "php -f cron.php"})
        (activity,) = server.poll()
        assert (activity.text, activity.keeps_awake, activity.value) == ("runs php", False, 0.0)
    assert server.blockers(PollDepth.BEFORE_SLEEP) == [("cron.service", "runs php")]


def test_a_service_of_a_user_counts_by_its_name() -> None:
    server = Server()
    for name, counts in (("borgmatic", True), ("syncthing", False), ("rsync-photos", True)):
        server.machine.units["user@1000.service"] = SimulatedUnit(
            {500: name}, cgroup=f"/app.slice/{name}.service"
        )
        assert server.blockers() == ([(f"{name}.service of anna", "is running")] if counts else [])


def test_a_timer_that_is_due_within_min_sleep_keeps_awake() -> None:
    server = Server()
    server.machine.units["restic.timer"] = SimulatedUnit(sub="waiting")
    due = server.machine.clock.started_at + 1800
    server.machine.timer_elapses["restic.timer"] = lambda _: due
    assert server.blockers() == []
    while server.now < 1380:
        assert server.blockers(PollDepth.BEFORE_SLEEP) == []
    server.now = 1500
    (activity,) = server.poll(PollDepth.BEFORE_SLEEP)
    assert (activity.subject, activity.keeps_awake, activity.threshold) == ("restic.timer", True, 300.0)
    assert activity.text.startswith("is due at ")
    assert server.poll()[0].text == activity.text, "also in the following rounds"
    server.now = 1740
    assert server.poll(), "until it has started its service, which may be a little late"
    due += 86400
    assert server.poll() == ()


def test_a_timer_that_has_been_made_since_is_found_before_a_sleep() -> None:
    server = Server()
    assert server.blockers(PollDepth.BEFORE_SLEEP) == []
    server.machine.units["restic.timer"] = SimulatedUnit(sub="waiting")
    server.machine.timer_elapses["restic.timer"] = lambda now: now + 60
    assert server.blockers() == [], "the timers are not read in every round"
    assert [subject for subject, _ in server.blockers(PollDepth.BEFORE_SLEEP)] == ["restic.timer"]


@pytest.mark.parametrize("name", ["sysstat-collect", "logrotate", "man-db"])
def test_no_other_timer_does(name: str) -> None:
    server = Server()
    server.machine.units[f"{name}.timer"] = SimulatedUnit(sub="waiting")
    server.machine.timer_elapses[f"{name}.timer"] = lambda now: now + 60
    assert server.blockers(PollDepth.BEFORE_SLEEP) == []


def test_options_change_what_counts() -> None:
    server = Server(Options(units=("scan*",), ignore=("scan-lan", "munin-cron"), min_runtime=0.0))
    for name in ("scan-lan", "scan-disks", "restic"):
        server.machine.units[f"{name}.service"] = SimulatedUnit(active="activating", sub="start")
        server.machine.units[f"{name}.timer"] = SimulatedUnit(sub="waiting")
        server.machine.timer_elapses[f"{name}.timer"] = lambda now: now + 60
    server.machine.units["cron.service"] = SimulatedUnit({**CRON, 5: "/bin/sh /usr/bin/munin-cron"})
    assert [subject for subject, _ in server.blockers()] == ["scan-disks.service", "scan-disks.timer"]


def test_without_systemd_it_does_not_apply_and_an_error_is_one() -> None:
    server = Server()
    server.machine.units_error = NotRunningError("systemd is not running here")
    with pytest.raises(NotApplicableError):
        server.poll()
    server.machine.units_error = HostError("systemd gave no answer")
    with pytest.raises(HostError, match="no answer") as error:
        server.poll()
    assert not isinstance(error.value, NotApplicableError)
