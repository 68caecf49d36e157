"""The transition into a sleep and out of it, whichever program requested it.

logind announces each sleep and shutdown, and waits a few seconds for the holders of delay locks
(https://systemd.io/INHIBITOR_LOCKS). powerd releases its lock after the preparation is complete and
published, and takes it again after logind has announced the end of the sleep: earlier, the lock would delay
the same sleep.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import field, replace
from typing import Final

from powerd.core.dataclass import dataclass
from powerd.core.service import Environment
from powerd.core.snapshot import Status
from powerd.linux.ports import Logind
from powerd.linux.values import HostError, LogindEvent
from powerd.power import wakeup_cause
from powerd.power.inhibitor_lock import InhibitorLock
from powerd.power.logind import DEFAULT_INHIBIT_DELAY
from powerd.power.model import ShutdownInProgress, TransitionFacts, WakeEvent, WakeupState
from powerd.power.shutdown import SHUTDOWN_VALID_FOR
from powerd.power.sleep_preparation import SleepPreparation, is_going_down

_MIN_SLEPT: Final = 0.01
"""Least gain of CLOCK_BOOTTIME in a sleep, seconds; the two clocks are read microseconds apart."""
_END_TIMEOUT: Final = 30.0
"""Seconds to wait for logind's signal for the end of a sleep; suspend-then-hibernate is awake in between."""
_PUBLISH_TIMEOUT: Final = 1.0
"""Seconds for which a sleep is delayed until its announcement is published."""
_STOP_TIMEOUT: Final = 20.0
"""Seconds for undoing a preparation on exit; less than the service's TimeoutStopSec=30s."""
_MARGIN: Final = 0.5
_DOCUMENT: Final = "sleep"


@dataclass(frozen=True, slots=True)
class InterruptedSleep:
    """A sleep in progress when powerd stopped: the next process runs the hook after it.

    Written only then, and removed when it is read, so no sleep costs a write, and no hook runs twice.

    Attributes:
        boot: the id of the boot.
        at: CLOCK_MONOTONIC of the stop.
        slept: seconds asleep since the boot, before this sleep.
        wakeups: the kernel's counters before it.
    """

    boot: str
    at: float
    slept: float
    wakeups: WakeupState = field(default_factory=WakeupState)


