"""A PowerTransition on a simulated machine: everything but the sources and the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from fakes.storage import MemoryStorage

from powerd.config.load import parse
from powerd.core.actions import Sleep, WakeTime
from powerd.core.service import Environment
from powerd.core.snapshot import Decision, Memory, Snapshot, Status
from powerd.core.state import StateStore
from powerd.core.time import Moment
from powerd.linux.values import LogindEvent
from powerd.power.model import PowerReport
from powerd.power.rtc_alarm import RtcAlarm
from powerd.power.sleep_preparation import SleepPreparation
from powerd.power.transition import PowerTransition
from powerd.simulation.clock import SimulatedClock
from powerd.simulation.machine import SimulatedMachine
from powerd.simulation.virtual_loop import run

BOOT = "5f1d7a84-db2e-4f0f-9a2a-1b7c3d4e5f60"
ENFORCE = 'mode = "enforce"\n'
HOOKS = (
    ENFORCE
    + """
[hooks]
before_sleep = ["/bin/good", "night"]
after_wake = ["/bin/good", "morning"]
timeout = "20s"
"""
)


class TransitionScenario:
    """The way into a sleep, and what is observed of it.

    ``predecessor``: the process before, on the same machine and with the same state files.
    """

    def __init__(
        self,
        config: str = ENFORCE,
        document: object = None,
        predecessor: TransitionScenario | None = None,
        boot: str = BOOT,
    ) -> None:
        self.options = parse(config.encode(), "test")
        self.clock: SimulatedClock = SimulatedClock() if predecessor is None else predecessor.clock
        self.machine: SimulatedMachine = (
            SimulatedMachine(self.clock) if predecessor is None else predecessor.machine
        )
        self.state = StateStore()
        self.errors: list[str] = []
        self.events: list[LogindEvent] = []
        self.storage: MemoryStorage = (
            MemoryStorage({"alarm": document}) if predecessor is None else predecessor.storage
        )
        self.returned_client: str | None = None
        self.keep_reason: str | None = None
        self.wanted: WakeTime | None = None
        self.decisions_paused = False
        self.alarm = RtcAlarm(self.machine, self.clock, self.storage)
        environment = Environment(
            self.clock, self.state, lambda: self.options, self.storage, self.errors.append, boot
        )
        self.flush_seconds = 0.0
        self.preparation = SleepPreparation(
            environment,
            self.machine,
            self.machine,
            self.machine,
            self.alarm,
            self._wanted,
            self._still,
            lambda _: asyncio.sleep(self.flush_seconds),
        )
        self.transition = PowerTransition(
            environment,
            self.machine,
            self.preparation,
            read_wakeup_state=self.machine.read_wakeup_state,
            on_logind_event=self.events.append,
        )

    @property
    def hook_runs(self) -> list[tuple[str, str]]:
        """(command, phase) of each hook that was run."""
        runs: list[Any] = [call[1:] for call in self.machine.calls if call[0] == "run"]
        return [(" ".join(argv).removeprefix("/bin/"), phase) for argv, _, (_, phase) in runs]

    async def _still(self, since: float, *, polls: bool) -> str | None:
        assert since <= self.clock.now().mono
        return self.returned_client if polls else self.keep_reason

    async def _wanted(self) -> WakeTime | None:
        return self.wanted

    def wake_time(self, seconds: float, because: str = "backup.timer") -> WakeTime:
        """A wake-up these seconds ahead."""
        now = self.clock.now()
        return WakeTime(Moment(now.mono + seconds, now.slept, now.wall + timedelta(seconds=seconds)), because)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The transition runs, and is stopped at the end."""
        tasks = [asyncio.create_task(self.transition.run()), asyncio.create_task(self.decide())]
        await asyncio.sleep(1)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task

    async def decide(self) -> None:
        """As the engine does: on each change, and tell."""
        while True:
            await self.state.wait_for_change(asyncio.get_running_loop().time() + 60)
            if not self.decisions_paused:
                self.publish(self.state.snapshot())

    def publish(self, snapshot: Snapshot) -> None:
        now = self.clock.now()
        decision = Decision(
            (),
            (),
            Memory.initial(now),
            now.mono + 60,
            needs_fresh_readings=False,
            phase="idle",
            planned_sleep=None,
        ).with_parts(PowerReport(self.wanted))
        self.transition.on_decision(Status(now, "enforce", snapshot, decision, now))

    async def start_sleep(self, action: str = "suspend", **more: object) -> None:
        """As the engine and the actuator do."""
        self.publish(self.state.snapshot())
        sleep = replace(Sleep(0, "suspend"), sleep_action=action, wake_time=self.wanted, **more)  # type: ignore[arg-type] # any action
        await self.preparation.prepare_action(sleep)
        await self.machine.request_sleep(action)


def run_scenario(
    test: Callable[[TransitionScenario], Awaitable[None]],
    config: str = ENFORCE,
    document: object = None,
    *,
    alarm: int | None = None,
    announced: str = "",
) -> TransitionScenario:
    """Run ``test`` while the transition runs, and stop it after that.

    ``document``, ``alarm``, ``announced``: what the process before has left, and what logind has announced.
    """
    scenarios: list[TransitionScenario] = []

    async def main() -> None:
        scenarios.append(TransitionScenario(config, document))
        machine = scenarios[0].machine
        machine.rtc.alarm, machine.announced = alarm, announced
        async with scenarios[0].running():
            await test(scenarios[0])

    run(main())
    return scenarios[0]
