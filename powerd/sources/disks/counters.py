"""Whether a disk has moved, by its counters (Documentation/block/stat.rst) less our own commands. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

_IOS: Final = (0, 4, 11, 15)
"""Fields of completed reads, writes, discards (Linux 4.18) and flushes (5.5)."""
_IN_FLIGHT: Final = 8
_FLUSHES: Final = 15
_FEWEST_FIELDS: Final = 11
_SILENT_SINCE: Final = (5, 18)
"""Commands that go past the block layer (SG_IO) count as reads before this version of Linux."""
_DIGITS: Final = re.compile(r"[0-9]{1,20}")


class Stat(NamedTuple):
    """A line of ``/sys/block/X/stat``: completed reads, writes, discards and flushes, and those under way.

    ``flushes`` are those among ``ios``.
    """

    ios: int
    in_flight: int
    flushes: int = 0


@dataclass(frozen=True, slots=True)
class Count:
    """What is known of a disk's counters.

    Attributes:
        raw: as they stood at the last look.
        own: powerd's own commands among them.
        moved: CLOCK_MONOTONIC of the look that last found I/O that was not its own.
        in_flight: requests under way at the last look.
    """

    raw: int
    own: int
    moved: float
    in_flight: int

    @property
    def ios(self) -> int:
        """I/O by others."""
        return max(self.raw - self.own, 0)


def parse(text: str | None) -> Stat | None:
    """The counters in 11 fields or more; None = there are none."""
    fields = (text or "").split()
    if len(fields) < _FEWEST_FIELDS or not all(map(_DIGITS.fullmatch, fields)):
        return None
    ios = sum(int(fields[n]) for n in _IOS if n < len(fields))
    flushes = int(fields[_FLUSHES]) if len(fields) > _FLUSHES else 0
    return Stat(ios, int(fields[_IN_FLIGHT]), flushes)


def by_partitions(disk: Stat, parts: Iterable[Stat]) -> Stat:
    """What went through the partitions of a disk, which no command does that goes past the block layer.

    A flush counts for the whole disk alone; what is under way is seen there, too, should somebody copy it.
    """
    return Stat(disk.flushes + sum(part.ios for part in parts), disk.in_flight, disk.flushes)


def advance(before: Count | None, stat: Stat, own: int, now: float) -> Count:
    """The count after a look.

    Args:
        before: after the last look; None = there was none, and this one counts as movement.
        stat: what the counters say now.
        own: powerd's own commands since the last look that the counters hold; more than they moved
            by were counted before, and are forgotten.
        now: CLOCK_MONOTONIC.
    """
    if before is None or stat.ios < before.raw:
        return Count(stat.ios, 0, now, stat.in_flight)
    grown = stat.ios - before.raw
    own = min(own, grown)
    still = grown == own and not stat.in_flight
    return Count(stat.ios, before.own + own, before.moved if still else now, stat.in_flight)


def counts_commands(release: str, passthrough: str | None) -> bool:
    """Whether the counters of a disk hold commands such as CHECK POWER MODE.

    Args:
        release: of the kernel, ``6.1.0-18-amd64``; one that cannot be read counts as new.
        passthrough: ``queue/iostats_passthrough`` (Linux 6.13); None = there is no such switch.
    """
    if passthrough is not None:
        return passthrough == "1"
    found = re.match(r"(\d{1,4})\.(\d{1,4})", release)
    return found is not None and (int(found[1]), int(found[2])) < _SILENT_SINCE
