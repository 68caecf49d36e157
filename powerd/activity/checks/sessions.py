"""Login sessions in which a program works.

Counts: every program that runs in a login session, in the foreground or in the background, also in tmux or
screen, and after its user has logged out (``nohup rsync ... &``). A program counts after ``min_runtime``, and
in the poll before a sleep at once, unless it has run briefly three times in a day, as a command of a
monitoring system does. Programs that a shell starts one after another (``for f in *; do ffmpeg ...; done``)
count as one. Also counts what ``systemd-run`` runs without a name.

Does not count:

- a shell, an interpreter (python, node, irb ...) without a script, and ssh without a command;
- programs that wait for a person: editors (vi, vim, nvim, nano, pico, emacs, joe, jed, micro, mcedit, helix,
  kak, ne, ed), pagers and logs (less, more, most, man, info, bat, batcat, delta, tail, multitail, lnav,
  journalctl, dmesg, zless, zmore, bzless, xzless, zstdless), monitors (top, htop, btop, btm, atop, glances,
  gotop, iotop, iftop, iptraf, iostat, mpstat, vmstat, dstat, dool, nethogs, nload, bmon, bandwhich, nmon,
  nvtop, powertop, slabtop, s-tui, wavemon, ctop, watch, ping, ncdu), file managers (mc, ranger, nnn, lf,
  vifm, yazi), menus (dialog, whiptail, fzf, tig, lazygit, gitui, lazydocker, k9s), chat, mail and web (irssi,
  weechat, profanity, finch, mutt, neomutt, alpine, aerc, newsboat, lynx, w3m, links, elinks), connections to
  other machines (telnet, mosh-client, autossh, minicom, picocom), prompts without a command in their
  arguments (psql, mysql, mariadb, sqlite3, R, gdb; a shell by docker or podman exec -it), and programs that
  open an editor or a pager (crontab -e, visudo, vipw, vigr, sudoedit, sensible-editor, sensible-pager,
  editor, pager, git log, diff, show, blame, branch, tag and the like, systemctl status, show, cat, edit and
  list-*, loginctl, networkctl, dpkg -l, apt changelog, docker logs);
- a filter without a file behind a log that is followed: ``tail -f log | grep error``;
- what a session starts by itself: sshd, login, sudo, su, systemd --user, dbus-daemon, ssh-agent, gpg-agent,
  pipewire, pulseaudio, gitstatusd, and the servers of tmux, screen, zellij, mosh, sftp, Cockpit and
  editors (VS Code, Cursor, Zed and others; what their extensions start counts);
- language servers of editors (clangd, rust-analyzer, gopls, pylsp ...), and ``rclone``, ``restic``, ``borg``
  or ``kopia`` while they mount or serve something; ``borg serve``, and ``rclone serve`` with ``--stdio``, run
  for one backup of a client, and count;
- programs of a graphical desktop, also one of startx, or of vncserver and X2Go after logout, except those in
  its terminals where the desktop gives each terminal a scope (GNOME): the desktop itself reports whether a
  person is present, and holds inhibitor locks.

A key press in a session restarts idleness independently of this check, so an editor keeps the server awake
for ``idle_for`` after the last key. ``ignore`` adds programs, such as a game server in tmux; ``count`` makes
exceptions. A job that was stopped with Ctrl-Z counts, because only /proc shows that it is stopped.

Source: units and processes from systemd (org.freedesktop.systemd1(5), ListUnitsByPatterns, GetUnitProcesses),
and sessions from logind (org.freedesktop.login1(5)). Where PAM does not register sessions, the processes of
sshd and getty are examined instead. utmp(5) is not read: it names who is logged in and not what runs, an idle
login does not count, and Debian 13 no longer has utmp. So without systemd this check is not applicable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from powerd.activity.check import CheckKind, CheckPorts, NotApplicableError
from powerd.activity.model import Activity
from powerd.activity.programs import (
    ProgramFilter,
    Rows,
    parse_program,
    without_desktops,
    without_filters,
)
from powerd.activity.run_times import RunTimes
from powerd.attribution.model import SESSION_SCOPE, USER_MANAGER
from powerd.config.declare import duration, option, string_list
from powerd.core.dataclass import dataclass
from powerd.core.poller import PollDepth
from powerd.linux.dbus import NotRunningError
from powerd.linux.values import GRAPHICAL, LoginSession, SystemdUnit, UnitProcess

_PATTERNS: Final = (
    *("session-*.scope", "user@*.service", "run-*.scope", "run-*.service"),
    *("ssh.service", "sshd.service", "ssh@*.service", "sshd@*.service", "dropbear*.service"),
    *("getty@*.service", "serial-getty@*.service", "console-getty.service"),
)
_USER_UNIT: Final = re.compile(
    r"/(?:run-[^/]*\.(?:scope|service)|(?:tmux-spawn|vte-spawn)-[^/]*\.scope)(?:/|$)"
)
"""Units below a user manager in which people start programs; other scopes are applications of a desktop."""
_SHELL_SCOPE: Final = re.compile(r"/(?:session|tmux-spawn|vte-spawn)-[^/]*\.scope$")
"""Scopes in which a shell starts programs. Each command of a monitoring system over SSH has its own scope."""
_UID: Final = re.compile(r"/user-(\d+)\.slice/")
_SSH_USER: Final = re.compile(r'"?sshd[\w-]*: (\S+?)@')


@dataclass(frozen=True, slots=True)
class Options:
    """Login sessions in which a program works."""

    ignore: tuple[str, ...] = option(
        (),
        'further programs that do not count, e.g. ["java *minecraft*"], besides shells, editors, pagers, '
        "monitors and the like",
        string_list(),
    )
    count: tuple[str, ...] = option((), 'programs that count nevertheless, e.g. ["ping"]', string_list())
    min_runtime: float = option(
        30.0, "a program that has run for less counts only in the poll before a sleep", duration(0, 3600)
    )


class Place(NamedTuple):
    """Where programs run.

    Attributes:
        subject: the person and the terminal, for users.
        rows: its processes.
        is_login: a person is logged in there, which is worth showing.
    """

    subject: str
    rows: Rows
    is_login: bool = True


def parse(
    place: Place, programs: ProgramFilter, run_times: RunTimes, depth: PollDepth, now: float
) -> Activity | None:
    """What runs in one place; None = nothing that is worth showing.

    Args:
        place: the place.
        programs: separates work from waiting.
        run_times: since when processes run.
        depth: of the poll.
        now: CLOCK_MONOTONIC.
    """
    job = run_times.find_job(place.subject, [row for row in place.rows if programs.works(row[1])], depth, now)
    if job is None and place.is_login:
        return Activity(place.subject, "waits for a key press", keeps_awake=False)
    return job


def session_subject(session: LoginSession | None, user: str, *, ended: bool) -> str:
    """``alice on pts/0, over SSH from 10.0.0.44``; of an ended session ``alice, after logout``."""
    if session is None or ended:
        return f"{user}, after logout"
    place = user + (f" on {session.tty}" if session.tty else "")
    over = "over SSH " if session.service.startswith("ssh") else ""
    return f"{place}, {over}from {session.remote_host}" if session.remote_host else place


class SessionsCheck:
    """Queries systemd for the units with programs of people, and for the processes in them."""

    def __init__(self, options: Options, ports: CheckPorts) -> None:
        self._options = options
        self._logind = ports.logind
        self._clock = ports.clock
        self._programs = ProgramFilter(options.ignore, options.count)
        self._run_times = RunTimes(options.min_runtime)

    async def poll(self, depth: PollDepth) -> tuple[Activity, ...]:
        """One activity for each login session, and for each further unit in which a program works."""
        try:
            units = await self._logind.list_units(("active", "activating"), _PATTERNS)
        except NotRunningError as error:
            raise NotApplicableError(f"{error}, so the programs of login sessions are unknown") from None
        places = [place for unit in units if (place := await self._examine(unit)) is not None]
        now = self._clock.now().mono
        rows = [row for place in places for row in place.rows]
        self._run_times.update(rows, now, self._find_loops(rows))
        found = (parse(place, self._programs, self._run_times, depth, now) for place in places)
        return tuple(activity for activity in found if activity is not None)

    def _find_loops(self, rows: Rows) -> set[str]:
        """The control groups in which a shell may be running a loop; ``sleep`` alone is a pause of one."""
        return {
            process.cgroup
            for process, program in rows
            if _SHELL_SCOPE.search(process.cgroup)
            and program.name != "sleep"
            and self._programs.works(program)
        }

    async def _examine(self, unit: SystemdUnit) -> Place | None:
        """The processes of a unit that may be programs of people."""
        scope = SESSION_SCOPE.fullmatch(unit.name)
        session = None if scope is None else await self._logind.find_session(scope[1])
        if session is not None and not _has_programs(session):
            return None
        processes = await self._logind.list_processes(unit.name)
        if USER_MANAGER.fullmatch(unit.name):
            processes = tuple(each for each in processes if _USER_UNIT.search(each.cgroup))
        if not processes:
            return None
        rows = without_filters([(each, parse_program(each.command)) for each in processes])
        if session is None or not session.remote_host or unit.sub == "abandoned":
            rows = without_desktops(rows)
        if not rows:
            return None
        if scope is not None:
            user = session.user if session is not None else await self._user(processes)
            subject = session_subject(session, user, ended=unit.sub == "abandoned")
            is_login = session is not None and session.kind.startswith("user") and unit.sub != "abandoned"
            return Place(subject, rows, is_login)
        if USER_MANAGER.fullmatch(unit.name):
            return Place(await self._user(processes), rows, is_login=False)
        return Place(", ".join(_ssh_users(processes)) or unit.name, rows, is_login=False)

    async def _user(self, processes: Sequence[UnitProcess]) -> str:
        """The name of the user to whom processes belong, by their control group."""
        match = _UID.search(processes[0].cgroup)
        return "somebody" if match is None else await self._logind.user_name(int(match[1]))


def _has_programs(session: LoginSession) -> bool:
    """Whether a person or cron starts the programs of a session, and not a desktop or a greeter."""
    return session.kind.startswith(("user", "background")) and session.type not in GRAPHICAL


def _ssh_users(processes: Sequence[UnitProcess]) -> Iterator[str]:
    """The users whose connections sshd serves, by the titles of its processes."""
    names = (match[1] for each in processes if (match := _SSH_USER.match(each.command)))
    yield from dict.fromkeys(names)


KIND: Final = CheckKind("sessions", Options, SessionsCheck, default_on=True)
