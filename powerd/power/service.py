"""The power domain in the daemon: sources, actuators, the way into a sleep, and the stored wake storm."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Final

from powerd.core.actions import ActionResult, CancelWarning, CompletedAction, Sleep, WakeTime, WarnUsers
from powerd.core.service import Actuator, DomainService, Environment
from powerd.core.snapshot import Status
from powerd.core.storage import Storage
from powerd.core.time import Moment
from powerd.linux.ports import Ports
from powerd.linux.values import LogindEvent
from powerd.power.actuator import (
    describe_announcement,
    describe_sleep,
    execute_announcement,
    execute_sleep,
)
from powerd.power.model import SleepMemory, WakeStormState
from powerd.power.refresh import Refresher
from powerd.power.rtc_alarm import RtcAlarm
from powerd.power.sleep_preparation import SleepPreparation
from powerd.power.source import LogindSource, NetworkCardSource, SystemdTimerSource
from powerd.power.transition import PowerTransition
from powerd.power.wake_storm import StoredWakeStorm, storm_after_boot, storm_at_power_off

_WAKE_STORM: Final = "unrest"
"""The name of the document that carries the wake storm over a power-off of powerd's own."""


class PowerService(DomainService):
    """The service of the domain.

    Args:
        ports: the operating system.
        environment: from the daemon.
        refresher: polls sources before a sleep.
        on_logind_event: called with each event of logind, and at the end of each sleep.
        announce: as of SleepPreparation.
    """

    def __init__(
        self,
        ports: Ports,
        environment: Environment,
        refresher: Refresher,
        on_logind_event: Callable[[LogindEvent], None],
        announce: Callable[[WakeTime | None], Awaitable[None]],
    ) -> None:
        clock, options = environment.clock, environment.options
        self._ports = ports
        self._environment = environment
        self._wake_storm = load_wake_storm(environment.storage, environment.boot_id, clock.now())
        self._awaited_sleep: CompletedAction | None = None
        self._undoing: asyncio.Task[None] | None = None
        self._preparation = SleepPreparation(
            environment,
            ports.helper,
            ports.logind,
            ports.processes,
            RtcAlarm(ports.helper, clock, environment.storage),
            refresher.next_wake_time,
            refresher.reason_to_stay_awake,
            announce,
        )
        self._transition = PowerTransition(
            environment,
            ports.logind,
            self._preparation,
            read_wakeup_state=ports.read_wakeup_state,
            on_logind_event=on_logind_event,
        )
        self.pollers = [
            environment.new_poller(source)
            for source in (
                LogindSource(ports.logind, clock, options),
                SystemdTimerSource(ports.logind, clock, options),
                NetworkCardSource(ports.files, ports.network, ports.helper, clock, options),
            )
        ]
        announcement = Actuator(
            lambda action: execute_announcement(action, ports.processes), describe_announcement
        )
        self.actuators = {
            WarnUsers: announcement,
            CancelWarning: announcement,
            Sleep: Actuator(self._sleep, describe_sleep),
        }
        self.memory = (SleepMemory(wake_storm=self._wake_storm),)

    def tasks(self) -> Mapping[str, Coroutine[None, None, None]]:
        """Follow logind's announcements."""
        return {"receiving events of logind": self._transition.run()}

    def on_decision(self, status: Status) -> None:
        """Note what has been published, and undo the preparation of a sleep that does not happen."""
        memory = status.decision.memory.part(SleepMemory)
        self._wake_storm = memory.wake_storm
        awaited, self._awaited_sleep = self._awaited_sleep, memory.awaited_sleep
        resumed_at = status.decision.memory.resumed_at
        if (
            awaited is not None
            and memory.awaited_sleep is None
            and (resumed_at is None or resumed_at < awaited.started_at)
            and not any(isinstance(each, Sleep) for each in status.snapshot.running_actions)
        ):
            self._undoing = asyncio.ensure_future(self._preparation.cancel())
            if isinstance(awaited.action, Sleep) and awaited.action.sleep_action == "poweroff":
                self._environment.storage.save(_WAKE_STORM, None)  # no later boot is the end of it
        self._transition.on_decision(status)

    def on_reconfigure(self) -> None:
        """Take or release the delay lock by the new mode."""
        self._transition.update_inhibitor()

    async def _sleep(self, action: Sleep) -> ActionResult:
        """Put the server to sleep; at a power-off store the wake storm for the next boot."""
        result = await execute_sleep(action, self._ports.logind, self._ports.processes, self._preparation)
        if result.ok and action.sleep_action == "poweroff":
            environment = self._environment
            storm = storm_at_power_off(
                self._wake_storm, action.wake_time, environment.boot_id, environment.clock.now()
            )
            environment.storage.save(_WAKE_STORM, storm)
        return result


def load_wake_storm(storage: Storage, boot: str, now: Moment) -> WakeStormState:
    """The state before the power-off, if this boot ends one of powerd's; it counts once."""
    stored = storage.load(_WAKE_STORM, StoredWakeStorm).value
    if stored is not None:
        storage.save(_WAKE_STORM, None)
    return storm_after_boot(stored, boot, now)
