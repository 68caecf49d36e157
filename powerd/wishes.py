"""What people ask for by hand: wake a client, have a disk stand by, check a drive or have it test itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from powerd import wake
from powerd.board import Board
from powerd.config import Options
from powerd.disks import Disks
from powerd.health import Health
from powerd.model import CheckHealth, DiskId, Done, Mode, Order, RefusedError, StartTest, TestKind, Woken

_A_PERSON_WAITS: Final = 10.0
"""Seconds; a check may take a minute, and is then shown when it is done."""


class Wishes:
    """See the module. A disk may be named by its id, its device or its serial number.

    Args:
        options: the configuration in force.
        board: who is known.
        eyes, hands: what it takes to wake a client.
        disks, health: the disks' parts of the daemon.
        send: has an order carried out.
    """

    def __init__(  # noqa: PLR0913 - each part of the daemon that a person may turn to
        self,
        options: Options,
        board: Board,
        eyes: wake.Eyes,
        hands: wake.Hands,
        *,
        disks: Disks,
        health: Health,
        send: Callable[[Order, Mode], asyncio.Task[Done]],
    ) -> None:
        self.options = options
        self._board = board
        self._eyes = eyes
        self._hands = hands
        self._disks = disks
        self._health = health
        self._send = send

    async def wake(self, host: str) -> Woken:
        """Send magic packets to a client, by its name, address or MAC.

        Raises:
            RefusedError: nobody is known by that name, or nothing could be sent.
        """
        return await wake.wake(host, self._board.snapshot().known, self._eyes, self._hands)

    async def stand_by(self, disk: str) -> tuple[DiskId, ...]:
        """Have a disk and its group stand by; gives those that were meant.

        Raises:
            RefusedError: there is no such disk, or several, it cannot be made to, or powerd only observes.
        """
        if self.options.mode == "observe":
            raise RefusedError('powerd observes only, and stops no disk; mode = "enforce" lets it')
        return await self._disks.stand_by(disk)

    async def check(self, disk: str) -> DiskId:
        """Have a drive's health read, unless it sleeps; what that takes long for goes on in the background.

        Raises:
            RefusedError: there is no such drive, or several, it sleeps, or it cannot be read.
        """
        found, kind = self._health.find(disk)
        await self._done(CheckHealth(found.id, wake=False, kind=kind))
        return found.id

    async def test(self, disk: str, test: TestKind) -> DiskId:
        """Have a drive test itself.

        Raises:
            RefusedError: there is no such drive, or several, it sleeps, or it cannot.
        """
        found, kind = self._health.find(disk)
        await self._done(StartTest(found.id, test, kind))
        return found.id

    async def _done(self, order: CheckHealth | StartTest) -> None:
        """Have it obeyed in whatever mode, as a person has asked; wait for it as long as a person does."""
        errand = self._send(order, "enforce")
        await asyncio.wait({errand}, timeout=_A_PERSON_WAITS)
        if errand.done() and not errand.result().ok:
            raise RefusedError(errand.result().observed)
