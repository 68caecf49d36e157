"""Reads the accesses to the disks when a decision requests it, by the best available level; stores the wakes.

The helper reads the trace. Where it cannot, the counters of units are read, and without those only the
disks' own counters are left; the level and the reason are facts. Nothing here may end the daemon or block a
sleep.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from powerd.attribution.culprits import OWN_UNITS, find_user, owner_of_unit
from powerd.attribution.history import WakesDocument, make_document, restore
from powerd.attribution.model import (
    Access,
    AttributionFacts,
    AttributionMemory,
    AttributionReport,
    Culprit,
    FileReading,
    TraceReading,
    Wake,
    WatchLevel,
)
from powerd.attribution.paths import join_directories
from powerd.attribution.source_directories import DirectorySource
from powerd.core.reasons import failure_text
from powerd.core.service import DomainService, Environment
from powerd.core.snapshot import Status
from powerd.core.time import Reading
from powerd.disks.model import DiskFacts, DiskId
from powerd.disks.policy.write_safety import would_start_disk
from powerd.disks.state import DiskReport, DisksReport
from powerd.linux.io_stat import IoCounters, counts_by_unit, parse_io_stat, read_io_stats
from powerd.linux.ports import Ports
from powerd.linux.values import HostError, RefusedByHelperError

if TYPE_CHECKING:
    from powerd.attribution.changes import Change

_RETRY_AFTER: Final = 300.0
"""Seconds until a helper that could not be reached is tried again."""
_RETRY_REFUSED_AFTER: Final = 3600.0
"""The same for a helper that has refused: each attempt starts it, and only a reboot changes the reason."""
_STOP_WITHIN: Final = 5.0
"""Seconds that the end of the trace may delay the end of the daemon; ExecStopPost= stops it too."""

T = TypeVar("T")
UnitCounters = Mapping[str, Mapping[str, IoCounters]]


class Found(NamedTuple):
    """What a level has shown; attributes as in AttributionFacts."""

    accesses: tuple[Access, ...] = ()
    level: WatchLevel = WatchLevel.COUNTERS
    level_reason: str = ""
    since: float = 0.0
    lost: int = 0


class AttributionService(DomainService):
    """The service of the domain.

    Args:
        ports: the operating system.
        environment: from the daemon.
        may_write: whether a write to the state directory starts no disk and keeps none from spinning down.

    Attributes:
        busy: AttributionReport.busy of the last decision.
    """

    is_essential = False

    def __init__(self, ports: Ports, environment: Environment, may_write: Callable[[], bool]) -> None:
        self._ports = ports
        self._clock = environment.clock
        self._state = environment.state
        self._options = environment.options
        self._storage = environment.storage
        self._may_write = may_write
        self.busy: tuple[Access, ...] = ()
        self._wakes: Mapping[DiskId, tuple[Wake, ...]] = restore(
            self._storage.load("wakes", WakesDocument).value, self._clock.now()
        )
        self._stored_wakes = self._wakes
        self.memory = (AttributionMemory(wakes=self._wakes),)
        self._traced: tuple[DiskId, ...] = ()
        self._requested: tuple[DiskId, ...] | None = None
        self._request = asyncio.Event()
        self._reports: tuple[DiskReport, ...] = ()
        self._not_to_read: frozenset[DiskId] = frozenset()
        self._failures: dict[WatchLevel, tuple[float, str]] = {}
        self._changes: tuple[Change, ...] = ()
        self._users: dict[int, str] = {}
        self._units: tuple[float, UnitCounters] | None = None
        self._traces = self._watches_files = False
        self._directories = DirectorySource(ports.files)

    def tasks(self) -> Mapping[str, Coroutine[None, None, None]]:
        """Reads on request."""
        return {"reading the accesses to the disks": self._run()}

    def on_decision(self, status: Status) -> None:
        """Read if it is due, and store new wakes if that disturbs no disk."""
        report = status.decision.part(AttributionReport)
        self.busy, self._wakes, self._traced = report.busy, report.wakes, report.traced
        self._reports = status.decision.part(DisksReport).disks
        # A lookup of a path may read from the disk, so not from one that is about to be stopped either.
        self._not_to_read = frozenset(
            report.disk.id for report in self._reports if not report.state.tolerates_writes
        )
        self._poll_directories(status.now.mono)
        if report.read_due <= status.now.mono:
            self._request_reading()
        if self._wakes is not self._stored_wakes and self._may_write():
            self._save()

    def _poll_directories(self, now: float) -> None:
        try:
            self._directories.poll(self._options().watch.directories, self._reports, now)
        except HostError as error:
            self._directories.unwatched = (str(error),)

    def _request_reading(self) -> None:
        if self._requested is None:
            self._requested = self._traced
            self._request.set()

    def on_reconfigure(self) -> None:
        """Try every level again, and end what the new level does not need."""
        self._failures.clear()
        self._request_reading()

    def close(self) -> None:
        """Store what is not stored yet, unless that starts a disk."""
        if not would_start_disk(str(self._storage.directory or ""), self._reports):
            self._save()

    def _save(self) -> None:
        if self._wakes is not self._stored_wakes:
            self._storage.save("wakes", make_document(self._wakes))
            self._stored_wakes = self._wakes

    async def _run(self) -> None:
        try:
            while True:
                await self._request.wait()
                self._request.clear()
                await self._read(self._requested or ())
                self._requested = None
        finally:
            await self._stop_above(WatchLevel.COUNTERS)

    async def _stop_above(self, level: str) -> None:
        """End the trace and the watch of files, if they were started and ``level`` is without them."""
        helper = self._ports.helper
        trace, files = self._traces, self._watches_files
        try:
            async with asyncio.timeout(_STOP_WITHIN):
                if trace and level in {WatchLevel.COUNTERS, WatchLevel.CGROUPS}:
                    self._traces = False
                    await helper.stop_trace()
                if files and level != WatchLevel.FILES:
                    self._watches_files = False
                    await helper.read_files(())
        except (HostError, TimeoutError):
            pass  # ExecStopPost= tries again

    async def _read(self, disks: tuple[DiskId, ...]) -> None:
        at = self._clock.now().mono
        try:
            found = self._join_directories(await self._read_best_level(disks))
        except Exception as error:  # noqa: BLE001 - nothing that is wrong with a reading may end the daemon
            found = Found(level_reason=failure_text(error))
        self._state.put(
            AttributionFacts(
                Reading(at, found.accesses), disks, found.level, found.level_reason, found.since, found.lost
            ),
            urgent=False,
        )

    async def _read_best_level(self, disks: tuple[DiskId, ...]) -> Found:
        """The accesses since the last reading, by the level that is configured or the best below it."""
        level = self._options().watch.level
        await self._stop_above(level)
        if level == "counters":
            return Found()
        reason = ""
        if level != "cgroups":
            files = None
            if level == "files":
                files, reason = await self._read_files(disks)
            trace, trace_reason = await self._read_trace(disks)
            if trace is not None:
                self._units = None  # counters from before the trace would count what it has shown
                return await self._join(trace, files, reason)
            reason = trace_reason
        return self._read_units(reason)

    def _join_directories(self, found: Found) -> Found:
        accesses = join_directories(found.accesses, self._directories.take(), found.level)
        reasons = (found.level_reason, *self._directories.unwatched[:1])
        return found._replace(accesses=accesses, level_reason="; ".join(filter(None, reasons)))

    async def _join(self, trace: TraceReading, files: FileReading | None, reason: str) -> Found:
        for uid in {uid for each in trace.processes if (uid := find_user(each.cgroup)) is not None}:
            if uid not in self._users:
                with contextlib.suppress(HostError):  # without its name the user is named by number
                    self._users[uid] = await self._ports.logind.user_name(uid)
        from powerd.attribution.join import join  # noqa: PLC0415 - 0.1 MB, only a trace needs it

        accesses, self._changes = join(trace, self._changes, files, self._users)
        level = WatchLevel.TRACE if files is None else WatchLevel.FILES
        if files is not None and not reason and files.unwatched:
            reason = files.unwatched[0]
        return Found(accesses, level, reason, trace.since, trace.lost)

    async def _read_trace(self, disks: tuple[DiskId, ...]) -> tuple[TraceReading | None, str]:
        """The trace, or why there is none."""

        async def read() -> TraceReading:
            if not disks:
                reading = await self._ports.helper.stop_trace() if self._traces else TraceReading()
                self._traces = False
                return reading
            self._traces = True
            return await self._ports.helper.read_trace(disks)

        return await self._attempt(WatchLevel.TRACE, read)

    async def _read_files(self, disks: tuple[DiskId, ...]) -> tuple[FileReading | None, str]:
        """The accesses to files, or why there are none; a disk that does not spin is only watched."""

        async def read() -> FileReading:
            self._watches_files = bool(disks)
            spinning = tuple([disk for disk in disks if disk not in self._not_to_read])
            standby = tuple([disk for disk in disks if disk in self._not_to_read])
            return await self._ports.helper.read_files(spinning, standby)

        return await self._attempt(WatchLevel.FILES, read)

    async def _attempt(self, level: WatchLevel, read: Callable[[], Awaitable[T]]) -> tuple[T | None, str]:
        """What ``read`` returns, or why it fails; after a failure it is not called again for some time."""
        now = self._clock.now().mono
        retry_at, reason = self._failures.get(level, (0.0, ""))
        if now < retry_at:
            return None, reason
        try:
            reading = await read()
        except HostError as error:
            refused = isinstance(error, RefusedByHelperError)
            self._failures[level] = now + (_RETRY_REFUSED_AFTER if refused else _RETRY_AFTER), str(error)
            return None, str(error)
        self._failures.pop(level, None)
        return reading, ""

    def _read_units(self, reason: str) -> Found:
        """The accesses of each unit since the last reading, by its counters.

        Args:
            reason: why there is no better level, one sentence; "" = none is configured.
        """
        files, now = self._ports.files, self._clock.now().mono
        if not counts_by_unit(files):
            units_reason = "the kernel does not count I/O by unit; set IOAccounting=yes in a unit"
            return Found(level_reason="; ".join(filter(None, (reason, units_reason))))
        before = self._units
        counters = {unit: parse_io_stat(text) for unit, text in read_io_stats(files)}
        self._units = (now, counters)
        since = now if before is None else before[0]
        accesses = () if before is None else tuple(self._unit_accesses(before[1], counters, since, now))
        return Found(accesses, WatchLevel.CGROUPS, reason, since)

    def _unit_accesses(
        self, before: UnitCounters, counters: UnitCounters, since: float, now: float
    ) -> Iterator[Access]:
        numbers = {
            disk.device_number: id_ for id_, disk in self._state.snapshot().part(DiskFacts).disks.items()
        }
        for unit, by_device in counters.items():
            for number, total in by_device.items():
                disk = numbers.get(number)
                old = before.get(unit, {}).get(number, IoCounters())
                old = IoCounters() if total < old else old  # the unit was started again
                requests = total.reads + total.writes - old.reads - old.writes
                if disk is None or requests <= 0:
                    continue
                yield Access(
                    disk,
                    Culprit(unit, owner=owner_of_unit(unit)),
                    "write" if total.writes - old.writes > total.reads - old.reads else "read",
                    first_at=since,
                    last_at=now,
                    count=requests,
                    size=total.read + total.written - old.read - old.written,
                    certainty="likely",
                    level=WatchLevel.CGROUPS,
                    own=unit in OWN_UNITS,
                )
