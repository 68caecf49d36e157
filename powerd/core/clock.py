"""Reads the kernel's clocks. No other file reads a clock."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from powerd.core.time import Moment

_LOCALTIME: Final = Path("/etc/localtime")
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")

_MAX_READ_DURATION: Final = 1e-3
_MAX_READS: Final = 10


class Clock(Protocol):
    """A source of time: the kernel, or a simulation."""

    def now(self) -> Moment:
        """The three clocks, read together."""
        ...


class KernelClock:
    """CLOCK_MONOTONIC, CLOCK_BOOTTIME (clock_gettime(2)) and the wall clock in the machine's time zone.

    The time zone has all its rules (tzfile(5)), so that plans are right across a change to or from DST.
    """

    def __init__(self) -> None:
        self._zone = _local_zone()

    def now(self) -> Moment:
        """The three clocks, read together."""
        mono, slept = _read_clocks()
        return Moment(mono, slept, datetime.now(UTC).astimezone(self._zone))


def _read_clocks() -> tuple[float, float]:
    """CLOCK_MONOTONIC, and CLOCK_BOOTTIME minus CLOCK_MONOTONIC, which is the time asleep.

    The clocks are read one after the other, and the process may be preempted in between: the fastest of up to
    ten readings counts, and one that takes less than 1 ms ends the attempts.
    """
    best = (float("inf"), 0.0, 0.0)
    for _ in range(_MAX_READS):
        before = time.monotonic()
        boot = time.clock_gettime(time.CLOCK_BOOTTIME)
        mono = time.monotonic()
        best = min(best, (mono - before, mono, boot - before))
        if best[0] < _MAX_READ_DURATION:
            break
    return best[1], best[2]


def boot_id() -> str:
    """The identifier of this boot (random(4)), within which CLOCK_BOOTTIME is valid; "" = unknown."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _local_zone() -> tzinfo | None:
    """The time zone of TZ, else of /etc/localtime; None = the present offset of the C library."""
    try:
        name = os.environ.get("TZ", "").lstrip(":")
        if name:
            return ZoneInfo(name)
        with _LOCALTIME.open("rb") as file:
            return ZoneInfo.from_file(file, key=str(_LOCALTIME))
    except (OSError, ValueError, KeyError):
        return None