class PowerTransition:
    """Handles logind's announcements of sleeps and shutdowns.

    Args:
        environment: from the daemon; its state receives the shutdown in progress and the wake events.
        logind: the port.
        preparation: prepares each sleep.
        read_wakeup_state: reads the kernel's wakeup counters.
        on_logind_event: called with each event of logind, and at the end of each sleep.
    """

    def __init__(
        self,
        environment: Environment,
        logind: Logind,
        preparation: SleepPreparation,
        *,
        read_wakeup_state: Callable[[], WakeupState],
        on_logind_event: Callable[[LogindEvent], None],
    ) -> None:
        self._state = environment.state
        self._clock = environment.clock
        self._logind = logind
        self._read_wakeup_state = read_wakeup_state
        self._on_logind_event = on_logind_event
        self._on_error = environment.on_error
        self._preparation = preparation
        self._options = environment.options
        self._storage = environment.storage
        self._boot_id = environment.boot_id
        self._lock = InhibitorLock(logind, ("sleep", "shutdown"), "delay", environment.on_error)
        self._tasks = asyncio.TaskGroup()
        self._shutdown: ShutdownInProgress | None = None
        self._unconfirmed: ShutdownInProgress | None = None
        self._last_slept = environment.clock.now().slept
        self._last_wakeups = self._read_wakeup_state()
        self._published, self._may_have_slept, self._ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._load_interrupted_sleep()

    def _load_interrupted_sleep(self) -> None:
        """Continue with the sleep during which the process before has stopped; it may be over by now.

        Not after a boot, and not after more than a restart: who starts powerd later has seen to the rest.
        """
        interrupted, now = self._storage.load(_DOCUMENT, InterruptedSleep).value, self._clock.now().mono
        if interrupted is None:
            return
        self._storage.save(_DOCUMENT, None)
        if (
            not self._boot_id
            or interrupted.boot != self._boot_id
            or now - interrupted.at > SHUTDOWN_VALID_FOR
        ):
            return
        self._preparation.take_over()
        self._last_slept, self._last_wakeups = interrupted.slept, interrupted.wakeups
        self._shutdown = ShutdownInProgress(now, "sleep")
        self._publish_facts(shutdown=self._shutdown)

    async def run(self) -> None:
        """Handle logind's events until cancelled.

        At the end a preparation is undone, unless a sleep or shutdown is in progress.
        """
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self.update_inhibitor()
                self._tasks.create_task(self._lock.run())
                self._tasks.create_task(self._clean_up_after_predecessor())
                self._tasks.create_task(self._watch_clock())
                async for event in self._logind.events():
                    await self._handle(event)
                raise RuntimeError(
                    "powerd has stopped receiving events of logind; restart it: systemctl restart powerd"
                )
        finally:
            # logind knows whether a sleep is in progress; this process may not have received the end yet.
            if self._shutdown is None or self._shutdown.kind != "shutdown":
                await self._undo_on_exit()

    async def _clean_up_after_predecessor(self) -> None:
        """Clear the alarm of an earlier process, and end the sleep that it has begun, if it is over."""
        interrupted = self._shutdown
        if interrupted is None:
            await self._preparation.undo()
        elif not await self._is_going_down() and self._shutdown is interrupted:
            self._end_shutdown()

    async def _undo_on_exit(self) -> None:
        """In a separate task: in a task that is being cancelled, Python 3.11.2 raises no TimeoutError."""
        undoing = asyncio.get_running_loop().create_task(self._preparation.close())
        await asyncio.wait({undoing}, timeout=_STOP_TIMEOUT)
        if not undoing.done():
            self._on_error(
                f"the helper, or hooks.after_wake, was still running after {_STOP_TIMEOUT:g} s; powerd has "
                "stopped, and its RTC alarm may still be set"
            )
            undoing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await undoing
        if self._preparation.awaits_hook:
            interrupted = InterruptedSleep(
                self._boot_id, self._clock.now().mono, self._last_slept, self._last_wakeups
            )
            self._storage.save(_DOCUMENT, interrupted)

    def on_decision(self, status: Status) -> None:
        """Note that the shutdown in progress has been published, and that the server has slept."""
        if self._shutdown is not None and status.snapshot.part(TransitionFacts).shutdown is self._shutdown:
            self._published.set()
        if self._has_slept():
            self._may_have_slept.set()
        elif (
            self._shutdown is not None and self._clock.now().mono - self._shutdown.since > SHUTDOWN_VALID_FOR
        ):  # a restarted logind does not announce the end
            self._unconfirmed = self._shutdown
            self._may_have_slept.set()

    async def _handle(self, event: LogindEvent) -> None:
        if event.kind not in {"sleep", "shutdown"}:
            self._lock.retry()
            self._on_logind_event(event)
            if event.kind == "found":  # the end of the sleep may have been announced meanwhile
                self._unconfirmed = self._shutdown
                self._may_have_slept.set()
        elif event.start:
            await self._begin_shutdown(event.kind)
        else:
            self._ended.set()
            self._end_shutdown()

    def update_inhibitor(self) -> None:
        """Request the delay lock for the next sleep; not in observe mode."""
        if self._options().mode == "observe":
            self._lock.request(None)
        elif self._shutdown is None:
            self._lock.request("sets the alarm, and runs hooks")

    async def _begin_shutdown(self, kind: str) -> None:
        """Prepare within the time limit, and release the lock."""
        self._ended.clear()
        self._published.clear()
        # of an unnoticed sleep, which otherwise counts as the end of this one
        self._publish_wake_event()
        self._shutdown = ShutdownInProgress(self._clock.now().mono, kind)
        self._publish_facts(shutdown=self._shutdown)
        try:
            if self._options().mode == "enforce":
                async with asyncio.timeout(await self._time_left()):
                    await self._preparation.prepare_announced(kind)
        except TimeoutError:
            self._on_error(
                f"the preparation of the {kind} is incomplete at the end of logind's delay; "
                "raise InhibitDelayMaxSec= in logind.conf(5)"
            )
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PUBLISH_TIMEOUT):
                    await self._published.wait()
            self._last_wakeups = self._read_wakeup_state()
            self._lock.request(None)

    async def _time_left(self) -> float:
        """Seconds until the end of logind's delay, less the time for publishing."""
        try:
            inhibit_delay = await self._logind.inhibit_delay()
        except HostError:
            inhibit_delay = DEFAULT_INHIBIT_DELAY
        return max(inhibit_delay - _PUBLISH_TIMEOUT - _MARGIN, inhibit_delay / 2)

    async def _watch_clock(self) -> None:
        """Detect by the clocks that the server has slept, in case logind does not announce it."""
        while True:
            await self._may_have_slept.wait()
            self._may_have_slept.clear()
            shutdown = self._shutdown
            if shutdown is not None:
                try:
                    async with asyncio.timeout(_END_TIMEOUT):
                        await self._ended.wait()
                except TimeoutError:
                    if await self._is_going_down():  # a restarted logind forgets it; a hibernation takes long
                        self._may_have_slept.set()
                        continue
            missed = shutdown is not None and shutdown is self._unconfirmed
            if self._shutdown is shutdown and (missed or self._has_slept()):
                self._end_shutdown()

    async def _is_going_down(self) -> bool:
        """Whether the sleep or shutdown is in progress; if that is unknown, unless the clocks show a sleep.

        Then it is over, or about to be, and what the hook before it has stopped is needed again.
        """
        try:
            return await is_going_down(self._logind)
        except HostError:
            return not self._has_slept()

    def _has_slept(self) -> bool:
        return self._clock.now().slept - self._last_slept > _MIN_SLEPT

    def _take_wake_event(self) -> WakeEvent | None:
        """The wake-up since the last call; None = the server has not slept."""
        now, last_wakeups = self._clock.now(), self._last_wakeups
        clock_advanced, slept = self._has_slept(), now.slept - self._last_slept
        self._last_slept, self._last_wakeups = now.slept, self._read_wakeup_state()
        if not clock_advanced and not self._last_wakeups.slept_since(last_wakeups):
            return None
        return WakeEvent(
            now.mono,
            *wakeup_cause.find_cause(last_wakeups, self._last_wakeups, alarm_due=self._preparation.alarm_due),
            clock_advanced=clock_advanced,
            slept=max(slept, 0.0),
        )

    def _end_shutdown(self) -> None:
        """The server is awake again, or did not sleep: publish the wake event, and clean up.

        The cleanup is done in the background: it may wait a minute for a helper that hangs, or an hour for
        the hook of another preparation, and the next event may come meanwhile.
        """
        before, shutdown = self._last_wakeups, self._shutdown
        cause = self._publish_wake_event()
        self._shutdown = None
        if shutdown is not None and not cause:
            why = wakeup_cause.describe_failure(before, self._last_wakeups)
            self._publish_facts(shutdown=None, not_slept_at=self._clock.now().mono, not_slept_why=why)
        else:
            self._publish_facts(shutdown=None)
        self.update_inhibitor()
        self._on_logind_event(LogindEvent("sleep", start=False))
        self._tasks.create_task(self._preparation.finish(cause))

    def _publish_wake_event(self) -> str:
        """Publish the wake event, and return its cause; "" = the server has not slept."""
        event = self._take_wake_event()
        if event is None:
            return ""
        details = filter(None, (event.detail, self._preparation.alarm_description))
        self._publish_facts(wake_event=replace(event, detail="; ".join(details)))
        return event.cause

    def _publish_facts(self, **changes: ShutdownInProgress | WakeEvent | float | str | None) -> None:
        facts = self._state.snapshot().part(TransitionFacts)
        self._state.put(replace(facts, **changes))  # type: ignore[arg-type] # each of its own field's type
