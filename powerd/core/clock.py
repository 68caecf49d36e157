"""Reads a Moment from the kernel; the only file that may read a clock."""

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
_MAX_ATTEMPTS: Final = 10


class Clock(Protocol):
    """Whoever tells the time: the kernel's, or a rehearsal's."""

    def now(self) -> Moment:
        """The three clocks, read together."""
        ...


class KernelClock:
    """CLOCK_MONOTONIC, CLOCK_BOOTTIME (clock_gettime(2)) and the wall clock in the machine's time zone.

    The zone keeps its rules (tzfile(5)), not only today's offset, so that plans reach over a DST night.
    """

    def __init__(self) -> None:
        self._zone = _local_zone()

    def now(self) -> Moment:
        """The three clocks, read together."""
        mono, slept = _read_clocks()
        return Moment(mono, slept, datetime.now(UTC).astimezone(self._zone))


def _read_clocks() -> tuple[float, float]:
    """CLOCK_MONOTONIC, and what CLOCK_BOOTTIME is ahead of it: exactly the time asleep.

    They are read one after the other, and a busy machine may do something else in between; of a few readings
    the quickest counts, and one within a millisecond is good enough.
    """
    best = (float("inf"), 0.0, 0.0)
    for _ in range(_MAX_ATTEMPTS):
        before = time.monotonic()
        boot = time.clock_gettime(time.CLOCK_BOOTTIME)
        mono = time.monotonic()
        best = min(best, (mono - before, mono, boot - before))
        if best[0] < _MAX_READ_DURATION:
            break
    return best[1], best[2]


def boot_id() -> str:
    """What tells one boot from the next (random(4)); CLOCK_BOOTTIME counts within one. "" = unknown."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _local_zone() -> tzinfo | None:
    """The zone named by TZ, else of /etc/localtime; None = whatever offset the C library has now."""
    try:
        name = os.environ.get("TZ", "").lstrip(":")
        if name:
            return ZoneInfo(name)
        with _LOCALTIME.open("rb") as file:
            return ZoneInfo.from_file(file, key=str(_LOCALTIME))
    except (OSError, ValueError, KeyError):
        return None
