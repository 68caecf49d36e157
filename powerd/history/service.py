"""Records what happens over time, and stores it where and when that disturbs no disk."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from powerd.core.line_files import LineFiles
from powerd.core.service import DomainService, Environment
from powerd.core.snapshot import Status
from powerd.disks.policy.write_safety import spins_down, would_start_disk
from powerd.disks.state import DiskReport, DisksReport
from powerd.history.codec import HEADER, Entry, LineWriter, keep_last, read_entries
from powerd.history.model import SERVER, BlockerTimes, Counters, Record, SleepRecord, StateChange, Subject
from powerd.history.policy import record_blockers
from powerd.history.policy_changes import clock_step, may_believe_clock, month_of, posix, present_states
from powerd.history.policy_record import Recorder, begin, count, end_all, make_record, record, time_of
from powerd.history.policy_sleeps import end_at_stop
from powerd.power.model import TransitionFacts

_DAY: Final = 86_400.0
_IN_MEMORY: Final = 8 * _DAY
"""Seconds of the record that stay in memory: a week, and the day that has begun."""
_MAX_IN_MEMORY: Final = 4000
"""Changes in memory: 0.4 MB."""
_WRITE_INTERVAL: Final = 300.0
"""Seconds between two writes of changes to a disk that spins down: may_write() must not hold because of the
write before, which would keep the disk spinning."""
_CLOCK_STEP: Final = 600.0
"""Seconds by which the wall clock has to be set so that the states until then end, and begin again."""
_MAX_DAY: Final = 24 << 10
"""Bytes of changes a day; the busiest of the simulated homes takes 11 KB."""
_MAX_WAITING: Final = 256 << 10
"""Bytes of changes that wait for a disk to spin."""
_MAX_DISK_STATES: Final = 10_000
"""Disks that were attached once are counted too; a server with 1,000 disks has 9,000 at most."""
_MAX_STORED: Final = 1_200_000
"""Bytes of all compressed months; the present one has 0.76 MB at most, and so has the one before, whose file
is removed an hour after it was compressed."""
_MAX_MONTHS: Final = 13
_FIRST_HEADER: Final = HEADER.partition(",")[0]


class HistoryService(DomainService):
    """The history of one daemon.

    Args:
        environment: from the daemon.
        may_write: whether a write to the state directory starts no disk and keeps none from spinning down.

    Attributes:
        blocker_times: how long each blocker has lasted.
    """

    is_essential = False

    def __init__(self, environment: Environment, may_write: Callable[[], bool]) -> None:
        storage = environment.storage
        self.blocker_times = BlockerTimes()
        self._options = environment.options
        self._clock = environment.clock
        self._storage = storage
        self._on_error = environment.on_error
        self._may_write = may_write
        self._directory = str(storage.directory or "")
        self._files = LineFiles(None if storage.directory is None else storage.directory / "history")
        self._counters = storage.load("counters", Counters).value or Counters()
        self._decisions = self._counters.decisions
        self._disk_seconds = {
            (disk, state): seconds
            for disk, states in self._counters.disk_state_seconds.items()
            for state, seconds in states.items()
        }
        self._disks_at = self._clock.now().mono
        self._recorder: Recorder | None = None
        self._entries: list[Entry] = []
        self._recorded_since = self._recorded_until = self._complete_since = 0.0
        self._writer = LineWriter()
        self._month = self._tidied = ""
        self._waiting: dict[str, str] = {}
        self._set_aside_months: list[str] = []
        self._urgent = False
        self._stored_at = float("-inf")
        self._day = self._bytes_of_day = 0
        self._limited = False
        self._error = ""
        self._reports: tuple[DiskReport, ...] = ()
        self._shuts_down = False
        self._load()

    @property
    def counters(self) -> Counters:
        """Cumulative counters for metrics."""
        times = dict[str, dict[str, float]]()
        for (disk, state), seconds in self._disk_seconds.items():
            times.setdefault(disk, {})[state] = round(seconds, 3)
        return replace(self._counters, decisions=self._decisions, disk_state_seconds=times)

    @property
    def record(self) -> Record:
        """The last days, which are in memory."""
        return self._recent(self._recorded_since)

    def _recent(self, since: float) -> Record:
        found = make_record(self._entries, since, self._now())
        return replace(found, problems=self._lost_parts(since))

    def _lost_parts(self, since: float) -> tuple[str, ...]:
        """A sentence for each month whose file was set aside."""
        return tuple(
            f"{self._directory}/history/{month}.bad: this file could not be read, and was set aside"
            for month in self._set_aside_months
            if month >= month_of(max(since, 0.0))
        )

    async def read(self, since: float) -> Record:
        """The record from ``since`` on, POSIX seconds; what is not in memory is read from its files."""
        if since >= self._complete_since:  # a file that is read may be on a disk in standby
            return self._recent(since)
        waiting, now = dict(self._waiting), self._now()
        executor = ThreadPoolExecutor(1)  # not asyncio.to_thread: its thread would stay
        try:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(executor, self._read_stored, since, waiting, now)
        finally:
            executor.shutdown(wait=False)
        for problem in found.problems:
            self._on_error(problem)
        return replace(found, problems=(*found.problems, *self._lost_parts(since)))

    def on_decision(self, status: Status) -> None:
        """Record what has changed since the decision before, and store it if that disturbs no disk."""
        self.blocker_times = record_blockers(self.blocker_times, status.decision.reasons, status.now)
        self._decisions += 1
        now, recorder = posix(status.now, status.now), self._recorder
        is_behind = recorder is None and self._recorded_until - now > _CLOCK_STEP
        if not may_believe_clock(status, is_behind=is_behind):
            return
        self._add_disk_times(status)
        self._reports = status.decision.part(DisksReport).disks
        shutdown = status.snapshot.part(TransitionFacts).shutdown
        self._shuts_down = shutdown is not None and shutdown.kind == "shutdown"
        entries: tuple[Entry, ...] = ()
        before = None if recorder is None else recorder.known.status
        if recorder and before and abs(clock_step(before.now, status.now)) > _CLOCK_STEP:
            recorder, ended = end_all(recorder, before.now)
            self._add(ended, posix(before.now, before.now))  # in the file of that month
            entries = tuple(present_states(recorder.known, now))
        if self._recorded_until - now > _CLOCK_STEP:
            self._forget_future(now, loaded=recorder is None)
        begins = recorder is None
        if recorder is None:
            sleeps = self.record.sleeps
            recorder, entries = begin(sleeps[-1] if sleeps else None, self._recorded_until, status)
        self._recorder, more = record(recorder, status, self._options())
        self._counters = count(self._counters, before, status, (*entries, *more))
        if entries or more:
            self._add((*entries, *more), now, begins=begins)
        if self._waiting and self._may_store(status.now.mono, sleeps=shutdown is not None):
            self._store()
            self._stored_at = status.now.mono

    def _add_disk_times(self, status: Status) -> None:
        """Each disk has been in its state since the decision before."""
        elapsed, self._disks_at = status.now.mono - self._disks_at, status.now.mono
        for report in self._reports:
            key = report.disk.id, report.state.value
            if key in self._disk_seconds or len(self._disk_seconds) < _MAX_DISK_STATES:
                self._disk_seconds[key] = self._disk_seconds.get(key, 0.0) + elapsed

    def close(self) -> None:
        """Record the stop, and store what is not stored yet unless that starts a disk.

        A shutdown of the server starts it anyway, because file systems are unmounted.
        """
        if self._recorder is None:
            return
        now = self._clock.now()
        ended = end_at_stop(self._recorder.tracker, now)
        stop = StateChange(posix(now, now), SERVER, "stopped")
        self._add((stop,) if ended is None else (ended, stop), stop.at)
        if self._shuts_down or not would_start_disk(self._directory, self._reports):
            self._store()

    def _now(self) -> float:
        now = self._clock.now()
        return posix(now, now)

    # --- in memory ---

    def _add(self, entries: Iterable[Entry], now: float, *, begins: bool = False) -> None:
        """Add entries to the memory, and their lines to those that wait to be stored."""
        month = month_of(now)
        if month != self._month or begins:
            if self._month and self._recorder is not None and not begins:
                entries = (*present_states(self._recorder.known, now), *entries)
            self._month = month
            self._writer.begin_file()
        entries = tuple(self._within_limits(entries, now))
        self._entries += entries
        self._recorded_until = now
        self._recorded_since = self._recorded_since or now
        lines = "".join(map(self._writer.lines, entries))
        self._bytes_of_day += len(lines)
        if lines:
            self._waiting[month] = self._waiting.get(month, "") + lines
        if any(isinstance(each, SleepRecord) for each in entries):
            self._urgent = True
        if len(self._entries) > _MAX_IN_MEMORY or self._recorded_since < now - _IN_MEMORY - _DAY:
            self._forget(now)

    def _within_limits(self, entries: Iterable[Entry], now: float) -> Iterator[Entry]:
        """The entries; beyond a limit only sleeps until the next day, after the state "stopped"."""
        if int(now // _DAY) != self._day:
            self._day, self._bytes_of_day = int(now // _DAY), 0
            if self._limited and self._recorder is not None:
                yield from present_states(self._recorder.known, now)
            self._limited = False
        waiting = sum(map(len, self._waiting.values()))
        if not self._limited and (self._bytes_of_day > _MAX_DAY or waiting > _MAX_WAITING):
            self._limited = True
            yield StateChange(now, SERVER, "stopped")
        for each in entries:
            if not self._limited or isinstance(each, SleepRecord):
                yield each

    def _forget_future(self, now: float, *, loaded: bool) -> None:
        """Remove what is later than ``now``: the clock was ahead, and has been set back.

        ``loaded``: it was loaded from a file, in place of what is loaded now.
        """
        if loaded:
            self._entries = []
            self._load(now)
        self._entries = [each for each in self._entries if time_of(each) <= now]
        self._recorded_since = min(self._recorded_since, now)
        self._recorded_until = min(self._recorded_until, now)
        self._complete_since = min(self._complete_since, now)  # otherwise each page would read files

    def _forget(self, now: float) -> None:
        """Remove what is older than the days in memory, except the last change of each subject."""
        changes = [each for each in self._entries if isinstance(each, StateChange)]
        cut = now - _IN_MEMORY
        if len(changes) > _MAX_IN_MEMORY // 2:
            cut = max(cut, changes[-_MAX_IN_MEMORY // 2].at)
        last: dict[Subject, StateChange] = {}
        for change in changes:
            if change.at < cut:
                keep_last(last, change)
        self._entries = [
            *(each for each in last.values() if each.state != "none"),
            *(each for each in self.record.sleeps if each.end is None or each.end >= cut),
            *(each for each in self._entries if not isinstance(each, SleepRecord) and each.at >= cut),
        ]
        self._recorded_since = self._complete_since = cut

    # --- in files ---

    def _may_store(self, now: float, *, sleeps: bool) -> bool:
        """Whether the lines that wait may be written now.

        Args:
            now: CLOCK_MONOTONIC.
            sleeps: a sleep or a shutdown of the server is in progress.
        """
        if sleeps:
            return self._shuts_down or not would_start_disk(self._directory, self._reports)
        if not self._may_write():
            return False
        return (
            self._urgent
            or now - self._stored_at >= _WRITE_INTERVAL
            or not spins_down((self._directory,), self._reports)
        )

    def _store(self) -> None:
        """Append the waiting lines; they remain waiting if that fails."""
        for month, lines in tuple(self._waiting.items()):
            try:
                if month != self._tidied and self._tidy(month):
                    self._tidied = month
                stored = self._files.append(month, lines, header=HEADER)
            except OSError as error:
                self._report(f"{self._files.describe(month)}: cannot be written: {error.strerror}")
                continue  # the file of the next month may be all right
            del self._waiting[month]
            if stored:
                self._storage.save("counters", self.counters)
        if not self._waiting:
            self._urgent, self._error = False, ""

    def _report(self, problem: str) -> None:
        """Report a problem once, until it has gone."""
        if problem != self._error:
            self._error = problem
            self._on_error(problem)

    def _months(self) -> list[str]:
        """The months that have a file, the oldest first; other files in the directory are left alone."""
        return [name for name in self._files.names() if re.fullmatch(r"\d{4}-\d\d", name)]

    def _tidy(self, month: str) -> bool:
        """Compress the earlier months, and remove the oldest if there are too many, or they are too large.

        Returns:
            Whether nothing is left to do until the next month.
        """
        names, is_complete = [name for name in self._months() if name != month], True
        for name in names:
            try:
                is_complete &= self._files.compress(name, self._now())
            except OSError as error:
                self._on_error(f"{self._files.describe(name)}: cannot be compressed: {error.strerror}")
        sizes = {name: self._files.size(name) for name in names}
        while names and (len(names) >= _MAX_MONTHS or sum(sizes[each] for each in names) > _MAX_STORED):
            self._files.remove(names.pop(0))
        return is_complete

    def _load(self, until: float | None = None) -> None:
        """Take the last days from the files of the last two months, or of those before ``until``.

        Not of those before now: at the start the clock of a board without a battery may be months behind.
        """
        now = self._now()
        since = self._complete_since = now - _IN_MEMORY
        try:
            names = [each for each in self._months() if until is None or each <= month_of(until)][-2:]
        except OSError as error:
            self._on_error(f"the record of the past cannot be read: {error.strerror}")
            return
        for name in names:
            entries, problem, readable = self._read_file(name, since)
            if problem and not readable:
                problem += self._set_aside(name)
            if problem:
                self._on_error(problem)
            self._entries += [each for each in entries if until is None or time_of(each) <= until]
        self._set_aside_months = self._files.names_set_aside()
        times = [time_of(each) for each in self._entries]
        if times:
            self._recorded_since, self._recorded_until = max(min(times), since), max(times)
            self._forget(max(now, self._recorded_until))

    def _set_aside(self, name: str) -> str:
        """Rename a file in which no line can be read; returns a clause."""
        try:
            return f"; it was set aside as {self._files.set_aside(name)}"
        except OSError as error:
            return f"; it cannot be set aside: {error.strerror}"

    def _read_file(self, name: str, since: float, waiting: str = "") -> tuple[list[Entry], str, bool]:
        """The entries of a file and of the lines that wait for it.

        Returns:
            The entries; what is wrong with the file, one sentence, "" = nothing; whether a line can be read.
        """
        faults: list[str] = []
        path = self._files.describe(name)
        try:
            text = self._files.read(name) if self._files.size(name) else ""
        except OSError as error:
            return [], f"{path}: cannot be read: {error.strerror}", False
        entries, lines = list(read_entries(text + waiting, since, faults)), text.count("\n")
        if any(line.startswith(_FIRST_HEADER) for line in faults):
            return [], f"{path}: a later version of powerd has written it", False
        if faults:
            text = f"{path}: {len(faults)} of its {lines} lines cannot be read, and are skipped"
            return entries, text, len(faults) < lines
        return entries, "", True

    def _read_stored(self, since: float, waiting: dict[str, str], now: float) -> Record:
        """The record from files and from the lines that wait, a month at a time; runs in a thread."""
        problems: list[str] = []
        found = make_record(self._stored_entries(since, waiting, now, problems), since, now)
        return replace(found, problems=tuple(problems))

    def _stored_entries(
        self, since: float, waiting: dict[str, str], now: float, problems: list[str]
    ) -> Iterator[Entry]:
        """The entries of each month; why one cannot be read is added to ``problems``."""
        try:
            names = {*self._months(), *waiting}
        except OSError as error:
            names = set(waiting)
            problems.append(f"the record of the past cannot be read: {error.strerror}")
        self._set_aside_months = self._files.names_set_aside()
        first, last = month_of(max(since, 0.0)), month_of(now)
        for name in sorted(each for each in names if first <= each <= last):
            found, problem, _ = self._read_file(name, since, waiting.get(name, ""))
            problems += [problem] if problem else []
            # the entries of a file are of its month
            yield from found if name < last else (each for each in found if time_of(each) <= now)
