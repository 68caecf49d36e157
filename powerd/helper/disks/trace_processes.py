"""Which process and control group a thread of a trace belongs to, also after it has ended.

The helper's sandbox hides /proc of other processes, so the control groups are read from the other side:
``cgroup.threads`` and ``cgroup.procs`` of every group (Documentation/admin-guide/cgroup-v2.rst). Of threads
that have ended, a second trace contains the fork (task_newtask, with the parent as TASK-PID), the names
(task_rename, at execve(2)) and the moves between control groups (cgroup_attach_task). It also shows that a
thread id was used again. A thread that was never moved is in the group of its parent.

The response to a reading is valid whatever a trace contains: a row that does not fit its type is left out,
and counted.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Final, NamedTuple

from powerd.attribution.model import MAX_EVENTS, MAX_PROCESSES, TracedProcess, TraceEvent
from powerd.core.codec import ROW, CodecError, codec_of
from powerd.helper.disks.trace_events import UNKNOWN_NAME, TraceLine, merge_events, printable

PROCESS_EVENTS: Final = (
    "task/task_newtask",
    "task/task_rename",
    "cgroup/cgroup_attach_task",
    "cgroup/cgroup_notify_populated",
)

_NEW: Final = re.compile(r"pid=([0-9]+) comm=(.*) clone_flags=([0-9a-f]+) ")
_RENAME: Final = re.compile(r"pid=([0-9]+) oldcomm=.* newcomm=(.*) oom_score_adj=")
# root 0 is cgroup v2; users choose names of groups and processes, so a line with two pids may be forged
_MOVE: Final = re.compile(r"dst_root=0 .*?dst_path=((?:(?! pid=).)*) pid=([0-9]+) comm=(?!.* pid=)")
_POPULATED: Final = re.compile(r"root=0 .*?path=(.*) val=1$")
_CLONE_THREAD: Final = 0x10000
_CLONE_INTO_CGROUP: Final = 0x200000000
_MAX_DEPTH: Final = 64
_MAX_PATH: Final = 1024
_SEPARATOR_BYTES: Final = 2
_EVENT: Final = codec_of(Annotated[TraceEvent, ROW])
_PROCESS: Final = codec_of(Annotated[TracedProcess, ROW])


class Fork(NamedTuple):
    """A new thread: when, its parent thread, whether both are one process, and its first name.

    The parent is 0, which is not a thread, if the new thread is not in the parent's control group.
    """

    at: float
    parent: int
    is_thread: bool
    comm: str


@dataclass(slots=True)
class ProcessLog:
    """What a trace remembers of threads, by thread id; in the order of time.

    Attributes:
        complete_since: CLOCK_MONOTONIC from which on no event is missing; of the time before only some
            processors still have theirs, and an id may have been used again.
    """

    complete_since: float = 0.0
    forks: defaultdict[int, list[Fork]] = field(default_factory=lambda: defaultdict(list))
    names: defaultdict[int, list[tuple[float, str]]] = field(default_factory=lambda: defaultdict(list))
    moves: defaultdict[int, list[tuple[float, str]]] = field(default_factory=lambda: defaultdict(list))

    def life_of(self, thread: int, at: float) -> tuple[Fork | None, float]:
        """The fork of the thread with this id, if known, and when the id was used again (inf = never)."""
        forks = self.forks.get(thread, [])
        place = bisect_right(forks, at, key=lambda fork: fork.at)
        return (forks[place - 1] if place else None), (
            forks[place].at if place < len(forks) else float("inf")
        )


@dataclass(slots=True)
class ControlGroups:
    """The living threads.

    Attributes:
        of_thread: the control group of each.
        leaders: the processes of each control group.
    """

    of_thread: dict[int, str] = field(default_factory=dict)
    leaders: dict[str, frozenset[int]] = field(default_factory=dict)


def parse_process_log(lines: Iterable[TraceLine], complete_since: float = 0.0) -> ProcessLog:
    """The log in the lines of PROCESS_EVENTS."""
    log, populated = ProcessLog(complete_since), dict[int, str]()
    for line in sorted(lines, key=lambda line: line.at):  # stable: those of one processor are in order
        if line.event == "task_newtask" and (new := _NEW.match(line.details)):
            child, flags, group = int(new[1]), int(new[3], 16), populated.pop(line.pid, "")
            parent, is_thread = line.pid, bool(flags & _CLONE_THREAD)
            if flags & _CLONE_INTO_CGROUP:
                parent = 0
                log.moves[child] += [(line.at, group)] if group else []
            log.forks[child].append(Fork(line.at, parent, is_thread, printable(new[2])))
        elif line.event == "task_rename" and (rename := _RENAME.match(line.details)):
            log.names[int(rename[1])].append((line.at, printable(rename[2])))
        elif line.event == "cgroup_attach_task" and (move := _MOVE.match(line.details)):
            log.moves[int(move[2])].append((line.at, move[1]))
        elif line.event == "cgroup_notify_populated" and (found := _POPULATED.match(line.details)):
            populated.setdefault(line.pid, found[1])  # the groups above it follow
    return log


def read_control_groups(root: Path) -> ControlGroups:
    """The control groups of all living threads: cgroup v2, or systemd's own hierarchy without it."""
    groups = ControlGroups()
    base = next(
        (
            path
            for path in (root / "sys/fs/cgroup" / name for name in ("", "unified", "systemd"))
            if (path / "cgroup.procs").exists()
        ),
        None,
    )
    if base is None:
        return groups
    threads = "tasks" if base.name == "systemd" else "cgroup.threads"
    for directory, _, _ in os.walk(base):
        group = directory.removeprefix(str(base)) or "/"
        leaders = frozenset(_ids(Path(directory) / "cgroup.procs"))
        members = set(_ids(Path(directory) / threads)) | leaders
        groups.of_thread |= dict.fromkeys(members, group)
        groups.leaders[group] = leaders
    return groups


