"""Jobs: services that run once, jobs of cron and at, and timers that are due soon.

Counts:

- services whose name matches ``units`` and that run once: Type=oneshot while it runs, or any service that a
  timer has started; also services of users, whose type and timer are unknown, unless their program serves or
  mounts something (``rclone mount``, ``kopia server``);
- jobs of cron, anacron and at, once they have run for ``min_runtime``, and in the poll before a sleep at
  once, unless they have run briefly three times in a day;
- timers whose name matches ``units`` and that elapse within ``wake.min_sleep``; a sleep would be shorter than
  that. The timers of ``wake.timers`` count as wake-up times and need no check. Other timers do not count,
  because some timer is due at any time (sysstat runs every 10 minutes).

Does not count: daemons of such a name (rsync.service), services that wait for their restart, and those that
have ended and stay active (RemainAfterExit=); below cron, programs that the check ``sessions`` does not count
either, such as ``rclone mount``, and the shell and the server of tmux. Another daemon that cron has started
(``@reboot``) counts as long as it runs: name it in ``ignore``, or make a unit for it.

Source: units and processes from systemd (org.freedesktop.systemd1(5), ListUnitsByPatterns, GetUnitProcesses).
Jobs of cron and at are the processes in the control group of their daemon other than the daemon itself. Where
PAM makes sessions of them (Fedora), the check ``sessions`` finds them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import inf
from typing import Final, NamedTuple

from powerd.activity.check import CheckKind, CheckPorts, NotApplicableError
from powerd.activity.model import Activity
from powerd.activity.programs import (
    ProgramFilter,
    Rows,
    compile_patterns,
    is_shell,
    parse_program,
    serves,
)
from powerd.activity.run_times import RunTimes
from powerd.config.declare import duration, option, string_list
from powerd.core.dataclass import dataclass
from powerd.core.poller import PollDepth
from powerd.core.time import Moment, add_seconds
from powerd.linux.dbus import NotRunningError
from powerd.linux.values import SystemdUnit, UnitStart

_STATES: Final = ("active", "activating", "deactivating", "reloading")
_CRON_UNITS: Final = (
    *("anacron.service", "atd.service", "cron.service", "cronie.service", "crond.service", "fcron.service"),
)
_USER_MANAGERS: Final = "user@*.service"
_USER_SERVICE: Final = re.compile(r"/user@(\d+)\.service/.*?([^/]+)\.service(?:/|$)")
_MAX_DELAY: Final = 60.0
"""Seconds that systemd may start a timer's unit late by default (AccuracySec=, systemd.timer(5))."""


@dataclass(frozen=True, slots=True)
class Options:
    """Jobs of systemd, cron and at."""

    units: tuple[str, ...] = option(
        (
            *("*backup*", "borg*", "restic*", "rsync*", "snapraid*", "apt-daily*", "fstrim", "btrfs-scrub@*"),
            *("zfs-scrub@*", "btrbk*", "duplicity*", "kopia*", "rclone*"),
            *("systemd-fsck@*", "e2scrub@*", "xfs_scrub@*"),
        ),
        "names of services and of their timers, without suffix",
        string_list(),
    )
    ignore: tuple[str, ...] = option(
        (), "names of services, and programs of cron jobs, that do not count", string_list()
    )
    min_runtime: float = option(
        30.0,
        "a cron job that has run for less counts only in the poll before a sleep",
        duration(0, 3600),
    )


def is_running(unit: SystemdUnit, start: UnitStart) -> bool:
    """Whether a service does something that ends: it is of type oneshot, or a timer has started it."""
    if unit.active == "active":
        return unit.sub == "running" and any(each.endswith(".timer") for each in start.triggered_by)
    return not unit.sub.startswith("auto-restart")


class Elapse(NamedTuple):
    """The next elapse of a timer, as SystemdTimer.

    Attributes:
        unit: ``backup.timer``.
        wall: POSIX time of the calendar elapse; None = it has none.
        mono: CLOCK_MONOTONIC of the monotonic elapse; None = it has none.
    """

    unit: str
    wall: float | None
    mono: float | None

    def seconds_from(self, now: Moment) -> float:
        """Seconds until the timer elapses, negative if it is late; infinity = never."""
        wall = inf if self.wall is None else self.wall - now.wall.timestamp()
        return min(wall, inf if self.mono is None else self.mono - now.mono)


