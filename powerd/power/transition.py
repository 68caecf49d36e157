"""The way into a sleep and out of it, whoever ordered it: what logind says, and what is made of it.

logind announces each sleep and shutdown, and waits for a few seconds for whoever holds a delay lock
(https://systemd.io/INHIBITOR_LOCKS). Powerd lets go of its own only when all is done and told, and takes it
again only when logind has said that the sleep is over, for before that it would hold up the very same one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from powerd.core.clock import Clock
from powerd.core.snapshot import Status
from powerd.core.state import StateStore
from powerd.linux.ports import Logind
from powerd.linux.values import HostError, LogindEvent
from powerd.power import wakeup_cause
from powerd.power.inhibitor_lock import InhibitorLock
from powerd.power.model import ShutdownInProgress, WakeEvent, WakeTime, WakeupState
from powerd.power.sleep_preparation import SleepPreparation

_MIN_SLEPT: Final = 0.01
"""Seconds that CLOCK_BOOTTIME gains in a sleep, if anything; the two clocks are read microseconds apart."""
_END_TIMEOUT: Final = 30.0
"""Seconds that logind may take to say that a sleep is over; suspend-then-hibernate is awake in between."""
_PUBLISH_TIMEOUT: Final = 1.0
"""Seconds that a sleep of others may wait until it has been told of."""
_STOP_TIMEOUT: Final = 20.0
"""Seconds that stopping may take for the alarm; the service's TimeoutStopSec=30s comes after."""
_DEFAULT_INHIBIT_DELAY: Final = 5.0
"""InhibitDelayMaxSec= where nobody has changed it (logind.conf(5)), seconds."""
_MARGIN: Final = 0.5


