"""powerd's own inhibitor locks: requested while they are needed, released immediately otherwise.

logind returns a descriptor, and the lock is held until it is closed (org.freedesktop.login1(5), Inhibit()),
at the latest when the process ends. Each lock is for one thing: for several in one lock, logind 252 requires
the privilege to inhibit the lid switch (method_inhibit()).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Final

from powerd.linux.dbus import NotRunningError
from powerd.linux.ports import Logind
from powerd.linux.values import HostError

_RETRY_DELAY: Final = 30.0
_RETRY_DELAY_MAX: Final = 900.0


class InhibitorLock:
    """An inhibitor on one or several things, held while a reason is set.

    Args:
        logind: the port.
        what: what is inhibited, e.g. ``sleep``, ``shutdown``.
        mode: ``block`` or ``delay``.
        on_error: called once when the lock is refused, and again only after it was granted meanwhile.
    """

    def __init__(
        self, logind: Logind, what: tuple[str, ...], mode: str, on_error: Callable[[str], None]
    ) -> None:
        self._logind = logind
        self._what = what
        self._mode = mode
        self._on_error = on_error
        self._reason: str | None = None
        self._current: tuple[str, list[int]] | None = None
        self._changed = asyncio.Event()
        self._failures = 0

    def request(self, reason: str | None) -> None:
        """Hold the lock from now on with ``reason``; None = release it before this returns."""
        if reason is None:
            self._release()
        self._reason = reason
        self._changed.set()

    def retry(self) -> None:
        """Retry now: logind may have appeared."""
        self._changed.set()

    async def run(self) -> None:
        """Take and release the lock as requested, until cancelled."""
        try:
            while True:
                self._changed.clear()
                pause = await self._apply()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._changed.wait()
        finally:
            self._release()

    async def _apply(self) -> float | None:
        """Take the lock if it is requested and not held; returns seconds until the next attempt, or None."""
        reason = self._reason
        if reason is None or (self._current is not None and self._current[0] == reason):
            return None
        descriptors: list[int] = []
        try:
            for what in self._what:
                descriptors.append(await self._logind.inhibit(what, reason, self._mode))  # noqa: PERF401 - closed on an error
        except HostError as error:
            _close(descriptors)
            if isinstance(error, NotRunningError):
                return None  # no logind whose sleep it could block; retry() is called when logind appears
            if not self._failures:
                self._on_error(f"no {self._mode} lock on {' and '.join(self._what)} ({reason}): {error}")
            self._failures += 1
            return min(_RETRY_DELAY * 2.0 ** min(self._failures - 1, 10), _RETRY_DELAY_MAX)
        self._failures = 0
        self._release()  # the lock with the old reason, after the new one is held
        self._current = (reason, descriptors)
        if self._reason is None:
            self._release()
        return None

    def _release(self) -> None:
        if self._current is not None:
            _close(self._current[1])
            self._current = None


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
