"""Orders that are being carried out: begun on the board, and ended there whatever becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from powerd.board import Board
from powerd.clock import Clock
from powerd.model import Done, Mode, Order, Outcome


class Errands:
    """See the module.

    Args:
        board: where orders are in flight, and their outcomes go.
        clock: says when.
        obey: carries out an order, and says what came of it.
    """

    def __init__(self, board: Board, clock: Clock, obey: Callable[[Order, Mode], Awaitable[Done]]) -> None:
        self._board = board
        self._clock = clock
        self._obey = obey
        self._under_way: dict[Order, asyncio.Task[Done]] = {}

    def begin(self, order: Order, mode: Mode) -> None:
        """Have an order carried out, and go on: a command may take an hour. None is given twice at once."""
        if order not in self._under_way:
            self._board.begin(order)  # so it is told as such at once, and not decided on again
            errand = asyncio.get_running_loop().create_task(self._carry_out(order, mode))
            self._under_way[order] = errand

    def send(self, order: Order, mode: Mode) -> asyncio.Task[Done]:
        """As begin(), for whoever wants to know what comes of it; the board then has it too."""
        self.begin(order, mode)
        return self._under_way[order]

    async def close(self) -> None:
        """Break off what is under way."""
        errands = list(self._under_way.values())
        for errand in errands:
            errand.cancel()
        await asyncio.gather(*errands, return_exceptions=True)

    async def _carry_out(self, order: Order, mode: Mode) -> Done:
        begun = self._clock.now().mono
        try:
            done = await self._obey(order, mode)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # By something inside it; the order must not be in flight for ever.
            done = Done(False, "it was broken off")
        except Exception as error:  # noqa: BLE001 - whatever an actuator raises is an outcome, never the brain's end
            done = Done(False, f"it failed inside powerd: {type(error).__name__}: {error}")
        finally:
            del self._under_way[order]
        self._board.end(Outcome(order, self._clock.now().mono, done.ok, done.observed, begun, done.found))
        return done
