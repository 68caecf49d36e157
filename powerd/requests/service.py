"""What people ask for by hand: wake a client, have a disk stand by, check a drive or have it test itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from powerd.config.options import Options
from powerd.core.actions import Action, ActionResult, Mode
from powerd.core.state import StateStore
from powerd.disks.disk_id import DiskId
from powerd.disks.service import DiskService
from powerd.linux.ports import Network
from powerd.presence.model import PresenceFacts
from powerd.requests import wake_on_lan
from powerd.requests.model import RequestRefusedError, WakeOnLanResult
from powerd.smart.actions import CheckHealth, StartTest, TestKind
from powerd.smart.service import SmartService

_MAX_WAIT: Final = 10.0
"""Seconds; a check may take a minute, and is then shown when it is done."""


class RequestService:
    """See the module. A disk may be named by its id, its device or its serial number.

    Args:
        options: the configuration in force.
        state: who is known.
        network: the port.
        disks, health: the disks' parts of the daemon.
        submit: has an order carried out.
    """

    def __init__(  # noqa: PLR0913 - each part of the daemon that a person may turn to
        self,
        options: Options,
        state: StateStore,
        network: Network,
        *,
        disks: DiskService,
        health: SmartService,
        submit: Callable[[Action, Mode], asyncio.Task[ActionResult]],
    ) -> None:
        self.options = options
        self._state = state
        self._network = network
        self._disks = disks
        self._health = health
        self._submit = submit

    async def wake_host(self, host: str) -> WakeOnLanResult:
        """Send magic packets to a client, by its name, address or MAC.

        Raises:
            RefusedError: nobody is known by that name, or nothing could be sent.
        """
        return await wake_on_lan.wake_host(
            host, self._state.snapshot().part(PresenceFacts).clients, self._network
        )

    async def spin_down(self, disk: str) -> tuple[DiskId, ...]:
        """Have a disk and its group stand by; gives those that were meant.

        Raises:
            RefusedError: there is no such disk, or several, it cannot be made to, or powerd only observes.
        """
        if self.options.mode == "observe":
            raise RequestRefusedError('powerd observes only, and stops no disk; mode = "enforce" lets it')
        return await self._disks.request_standby(disk)

    async def check_health(self, disk: str) -> DiskId:
        """Have a drive's health read, unless it sleeps; what that takes long for goes on in the background.

        Raises:
            RefusedError: there is no such drive, or several, it sleeps, or it cannot be read.
        """
        found, kind = self._health.find(disk)
        await self._execute(CheckHealth(found.id, may_wake=False, device_type=kind))
        return found.id

    async def start_self_test(self, disk: str, test: TestKind) -> DiskId:
        """Have a drive test itself.

        Raises:
            RefusedError: there is no such drive, or several, it sleeps, or it cannot.
        """
        found, kind = self._health.find(disk)
        await self._execute(StartTest(found.id, test, kind))
        return found.id

    async def _execute(self, action: CheckHealth | StartTest) -> None:
        """Have it obeyed in whatever mode, as a person has asked; wait for it as long as a person does."""
        task = self._submit(action, "enforce")
        await asyncio.wait({task}, timeout=_MAX_WAIT)
        if task.done() and not task.result().ok:
            raise RequestRefusedError(task.result().message)
