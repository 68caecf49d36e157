"""The disks' part of the daemon: their source, what is kept of them, and groups that are guarded.

It holds no rule: what is to be looked at and guarded, decisions say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from powerd.board import Board
from powerd.clock import Clock
from powerd.host.eyes import DiskEyes
from powerd.host.values import HostError
from powerd.model import (
    Decision,
    DiskId,
    DiskMemory,
    DiskOrder,
    DiskReport,
    DiskState,
    Done,
    Guard,
    Order,
    RefusedError,
    Roused,
)
from powerd.model.disk_names import named
from powerd.policy.disks import book
from powerd.policy.disks.writes import may_write, would_wake
from powerd.sources import disks as sensor
from powerd.sources.runner import Extent, Watch
from powerd.store import Store

_APART: Final = 5.0
"""Seconds: whatever is wished for, no two looks out of turn are closer."""
_NOT_TO_BE_TOLD: Final = frozenset(
    {DiskState.EXCLUDED, DiskState.UNSUPPORTED, DiskState.HUNG, DiskState.SUSPENDED}
)
_PATIENCE: Final = 300.0
"""Seconds until a guard that failed is tried again; by then the helper is done with what that one began."""


class Hands(Protocol):
    """What guarding needs."""

    async def guard(self, disks: tuple[DiskId, ...]) -> tuple[DiskId, tuple[DiskId, ...], float]:
        """Watch sleeping disks until one is accessed, and wake the others then.

        Returns:
            The one accessed, the others, and the seconds that waking them took.

        Raises:
            HostError: the helper refuses, or is not there.
        """
        ...


class Guards:
    """Keeps as many groups guarded as the latest decision says.

    Args:
        hands: see there.
        board: told of each group that was woken.
        clock: for when.
        complain: called with each fault, one sentence.
    """

    def __init__(self, hands: Hands, board: Board, clock: Clock, complain: Callable[[str], None]) -> None:
        self._hands = hands
        self._board = board
        self._clock = clock
        self._complain = complain
        self._standing: dict[Guard, asyncio.Task[None]] = {}
        self._failed: dict[Guard, float] = {}

    def want(self, guards: tuple[Guard, ...]) -> None:
        """Guard these, and no others."""
        for guard in self._standing.keys() - set(guards):
            self._standing.pop(guard).cancel()
        now = self._clock.now().mono
        for guard in guards:
            if guard not in self._standing and now - self._failed.get(guard, -_PATIENCE) >= _PATIENCE:
                self._standing[guard] = asyncio.get_running_loop().create_task(self._stand(guard))

    async def _stand(self, guard: Guard) -> None:
        try:
            first, others, seconds = await self._hands.guard(guard.disks)
        except HostError as error:
            self._complain(f"{guard.group}: its disks will wake one by one: {error}")
            self._failed[guard] = self._clock.now().mono
            self._standing.pop(guard, None)
            return
        # It stays among the standing until the decision on its outcome no longer wants it.
        self._failed.pop(guard, None)
        self._board.rouse(guard.group, Roused(first, others, self._clock.now().mono, seconds))


class Disks:
    """See the module.

    Args:
        eyes, hands, clock: the host.
        board: where facts go.
        store: what outlives a restart; None = nothing does.
        complain: called with each fault that is no status, one sentence.
        boot: which boot of the machine this is; "" = unknown.
    """

    def __init__(  # noqa: PLR0913 - the host's three parts, and what outlives a restart
        self,
        eyes: DiskEyes,
        hands: Hands,
        clock: Clock,
        board: Board,
        *,
        store: Store | None,
        complain: Callable[[str], None],
        boot: str,
    ) -> None:
        self._clock = clock
        self._board = board
        self._store = store
        self._directory = str(store.directory) if store else ""
        self._complain = complain
        self._boot = boot
        self._source = sensor.Disks(eyes, clock)
        self._watch = Watch(self._source, board, clock)
        self._source.hurry = self._watch.glance
        self._guards = Guards(hands, board, clock, complain)
        self.memory: dict[DiskId, DiskMemory] = book.revived(
            store.load("disks") if store else None, boot, clock.now()
        )
        self._known: book.Book = book.document(self.memory)
        self._written = self._known
        self._timer: asyncio.TimerHandle | None = None
        self._glanced = float("-inf")
        self._reports: tuple[DiskReport, ...] = ()

    async def run(self) -> None:
        """Look at the disks in their rhythm, for ever."""
        await self._watch.run()

    def rhythm(self, every: float) -> None:
        """Look every so many seconds: in step with the other sources, so that the machine wakes up once."""
        self._source.every = every
        self._watch.hurry()

    def told(self, decision: Decision) -> None:
        """Do what a decision says besides its orders."""
        self._reports = decision.disks
        self._guards.want(decision.guards)
        self._look_at(decision.look_at_disks)
        self._known = book.document(decision.memory.disks)
        if self._known != self._written:
            activity = self._board.snapshot().activity
            if may_write(self._directory, decision.disks, activity, self._clock.now()):
                self.remember()

    def begun(self, order: Order) -> None:
        """An order is being obeyed from now on."""
        if isinstance(order, DiskOrder):
            self._source.begin(order.disk)

    def obeyed(self, order: Order, done: Done) -> None:
        """An order to a disk has come to an end, whatever that is: what went to the drive is none of its use.

        It belongs to each begun(), or on Linux before 5.18 the disk's activity stands still for ever.
        """
        if isinstance(order, DiskOrder):
            self._source.end(order.disk, done.commands)

    async def stand_by(self, word: str) -> tuple[DiskId, ...]:
        """Have a disk and all that share its group stand by, unless they are used from now on.

        Args:
            word: the disk's id, device or serial number.

        Raises:
            RefusedError: there is no such disk, there are several, or it cannot be made to.
        """
        disk = named((each.disk for each in self._reports), word)
        report = next((each for each in self._reports if each.disk is disk), None)
        if report is None:
            raise RefusedError(
                f'there is no disk "{word}"; `powerd disks` names those that there are', unknown=True
            )
        if report.state in _NOT_TO_BE_TOLD:
            raise RefusedError(f"{report.disk.device} will not stand by: {report.waits}")
        await self._watch.look(Extent.ROUND)  # what moved it before this wish is no objection
        group, now = report.disk.group, self._clock.now().mono
        told = [each.disk.id for each in self._reports if group is not None and each.disk.group == group]
        self._board.wish_standby(dict.fromkeys(told or [report.disk.id], now))
        return tuple(told) or (report.disk.id,)

    def remember(self) -> None:
        """Keep what is known over a restart."""
        if self._store is None or self._known == self._written:
            return
        trouble = self._store.save("disks", book.dated(self._known, self._boot, self._clock.now()))
        self._written = self._known
        if trouble:
            self._complain(trouble)

    def close(self) -> None:
        """End what stands, and keep what is known.

        A disk is woken for it only where a spin-down would be forgotten, and with it a part of a budget.
        """
        self._guards.want(())
        if self._timer is not None:
            self._timer.cancel()
        dear = book.spun_down_since(self._written, self._known)
        if dear or not would_wake(self._directory, self._reports):
            self.remember()

    def _look_at(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if when < float("inf"):
            at = max(when, self._glanced + _APART)
            self._timer = asyncio.get_running_loop().call_at(at, self._glance)

    def _glance(self) -> None:
        self._timer = None
        self._glanced = self._clock.now().mono
        self._watch.glance()
