"""The loop: snapshot -> decide -> tell -> obey -> wait.

A sensor may fail; the brain may not: whatever policy or this loop raises ends the process, systemd starts
it again, and until then nothing is put to sleep.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from powerd.board import Board
from powerd.clock import Clock
from powerd.config import Options
from powerd.errands import Errands
from powerd.model import (
    Decision,
    DiskId,
    DiskMemory,
    Done,
    Memory,
    Mode,
    Order,
    Plan,
    Sleep,
    Snapshot,
    Unrest,
)
from powerd.policy import decide
from powerd.policy.disks import tried_anew

HEARTBEAT: Final = 75.0
"""A decision is made at least this often, seconds: with a look before it, within the WatchdogSec=180."""
_BREATH: Final = 0.1
"""No two decisions for time's sake are closer than this, seconds, so no rule can spin the loop."""


@dataclass(frozen=True, slots=True)
class Limbs:
    """What the engine works through; it knows none of them by name.

    Attributes:
        look: have every source look afresh, thoroughly, and post; bounded in time, never raises.
        obey: carry out one order in the mode in which it was given.
        tell: show a decision to the faces; called after each completed decision.
    """

    look: Callable[[], Awaitable[None]]
    obey: Callable[[Order, Mode], Awaitable[Done]]
    tell: Callable[[Snapshot, Decision], None]


class Engine:
    """Lives until cancelled.

    Args:
        board: where facts come from and outcomes go.
        clock: whose ``mono`` is the running loop's time.
        options: the configuration in force.
        limbs: see there.
        disks, unrest: what is remembered of disks, and of wake-ups in vain, from before this start.
    """

    def __init__(  # noqa: PLR0913 - what it lives by, and what is remembered
        self,
        board: Board,
        clock: Clock,
        options: Options,
        limbs: Limbs,
        disks: Mapping[DiskId, DiskMemory] | None = None,
        *,
        unrest: Unrest | None = None,
    ) -> None:
        self.options = options
        self._board = board
        self._clock = clock
        self._limbs = limbs
        self.errands = Errands(board, clock, limbs.obey)
        self._memory = replace(Memory.newborn(clock.now()), disks=disks or {}, unrest=unrest or Unrest())

    def reconfigure(self, options: Options) -> None:
        """Decide by ``options`` from now on; what became of rules that may have changed is forgotten."""
        self.options = options
        # Whoever changes the configuration is there: idleness begins anew, and with it the announcement,
        # which in observe mode nobody has read.
        disks = {name: tried_anew(memory) for name, memory in self._memory.disks.items()}
        self._memory = replace(self._memory, idle_since=None, done=frozenset(), failures={}, disks=disks)
        self._board.touch()

    async def live(self) -> None:
        """Decide, obey and wait, for ever."""
        foreseen: Plan | None = None
        try:
            while True:
                decision = self._decide()
                for order in decision.orders:
                    sure = await self._sure(order, foreseen)
                    if sure is not None:
                        # Not awaited: decisions are what the service manager's watchdog waits for.
                        self.errands.begin(sure, self.options.mode)
                foreseen = await self._wait(decision)
        finally:
            await self.errands.close()

    async def _wait(self, decision: Decision) -> Plan | None:
        """Wait for a changed fact or the time to look again, and look closely then if a sleep is near.

        Returns:
            The plan whose time had come when that look began; None = there was no such look.
        """
        now = self._clock.now().mono
        look_again = min(max(decision.look_again, now + _BREATH), now + HEARTBEAT)
        closely = decision.closely and decision.look_again <= look_again  # else it is a heartbeat
        if await self._board.changed_or(look_again) or not closely:
            return None
        await self._limbs.look()
        return decision.plan if decision.plan is not None and decision.plan.at.mono <= look_again else None

    def _decide(self) -> Decision:
        snapshot = self._board.snapshot()
        decision = decide(snapshot, self._memory, self.options, self._clock.now())
        self._memory = decision.memory
        self._limbs.tell(snapshot, decision)
        return decision

    async def _sure(self, order: Order, foreseen: Plan | None) -> Order | None:
        """The order as a look leads to it that was begun when its time had come; None = it does not.

        Args:
            order: decided on just now; one that can be undone needs no look.
            foreseen: the plan whose time had come when the look began that has ended just now, if one has.
        """
        if not isinstance(order, Sleep):
            return order
        if foreseen is not None and (foreseen.rule, foreseen.action) == (order.rule, order.action):
            return order
        await self._limbs.look()
        return next((each for each in self._decide().orders if each == order), None)
