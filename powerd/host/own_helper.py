"""The privileged helper as a child of the daemon, where no service manager starts it: root, in a checkout.

It is started when it is first asked and leaves by itself when nobody has for a while, as the one behind
powerd-helper.socket does. So nothing runs for nothing, and none outlives even a daemon that is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from powerd.host.helper import HELPER_SOCKET, HelperClient
from powerd.host.values import HostError

_IDLE_SECONDS: Final = "30"
_START_TIMEOUT: Final = 10.0
"""Seconds that it may take to listen: a Python, on a machine that has just been started."""
_POLL_INTERVAL: Final = 0.05
_EXIT_TIMEOUT: Final = 2.0
"""Seconds that it may take to leave; it then leaves when its device answers."""


def helper_for(daemon_socket: Path) -> HelperClient:
    """The helper that its own socket stands for, else one of our own, as far as we may start one.

    Args:
        daemon: the daemon's socket, beside which there is room for another.
    """
    if HELPER_SOCKET.exists() or os.geteuid() != 0:
        return HelperClient()
    return SpawnedHelper(daemon_socket.with_name("helper.sock"))


class SpawnedHelper(HelperClient):
    """A helper that is there when it is asked.

    Args:
        at: where it is to listen.
    """

    def __init__(self, socket_path: Path) -> None:
        super().__init__(socket_path)
        self._child: subprocess.Popen[bytes] | None = None
        self._start_lock = asyncio.Lock()

    async def ensure_running(self) -> Path:
        """Where it listens, once it does.

        Raises:
            HostError: it does not start.
        """
        async with self._start_lock:
            if self._child is None or self._child.poll() is not None:
                await self._start()
        return self.socket_path

    async def _start(self) -> None:
        child = self._child = self._spawn()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_TIMEOUT):
                while not self.socket_path.exists() and child.poll() is None:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(_POLL_INTERVAL)
                await asyncio.sleep(_POLL_INTERVAL)  # bound is not yet listening
        if not self.socket_path.exists():
            self.close()
            raise HostError(f"the helper does not start: {' '.join(self._argv())}; run that to see why")

    def _spawn(self) -> subprocess.Popen[bytes]:
        self.socket_path.unlink(missing_ok=True)  # of one that was killed
        # A session of its own, lest Ctrl-C end it before the daemon has taken its alarm back.
        return subprocess.Popen(self._argv(), stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603 - ours

    def _argv(self) -> tuple[str, ...]:
        return (
            sys.executable,
            "-m",
            "powerd.helper",
            "--socket",
            str(self.socket_path),
            "--idle",
            _IDLE_SECONDS,
        )

    def close(self) -> None:
        """End it."""
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(_EXIT_TIMEOUT)
