"""Orders that are being carried out: begun on the board, and ended there whatever becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from powerd.board import StateStore
from powerd.clock import Clock
from powerd.model import Action, ActionResult, CompletedAction, Mode


class RunningActions:
    """See the module.

    Args:
        board: where orders are in flight, and their outcomes go.
        clock: says when.
        obey: carries out an order, and says what came of it.
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
