"""The decision loop: snapshot, decide, publish, start actions, wait.

A failed source or domain keeps the server awake (poller.py, decide.py). An exception in the loop itself ends
the process; systemd restarts it, and until then powerd puts nothing to sleep.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from powerd.config.options import Options
from powerd.core.actions import Action, ActionResult, CompletedAction, Mode, Sleep
from powerd.core.clock import Clock
from powerd.core.dataclass import dataclass
from powerd.core.decide import decide
from powerd.core.domain import Domain
from powerd.core.snapshot import Decision, Memory, PlannedSleep, Snapshot
from powerd.core.state import StateStore


class RunningActions:
    """Runs actions in the background and publishes their start and result.

    Args:
        state: receives the running actions and their results.
        clock: the clock for the times of start and end.
        execute: executes an action and returns its result.
    """

    def __init__(
        self, state: StateStore, clock: Clock, execute: Callable[[Action, Mode], Awaitable[ActionResult]]
    ) -> None:
        self._state = state
        self._clock = clock
        self._execute = execute
        self._tasks: dict[Action, asyncio.Task[ActionResult]] = {}

    def start(self, action: Action, mode: Mode) -> None:
        """Start an action in the background (a command may take an hour), unless an equal one is running."""
        if action not in self._tasks:
            self._state.action_started(action)  # now, so that the next decision does not repeat the action
            task = asyncio.get_running_loop().create_task(self._run(action, mode))
            self._tasks[action] = task

    def submit(self, action: Action, mode: Mode) -> asyncio.Task[ActionResult]:
        """Start an action and return its task; its result is published as well.

        If an equal action is running, its task is returned.
        """
        self.start(action, mode)
        return self._tasks[action]

    async def close(self) -> None:
        """Cancel all running actions."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, action: Action, mode: Mode) -> ActionResult:
        started_at = self._clock.now().mono
        try:
            result = await self._execute(action, mode)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # The action cancelled itself; without a result it would count as running for ever.
            result = ActionResult(False, "it was interrupted")
        except Exception as error:  # noqa: BLE001 - a failed action, which does not end the engine
            result = ActionResult(False, f"it failed inside powerd: {type(error).__name__}: {error}")
        finally:
            del self._tasks[action]
        self._state.action_completed(
            CompletedAction(
                action, self._clock.now().mono, result.ok, result.message, started_at, result.answer
            )
        )
        return result


HEARTBEAT: Final = 75.0
"""Maximum seconds between two decisions: with a poll of up to 90 s before one, within WatchdogSec=180."""
_MIN_DECISION_INTERVAL: Final = 0.1
"""Minimum seconds until a decision that no changed fact causes, so that no rule can make the loop spin."""


@dataclass(frozen=True, slots=True)
class EngineHooks:
    """Functions that the engine calls; it imports neither sources, actuators nor user interfaces.

    Attributes:
        poll: polls every source at depth BEFORE_SLEEP and publishes the results; has a timeout, never raises.
        execute: executes one action in the given mode.
        publish: passes a decision to the user interfaces; called after each decision.
    """

    poll: Callable[[], Awaitable[None]]
    execute: Callable[[Action, Mode], Awaitable[ActionResult]]
    publish: Callable[[Snapshot, Decision], None]


class Engine:
    """Makes decisions and starts their actions.

    Args:
        state: the facts, and the results of actions.
        clock: its ``mono`` is the time of the event loop.
        options: returns the configuration in force.
        hooks: the functions that the engine calls.
        domains: in the order of their blockers.
        memory: parts of the Memory that were loaded from storage.
    """

    def __init__(  # noqa: PLR0913 - every part of the mechanism is passed in
        self,
        state: StateStore,
        clock: Clock,
        options: Callable[[], Options],
        hooks: EngineHooks,
        domains: Sequence[Domain],
        *,
        memory: Sequence[object] = (),
    ) -> None:
        self._options = options
        self._state = state
        self._clock = clock
        self._hooks = hooks
        self.running_actions = RunningActions(state, clock, hooks.execute)
        self._domains = domains
        self._memory = Memory.initial(clock.now(), *memory)

    def reconfigure(self) -> None:
        """The options have changed: each domain resets memory that depends on the old ones.

        An exception of a domain changes nothing.
        """
        memory = self._memory
        for domain in self._domains:
            memory = domain.on_reconfigure(memory)
        self._memory = memory
        self._state.request_decision()

    async def run(self) -> None:
        """Decide, start the actions and wait, until cancelled."""
        plan_before_poll: PlannedSleep | None = None
        try:
            while True:
                decision = self._decide()
                for action in decision.actions:
                    confirmed = await self._confirm(action, plan_before_poll)
                    if confirmed is not None:
                        # Not awaited: the service manager's watchdog requires further decisions meanwhile.
                        self.running_actions.start(confirmed, self._options().mode)
                plan_before_poll = await self._wait(decision)
        finally:
            await self.running_actions.close()

    async def _wait(self, decision: Decision) -> PlannedSleep | None:
        """Wait until a fact changes or the next decision is due; then poll all sources if a sleep is near.

        Returns:
            The planned sleep that was due when this poll began; None = none was due, or there was no poll.
        """
        now = self._clock.now().mono
        deadline = min(max(decision.next_decision_at, now + _MIN_DECISION_INTERVAL), now + HEARTBEAT)
        poll_first = (
            decision.needs_fresh_readings and decision.next_decision_at <= deadline
        )  # False for a decision that only HEARTBEAT causes
        if await self._state.wait_for_change(deadline) or not poll_first:
            return None
        await self._hooks.poll()
        return (
            decision.planned_sleep
            if decision.planned_sleep is not None and decision.planned_sleep.at.mono <= deadline
            else None
        )

    def _decide(self) -> Decision:
        snapshot = self._state.snapshot()
        decision = decide(snapshot, self._memory, self._options(), self._clock.now(), self._domains)
        self._memory = decision.memory
        self._hooks.publish(snapshot, decision)
        return decision

    async def _confirm(self, action: Action, plan_before_poll: PlannedSleep | None) -> Action | None:
        """The action if readings from after it was due lead to it; None = they do not.

        Args:
            action: of the present decision; only a sleep needs confirmation.
            plan_before_poll: the planned sleep that was due when the poll before the present decision began;
                the same sleep then needs no second poll. None = there was no such poll.
        """
        if not isinstance(action, Sleep):
            return action
        if plan_before_poll is not None and (plan_before_poll.rule, plan_before_poll.sleep_action) == (
            action.rule,
            action.sleep_action,
        ):
            return action
        await self._hooks.poll()
        return next((each for each in self._decide().actions if each == action), None)
