"""Requests of users: keep the server awake, wake a host, spin a disk down, check or test a drive."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from typing import Final

from powerd.core.actions import Action, ActionResult, Mode, RequestRefusedError
from powerd.core.service import DomainService, Environment
from powerd.core.snapshot import Status
from powerd.core.time import add_seconds
from powerd.disks.model import DiskId
from powerd.disks.service import DiskService
from powerd.linux.ports import Logind, Network
from powerd.power.inhibitor_lock import InhibitorLock
from powerd.power.model import SleepRequest, SleepRequestFacts
from powerd.presence.model import PresenceFacts
from powerd.requests import wake_on_lan
from powerd.requests.keep_awake import ActiveRequests, KeepAwakeRequests
from powerd.requests.model import AcceptedSleep, KeepAwake, KeepAwakeFacts, WakeOnLanResult
from powerd.smart.actions import CheckHealth, StartTest, TestKind
from powerd.smart.service import SmartService

_MAX_WAIT: Final = 10.0
"""Seconds that a request waits for its result; a longer check continues in the background."""
_SLEEP_REQUEST_LASTS: Final = 12 * 3600.0
_SLEEP_REQUEST_OVER_CLIENTS_LASTS: Final = 2 * 3600.0
"""Seconds; later a present user does not expect a sleep."""


class RequestService(DomainService):
    """Executes the requests. A disk is named by its id, its device or its serial number.

    Attributes:
        keep_awake: the requests that keep the server awake.

    Args:
        network, logind: the ports.
        environment: from the daemon.
        disks, health: the services of disks and of SMART.
        submit: starts an action.
    """

    def __init__(  # noqa: PLR0913 - one argument for each service that a request may need
        self,
        network: Network,
        logind: Logind,
        environment: Environment,
        *,
        disks: DiskService,
        health: SmartService,
        submit: Callable[[Action, Mode], asyncio.Task[ActionResult]],
    ) -> None:
        self._options = environment.options
        self._state = environment.state
        self._clock = environment.clock
        self._status: Status | None = None
        self._decided = asyncio.Event()
        self._network = network
        self._disks = disks
        self._health = health
        self._submit = submit
        self._inhibitor = InhibitorLock(logind, ("sleep", "shutdown", "idle"), "block", environment.on_error)
        self.keep_awake = KeepAwakeRequests(
            environment.state,
            environment.clock,
            environment.storage,
            environment.boot_id,
            self._update_inhibitor,
            may_write=disks.may_write,
        )

    def tasks(self) -> Mapping[str, Coroutine[None, None, None]]:
        """Hold the inhibitor lock of the keep-awake requests."""
        return {"holding its inhibitor lock": self._inhibitor.run()}

    def on_decision(self, status: Status) -> None:
        """Remove requests that have ended."""
        self._status = status
        self._decided.set()
        self.keep_awake.remove_expired()
        request = status.snapshot.part(SleepRequestFacts).sleep_request
        if (
            request is not None
            and request is self._sleep_request()
            and status.decision.part(SleepRequestFacts).sleep_request is None
        ):
            self._state.put(SleepRequestFacts(), urgent=False)

    def on_reconfigure(self) -> None:
        """Take or release the inhibitor lock by the new mode."""
        self._update_inhibitor(self._state.snapshot().part(KeepAwakeFacts).keep_awake)

    def on_logind_event(self) -> None:
        """Try again to take the inhibitor lock: logind may have appeared."""
        self._inhibitor.retry()

    async def keep(self, seconds: float, reason: str) -> KeepAwake:
        """Keep the server awake at once, and wait until the disk has the request. It ends a request to sleep.

        Raises:
            RequestRefusedError: as KeepAwakeRequests.add().
        """
        keep = self.keep_awake.add(seconds, reason)
        self._state.put(SleepRequestFacts())
        return await self.keep_awake.sync(keep)

    async def drop(self, name: str) -> KeepAwake:
        """End a keep early, and wait until the disk has its end.

        Raises:
            RequestRefusedError: as KeepAwakeRequests.drop().
        """
        return await self.keep_awake.sync(self.keep_awake.drop(name))

    async def sleep(self, *, over_clients: bool) -> AcceptedSleep:
        """Let the first rule act as soon as nothing keeps the server awake; replaces an earlier request.

        Args:
            over_clients: present clients do not delay it.

        Returns:
            The request, and the first decision that contains it.

        Raises:
            RequestRefusedError: there is no sleep rule.
        """
        if not self._options().sleep:
            raise RequestRefusedError(
                "the configuration has no [[sleep]] rule, which says how the server sleeps; add one, for "
                "example with: powerd setup"
            )
        now = self._clock.now()
        lasts = _SLEEP_REQUEST_OVER_CLIENTS_LASTS if over_clients else _SLEEP_REQUEST_LASTS
        request = SleepRequest(now, add_seconds(now, lasts), over_clients)
        self._state.put(SleepRequestFacts(request))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_MAX_WAIT):
                while self._sleep_request() is request and not self._has_decided_on(request):
                    self._decided.clear()
                    await self._decided.wait()
        return AcceptedSleep(request, self._status)

    async def cancel_sleep(self) -> SleepRequest:
        """End the request to sleep; a sleep in preparation is called off by its last check.

        Raises:
            RequestRefusedError: there is no request to sleep.
        """
        request = self._sleep_request()
        if request is None:
            raise RequestRefusedError("no sleep has been requested", not_found=True)
        self._state.put(SleepRequestFacts())
        return request

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
        if self._options().mode == "observe":
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

    def _sleep_request(self) -> SleepRequest | None:
        return self._state.snapshot().part(SleepRequestFacts).sleep_request

    def _has_decided_on(self, request: SleepRequest) -> bool:
        status = self._status
        return status is not None and status.snapshot.part(SleepRequestFacts).sleep_request is request

    def _update_inhibitor(self, active: ActiveRequests) -> None:
        """Hold a block inhibitor with the reasons of all keep-awake requests; in observe mode hold none."""
        held = active and self._options().mode == "enforce"
        reasons = dict.fromkeys(request.reason or "powerd keep" for request in active.values())
        self._inhibitor.request("; ".join(reasons) if held else None)

    async def _execute(self, action: CheckHealth | StartTest) -> None:
        """Execute an action in every mode, because a user has requested it; wait for at most _MAX_WAIT."""
        task = self._submit(action, "enforce")
        await asyncio.wait({task}, timeout=_MAX_WAIT)
        if task.done() and not task.result().ok:
            raise RequestRefusedError(task.result().message)
