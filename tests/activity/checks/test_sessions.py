"""Login sessions on a simulated machine; tests/contrib/test_logind_live.py has a real one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest
from fakes.checks import check_ports
from fakes.ports import RecordingPorts

from powerd.activity.check import NotApplicableError
from powerd.activity.checks.sessions import Options, SessionsCheck
from powerd.activity.model import Activity
from powerd.core.poller import PollDepth
from powerd.linux.dbus import NotRunningError
from powerd.linux.values import HostError, LoginSession
from powerd.simulation.clock import SimulatedClock
from powerd.simulation.machine import SimulatedMachine, SimulatedUnit

SSH = LoginSession("alice", "pts/0", "10.0.0.44", "sshd")
SUBJECT = "alice on pts/0, over SSH from 10.0.0.44"
SHELL = {94: '"sshd: alice [priv]"', 117: '"sshd: alice@pts/0"', 118: "-bash"}


@dataclass
class Server:
    """A machine, and the check that polls it once a minute."""

    options: Options = field(default=Options())
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.machine = SimulatedMachine(SimulatedClock(mono=lambda: self.now))
        ports = replace(RecordingPorts().ports(), logind=self.machine)
        self.check = SessionsCheck(self.options, check_ports(ports, self.machine.clock))

    def poll(self, depth: PollDepth = PollDepth.ROUTINE) -> tuple[Activity, ...]:
        self.now += 60
        return asyncio.run(self.check.poll(depth))

    def runs(self, *commands: str, session: LoginSession = SSH) -> list[tuple[str, str]]:
        """The subjects and texts of what keeps awake on the second poll with these programs in a session."""
        processes = {**SHELL, **{200 + index: each for index, each in enumerate(commands)}}
        self.machine.units["session-9.scope"] = SimulatedUnit(processes, session=session)
        self.poll()
        return blockers(self.poll())


def blockers(activities: tuple[Activity, ...]) -> list[tuple[str, str]]:
    return [(each.subject, each.text) for each in activities if each.keeps_awake]


def test_a_job_in_a_session_keeps_awake_until_it_ends() -> None:
    """A row of the requirements: a login session in which ``sleep 2000`` runs."""
    server = Server()
    assert server.runs("sleep 2000") == [(SUBJECT, "runs sleep")]
    (activity,) = server.poll()
    assert (activity.value, activity.unit, activity.threshold) == (120.0, "s", 30.0)
    assert activity.since == 1060.0
    assert server.runs() == []
    assert [(each.subject, each.text) for each in server.poll()] == [(SUBJECT, "waits for a key press")]
    del server.machine.units["session-9.scope"]
    assert server.poll() == ()


@pytest.mark.parametrize(
    "command", ["rsync -a --progress a b", "cp -v a b", "bash backup.sh", "make", "apt-get install vim"]
)
def test_other_jobs_do_so_too(command: str) -> None:
    assert Server().runs("sudo " + command, command) == [
        (SUBJECT, f"runs {command.split()[command.startswith('bash')]}")
    ]


@pytest.mark.parametrize(
    "command", ["vim x", "htop", "tail -f log", "less x", "irssi", "bash", "tmux attach"]
)
def test_a_program_that_waits_for_a_person_does_not(command: str) -> None:
    assert Server().runs(command) == []


@pytest.mark.parametrize(
    ("commands", "works"),
    [
        (["tail -f log", "grep --color=auto -i error"], False),
        (["tail -n 5 -F a b", "grep x", 'sed "s/a/b/"'], False),
        (["journalctl -fu ssh", "awk {print}"], False),
        (["docker logs -f web", "grep --line-buffered x"], False),
        (["tail -f log", "grep -A 5 -e x", 'awk "{print $1 $2}"', "cut -d : -f 2"], False),
        (["tail -f log", "tr a b"], False),
        (["tail -f log", "grep -e x -e y"], False),
        (["tail -f log", "grep x /srv/big.csv"], True),
        (["tail -f log", 'awk "{s += $1} END {print s}" big.csv'], True),
        (["tail -f log", "sed -i s/a/b/ dump.sql"], True),
        (["tail -f log", "jq . dump.json"], True),
        (["tail log", "grep x"], True),
        (["tail -f log", "grep -ri x /srv"], True),
        (["tail -f log", "grep --color=auto --recursive x"], True),
        (["tail -f log", "gzip"], True),
        (["tail -f log", "rsync a b"], True),
        (["tail -f log", *["bash"] * 4, "grep x big"], True),
        (["grep x big", "tail -f log"], True),
    ],
)
def test_a_filter_of_a_followed_log_waits_as_the_log_does(commands: list[str], works: bool) -> None:  # noqa: FBT001 - a column
    assert bool(Server().runs(*commands)) is works


def test_a_short_program_counts_before_a_sleep_only() -> None:
    """A monitoring system that runs a command over SSH every minute would hold the server for ever."""
    server = Server()
    for pid in range(300, 310):
        server.machine.units = {f"session-{pid}.scope": SimulatedUnit({**SHELL, pid: "df"}, session=SSH)}
        (activity,) = server.poll()
        assert (activity.text, activity.keeps_awake) == ("runs df", False)
    assert blockers(server.poll(PollDepth.BEFORE_SLEEP)) == [(SUBJECT, "runs df")]
    server.machine.units = {"session-9.scope": SimulatedUnit({**SHELL, 400: "rsync"}, session=SSH)}
    found = blockers(server.poll(PollDepth.BEFORE_SLEEP))
    assert found == [(SUBJECT, "runs rsync")], "although first seen now"


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("session-9.scope", SimulatedUnit(session=SSH)),
        ("session-9.scope", SimulatedUnit(sub="abandoned", session=SSH)),
        ("user@1000.service", SimulatedUnit(cgroup="/tmux.slice/tmux-spawn-1.scope")),
    ],
)
def test_short_programs_one_after_another_are_one_job(name: str, unit: SimulatedUnit) -> None:
    """``for f in *; do ffmpeg ...; done``: each poll meets another process."""
    server = Server()

    def run(pid: int, command: str) -> SimulatedUnit:
        return replace(unit, processes={118: "-bash", pid: command})

    for pid in range(300, 320):
        server.machine.units[name] = run(pid, "ffmpeg -i a b")
        (activity,) = server.poll(PollDepth.BEFORE_SLEEP if pid % 2 else PollDepth.ROUTINE)
        assert activity.keeps_awake == (pid > 300)
    assert activity.since == 1060.0
    server.machine.units[name] = run(400, "sleep 50")
    assert blockers(server.poll()) == [], "a pause"
    server.machine.units[name] = run(401, "ffmpeg -i a b")
    assert blockers(server.poll()) == []
    assert blockers(server.poll(PollDepth.BEFORE_SLEEP)) == [(activity.subject, "runs ffmpeg")]


def test_what_runs_after_logout_counts() -> None:
    """tmux, screen and nohup: the scope is abandoned, its processes remain."""
    server = Server()
    ended = LoginSession("alice", "", "10.0.0.44", "sshd")
    server.machine.units["session-11.scope"] = SimulatedUnit(
        {151: "tmux new -d", 152: "-bash", 156: "rsync a b"}, sub="abandoned", session=ended
    )
    server.poll()
    assert blockers(server.poll()) == [("alice, after logout", "runs rsync")]
    server.machine.units["session-11.scope"] = SimulatedUnit(
        {151: "tmux new -d", 152: "-bash"}, sub="abandoned", session=ended
    )
    assert server.poll() == (), "a shell in tmux without a person"


@pytest.mark.parametrize(
    ("session", "subject"),
    [
        (LoginSession("root", "tty1", "", "login"), "root on tty1"),
        (LoginSession("bob", "", "nas2.lan", "sshd"), "bob, over SSH from nas2.lan"),
        (LoginSession("bob", "", "", "su"), "bob"),
        (LoginSession("root", "", "", "crond", "unspecified", "background"), "root"),
    ],
)
def test_the_person_and_the_place_are_named(session: LoginSession, subject: str) -> None:
    assert Server().runs("rsync a b", session=session) == [(subject, "runs rsync")]


@pytest.mark.parametrize(
    "session",
    [
        LoginSession("anna", "tty2", type="wayland"),
        LoginSession("anna", "tty2", type="x11"),
        LoginSession("gdm", "tty1", type="wayland", kind="greeter"),
        LoginSession("anna", type="unspecified", kind="manager"),
    ],
)
def test_programs_of_a_desktop_do_not_count(session: LoginSession) -> None:
    assert Server().runs("firefox", session=session) == []


@pytest.mark.parametrize(
    "server", ["/usr/bin/Xtigervnc :1", "/usr/lib/xorg/Xorg :0 vt1", "Xwayland :0", "sway"]
)
def test_nor_do_those_of_a_desktop_that_logind_does_not_know(server: str) -> None:
    console = LoginSession("alice", "tty1", "", "login")
    assert Server().runs("xfce4-panel", server, session=console) == []


@pytest.mark.parametrize("display", ["/usr/bin/Xtigervnc :1", "Xvnc :2", "x2goagent -extension XFIXES"])
def test_a_desktop_that_was_started_over_ssh_hides_no_job(display: str) -> None:
    server = Server()
    assert server.runs(display, "rsync -a a b") == [(SUBJECT, "runs rsync")]
    ended = replace(server.machine.units["session-9.scope"], sub="abandoned")
    server.machine.units["session-9.scope"] = ended
    assert server.poll() == (), "after logout it is a desktop"


def test_a_desktop_in_one_scope_hides_no_other() -> None:
    server = Server()
    server.machine.units["user@1000.service"] = SimulatedUnit(
        {5: "Xvnc :1", 6: "xfce4-panel"}, cgroup="/run-1.scope"
    )
    server.machine.units["session-3.scope"] = SimulatedUnit({7: "make"}, session=SSH)
    server.poll()
    assert blockers(server.poll()) == [(SUBJECT, "runs make")]


@pytest.mark.parametrize(
    ("scope", "counts"),
    [
        ("/app.slice/tmux-spawn-1.scope", True),
        ("/app.slice/run-r1f.scope", True),
        ("/app.slice/run-u12.service", True),
        ("/app.slice/run-r0a1b2.service", True),
        ("/app.slice/app-x.slice/run-u1.service/sub", True),
        ("/app.slice/app-org.gnome.Terminal.slice/vte-spawn-2.scope", True),
        ("/app.slice/app-gnome-firefox-3.scope", False),
        ("/user.slice/libpod-4.scope/container", False),
        ("/app.slice/syncthing.service", False),
        ("/init.scope", False),
    ],
)
def test_terminals_below_the_user_manager_count(scope: str, counts: bool) -> None:  # noqa: FBT001 - a column
    server = Server()
    server.machine.users[1000] = "anna"
    server.machine.units["user@1000.service"] = SimulatedUnit({5: "make"}, cgroup=scope)
    server.poll()
    found = server.poll()
    assert [each.text for each in found] == (["runs make"] if counts else [])


def test_a_transient_service_that_is_starting_counts() -> None:
    """systemd-run with Type=oneshot is "activating" while it runs."""
    server = Server()
    server.machine.units["run-u7.service"] = SimulatedUnit({5: "rsync a b"}, active="activating", sub="start")
    server.poll()
    assert blockers(server.poll()) == [("run-u7.service", "runs rsync")]


def test_without_pam_the_processes_of_sshd_are_examined() -> None:
    server = Server()
    listener = {1: '"sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"', 2: '"sshd: alice [priv]"'}
    server.machine.units["ssh.service"] = SimulatedUnit({**listener, 3: '"sshd: alice@pts/0"', 4: "-bash"})
    server.machine.units["getty@tty1.service"] = SimulatedUnit({9: "/sbin/agetty -o x - linux"})
    assert server.poll() == ()
    server.machine.units["ssh.service"] = SimulatedUnit(
        {**listener, 3: '"sshd: alice@pts/0"', 4: "-bash", 5: "scrub all"}
    )
    server.machine.units["getty@tty1.service"] = SimulatedUnit({9: "-bash", 10: "dd if=x"})
    server.poll()
    assert blockers(server.poll()) == [("getty@tty1.service", "runs dd"), ("alice", "runs scrub")]


def test_options_change_what_counts() -> None:
    options = Options(ignore=("java *",), count=("htop",), min_runtime=3600.0)
    server = Server(options)
    assert server.runs("java -jar x.jar", "htop") == []
    server.now += 3600
    assert blockers(server.poll()) == [(SUBJECT, "runs htop")]


def test_a_scope_whose_session_has_ended_is_named_by_its_user() -> None:
    """The session may end between two questions."""
    server = Server()
    server.machine.units["session-9.scope"] = SimulatedUnit({5: "make"})
    assert [each.subject for each in server.poll()] == ["somebody, after logout"]


def test_without_systemd_it_does_not_apply_and_an_error_is_one() -> None:
    server = Server()
    server.machine.units_error = NotRunningError("systemd is not running here")
    with pytest.raises(NotApplicableError):
        server.poll()
    server.machine.units_error = HostError("systemd gave no answer")
    with pytest.raises(HostError, match="no answer") as error:
        server.poll()
    assert not isinstance(error.value, NotApplicableError)
