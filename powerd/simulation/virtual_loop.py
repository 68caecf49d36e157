"""An event loop on virtual time: when nothing is ready, time jumps to the next timer.

All waiting in the daemon goes through asyncio timers. Threads and real sockets would not follow virtual time,
so a simulation has none.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")


_ITERATION: Final = 1e-6
"""Seconds that one iteration takes. With zero, asyncio would never fire a timer late in a year: its tolerance
of 1 ns is lost in a float of 3e7 s."""


class _VirtualSelector(selectors.PollSelector):
    """Never waits: where the loop would sleep for ``timeout`` seconds, virtual time advances by them."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        # The one file descriptor of a loop without sockets only wakes it up, for calls that it has already.
        ready = super().select(0) if timeout is None or len(self.get_map()) > 1 else []
        if not ready:
            if timeout is None:
                raise RuntimeError("deadlock: nothing is ready, and no timer will ever make it so")
            self.now += max(_ITERATION, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its ``time()`` starts at 0 and costs nothing to wait for."""

    def __init__(self) -> None:
        self._virtual_selector = _VirtualSelector()
        super().__init__(self._virtual_selector)

    def time(self) -> float:
        """Virtual seconds since the loop was created."""
        return self._virtual_selector.now


def run(main: Coroutine[Any, Any, T], *, loop: VirtualLoop | None = None) -> T:
    """Run ``main`` on a virtual loop, as asyncio.run() does on a real one."""
    with asyncio.Runner(loop_factory=lambda: loop or VirtualLoop()) as runner:
        return runner.run(main)
