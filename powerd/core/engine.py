"""Orders that are being carried out: begun on the board, and ended there whatever becomes of them.

The loop: snapshot -> decide -> tell -> obey -> wait.

A sensor may fail; the brain may not: whatever policy or this loop raises ends the process, systemd starts
it again, and until then nothing is put to sleep.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from powerd.config.options import Options
from powerd.core.actions import Action, ActionResult, CompletedAction, Mode, Sleep
from powerd.core.clock import Clock
from powerd.core.decide import decide
from powerd.core.domain import Domain
from powerd.core.snapshot import Decision, Memory, PlannedSleep, Snapshot
from powerd.core.state import StateStore


class RunningActions:
    """See the module.

    Args:
        state: where orders are in flight, and their outcomes go.
        clock: says when.
        execute: carries out an order, and says what came of it.
    """

    def __init__(
        self, state: StateStore, clock: Clock, execute: Callable[[Action, Mode], Awaitable[ActionResult]]
    ) -> None:
        self._state = state
        self._clock = clock
        self._execute = execute
        self._tasks: dict[Action, asyncio.Task[ActionResult]] = {}

    def start(self, action: Action, mode: Mode) -> None:
        """Have an order carried out, and go on: a command may take an hour. None is given twice at once."""
        if action not in self._tasks:
            self._state.action_started(action)  # so it is told as such at once, and not decided on again
            task = asyncio.get_running_loop().create_task(self._run(action, mode))
            self._tasks[action] = task

    def submit(self, action: Action, mode: Mode) -> asyncio.Task[ActionResult]:
        """As begin(), for whoever wants to know what comes of it; the board then has it too."""
        self.start(action, mode)
        return self._tasks[action]

    async def close(self) -> None:
        """Break off what is under way."""
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
            # By something inside it; the order must not be in flight for ever.
            result = ActionResult(False, "it was broken off")
        except Exception as error:  # noqa: BLE001 - whatever an actuator raises is an outcome, never the brain's end
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
"""A decision is made at least this often, seconds: with a look before it, within the WatchdogSec=180."""
_MIN_DECISION_INTERVAL: Final = 0.1
"""No two decisions for time's sake are closer than this, seconds, so no rule can spin the loop."""


@dataclass(frozen=True, slots=True)
class EngineHooks:
    """What the engine works through; it knows none of them by name.

    Attributes:
        poll: have every source look afresh, thoroughly, and post; bounded in time, never raises.
        execute: carry out one order in the mode in which it was given.
        publish: show a decision to the faces; called after each completed decision.
    """

    poll: Callable[[], Awaitable[None]]
    execute: Callable[[Action, Mode], Awaitable[ActionResult]]
    publish: Callable[[Snapshot, Decision], None]


class Engine:
    """Lives until cancelled.

    Args:
        state: where facts come from and outcomes go.
        clock: whose ``mono`` is the running loop's time.
        options: the configuration in force.
        hooks: the functions that the engine calls.
        domains: in the order of their blockers.
        memory: parts of the Memory from before this start.
    """

    def __init__(  # noqa: PLR0913 - the parts of the mechanism
        self,
        state: StateStore,
        clock: Clock,
        options: Options,
        hooks: EngineHooks,
        domains: Sequence[Domain],
        *,
        memory: Sequence[object] = (),
    ) -> None:
        self.options = options
        self._state = state
        self._clock = clock
        self._hooks = hooks
        self.running_actions = RunningActions(state, clock, hooks.execute)
        self._domains = domains
        self._memory = Memory.initial(clock.now(), *memory)

    def reconfigure(self, options: Options) -> None:
        """Decide by ``options`` from now on; what became of rules that may have changed is forgotten."""
        self.options = options
        for domain in self._domains:
            self._memory = domain.on_reconfigure(self._memory)
        self._state.request_decision()

    async def run(self) -> None:
        """Decide, obey and wait, for ever."""
        plan_before_poll: PlannedSleep | None = None
        try:
            while True:
                decision = self._decide()
                for action in decision.actions:
                    confirmed = await self._confirm(action, plan_before_poll)
                    if confirmed is not None:
                        # Not awaited: decisions are what the service manager's watchdog waits for.
                        self.running_actions.start(confirmed, self.options.mode)
                plan_before_poll = await self._wait(decision)
        finally:
            await self.running_actions.close()

    async def _wait(self, decision: Decision) -> PlannedSleep | None:
        """Wait for a changed fact or the time to look again, and look closely then if a sleep is near.

        Returns:
            The plan whose time had come when that look began; None = there was no such look.
        """
        now = self._clock.now().mono
        deadline = min(max(decision.next_decision_at, now + _MIN_DECISION_INTERVAL), now + HEARTBEAT)
        poll_first = (
            decision.needs_fresh_readings and decision.next_decision_at <= deadline
        )  # else it is a heartbeat
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
        decision = decide(snapshot, self._memory, self.options, self._clock.now(), self._domains)
        self._memory = decision.memory
        self._hooks.publish(snapshot, decision)
        return decision

    async def _confirm(self, action: Action, plan_before_poll: PlannedSleep | None) -> Action | None:
        """The order as a look leads to it that was begun when its time had come; None = it does not.

        Args:
            action: decided on just now; one that can be undone needs no look.
            plan_before_poll: the plan whose time had come when the look began that has ended just now, if
                one has.
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
