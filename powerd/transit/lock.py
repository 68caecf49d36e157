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
from typing import Final, Protocol

from powerd.host.bus import AbsentError
from powerd.host.values import HostError

_RETRY_FIRST: Final = 30.0
_RETRY_MOST: Final = 900.0


class Hands(Protocol):
    """What a lock needs."""

    async def inhibit(self, what: str, why: str, mode: str) -> int:
        """Take a lock; closing the descriptor releases it. Raises HostError when logind does not give it."""
        ...


class Lock:
    """One lock on one or several things, held while somebody wants it.

    Args:
        hands: see there.
        what: what it holds up, e.g. ``sleep``, ``shutdown``.
        mode: ``block`` or ``delay``.
        complain: told once that it cannot be had, until it can.
    """

    def __init__(
        self, hands: Hands, what: tuple[str, ...], mode: str, complain: Callable[[str], None]
    ) -> None:
        self._hands = hands
        self._what = what
        self._mode = mode
        self._complain = complain
        self._wanted: str | None = None
        self._held: tuple[str, list[int]] | None = None
        self._stirred = asyncio.Event()
        self._faults = 0

    def want(self, why: str | None) -> None:
        """Hold it from now on because of ``why``; None = let go of it, which is done when this returns."""
        if why is None:
            self._let_go()
        self._wanted = why
        self._stirred.set()

    def nudge(self) -> None:
        """Try again now: logind may be there at last."""
        self._stirred.set()

    async def live(self) -> None:
        """See to it that what is wanted is so, for ever."""
        try:
            while True:
                self._stirred.clear()
                pause = await self._settle()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._stirred.wait()
        finally:
            self._let_go()

    async def _settle(self) -> float | None:
        """Take what is wanted and not held yet; gives back after how long to try again, None = no need."""
        why = self._wanted
        if why is None or (self._held is not None and self._held[0] == why):
            return None
        descriptors: list[int] = []
        try:
            for what in self._what:
                descriptors.append(await self._hands.inhibit(what, why, self._mode))  # noqa: PERF401 - closed, too
        except HostError as error:
            _close(descriptors)
            if isinstance(error, AbsentError):
                return None  # nobody there whom it could hold up; who finds them nudges
            if not self._faults:
                self._complain(f"no {self._mode} lock on {' and '.join(self._what)} ({why}): {error}")
            self._faults += 1
            return min(_RETRY_FIRST * 2.0 ** min(self._faults - 1, 10), _RETRY_MOST)
        self._faults = 0
        self._let_go()  # the one with the old words, only now that there is another
        self._held = (why, descriptors)
        if self._wanted is None:
            self._let_go()
        return None

    def _let_go(self) -> None:
        if self._held is not None:
            _close(self._held[1])
            self._held = None


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
