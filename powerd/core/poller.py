"""The rhythm of looks: one runner for all sources times them, guards them, and turns failure into Blind."""

from __future__ import annotations

import asyncio
import contextlib
import enum
from typing import Final, Protocol

from powerd.core.clock import Clock
from powerd.core.reasons import failure_text
from powerd.core.snapshot import SourceId
from powerd.core.state import PollResult, StateStore
from powerd.core.time import Unavailable
from powerd.linux.values import HostError

MAX_BACKOFF: Final = 900.0
MIN_POLL_TIMEOUT: Final = 15.0
"""However short the rounds, a look may take so long, seconds."""
MAX_POLL_TIMEOUT: Final = 90.0
"""However long the rounds, a look ends within so many seconds: the engine waits for it before a sleep, and
must be back in time for the service's WatchdogSec=180."""


class PollDepth(enum.Enum):
    """How much a look has to find out."""

    ROUTINE = "round"
    """Whether anybody is there: the first evidence suffices."""
    BEFORE_SLEEP = "close"
    """The same, but a sleep is near: ask longer before believing in silence."""
    FULL = "all"
    """Everybody, for a person who wants to see."""


def poll_timeout(interval: float) -> float:
    """Seconds that a look may take at most, in rounds of ``every`` seconds."""
    return min(max(interval, MIN_POLL_TIMEOUT), MAX_POLL_TIMEOUT)


class Source(Protocol):
    """A sensor with a rhythm of its own."""

    name: SourceId

    @property
    def poll_interval(self) -> float:
        """Seconds between the starts of two looks; may change on reload."""
        ...

    async def poll(self, depth: PollDepth) -> PollResult:
        """Look once. Raises HostError with one sentence when it cannot see."""
        ...


class Poller:
    """Runs one source and is the only one to post its facts."""

    def __init__(self, source: Source, state: StateStore, clock: Clock) -> None:
        self._source = source
        self._state = state
        self._clock = clock
        self._lock = asyncio.Lock()
        self._poll_requested = asyncio.Event()
        self._restart_interval = False
        self._failures = 0
        state.register_writer(source.name)

    async def run(self) -> None:
        """Look, wait, look again, for ever; the rhythm does not drift, and a missed beat is dropped."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self._poll_requested.clear()
            await self.poll(PollDepth.ROUTINE)
            pause = self._source.poll_interval * 2 ** min(max(self._failures - 1, 0), 8)
            started, due = (
                due,
                max(due + min(pause, max(MAX_BACKOFF, self._source.poll_interval)), loop.time()),
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._poll_requested.wait()
                    due = loop.time() if self._restart_interval else started
            self._restart_interval = False

    def reschedule(self) -> None:
        """Begin the next round at once: what is to be looked at, or how often, has changed."""
        self._restart_interval = True
        self._poll_requested.set()

    def poll_soon(self) -> None:
        """Look once out of turn, soon; the rhythm stays as it is."""
        self._poll_requested.set()

    async def poll(self, depth: PollDepth) -> None:
        """Look now and post; whoever comes while a look is under way waits and then has one of their own.

        A look never outlasts its round (15 s where rounds are shorter, 90 s where longer): then it is Blind.
        """
        timeout = poll_timeout(self._source.poll_interval)
        try:
            async with asyncio.timeout(timeout), self._lock:
                result = await self._source.poll(depth)
            self._failures = 0
        except HostError as error:
            result = self._unavailable(str(error))
            self._failures = 0  # the machine said what is wrong: worth asking again at the usual pace
        except TimeoutError:
            result = self._unavailable(f"no answer within {timeout:g} s")
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            result = self._unavailable("broken off")  # by something inside it, and the watch goes on
        except Exception as error:  # noqa: BLE001 - a sensor may fail; it then keeps the server awake and says so
            self._failures += 1
            result = self._unavailable(failure_text(error))
        self._state.publish(self._source.name, result)

    def _unavailable(self, reason: str) -> PollResult:
        return PollResult(Unavailable(self._clock.now().mono, reason))
