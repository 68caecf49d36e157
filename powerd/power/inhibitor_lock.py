"""An inhibitor lock of powerd's own: taken as soon as logind gives it, let go at once when it is not wanted.

logind gives a descriptor, and the lock lasts until that is closed (org.freedesktop.login1(5), Inhibit()), so
it ends with the process, however that ends. It is asked for one thing at a time: for several at once logind
252 wants the right to hold up the lid switch, whatever they are (method_inhibit()).
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
    """One lock on one or several things, held while somebody wants it.

    Args:
        logind: the port.
        what: what it holds up, e.g. ``sleep``, ``shutdown``.
        mode: ``block`` or ``delay``.
        on_error: told once that it cannot be had, until it can.
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
        """Hold it from now on because of ``why``; None = let go of it, which is done when this returns."""
        if reason is None:
            self._release()
        self._reason = reason
        self._changed.set()

    def retry(self) -> None:
        """Try again now: logind may be there at last."""
        self._changed.set()

    async def run(self) -> None:
        """See to it that what is wanted is so, for ever."""
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
        """Take what is wanted and not held yet; gives back after how long to try again, None = no need."""
        reason = self._reason
        if reason is None or (self._current is not None and self._current[0] == reason):
            return None
        descriptors: list[int] = []
        try:
            for what in self._what:
                descriptors.append(await self._logind.inhibit(what, reason, self._mode))  # noqa: PERF401 - closed, too
        except HostError as error:
            _close(descriptors)
            if isinstance(error, NotRunningError):
                return None  # nobody there whom it could hold up; who finds them nudges
            if not self._failures:
                self._on_error(f"no {self._mode} lock on {' and '.join(self._what)} ({reason}): {error}")
            self._failures += 1
            return min(_RETRY_DELAY * 2.0 ** min(self._failures - 1, 10), _RETRY_DELAY_MAX)
        self._failures = 0
        self._release()  # the one with the old words, only now that there is another
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
