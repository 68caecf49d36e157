"""A command in the foreground: with our terminal, our files and our process group, as a shell starts one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Sequence
from typing import Final

_BY_SIGNAL: Final = 128


class Foreground:
    """A child process; its end is told by SIGCHLD.

    Args:
        argv: the program, found by PATH, and its arguments.
        mask: the signals that are blocked for it.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, argv: Sequence[str], mask: Iterable[int]) -> None:
        # Python itself ignores SIGPIPE and SIGXFSZ, and a child would inherit that.
        self._pid = os.posix_spawnp(
            argv[0],
            list(argv),
            os.environ,
            setsigmask=tuple(mask),
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
        )
        self._code: int | None = None

    def code(self) -> int | None:
        """Its exit code as a shell says it, 128 + the signal's number if by one; None = it still runs."""
        if self._code is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self._code = _BY_SIGNAL - code if code < 0 else code
        return self._code

    def send(self, number: int) -> None:
        """Pass a signal on to it."""
        if self._code is None:
            os.kill(self._pid, number)
