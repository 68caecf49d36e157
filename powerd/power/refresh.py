"""Polls outside the schedule of a source: for a user, before a sleep, and after an event of logind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Final

from powerd.activity.model import ACTIVITY
from powerd.core.actions import WakeTime
from powerd.core.poller import PollDepth, Poller
from powerd.core.service import Environment
from powerd.core.snapshot import SourceId, Status
from powerd.power.model import LOGIND, TIMERS, SleepMemory
from powerd.power.wake_schedule import next_wake_time
from powerd.presence.model import CLIENTS

_TIMER_POLL_TIMEOUT: Final = 1.0
"""Seconds that a poll of the timers may take during logind's delay of 5 s."""
_MAX_AGE: Final = 5.0
"""Seconds for which a full poll is reused."""


class Refresher:
    """Polls sources on demand.

    Args:
        environment: from the daemon.
        pollers: the poller of each source, by name; filled before the first poll.
        status: returns the latest decision with its facts; None = no decision has been made yet.
    """

    def __init__(
        self,
        environment: Environment,
        pollers: Mapping[SourceId, Poller],
        status: Callable[[], Status | None],
    ) -> None:
        self._options = environment.options
        self._state = environment.state
        self._clock = environment.clock
        self._pollers = pollers
        self._status = status
        self._last_full_poll: dict[SourceId, float] = {}
        self._full_poll_lock = asyncio.Lock()

    async def poll_all_clients(self) -> None:
        """Probe every client, for a user, in bounded time."""
        await self._poll_for_user(CLIENTS)

    async def poll_all_checks(self) -> None:
        """Poll every activity check, for a user, in bounded time."""
        await self._poll_for_user(ACTIVITY)

    async def _poll_for_user(self, source: SourceId) -> None:
        """Poll in full; concurrent calls share one poll."""
        async with self._full_poll_lock:
            if self._clock.now().mono - self._last_full_poll.get(source, float("-inf")) > _MAX_AGE:
                await self._pollers[source].poll(PollDepth.FULL)
                self._last_full_poll[source] = self._clock.now().mono
                await self._decide()

    async def poll_all_sources(self) -> None:
        """Poll all sources concurrently."""
        await asyncio.gather(*(poller.poll(PollDepth.BEFORE_SLEEP) for poller in self._pollers.values()))

    async def reason_to_stay_awake(self, since: float, *, polls: bool) -> str | None:
        """A reason against a sleep whose preparation began at ``since``; None = none.

        ``polls``: all sources are polled before.
        """
        if polls:
            await self.poll_all_sources()
        previous = self._status()
        await self._decide()
        status = self._status()
        if status is None or status is previous:
            return "powerd has made no decision on the present facts"
        decision, idle_since = status.decision, status.decision.memory.part(SleepMemory).quiet_since
        if idle_since is not None and idle_since > since:
            # A key press or a new configuration has restarted idleness, although no blocker remains.
            return "idle time has started again"
        if decision.phase in {"warning", "going-down"}:
            return None
        return next((f"{each.subject}: {each.text}" for each in decision.reasons), decision.phase)

    async def _decide(self) -> None:
        """Have the engine decide on all facts now, without waiting for other polls in progress."""
        self._state.request_decision()
        await asyncio.sleep(0)  # noqa: TID251 - the engine runs before the caller continues

    async def next_wake_time(self) -> WakeTime | None:
        """The next wake time, from a new poll of the timers.

        It is computed without a decision, because the engine may be waiting for a slower source. If systemd
        does not reply in time, the last reading counts.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TIMER_POLL_TIMEOUT):
                await self._pollers[TIMERS].poll(PollDepth.BEFORE_SLEEP)
        return next_wake_time(self._state.snapshot(), self._options(), self._clock.now())

    def poll_soon(self, event: str) -> None:
        """Poll the sources that an event of logind concerns; their intervals stay as they are."""
        for poller in [self._pollers[LOGIND]] if event == "inhibitors" else self._pollers.values():
            poller.poll_soon()
