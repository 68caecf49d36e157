"""The server's power supply, as a drive has it: off while the server is suspended to RAM."""

from __future__ import annotations

import time


class Supply:
    """Says when there has been no power, by the clock that goes on over a suspend and the one that does not.

    They cannot be read at one moment, so how long the server has slept is known within bounds; only a sleep
    moves the lower one past what was the upper one.
    """

    def __init__(self) -> None:
        self._most = _slept()[1]

    def was_off(self) -> bool:
        """Whether the server has been suspended since the last call."""
        least, most = _slept()
        off, self._most = least > self._most, most
        return off


def _slept() -> tuple[int, int]:
    """Nanoseconds that the server has slept since it was started: at least, and at most (time(7))."""
    before, boot, after = time.monotonic_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME), time.monotonic_ns()
    return boot - after, boot - before
