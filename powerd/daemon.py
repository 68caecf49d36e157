"""The composition root: builds the state store, sources, engine and actuators on a host.

The host is passed in as ports, so that the same daemon runs on this machine and in a simulation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Final

from powerd.config.options import ClientOptions, Options
from powerd.core.actions import Action, ActionResult, CancelWarning, Mode, Sleep, WarnUsers
from powerd.core.clock import Clock
from powerd.core.dispatch import Actuator, execute
from powerd.core.domain import Domain, no_sources
from powerd.core.engine import HEARTBEAT, Engine, EngineHooks
from powerd.core.poller import Poller
from powerd.core.snapshot import Decision, Snapshot, Status
from powerd.core.state import StateStore
from powerd.core.storage import Storage
from powerd.disks.actuator import describe_action as describe_disk_action
from powerd.disks.actuator import execute as execute_disk_action
from powerd.disks.model import Disk, DiskAction
from powerd.disks.policy import plan as disks_policy
from powerd.disks.service import DiskService
from powerd.disks.state import DisksMemory
from powerd.linux.ports import Ports
from powerd.linux.values import LogindEvent
from powerd.power import policy as power_policy
from powerd.power.actuator import (
    SleepPreparer,
    describe_announcement,
    describe_sleep,
    execute_announcement,
    execute_sleep,
)
from powerd.power.blockers import required_sources
from powerd.power.inhibitor_lock import InhibitorLock
from powerd.power.model import SleepMemory, WakeStormState
from powerd.power.refresh import Refresher
from powerd.power.rtc_alarm import RtcAlarm
from powerd.power.sleep_preparation import SleepPreparation
from powerd.power.source import LogindSource, NetworkCardSource, SystemdTimerSource
from powerd.power.stored_wake_storm import load_wake_storm, save_wake_storm
from powerd.power.transition import PowerTransition
from powerd.presence import policy as presence_policy
from powerd.presence.model import Client, PresenceMemory
from powerd.presence.neighbours import load_learned_hosts, save_learned_hosts
from powerd.presence.policy import client_policies
from powerd.presence.registry import ClientRegistry
from powerd.presence.source import PresenceSource
from powerd.requests import policy as requests_policy
from powerd.requests.keep_awake import ActiveRequests, KeepAwakeRequests
from powerd.requests.model import KeepAwakeFacts
from powerd.requests.service import RequestService
from powerd.smart import policy as smart_policy
from powerd.smart.model import Finding
from powerd.smart.service import SmartService

DOMAINS: Final = (
    Domain("presence", presence_policy.assess, presence_policy.required_sources),
    Domain(
        "power",
        power_policy.assess,
        required_sources,
        power_policy.conclude,
        detects_resume=power_policy.detects_resume,
        on_reconfigure=power_policy.on_reconfigure,
    ),
    Domain("requests", requests_policy.assess, no_sources),
    Domain("disks", disks_policy.assess, no_sources, on_reconfigure=disks_policy.on_reconfigure),
    Domain("smart", smart_policy.assess, no_sources),
)
"""The domains, in the order of their blockers."""


def actuators(ports: Ports, preparation: SleepPreparer) -> Mapping[type[Action], Actuator]:
    """The actuator of each kind of action on this host."""
    announcement = Actuator(
        lambda action: execute_announcement(action, ports.processes), describe_announcement
    )
    return {
        WarnUsers: announcement,
        CancelWarning: announcement,
        Sleep: Actuator(
            lambda action: execute_sleep(action, ports.logind, ports.processes, preparation), describe_sleep
        ),
        DiskAction: Actuator(lambda action: execute_disk_action(action, ports.helper), describe_disk_action),
    }


class Daemon:
    """All domains on one host, without the user interfaces.

    Args:
        options: the configuration in force.
        ports: the operating system.
        clock: the clock of the host.
        storage: the state directory; None = no state is preserved over a restart.
        on_status: called with each new Status.
        on_error: called with one sentence for each error that no Status contains.
        on_finding: called with each finding on a drive's health that has not been reported before.
        boot_id: identifies the present boot of the machine; "" = unknown.
    """

    def __init__(  # noqa: PLR0913 - every part of the host, and the callbacks
        self,
        options: Options,
        ports: Ports,
        clock: Clock,
        *,
        storage: Storage | None = None,
        on_status: Callable[[Status], None] = lambda _: None,
        on_error: Callable[[str], None] = lambda _: None,
        on_finding: Callable[[Disk, Finding], None] = lambda *_: None,
        boot_id: str = "",
    ) -> None:
        self.status: Status | None = None
        self.state = StateStore()
        self._options = options
        self._clock = clock
        self._on_status = on_status
        self._boot_id = boot_id
        self._storage = storage = storage or Storage(None)
        self._block_inhibitor = InhibitorLock(ports.logind, ("sleep", "shutdown", "idle"), "block", on_error)
        self.keep_awake = KeepAwakeRequests(
            self.state,
            clock,
            storage,
            boot_id,
            self._update_inhibitor,
        )
        self._client_registry = ClientRegistry(
            ports.files,
            ports.network,
            load_learned_hosts(storage, clock.now().wall.timestamp()),
            partial(save_learned_hosts, storage),
        )
        self._presence = PresenceSource(
            ports.network, clock, options.clients, self._client_registry, self._blocks_sleep
        )
        self._power_sources = (
            LogindSource(ports.logind, clock, options),
            SystemdTimerSource(ports.logind, clock, options),
            NetworkCardSource(ports.files, ports.network, ports.helper, clock, options),
        )
        self._pollers = {
            source.name: Poller(source, self.state, clock)
            for source in (self._presence, *self._power_sources)
        }
        self.refresher = Refresher(options, self.state, clock, self._pollers, lambda: self.status)
        alarm = RtcAlarm(ports.helper, clock, storage)
        self._sleep_preparation = SleepPreparation(
            self.state,
            clock,
            ports.helper,
            ports.processes,
            options=options,
            alarm=alarm,
            recheck=self.refresher.reason_to_stay_awake,
            on_error=on_error,
        )
        self._actuators = actuators(ports, self._sleep_preparation)
        self._transition = PowerTransition(
            self.state,
            clock,
            ports.logind,
            self._sleep_preparation,
            InhibitorLock(ports.logind, ("sleep", "shutdown"), "delay", on_error),
            read_wakeup_state=ports.read_wakeup_state,
            next_wake_time=self.refresher.next_wake_time,
            on_logind_event=self._on_logind_event,
            on_error=on_error,
        )
        self._disks = DiskService(
            ports.files, ports.helper, clock, self.state, store=storage, on_error=on_error, boot_id=boot_id
        )
        self._disks.set_poll_interval(options.clients.every)
        self.smart = SmartService(self.state, clock, storage, on_finding)
        engine_hooks = EngineHooks(
            poll=self.refresher.poll_all_sources, execute=self._execute, publish=self._publish
        )
        self._engine = Engine(
            self.state,
            clock,
            options,
            engine_hooks,
            DOMAINS,
            memory=(
                DisksMemory(self._disks.memory),
                SleepMemory(wake_storm=load_wake_storm(storage, boot_id, clock.now())),
            ),
        )
        self.requests = RequestService(
            options,
            self.state,
            ports.network,
            disks=self._disks,
            health=self.smart,
            submit=self._engine.running_actions.submit,
        )

    async def run(self) -> None:
        """Poll and decide until cancelled.

        At the end the learned hosts are stored; the RTC alarm is cleared unless a shutdown is in progress.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                for poller in self._pollers.values():
                    tasks.create_task(_run_forever(poller.run(), "polling a source"))
                tasks.create_task(_run_forever(self._disks.run(), "polling disks"))
                tasks.create_task(_run_forever(self._engine.run(), "deciding"))
                tasks.create_task(_run_forever(self._transition.run(), "receiving events of logind"))
                tasks.create_task(_run_forever(self._block_inhibitor.run(), "holding its inhibitor lock"))
        finally:
            self._disks.close()
            self.smart.close()
            self._client_registry.save()

    def reconfigure(self, options: Options) -> None:
        """Use a new configuration from now on; the facts stay."""
        self._options = self._sleep_preparation.options = self.refresher.options = self.requests.options = (
            options
        )
        self._presence.options = options.clients
        for source in self._power_sources:
            source.options = options
        for poller in self._pollers.values():
            poller.reschedule()
        self._transition.update_inhibitor()
        self._update_inhibitor(self.state.snapshot().part(KeepAwakeFacts).keep_awake)
        self._disks.set_poll_interval(options.clients.every)
        self._engine.reconfigure(options)

    def stall_message(self) -> str | None:
        """Why the engine makes no decisions; None = it makes them."""
        if self.status is None:
            return "no decision has been made yet"
        overdue = self._clock.now().mono - self.status.now.mono - 2 * HEARTBEAT
        return f"no decision has been made for {overdue + 2 * HEARTBEAT:.0f} s" if overdue > 0 else None

    async def _execute(self, action: Action, mode: Mode) -> ActionResult:
        self._disks.on_action_started(action)
        result = ActionResult(False, "it was interrupted")
        try:
            result = await execute(action, self._actuators, mode)
        finally:
            self._disks.on_action_finished(action, result)
        self.smart.on_completed(action, result)
        if (
            isinstance(action, Sleep)
            and action.sleep_action == "poweroff"
            and result.ok
            and mode == "enforce"
        ):
            memory = self.status.decision.memory if self.status else None
            wake_storm = memory.part(SleepMemory).wake_storm if memory else WakeStormState()
            save_wake_storm(self._storage, wake_storm, action.wake_time, self._boot_id, self._clock.now())
        return result

    def _blocks_sleep(self, options: ClientOptions) -> Callable[[Client], bool]:
        """A function that returns whether a client blocks sleep; a source may not import the policy."""
        client_policy = client_policies(options)
        memory = self.status.decision.memory.part(PresenceMemory) if self.status else PresenceMemory()
        counted = {id_ for id_, each in memory.client_statuses.items() if each.counts_until_absent}
        return lambda client: client_policy(client).blocks_sleep or client.id in counted

    def _on_logind_event(self, event: LogindEvent) -> None:
        """Poll the sources that the event concerns, and try again to take the block inhibitor."""
        self.refresher.poll_soon(event.kind)
        self._block_inhibitor.retry()

    def _update_inhibitor(self, lasting: ActiveRequests) -> None:
        """Hold a block inhibitor with the reasons of all keep-awake requests; in observe mode hold none."""
        reasons = dict.fromkeys(keep.reason or "powerd keep" for keep in lasting.values())
        held = lasting and self._options.mode == "enforce"
        self._block_inhibitor.request("; ".join(reasons) if held else None)

    def _publish(self, snapshot: Snapshot, decision: Decision) -> None:
        now, previous = self._clock.now(), self.status
        since = (
            previous.phase_since
            if previous is not None and previous.decision.phase == decision.phase
            else now
        )
        self.status = Status(now, self._options.mode, snapshot, decision, since)
        self._disks.on_decision(decision)
        self.smart.on_decision(decision)
        self._on_status(self.status)
        self._transition.on_decision(self.status)
        self.keep_awake.remove_expired()


async def _run_forever(coroutine: Coroutine[None, None, None], activity: str) -> None:
    """Raise an error when ``coroutine`` ends: systemd then restarts the daemon; until then no sleep starts.

    A TaskGroup ignores a child that returns or cancels itself; the daemon would then serve its page without
    making decisions.
    """
    try:
        await coroutine
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
    raise RuntimeError(f"powerd has stopped {activity}; restart it: systemctl restart powerd")
