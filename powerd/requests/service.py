"""Requests of users: wake a host, spin a disk down, check a drive's health, start a self-test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from powerd.config.options import Options
from powerd.core.actions import Action, ActionResult, Mode
from powerd.core.state import StateStore
from powerd.disks.model import DiskId
from powerd.disks.service import DiskService
from powerd.linux.ports import Network
from powerd.presence.model import PresenceFacts
from powerd.requests import wake_on_lan
from powerd.requests.model import RequestRefusedError, WakeOnLanResult
from powerd.smart.actions import CheckHealth, StartTest, TestKind
from powerd.smart.service import SmartService

_MAX_WAIT: Final = 10.0
"""Seconds that a request waits for its result; a longer check continues in the background."""


class RequestService:
    """Executes the requests. A disk is named by its id, its device or its serial number.

    Args:
        options: the configuration in force.
        state: holds the known clients.
        network: sends magic packets.
        disks, health: the services of disks and of SMART.
        submit: starts an action.
    """

    def __init__(  # noqa: PLR0913 - one argument for each service that a request may need
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
        """Send magic packets to a client, named by its host name, address or MAC.

        Raises:
            RequestRefusedError: the client is unknown, or nothing could be sent.
        """
        return await wake_on_lan.wake_host(
            host, self._state.snapshot().part(PresenceFacts).clients, self._network
        )

    async def spin_down(self, disk: str) -> tuple[DiskId, ...]:
        """Spin down a disk and its group; returns their ids.

        Raises:
            RequestRefusedError: no or several disks match, it cannot be spun down, or the mode is observe.
        """
        if self.options.mode == "observe":
            raise RequestRefusedError('powerd spins no disk down in observe mode; set mode = "enforce"')
        return await self._disks.request_standby(disk)

    async def check_health(self, disk: str) -> DiskId:
        """Check the health of a drive that spins; a check that takes longer continues in the background.

        Raises:
            RequestRefusedError: no drive or several drives match, it is in standby, or the check failed.
        """
        found, kind = self._health.find(disk)
        await self._execute(CheckHealth(found.id, may_wake=False, device_type=kind))
        return found.id

    async def start_self_test(self, disk: str, test: TestKind) -> DiskId:
        """Start a self-test of a drive.

        Raises:
            RequestRefusedError: no drive or several drives match, it is in standby, or it cannot test itself.
        """
        found, kind = self._health.find(disk)
        await self._execute(StartTest(found.id, test, kind))
        return found.id

    async def _execute(self, action: CheckHealth | StartTest) -> None:
        """Execute an action in every mode, because a user has requested it; wait for at most _MAX_WAIT."""
        task = self._submit(action, "enforce")
        await asyncio.wait({task}, timeout=_MAX_WAIT)
        if task.done() and not task.result().ok:
            raise RequestRefusedError(task.result().message)
