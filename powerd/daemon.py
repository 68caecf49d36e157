"""The composition root: builds the state store, sources, engine and actuators on a host.

The host is passed in as ports, so that the same daemon runs on this machine and in a simulation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Final

from powerd.activity import policy as activity_policy
from powerd.activity.service import ActivityService
from powerd.attribution import policy as attribution_policy
from powerd.attribution.service import AttributionService
from powerd.config.options import Options
from powerd.core.actions import WakeTime
from powerd.core.clock import Clock
from powerd.core.decide import SERVICE_FAILED_FOR
from powerd.core.domain import Domain, no_sources
from powerd.core.engine import HEARTBEAT, Engine, EngineHooks
from powerd.core.poller import Poller
from powerd.core.reasons import failure_text
from powerd.core.service import DomainService, Environment, execute
from powerd.core.snapshot import Decision, ServiceFailures, Snapshot, SourceId, Status
from powerd.core.state import StateStore
from powerd.core.storage import Storage
from powerd.disks.model import Disk
from powerd.disks.policy import plan as disks_policy
from powerd.disks.service import DiskService
from powerd.history.service import HistoryService
from powerd.linux.ports import Ports
from powerd.linux.values import LogindEvent
from powerd.messages.service import MessageService
from powerd.mqtt import policy as mqtt_policy
from powerd.mqtt.service import MqttService
from powerd.power import policy as power_policy
from powerd.power.blockers import required_sources
from powerd.power.refresh import Refresher
from powerd.power.service import PowerService
from powerd.presence import policy as presence_policy
from powerd.presence.service import PresenceService
from powerd.requests import policy as requests_policy
from powerd.requests.service import RequestService
from powerd.smart import policy as smart_policy
from powerd.smart.model import Finding
from powerd.smart.service import SmartService

DOMAINS: Final = (
    Domain("presence", presence_policy.assess, presence_policy.required_sources),
    Domain("activity", activity_policy.assess, activity_policy.required_sources),
    Domain(
        "power",
        power_policy.assess,
        required_sources,
        power_policy.conclude,
        detects_resume=power_policy.detects_resume,
        on_resume=power_policy.on_resume,
        on_reconfigure=power_policy.on_reconfigure,
    ),
    Domain("requests", requests_policy.assess, no_sources),
    # A disk that cannot be read is not a blocker here, but one of the domain "activity" (check "disk_io").
    Domain("disks", disks_policy.assess, no_sources, on_reconfigure=disks_policy.on_reconfigure),
    # Attribution is for people only: it blocks no sleep, and needs no source.
    Domain("attribution", attribution_policy.assess, no_sources),
    Domain("smart", smart_policy.assess, no_sources),
    # The last one: it publishes whether the others keep the server awake.
    Domain("mqtt", mqtt_policy.assess, no_sources),
)
"""The domains, in the order of their blockers."""


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
        self._on_error = on_error
        self._failures: set[tuple[str, type[BaseException]]] = set()
        self._pollers: dict[SourceId, Poller] = {}
        environment = Environment(
            clock, self.state, self.options, storage or Storage(None), on_error, boot_id
        )
        self.refresher = Refresher(environment, self._pollers, lambda: self.status)
        disks = DiskService(ports.files, ports.helper, environment)
        self.messages = MessageService(ports.processes, environment, disks.may_write)
        presence = PresenceService(
            ports.files, ports.network, ports.processes, environment, may_read=disks.may_write
        )
        power = PowerService(ports, environment, self.refresher, self._on_logind_event, self._announce_sleep)
        attribution = AttributionService(ports, environment, disks.may_write)
        activity = ActivityService(ports, environment, lambda: attribution.busy)
        self.smart = SmartService(environment, on_finding, disks.execute)
        self.requests = RequestService(
            ports.network,
            ports.logind,
            environment,
            disks=disks,
            health=self.smart,
            submit=lambda *action: self._engine.running_actions.submit(*action),  # noqa: PLW0108 - no engine yet
        )
        self.history = HistoryService(environment, disks.may_write)
        self._mqtt = MqttService(
            ports,
            environment,
            self.requests,
            lambda: self.history.counters.asleep_seconds,
            disks.may_write,
        )
        others = (self.smart, self.requests, self.history, self.messages, self._mqtt)
        self._services = (presence, activity, power, disks, attribution, *others)
        self._pollers.update({each.name: each for service in self._services for each in service.pollers})
        actuators = {kind: each for service in self._services for kind, each in service.actuators.items()}
        hooks = EngineHooks(
            poll=self.refresher.poll_all_sources,
            execute=lambda action, mode: execute(action, actuators, mode),
            publish=self._publish,
        )
        memory = [part for service in self._services for part in service.memory]
        self._engine = Engine(self.state, clock, self.options, hooks, DOMAINS, memory=memory)

    def options(self) -> Options:
        """The configuration in force."""
        return self._options

    def poll_seconds(self) -> dict[SourceId, float]:
        """How long the last poll of each source has taken."""
        return {name: each.took for name, each in self._pollers.items() if each.took is not None}

    async def run(self) -> None:
        """Poll and decide until cancelled.

        At the end the learned hosts are stored; the RTC alarm is cleared unless a shutdown is in progress.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                for poller in self._pollers.values():
                    tasks.create_task(_run_forever(poller.run(), "polling a source"))
                for service in self._services:
                    for activity, task in service.tasks().items():
                        tasks.create_task(_run_forever(task, activity))
                tasks.create_task(_run_forever(self._engine.run(), "deciding"))
        finally:
            for service in self._services:
                self._call(service, service.close)

    def reconfigure(self, options: Options) -> None:
        """Use a new configuration from now on; the facts stay.

        After an exception the old one remains in force.
        """
        self._engine.reconfigure()  # first, because it may raise; the decision that it requests comes later
        self._options = options
        self._failures.clear()  # one that goes on is reported again
        for poller in self._pollers.values():
            poller.reschedule()
        if self.state.snapshot().part(ServiceFailures).failures:
            self.state.put(ServiceFailures())
        for service in self._services:
            self._call(service, service.on_reconfigure, failed_at=float("inf"))

    def stall_message(self) -> str | None:
        """Why the engine makes no decisions; None = it makes them."""
        if self.status is None:
            return "no decision has been made yet"
        overdue = self._clock.now().mono - self.status.now.mono - 2 * HEARTBEAT
        return f"no decision has been made for {overdue + 2 * HEARTBEAT:.0f} s" if overdue > 0 else None

    def _on_logind_event(self, event: LogindEvent) -> None:
        """Poll the sources that the event concerns, and try again to take the block inhibitor."""
        self.refresher.poll_soon(event.kind)
        self.requests.on_logind_event()

    async def _announce_sleep(self, wake_time: WakeTime | None) -> None:
        """Send what has to be sent before the network goes; takes a few seconds at most."""
        steps = {self.messages: self.messages.flush(), self._mqtt: self._mqtt.before_sleep(wake_time)}
        results = await asyncio.gather(*steps.values(), return_exceptions=True)
        for service, result in zip(steps, results, strict=True):
            if isinstance(result, BaseException):  # the sleep takes place nevertheless
                self._report_failure(_name(service), result)

    def _publish(self, snapshot: Snapshot, decision: Decision) -> None:
        now, previous = self._clock.now(), self.status
        since = (
            previous.phase_since
            if previous is not None and previous.decision.phase == decision.phase
            else now
        )
        self.status = Status(now, self._options.mode, snapshot, decision, since)
        for service in self._services:
            self._call(service, partial(service.on_decision, self.status), failed_at=now.mono)
        try:
            self._on_status(self.status)
        except Exception as error:  # noqa: BLE001 - what people see ends no decisions
            self._report_failure("ui", error)

    def _call(
        self, service: DomainService, method: Callable[[], None], *, failed_at: float | None = None
    ) -> None:
        """Call a method of a service, and report an exception.

        ``failed_at``: CLOCK_MONOTONIC from which that of an essential service keeps the server awake; None =
        it does not.
        """
        try:
            method()
        except Exception as error:  # noqa: BLE001 - the others go on, and people see the reason
            name = _name(service)
            self._report_failure(name, error)
            if service.is_essential and failed_at is not None:
                failures = self.state.snapshot().part(ServiceFailures).failures
                _, before = failures.get(name, ("", float("-inf")))
                # Not each time: the fact causes a decision, which may be the next exception.
                if failed_at - before > SERVICE_FAILED_FOR / 2:
                    self.state.put(ServiceFailures({**failures, name: (failure_text(error), failed_at)}))

    def _report_failure(self, name: str, error: BaseException) -> None:
        """Report an exception in a service, once for each kind until a reload: a line is a disk write."""
        if (name, type(error)) not in self._failures:
            self._failures.add((name, type(error)))
            self._on_error(f"{name}: {failure_text(error)}")


def _name(service: DomainService) -> str:
    """The name of the domain."""
    return type(service).__module__.split(".")[1]


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
