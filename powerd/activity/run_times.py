"""Since when programs run, and whether one of them counts as a job."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from powerd.activity.model import Activity
from powerd.activity.programs import Program, Rows, is_shell
from powerd.core.poller import PollDepth
from powerd.linux.values import UnitProcess

_FEW: Final = 3
_DAY: Final = 86_400.0


class _Run(NamedTuple):
    """CLOCK_MONOTONIC of the first and the last poll that saw a process, and the name of its program."""

    since: float
    last_seen: float
    name: str


class RunTimes:
    """Since when programs run, from the polls that found their processes, and whether they count.

    systemd does not return when a process started, and /proc is hidden from powerd. A program counts once it
    has run for ``min_runtime``, and in a poll before a sleep at once, so that no sleep interrupts it. A job
    that runs every minute may be found by each of these polls; one that has run briefly three times in a day
    does not count at once. Where a shell starts one program after another, they count as one job as long as
    each poll finds one.

    Args:
        min_runtime: seconds.
    """

    def __init__(self, min_runtime: float) -> None:
        self._min_runtime = min_runtime
        self._runs: dict[int, _Run] = {}
        self._short_runs: dict[str, tuple[float, ...]] = {}
        self._loops: dict[str, float] = {}

    def update(
        self, rows: Iterable[tuple[UnitProcess, Program]], now: float, loops: Iterable[str] = ()
    ) -> None:
        """Take all processes of a poll into account; earlier ones that are missing have ended.

        Args:
            rows: the processes.
            now: CLOCK_MONOTONIC.
            loops: the control groups in which consecutive programs are one job.
        """
        self._loops = {group: self._loops.get(group, now) for group in loops}
        known = self._runs
        self._runs = {
            process.pid: _Run(known[process.pid].since if process.pid in known else now, now, program.name)
            for process, program in rows
        }
        for pid in known.keys() - self._runs.keys():
            since, last_seen, name = known[pid]
            if last_seen - since < self._min_runtime:
                self._short_runs[name] = (*self._short_runs.get(name, ()), now)[-_FEW:]
            else:
                self._short_runs.pop(name, None)
        recent = {
            name: tuple([at for at in ends if now - at < _DAY]) for name, ends in self._short_runs.items()
        }
        self._short_runs = {name: ends for name, ends in recent.items() if ends}

    def find_job(self, subject: str, rows: Rows, depth: PollDepth, now: float) -> Activity | None:
        """The program that has been seen first, preferably not a shell; None = there is none.

        Args:
            subject: where it runs.
            rows: the programs that work.
            depth: of the poll.
            now: CLOCK_MONOTONIC.
        """
        if not rows:
            return None
        is_new = {program.name: len(self._short_runs.get(program.name, ())) < _FEW for _, program in rows}
        at_once = depth is PollDepth.BEFORE_SLEEP and any(is_new.values())
        since = min(
            min(self._runs[process.pid].since, self._loops.get(process.cgroup, now)) for process, _ in rows
        )
        *_, name = min(
            (
                at_once and not is_new[program.name],
                is_shell(program),
                self._runs[process.pid].since,
                process.pid,
                program.name,
            )
            for process, program in rows
        )
        runtime = now - since
        return Activity(
            subject,
            f"runs {name}",
            keeps_awake=at_once or runtime >= self._min_runtime,
            value=runtime,
            unit="s",
            threshold=self._min_runtime,
            since=since,
        )
