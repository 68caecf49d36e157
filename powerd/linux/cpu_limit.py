"""Ends a search by a regular expression that would take hours."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

SEARCH_LIMIT: Final = 1.0
"""Seconds of processor time for all searches of one answer, or of one log in one round."""
MAX_LINE: Final = 1 << 14
"""Characters that one call of re may search. It ends only every 4096 steps, and each step may read all of
them: 0.2 s for ``.*x`` with 16 KiB, which takes minutes with 512 KiB."""


@contextmanager
def cpu_limit() -> Iterator[None]:
    """Raise TimeoutError in the block after this process has used SEARCH_LIMIT in it.

    It works in the main thread only. The engine of re runs the handlers of signals every 4096 steps
    (Modules/_sre/sre_lib.h of CPython), so it needs neither a thread nor a child process.
    """

    def end(*_: object) -> None:
        raise TimeoutError

    previous = signal.signal(signal.SIGVTALRM, end)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, SEARCH_LIMIT)
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)
