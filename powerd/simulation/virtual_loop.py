"""An event loop on virtual time: when nothing is ready, time jumps to the next timer.

It works because all waiting in the house goes through asyncio timers. Threads and real sockets would be
outside of its time, so a rehearsal has none.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")


_ITERATION: Final = 1e-6
"""What one turn of the loop takes, seconds. At zero, asyncio would never fire a timer late in a year: it
compares with 1 ns of tolerance, which is lost in a float of 3e7 s."""


class _VirtualSelector(selectors.SelectSelector):
    """Never waits: where the loop would sleep for ``timeout`` seconds, time moves on by them."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("deadlock: nothing is ready, and no timer will ever make it so")
            self.now += max(timeout, _ITERATION)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its ``time()`` starts at 0 and costs nothing to wait for."""

    def __init__(self) -> None:
        self._virtual_selector = _VirtualSelector()
        super().__init__(self._virtual_selector)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual_selector.now


def run(main: Coroutine[Any, Any, T], *, loop: VirtualLoop | None = None) -> T:
    """Run ``main`` to its end on a virtual loop, as asyncio.run does on a real one."""
    with asyncio.Runner(loop_factory=lambda: loop or VirtualLoop()) as runner:
        return runner.run(main)
