"""The rhythm of looks: one runner for all sources times them, guards them, and turns failure into Blind."""

from __future__ import annotations

import asyncio
import contextlib
import enum
from typing import Final, Protocol

from powerd.board import Board, Facts
from powerd.clock import Clock
from powerd.host.values import HostError
from powerd.model import Blind, SourceId

BACK_OFF_MOST: Final = 900.0
LEAST: Final = 15.0
"""However short the rounds, a look may take so long, seconds."""
MOST: Final = 90.0
"""However long the rounds, a look ends within so many seconds: the engine waits for it before a sleep, and
must be back in time for the service's WatchdogSec=180."""


class Extent(enum.Enum):
    """How much a look has to find out."""

    ROUND = "round"
    """Whether anybody is there: the first evidence suffices."""
    CLOSE = "close"
    """The same, but a sleep is near: ask longer before believing in silence."""
    ALL = "all"
    """Everybody, for a person who wants to see."""


def longest_look(every: float) -> float:
    """Seconds that a look may take at most, in rounds of ``every`` seconds."""
    return min(max(every, LEAST), MOST)


class Source(Protocol):
    """A sensor with a rhythm of its own."""

    name: SourceId

    @property
    def every(self) -> float:
        """Seconds between the starts of two looks; may change on reload."""
        ...

    async def look(self, extent: Extent) -> Facts:
        """Look once. Raises HostError with one sentence when it cannot see."""
        ...


class Watch:
    """Runs one source and is the only one to post its facts."""

    def __init__(self, source: Source, board: Board, clock: Clock) -> None:
        self._source = source
        self._board = board
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._hurried = asyncio.Event()
        self._afresh = False
        self._faults = 0
        board.claim(source.name)

    async def run(self) -> None:
        """Look, wait, look again, for ever; the rhythm does not drift, and a missed beat is dropped."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self._hurried.clear()
            await self.look(Extent.ROUND)
            pause = self._source.every * 2 ** min(max(self._faults - 1, 0), 8)
            began, due = due, max(due + min(pause, max(BACK_OFF_MOST, self._source.every)), loop.time())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._hurried.wait()
                    due = loop.time() if self._afresh else began
            self._afresh = False

    def hurry(self) -> None:
        """Begin the next round at once: what is to be looked at, or how often, has changed."""
        self._afresh = True
        self._hurried.set()

    def glance(self) -> None:
        """Look once out of turn, soon; the rhythm stays as it is."""
        self._hurried.set()

    async def look(self, extent: Extent) -> None:
        """Look now and post; whoever comes while a look is under way waits and then has one of their own.

        A look never outlasts its round (15 s where rounds are shorter, 90 s where longer): then it is Blind.
        """
        within = longest_look(self._source.every)
        try:
            async with asyncio.timeout(within), self._one_at_a_time:
                facts = await self._source.look(extent)
            self._faults = 0
        except HostError as error:
            facts = self._blind(str(error))
            self._faults = 0  # the machine said what is wrong: worth asking again at the usual pace
        except TimeoutError:
            facts = self._blind(f"no answer within {within:g} s")
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            facts = self._blind("broken off")  # by something inside it, and the watch goes on
        except Exception as error:  # noqa: BLE001 - a sensor may fail; it then keeps the server awake and says so
            self._faults += 1
            facts = self._blind(f"failed inside powerd ({_where(error)}): {type(error).__name__}: {error}")
        self._board.post(self._source.name, facts)

    def _blind(self, why: str) -> Facts:
        return Facts(Blind(self._clock.now().mono, why))


def _where(error: Exception) -> str:
    """File and line of the innermost frame of powerd's own code."""
    traceback = error.__traceback__
    place = "?"
    while traceback is not None:
        name = traceback.tb_frame.f_globals.get("__name__", "")
        if name.startswith("powerd."):
            place = f"{name}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place