def _ids(path: Path) -> Iterator[int]:
    with contextlib.suppress(OSError):  # the group has been removed, or is a threaded one
        yield from map(int, path.read_bytes().split())


class ProcessTable:
    """Joins threads of a trace to processes and control groups.

    Args:
        log: of threads that may have ended.
        groups: of threads that live.
    """

    def __init__(self, log: ProcessLog, groups: ControlGroups) -> None:
        self._log = log
        self._groups = groups
        self._processes = frozenset[int]().union(*groups.leaders.values())

    def process_of(self, thread: int, at: float) -> int:
        """The process of a thread; its own id if it is unknown: it has ended, or is of one of several."""
        for _ in range(_MAX_DEPTH):
            fork, _end = self._log.life_of(thread, at)
            if fork is None or not fork.is_thread:
                break
            thread, at = fork.parent, fork.at
        group = self._living_group(thread, at)
        if group is None or thread in self._processes:
            return thread
        leaders = self._groups.leaders.get(group, frozenset())
        return next(iter(leaders)) if len(leaders) == 1 else thread

    def name_of(self, thread: int, at: float, last_name: str) -> str:
        """The name of a thread.

        Args:
            thread: its id.
            at: when the thread had this id.
            last_name: the name in its line, which is that of the last thread with this id.
        """
        fork, end = self._log.life_of(thread, at)
        if last_name != UNKNOWN_NAME and end == float("inf"):
            return last_name
        names = [
            name for when, name in self._log.names.get(thread, []) if (fork.at if fork else 0.0) <= when < end
        ]
        return names[-1] if names else (fork.comm if fork else "")

    def describe(self, process: int, at: float, comm: str) -> TracedProcess:
        """The process that had this id at this time."""
        group, ancestor = self._group_of(process, at)
        fork, _end = self._log.life_of(process, at)
        is_process = process in self._processes or (fork is not None and not fork.is_thread)
        is_thread = not is_process and self._living_group(process, at) is not None
        return TracedProcess(process, comm, printable(group)[:_MAX_PATH], ancestor, is_thread)

    def _group_of(self, thread: int, at: float) -> tuple[str, str]:
        """The control group of a thread that may have ended, and the name of the ancestor that has it."""
        ancestor, until = "", self._log.life_of(thread, at)[1]
        for _ in range(_MAX_DEPTH):
            if at < self._log.complete_since:
                break
            group = self._living_group(thread, at)
            if group is not None:
                return group, ancestor
            fork, _end = self._log.life_of(thread, at)
            start = max(fork.at if fork else 0.0, self._log.complete_since)
            moves = [group for when, group in self._log.moves.get(thread, []) if start <= when < until]
            if moves:
                return moves[-1], ancestor
            if fork is None:
                break
            if not fork.is_thread:
                ancestor = fork.comm
            thread, at, until = fork.parent, fork.at, fork.at
        return "", ""

    def _living_group(self, thread: int, at: float) -> str | None:
        """The control group of a thread that still lives; None = it has ended, or may have."""
        if at < self._log.complete_since or self._log.life_of(thread, at)[1] < float("inf"):
            return None
        return self._groups.of_thread.get(thread)


class Rows(NamedTuple):
    """The rows of a TraceReading, and the number of events that did not fit."""

    events: tuple[TraceEvent, ...]
    processes: tuple[TracedProcess, ...]
    lost: int


def fitting_rows(events: Iterable[TraceEvent], table: ProcessTable, space: int) -> Rows:
    """The first of the merged events, and a process for each pid and name in them.

    Args:
        events: by thread.
        table: the processes of the threads.
        space: bytes of both as JSON.
    """
    merged = merge_events(
        replace(
            event,
            pid=table.process_of(event.pid, event.first_at),
            comm=table.name_of(event.pid, event.first_at, event.comm),
        )
        for event in events
    )
    found = defaultdict[tuple[int, str], list[TracedProcess]](list)
    for event in merged:
        found[event.pid, event.comm].append(table.describe(event.pid, event.first_at, event.comm))
    fitting: list[TraceEvent] = []
    processes: dict[tuple[int, str], TracedProcess] = {}
    lost = 0
    for place, event in enumerate(merged):
        key = (event.pid, event.comm)
        process = processes.get(key) or _process(found[key], *key)
        try:
            used = _bytes(_EVENT.encode(event))
            used += 0 if key in processes else _bytes(_PROCESS.encode(process))
        except CodecError:
            lost += event.count
            continue
        full = len(fitting) == MAX_EVENTS or (key not in processes and len(processes) == MAX_PROCESSES)
        if full or used > space:
            lost += sum(each.count for each in merged[place:])
            break
        space -= used
        fitting.append(event)
        processes[key] = process
    return Rows(tuple(fitting), tuple(processes.values()), lost)


def _process(found: Iterable[TracedProcess], pid: int, comm: str) -> TracedProcess:
    """The one whose control group is known; of several, an id was used again."""
    known = {process.cgroup: process for process in found if process.cgroup}
    return known.popitem()[1] if len(known) == 1 else TracedProcess(pid, comm)


def _bytes(row: list[object]) -> int:
    return len(json.dumps(row)) + _SEPARATOR_BYTES
