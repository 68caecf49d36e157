"""The counters of a disk without powerd's own commands: I/O, and the passthrough commands of SCSI disks.

``/sys/block/X/stat`` counts I/O (Documentation/block/stat.rst). Passthrough commands (SG_IO: smartctl,
hdparm, sg3_utils) bypass the block layer and may start a drive; since Linux 5.18 ``stat`` does not include
them. ``device/iorequest_cnt`` does: it counts each command that is dispatched to the device
(scsi_dispatch_cmd() in drivers/scsi/scsi_lib.c), and reads ``0x1f3`` (drivers/scsi/scsi_sysfs.c). NVMe,
virtio and MMC have no such file.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from powerd.core.dataclass import dataclass
from powerd.disks.model import DiskTransfer

_COMPLETED_FIELDS: Final = (0, 4, 11, 15)
"""Fields of completed reads, writes, discards (Linux 4.18) and flushes (5.5)."""
_SECTORS_READ_FIELD, _SECTORS_WRITTEN_FIELD, _BUSY_FIELD = 2, 6, 9
SECTOR_BYTES: Final = 512
"""sysfs counts in these for every sector size of the disk."""
_IN_FLIGHT_FIELD: Final = 8
_FLUSHES_FIELD: Final = 15
_MIN_FIELDS: Final = 11
_UNCOUNTED_SINCE: Final = (5, 18)
"""Passthrough commands (SG_IO) count as reads before this version of Linux."""
_DIGITS: Final = re.compile(r"[0-9]{1,20}")
_COMMAND_COUNT: Final = re.compile(r"0x[0-9a-f]{1,16}")


class IoStat(NamedTuple):
    """A line of ``/sys/block/X/stat``: completed reads, writes, discards and flushes, and requests in flight.

    ``flushes`` is a part of ``completed``; ``transfer`` is that of the whole disk.
    """

    completed: int
    in_flight: int
    flushes: int = 0
    transfer: DiskTransfer = DiskTransfer()


@dataclass(frozen=True, slots=True)
class IoCounter:
    """The counters of a disk as of the last reading.

    Attributes:
        completed: requests, powerd's own commands included.
        own_commands: powerd's own commands among them.
        last_io_at: CLOCK_MONOTONIC of the reading that last found I/O of other programs.
        in_flight: requests that were not completed.
    """

    completed: int
    own_commands: int
    last_io_at: float
    in_flight: int

    @property
    def foreign_completed(self) -> int:
        """Requests of other programs."""
        return max(self.completed - self.own_commands, 0)


def parse_stat(text: str | None) -> IoStat | None:
    """The counters, which have 11 fields or more; None = the text has another format."""
    fields = (text or "").split()
    if len(fields) < _MIN_FIELDS or not all(map(_DIGITS.fullmatch, fields)):
        return None
    ios = sum(int(fields[n]) for n in _COMPLETED_FIELDS if n < len(fields))
    flushes = int(fields[_FLUSHES_FIELD]) if len(fields) > _FLUSHES_FIELD else 0
    transfer = DiskTransfer(
        int(fields[_SECTORS_READ_FIELD]) * SECTOR_BYTES,
        int(fields[_SECTORS_WRITTEN_FIELD]) * SECTOR_BYTES,
        int(fields[_BUSY_FIELD]) / 1000,
    )
    return IoStat(ios, int(fields[_IN_FLIGHT_FIELD]), flushes, transfer)


def advance_counter(before: IoCounter | None, stat: IoStat, own_commands: int, now: float) -> IoCounter:
    """The counter after a reading.

    Args:
        before: after the last reading; None = there was none, and this one counts as I/O.
        stat: the counters now.
        own_commands: powerd's own commands since the last reading that the counters include; more than the
            increase were counted earlier and are ignored.
        now: CLOCK_MONOTONIC.
    """
    if before is None or stat.completed < before.completed:
        return IoCounter(stat.completed, 0, now, stat.in_flight)
    increase = stat.completed - before.completed
    own_commands = min(own_commands, increase)
    unchanged = increase == own_commands and not stat.in_flight
    return IoCounter(
        stat.completed,
        before.own_commands + own_commands,
        before.last_io_at if unchanged else now,
        stat.in_flight,
    )


def includes_passthrough(release: str, passthrough: str | None) -> bool:
    """Whether the counters of a disk include passthrough commands such as CHECK POWER MODE.

    Args:
        release: of the kernel, ``6.1.0-18-amd64``; an unknown format counts as a new kernel.
        passthrough: ``queue/iostats_passthrough`` (Linux 6.13); None = the kernel has no such switch.
    """
    if passthrough is not None:
        return passthrough == "1"
    found = re.match(r"(\d{1,4})\.(\d{1,4})", release)
    return found is not None and (int(found[1]), int(found[2])) < _UNCOUNTED_SINCE


def parse_command_count(text: str | None) -> int | None:
    """The number in ``device/iorequest_cnt``; None = the file is missing or has another format."""
    return int(text, 16) if text and _COMMAND_COUNT.fullmatch(text) else None


class CommandCounter:
    """Counts the passthrough commands of other programs to one SCSI disk.

    Each ``count`` is what parse_command_count() yields at that moment.

    Attributes:
        last_passthrough_at: CLOCK_MONOTONIC of the update that last found commands of other programs without
            I/O; None = none did.
    """

    def __init__(self) -> None:
        self.last_passthrough_at: float | None = None
        self._own_start: int | None = None
        self._own_count = 0
        self._foreign_count: int | None = None

    def begin_own(self, count: int | None) -> None:
        """An action of powerd starts; until end_own(), all commands are powerd's own."""
        self._own_start = count

    def end_own(self, count: int | None) -> None:
        """The action has ended."""
        if count is None or self._own_start is None:
            self._foreign_count = None
        else:
            self._own_count += count - self._own_start
        self._own_start = None

    def update(self, count: int | None, now: float, *, no_io: bool, own_running: bool = False) -> None:
        """Compare with the update before; a smaller count is that of a new device.

        Args:
            count: read before the I/O counters, so that these include every I/O that it includes.
            now: CLOCK_MONOTONIC.
            no_io: there was no I/O since the update before.
            own_running: an action of powerd is running.
        """
        if own_running:
            self.end_own(count)
            self.begin_own(count)
        foreign_count = None if count is None else count - self._own_count
        if (
            no_io
            and foreign_count is not None
            and self._foreign_count is not None
            and foreign_count > self._foreign_count
        ):
            self.last_passthrough_at = now
        self._foreign_count = foreign_count