class JobsCheck:
    """Queries systemd for units by pattern, and for the processes of cron and of user managers."""

    def __init__(self, options: Options, ports: CheckPorts) -> None:
        self._options = options
        self._logind = ports.logind
        self._clock = ports.clock
        self._sleep_options = ports.sleep_options
        self._ignore = compile_patterns(options.ignore)
        self._programs = ProgramFilter(options.ignore, ())
        self._units = compile_patterns(options.units)
        self._patterns = (
            *(f"{each}.service" for each in options.units), *_CRON_UNITS, _USER_MANAGERS,
        )  # fmt: skip
        self._timer_patterns = tuple(f"{each}.timer" for each in options.units)
        self._run_times = RunTimes(options.min_runtime)
        self._starts: dict[str, UnitStart] = {}
        self._timers: tuple[Elapse, ...] | None = None

    async def poll(self, depth: PollDepth) -> tuple[Activity, ...]:
        """One activity for each running service, cron daemon with jobs, and timer that is due soon."""
        try:
            units = await self._logind.list_units(_STATES, self._patterns)
        except NotRunningError as error:
            raise NotApplicableError(f"{error}, so its units and the jobs of cron are unknown") from None
        now = self._clock.now()
        with_jobs = {
            unit.name: [
                (each, parse_program(each.command)) for each in await self._logind.list_processes(unit.name)
            ]
            for unit in units
            if unit.name in _CRON_UNITS or unit.name.startswith("user@")
        }
        self._run_times.update((row for rows in with_jobs.values() for row in rows), now.mono)
        found: list[Activity] = []
        for name, rows in with_jobs.items():
            if name in _CRON_UNITS:
                jobs = [row for row in rows if self._programs.works(row[1])]
                job = self._run_times.find_job(name, jobs, depth, now.mono)
                found += [] if job is None else [job]
            else:
                found += await self._find_user_services(rows)
        services = [unit for unit in units if unit.name not in with_jobs]
        return (*found, *await self._find_services(services), *await self._find_timers(depth, now))

    async def _find_user_services(self, rows: Rows) -> list[Activity]:
        """Services of one user manager whose names match, and whose programs do not only serve."""
        services: set[tuple[int, str]] = set()
        serving = {process.cgroup for process, program in rows if serves(program)}
        for process, program in rows:
            match = _USER_SERVICE.search(process.cgroup)
            if match is None or serves(program) or (is_shell(program) and process.cgroup in serving):
                continue
            if self._units.match(match[2]) and not self._ignore.match(match[2]):
                services.add((int(match[1]), match[2]))
        return [
            Activity(f"{name}.service of {await self._logind.user_name(uid)}", "is running", keeps_awake=True)
            for uid, name in sorted(services)
        ]

    async def _find_services(self, units: Sequence[SystemdUnit]) -> list[Activity]:
        """Services that run once."""
        starts = {unit.name: self._starts.get(unit.name) for unit in units}
        self._starts = {
            unit.name: starts[unit.name] or await self._logind.read_start(unit)
            for unit in units
            if unit.active != "active" or unit.sub == "running"
        }
        return [
            Activity(unit.name, "is running", keeps_awake=True, since=self._starts[unit.name].at)
            for unit in units
            if unit.name in self._starts
            and is_running(unit, self._starts[unit.name])
            and not self._ignore.match(unit.name.removesuffix(".service"))
        ]

    async def _find_timers(self, depth: PollDepth, now: Moment) -> list[Activity]:
        """Timers that are due within the minimum duration of a sleep.

        The elapses are read when a sleep is near, and after one was due; otherwise they are known from then.
        """
        if depth is not PollDepth.ROUTINE or self._timers is None or self._due(now):
            units = await self._logind.list_units(("active",), self._timer_patterns)
            names = (unit.name for unit in units)
            wanted = [name for name in names if not self._ignore.match(name.removesuffix(".timer"))]
            timers = await self._logind.list_timers(wanted) if wanted else ()
            self._timers = tuple(Elapse(each.unit, each.wall, each.mono) for each in timers)
        return [
            Activity(
                timer.unit,
                f"is due at {add_seconds(now, seconds).wall:%H:%M}",
                keeps_awake=True,
                value=seconds,
                unit="s",
                threshold=self._sleep_options().min_sleep,
            )
            for timer, seconds in self._due(now)
        ]

    def _due(self, now: Moment) -> list[tuple[Elapse, float]]:
        """The timers that are due soon, with the seconds until then."""
        soon = self._sleep_options().min_sleep
        rows = [(timer, timer.seconds_from(now)) for timer in self._timers or ()]
        return [(timer, seconds) for timer, seconds in rows if -_MAX_DELAY <= seconds <= soon]


KIND: Final = CheckKind("jobs", Options, JobsCheck, default_on=True)
