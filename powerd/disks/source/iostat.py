"""Whether a disk has moved, by its counters (Documentation/block/stat.rst) less our own commands. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

_COMPLETED_FIELDS: Final = (0, 4, 11, 15)
"""Fields of completed reads, writes, discards (Linux 4.18) and flushes (5.5)."""
_IN_FLIGHT_FIELD: Final = 8
_FLUSHES_FIELD: Final = 15
_MIN_FIELDS: Final = 11
_UNCOUNTED_SINCE: Final = (5, 18)
"""Commands that go past the block layer (SG_IO) count as reads before this version of Linux."""
_DIGITS: Final = re.compile(r"[0-9]{1,20}")


class IoStat(NamedTuple):
    """A line of ``/sys/block/X/stat``: completed reads, writes, discards and flushes, and those under way.

    ``flushes`` are those among ``ios``.
    """

    completed: int
    in_flight: int
    flushes: int = 0


@dataclass(frozen=True, slots=True)
class IoCounter:
    """What is known of a disk's counters.

    Attributes:
        completed: as they stood at the last look.
        own_commands: powerd's own commands among them.
        last_io_at: CLOCK_MONOTONIC of the look that last found I/O that was not its own.
        in_flight: requests under way at the last look.
    """

    completed: int
    own_commands: int
    last_io_at: float
    in_flight: int

    @property
    def foreign_completed(self) -> int:
        """I/O by others."""
        return max(self.completed - self.own_commands, 0)


def parse_stat(text: str | None) -> IoStat | None:
    """The counters in 11 fields or more; None = there are none."""
    fields = (text or "").split()
    if len(fields) < _MIN_FIELDS or not all(map(_DIGITS.fullmatch, fields)):
        return None
    ios = sum(int(fields[n]) for n in _COMPLETED_FIELDS if n < len(fields))
    flushes = int(fields[_FLUSHES_FIELD]) if len(fields) > _FLUSHES_FIELD else 0
    return IoStat(ios, int(fields[_IN_FLIGHT_FIELD]), flushes)


def sum_partitions(disk: IoStat, parts: Iterable[IoStat]) -> IoStat:
    """What went through the partitions of a disk, which no command does that goes past the block layer.

    A flush counts for the whole disk alone; what is under way is seen there, too, should somebody copy it.
    """
    return IoStat(disk.flushes + sum(part.completed for part in parts), disk.in_flight, disk.flushes)


def advance_counter(before: IoCounter | None, stat: IoStat, own_commands: int, now: float) -> IoCounter:
    """The count after a look.

    Args:
        before: after the last look; None = there was none, and this one counts as movement.
        stat: what the counters say now.
        own_commands: powerd's own commands since the last look that the counters hold; more than they moved
            by were counted before, and are forgotten.
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
    """Whether the counters of a disk hold commands such as CHECK POWER MODE.

    Args:
        release: of the kernel, ``6.1.0-18-amd64``; one that cannot be read counts as new.
        passthrough: ``queue/iostats_passthrough`` (Linux 6.13); None = there is no such switch.
    """
    if passthrough is not None:
        return passthrough == "1"
    found = re.match(r"(\d{1,4})\.(\d{1,4})", release)
    return found is not None and (int(found[1]), int(found[2])) < _UNCOUNTED_SINCE
