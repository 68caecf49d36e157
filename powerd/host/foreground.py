"""A command in the foreground: with our terminal, our files and our process group, as a shell starts one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Sequence
from typing import Final

_SIGNAL_EXIT_BASE: Final = 128


class ForegroundProcess:
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
        self._exit_code: int | None = None

    def exit_code(self) -> int | None:
        """Its exit code as a shell says it, 128 + the signal's number if by one; None = it still runs."""
        if self._exit_code is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self._exit_code = _SIGNAL_EXIT_BASE - code if code < 0 else code
        return self._exit_code

    def send_signal(self, number: int) -> None:
        """Pass a signal on to it."""
        if self._exit_code is None:
            os.kill(self._pid, number)
