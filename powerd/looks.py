"""Looks out of turn: for a person who wants to see, before a sleep, and when logind has something to tell."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Final

from powerd.board import Board
from powerd.clock import Clock
from powerd.config import Options
from powerd.model import LOGIND, TIMERS, SourceId, Status, Wake
from powerd.policy.wake import next_wake
from powerd.sources.presence import Presence
from powerd.sources.runner import Extent, Watch

_NO_LONGER: Final = 1.0
"""Seconds that a look may take while logind waits for us; it waits for five in all."""
_FRESH_ENOUGH: Final = 5.0
"""A person who looks twice within so many seconds sees the same look."""


class Looks:
    """See the module.

    Args:
        options: the configuration in force.
        board: what has been seen.
        clock: says how old a look is.
        watches: each source's, by its name.
        status: the latest decision; None = none yet.
    """

    def __init__(
        self,
        options: Options,
        board: Board,
        clock: Clock,
        watches: Mapping[SourceId, Watch],
        status: Callable[[], Status | None],
    ) -> None:
        self.options = options
        self._board = board
        self._clock = clock
        self._watches = watches
        self._status = status
        self._looked_at_all = float("-inf")
        self._looking_at_all = asyncio.Lock()

    async def at_all(self) -> None:
        """Ask every client, for a person who wants to see; bounded in time. Who asks meanwhile shares it."""
        async with self._looking_at_all:
            if self._clock.now().mono - self._looked_at_all > _FRESH_ENOUGH:
                await self._watches[Presence.name].look(Extent.ALL)
                self._looked_at_all = self._clock.now().mono
                await asyncio.sleep(0)  # noqa: TID251 - the engine decides on it before the person is shown

    async def closely(self) -> None:
        """All sources at once, so that it takes no longer than the slowest."""
        await asyncio.gather(*(watch.look(Extent.CLOSE) for watch in self._watches.values()))

    async def still(self, since: float) -> str | None:
        """Why a sleep that has been prepared since then must not come, after another look; None = it may."""
        await self.closely()
        await asyncio.sleep(0)  # noqa: TID251 - the engine decides on it
        status = self._status()
        decision = status.decision if status else None
        if decision is None or decision.phase in {"warning", "going-down"}:
            idle = decision.memory.idle_since if decision else None
            # By a key, or a new configuration: somebody was there, though nothing stirs any more.
            return "idleness has begun anew" if idle is not None and idle > since else None
        return next((f"{each.subject}: {each.text}" for each in decision.reasons), decision.phase)

    async def wanted(self) -> Wake | None:
        """When the server has to be up again should it sleep now, by a fresh look at the timers.

        By policy itself and no decision, for the engine may be waiting for a look at something slower; and by
        what was seen last where systemd does not answer in time.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_NO_LONGER):
                await self._watches[TIMERS].look(Extent.CLOSE)
        return next_wake(self._board.snapshot(), self.options, self._clock.now())

    def hasten(self, what: str) -> None:
        """What logind says hastens the looks at what it concerns, in which all keep their one rhythm."""
        for watch in [self._watches[LOGIND]] if what == "inhibitors" else self._watches.values():
            watch.glance()
