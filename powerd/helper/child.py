"""A child process, from its start until it is reaped, which may be long after anybody waits for it.

A pidfd tells its end, so that no thread has to wait (pidfd_open(2)); where there is none to be had, it is
looked at from time to time. Either way a child that was started is reaped.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from powerd.helper.lane import SerialExecutor

_POLL_INTERVAL: Final = 0.05
"""Seconds between two looks at a child without a pidfd."""


class ToolProcess:
    """A started tool, in a session of its own.

    Args:
        path: the program.
        argv: its name, and what it is told.
        files: its standard input, output and error.
        environment: all that it gets of one.

    Attributes:
        out_of_time: it was told to end.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self, path: Path, argv: Sequence[str], files: tuple[int, int, int], environment: Mapping[str, str]
    ) -> None:
        self.timed_out = False
        self._loop = asyncio.get_running_loop()
        self._process = subprocess.Popen(  # noqa: S603 - a tool of ours, its words checked, and no shell
            argv,
            executable=path,
            stdin=files[0],
            stdout=files[1],
            stderr=files[2],
            cwd="/",
            env=environment,
            start_new_session=True,
        )
        self._exited: asyncio.Future[None] = self._loop.create_future()
        self._pidfd: int | None = None
        try:
            self._pidfd = os.pidfd_open(self.pid)
            self._loop.add_reader(self._pidfd, self._reap)
        except OSError:  # too many open files, or no memory: but the tool has begun, and has to be reaped
            self._close_pidfd()
            self._poll()

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def exit_status(self) -> int:
        """How it ended, when it has: its exit status, -N = by signal N."""
        return self._process.wait()  # reaped already

    async def exited_within(self, seconds: float) -> bool:
        """Whether it ends by then."""
        await asyncio.wait({self._exited}, timeout=seconds)
        return self._exited.done()

    async def terminate(self, grace: float) -> bool:
        """End it and all that it started; whether that worked."""
        self.timed_out = True
        for signum in (signal.SIGTERM, signal.SIGKILL):
            self._send_signal(signum)
            if await self.exited_within(grace):
                return True
        return False

    def abandon_to(self, executor: SerialExecutor) -> None:
        """If it still runs, nobody waits for it but the lane."""
        if not self._exited.done():
            self._send_signal(signal.SIGKILL)
            executor.quarantine_until(self._exited)

    def _reap(self) -> None:
        if self._process.poll() is None:
            return
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            self._close_pidfd()
        self._exited.set_result(None)

    def _poll(self) -> None:
        """Without a pidfd: whether it has ended, now and from time to time."""
        self._reap()
        if not self._exited.done():
            self._loop.call_later(_POLL_INTERVAL, self._poll)

    def _close_pidfd(self) -> None:
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    def _send_signal(self, signum: signal.Signals) -> None:
        """To its whole process group, which keeps its number as long as it is not reaped."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signum)
