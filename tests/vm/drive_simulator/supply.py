"""The power supply of a drive: off while the server is suspended to RAM."""

from __future__ import annotations

import time


class Supply:
    """Detects suspends by CLOCK_BOOTTIME, which counts them, and CLOCK_MONOTONIC, which does not.

    The two clocks cannot be read at the same moment, so the time asleep is known within bounds. Only a sleep
    moves the lower bound past the earlier upper bound.
    """

    def __init__(self) -> None:
        self._most = _slept()[1]

    def was_off(self) -> bool:
        """Whether the server has been suspended since the last call."""
        least, most = _slept()
        off, self._most = least > self._most, most
        return off


def _slept() -> tuple[int, int]:
    """Nanoseconds that the server has slept since its start: the bounds (time(7))."""
    before, boot, after = time.monotonic_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME), time.monotonic_ns()
    return boot - after, boot - before