class PowerTransition:
    """Takes the server into each sleep, and out of it.

    Args:
        state: where it is told that the server is leaving, and what woke it.
        clock: the clock of the host.
        logind: the port.
        read_wakeup_state: reads the kernel's wakeup counters.
        preparation: prepares each sleep.
        lock: a delay lock on sleep and shutdown.
        next_wake_time: looks afresh when the server has to be up again; within a second.
        on_logind_event: told of what logind says, and of the end of each sleep.
        on_error: told of each fault, one sentence.
    """

    def __init__(  # noqa: PLR0913 - what it sees, what it works through, and whom it tells
        self,
        state: StateStore,
        clock: Clock,
        logind: Logind,
        preparation: SleepPreparation,
        lock: InhibitorLock,
        *,
        read_wakeup_state: Callable[[], WakeupState],
        next_wake_time: Callable[[], Awaitable[WakeTime | None]],
        on_logind_event: Callable[[LogindEvent], None],
        on_error: Callable[[str], None],
    ) -> None:
        self._state = state
        self._clock = clock
        self._logind = logind
        self._read_wakeup_state = read_wakeup_state
        self._next_wake_time = next_wake_time
        self._on_logind_event = on_logind_event
        self._on_error = on_error
        self._preparation = preparation
        self._lock = lock
        self._shutdown: ShutdownInProgress | None = None
        self._unconfirmed: ShutdownInProgress | None = None
        self._last_slept = clock.now().slept
        self._last_wakeups = WakeupState()
        self._published, self._may_have_slept, self._ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        """Hear what logind says, and see to it, until cancelled.

        At the end no alarm of powerd's stays, unless the machine is going down with it.
        """
        try:
            await self._preparation.clear_alarm()  # what a former life may have left
            self._last_wakeups = self._read_wakeup_state()
            async with asyncio.TaskGroup() as tasks:
                self.update_inhibitor()
                tasks.create_task(self._lock.run())
                tasks.create_task(self._watch_clock())
                async for event in self._logind.events():
                    await self._handle(event)
                raise RuntimeError("powerd stopped hearing logind, which it must never do")
        finally:
            if self._shutdown is None or self._shutdown.kind != "shutdown":
                await self._clear_alarm_on_exit()

    async def _clear_alarm_on_exit(self) -> None:
        """In a task of its own: in one that is being cancelled, Python 3.11.2 makes no TimeoutError."""
        clearing = asyncio.get_running_loop().create_task(self._preparation.clear_alarm())
        await asyncio.wait({clearing}, timeout=_STOP_TIMEOUT)
        if not clearing.done():
            self._on_error("an alarm of powerd's may still stand: the helper does not answer")
            clearing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await clearing

    def on_decision(self, status: Status) -> None:
        """Take note of a decision: that it has been told, and that the server slept."""
        if self._shutdown is not None and status.snapshot.shutdown is self._shutdown:
            self._published.set()
        if self._has_slept():
            self._may_have_slept.set()

    async def _handle(self, event: LogindEvent) -> None:
        if event.kind not in {"sleep", "shutdown"}:
            self._lock.retry()
            self._on_logind_event(event)
            if event.kind == "found":  # logind may have said meanwhile that it is over
                self._unconfirmed = self._shutdown
                self._may_have_slept.set()
        elif event.start:
            await self._begin_shutdown(event.kind)
        else:
            self._ended.set()
            await self._end_shutdown()

    def update_inhibitor(self) -> None:
        """Have logind wait for us before the next sleep; who only observes makes nobody wait."""
        if self._preparation.options.mode == "observe":
            self._lock.request(None)
        elif self._shutdown is None:
            self._lock.request("sets the alarm, and runs hooks")

    async def _begin_shutdown(self, kind: str) -> None:
        """Do what there is time for, and let go."""
        self._ended.clear()
        self._published.clear()
        # from a sleep that nobody noticed, lest it be taken for the end of this one
        self._publish_wake_event()
        self._shutdown = ShutdownInProgress(self._clock.now().mono, kind)
        self._state.set_shutdown(self._shutdown)
        try:
            if self._preparation.options.mode == "enforce":
                async with asyncio.timeout(await self._time_left()):
                    await self._preparation.prepare_announced(kind, await self._next_wake_time())
        except TimeoutError:
            self._on_error(
                f"logind waits no longer, and not all is done for the {kind}; "
                "raise InhibitDelayMaxSec= in logind.conf(5)"
            )
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PUBLISH_TIMEOUT):
                    await self._published.wait()
            self._last_wakeups = self._read_wakeup_state()
            self._lock.request(None)

    async def _time_left(self) -> float:
        """Seconds until logind goes on without us, less what it takes to tell of it."""
        try:
            inhibit_delay = await self._logind.inhibit_delay()
        except HostError:
            inhibit_delay = _DEFAULT_INHIBIT_DELAY
        return max(inhibit_delay - _PUBLISH_TIMEOUT - _MARGIN, inhibit_delay / 2)

    async def _watch_clock(self) -> None:
        """See by the clocks that the server has slept, should logind not say so, or not be heard."""
        while True:
            await self._may_have_slept.wait()
            self._may_have_slept.clear()
            shutdown = self._shutdown
            if shutdown is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_END_TIMEOUT):
                        await self._ended.wait()
            missed = shutdown is not None and shutdown is self._unconfirmed
            if self._shutdown is shutdown and (missed or self._has_slept()):
                await self._end_shutdown()

    def _has_slept(self) -> bool:
        return self._clock.now().slept - self._last_slept > _MIN_SLEPT

    def _take_wake_event(self) -> WakeEvent | None:
        """What woke the server since this was last asked; None = it has not slept."""
        now, last_wakeups = self._clock.now(), self._last_wakeups
        clock_advanced = self._has_slept()
        self._last_slept, self._last_wakeups = now.slept, self._read_wakeup_state()
        if not clock_advanced and not self._last_wakeups.slept_since(last_wakeups):
            return None
        return WakeEvent(
            now.mono,
            *wakeup_cause.find_cause(last_wakeups, self._last_wakeups, alarm_due=self._preparation.alarm_due),
            clock_advanced=clock_advanced,
        )

    async def _end_shutdown(self) -> None:
        """The server is up again, or did not go: tell what woke it, and leave nothing behind.

        Clearing up comes last: a helper that hangs takes a minute, and the next sleep may begin meanwhile.
        """
        cause = self._publish_wake_event()
        self._shutdown = None
        self._state.set_shutdown(None)
        self.update_inhibitor()
        self._on_logind_event(LogindEvent("sleep", start=False))
        await self._preparation.finish(cause)

    def _publish_wake_event(self) -> str:
        """Tell what woke the server, and give its cause; "" = it has not slept."""
        event = self._take_wake_event()
        if event is None:
            return ""
        details = filter(None, (event.detail, self._preparation.alarm_description))
        self._state.set_wake_event(replace(event, detail="; ".join(details)))
        return event.cause
