"""Polls sources at their intervals, limits the time of each poll, and turns a failure into Unavailable."""

from __future__ import annotations

import asyncio
import enum
from typing import Final, Protocol

from powerd.core.clock import Clock
from powerd.core.reasons import failure_text
from powerd.core.snapshot import SourceId
from powerd.core.state import PollResult, Signal, StateStore
from powerd.core.time import Unavailable
from powerd.linux.values import HostError

MAX_BACKOFF: Final = 900.0
"""Maximum seconds between polls of a source that raises unexpected exceptions; a longer interval stays."""
MIN_POLL_TIMEOUT: Final = 15.0
"""Minimum timeout of a poll, seconds, for sources with a shorter interval."""
MAX_POLL_TIMEOUT: Final = 90.0
"""Maximum timeout of a poll, seconds: the engine waits for a poll before a sleep, and must make a decision
within the service's WatchdogSec=180."""


class PollDepth(enum.Enum):
    """How thorough a poll is."""

    ROUTINE = "round"
    """Finds out who is present; with very many clients, whether any is."""
    BEFORE_SLEEP = "close"
    """As ROUTINE, before a sleep: more and longer probes before a client counts as silent."""
    FULL = "all"
    """Probes every client, because a user has asked for the list."""


def poll_timeout(interval: float) -> float:
    """The timeout of a poll, seconds: the interval of the source, but at least 15 s and at most 90 s."""
    return min(max(interval, MIN_POLL_TIMEOUT), MAX_POLL_TIMEOUT)


class Source(Protocol):
    """Reads facts from the host; has its own poll interval."""

    name: SourceId

    @property
    def poll_interval(self) -> float:
        """Seconds between the starts of two polls; may change on reload."""
        ...

    async def poll(self, depth: PollDepth) -> PollResult:
        """Poll once.

        Raises:
            HostError: the source cannot be read; one sentence for users.
        """
        ...


class Poller:
    """Polls one source and is the only writer of its facts.

    Attributes:
        name: of the source.
        took: seconds that the last poll has taken, without waiting for another one; None = there was none.
    """

    def __init__(self, source: Source, state: StateStore, clock: Clock) -> None:
        self._source = source
        self._state = state
        self._clock = clock
        self._lock = asyncio.Lock()
        self._poll_requested = Signal()
        self._restart_interval = False
        self._failures = 0
        self.name = source.name
        self.took: float | None = None
        state.register_writer(source.name)

    async def run(self) -> None:
        """Poll at the interval of the source until cancelled.

        The schedule does not drift, and a missed poll is dropped. From the second unexpected exception in a
        row on, each one doubles the interval, up to MAX_BACKOFF.
        """
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
            if await self._poll_requested.wait_until(due):
                due = loop.time() if self._restart_interval else started
            self._restart_interval = False

    def reschedule(self) -> None:
        """Poll now and restart the interval: the configuration of the source has changed."""
        self._restart_interval = True
        self._poll_requested.set()

    def poll_soon(self) -> None:
        """Poll once more, soon; the schedule stays the same."""
        self._poll_requested.set()

    async def poll(self, depth: PollDepth) -> None:
        """Poll now and publish the result; a call during another poll waits, and then polls again.

        The source is Unavailable if there is no result within poll_timeout(), which includes the wait.
        """
        with self._state.polls:
            result = await self._poll(depth)
            self._state.publish(self.name, result)

    async def _poll(self, depth: PollDepth) -> PollResult:
        timeout = poll_timeout(self._source.poll_interval)
        try:
            async with asyncio.timeout(timeout), self._lock:
                started_at = self._clock.now().mono
                try:
                    result = await self._source.poll(depth)
                finally:
                    self.took = self._clock.now().mono - started_at
            self._failures = 0
        except HostError as error:
            result = self._unavailable(str(error))
            self._failures = 0  # the host has reported the cause, so the interval stays the same
        except TimeoutError:
            result = self._unavailable(f"no answer within {timeout:g} s")
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            result = self._unavailable("interrupted")  # the source cancelled itself; polling continues
        except Exception as error:  # noqa: BLE001 - a source may fail; Unavailable keeps the server awake
            self._failures += 1
            result = self._unavailable(failure_text(error))
        return result

    def _unavailable(self, reason: str) -> PollResult:
        return PollResult(Unavailable(self._clock.now().mono, reason))
