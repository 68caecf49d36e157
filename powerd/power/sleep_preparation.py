"""Prepares the server for a sleep and cleans up afterwards: RTC alarm, network cards, hooks.

Sleeps that powerd requests and sleeps that others request are prepared alike. Each step runs once per sleep:
logind's signal for a sleep that powerd has requested arrives a moment later.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from powerd.core.actions import Sleep, WakeTime
from powerd.core.service import Environment
from powerd.core.time import Reading
from powerd.linux.dbus import NotRunningError
from powerd.linux.ports import Helper, Logind, Processes
from powerd.linux.values import HostError
from powerd.power.actuator import SleepCancelledError
from powerd.power.hooks import HookRunner
from powerd.power.model import MAGIC_PACKET, NetworkCardFacts, TransitionFacts
from powerd.power.rtc_alarm import RtcAlarm

_VALID_FOR: Final = 300.0
"""Seconds for which a preparation is valid; a later sleep is prepared again."""
_QUICK: Final = 5.0
"""Seconds that the preparation may take without new readings for the check for reasons to stay awake."""
_LOGIND_TIMEOUT: Final = 5.0
"""Seconds that logind may take to say whether a sleep is in progress."""
_KINDS: Final = {"command": "command", "poweroff": "shutdown"}
_OTHER_SLEEP: Final = "a sleep requested by another program is already in progress"


async def is_going_down(logind: Logind) -> bool:
    """Whether a sleep or shutdown is in progress; without logind none is.

    Raises:
        HostError: unknown, because logind does not answer within 5 s.
    """
    try:
        async with asyncio.timeout(_LOGIND_TIMEOUT):
            return bool(await logind.transition_in_progress())
    except NotRunningError:
        return False
    except TimeoutError:
        raise HostError(f"logind did not answer within {_LOGIND_TIMEOUT:g} s") from None


class Recheck(Protocol):
    """Finds a reason to stay awake; see SleepPreparation."""

    async def __call__(self, since: float, *, polls: bool) -> str | None:
        """The reason, one clause; ``polls``: all sources are polled before."""
        ...


@dataclass(slots=True)
class _Progress:
    """The state of the preparation.

    Attributes:
        at: CLOCK_MONOTONIC at which the hook ended, or at which logind announced the sleep; infinite while
            powerd prepares its own: the hook may take an hour, and must not run again because of it.
        hook_run: the before_sleep hook has run, or is running.
        hook_ended: set when it has ended.
    """

    at: float
    hook_run: bool = False
    hook_ended: asyncio.Event = field(default_factory=asyncio.Event)


class SleepPreparation:
    """Prepares each sleep once, and cleans up after it.

    Args:
        environment: from the daemon; its state has the readings of the network cards.
        helper, logind, processes: the ports.
        alarm: powerd's RTC alarm.
        next_wake_time: computes the next wake time from fresh readings, within a second.
        recheck: called after the preparation with the time at which it began, CLOCK_MONOTONIC; returns a
            reason to stay awake, or None.
        announce: called with the wake time before each sleep, because the network goes; takes a bounded time.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the ports, and what other domains do before a sleep
        self,
        environment: Environment,
        helper: Helper,
        logind: Logind,
        processes: Processes,
        alarm: RtcAlarm,
        next_wake_time: Callable[[], Awaitable[WakeTime | None]],
        recheck: Recheck,
        announce: Callable[[WakeTime | None], Awaitable[None]],
    ) -> None:
        self._options = environment.options
        self._state = environment.state
        self._clock = environment.clock
        self._helper = helper
        self._logind = logind
        self._alarm = alarm
        self._next_wake_time = next_wake_time
        self._recheck = recheck
        self._announce = announce
        self._on_error = environment.on_error
        self._hook_runner = HookRunner(processes, environment.on_error)
        self._lock = asyncio.Lock()
        self._progress: _Progress | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def alarm_due(self) -> bool:
        """Whether the alarm for this sleep is due, powerd's or an earlier one of another program."""
        return self._alarm.is_due

    @property
    def alarm_description(self) -> str:
        """The alarm of this sleep, one clause; "" = there is none."""
        wake_time = self._alarm.wake_time
        if wake_time is None:
            return ""
        relation = "an intermediate one for" if self._alarm.is_intermediate else "for"
        return f"the alarm was {relation} {wake_time.reason}" + (
            "" if self._alarm.is_due else ", and is cleared"
        )

    @property
    def awaits_hook(self) -> bool:
        """Whether the hook before a sleep has run, or has begun to, and the one after it has not."""
        return self._progress is not None and self._progress.hook_run

    def take_over(self) -> None:
        """Continue after the process before has run the hook; any later sleep is prepared again."""
        self._progress = _Progress(-math.inf, hook_run=True)
        self._progress.hook_ended.set()

    async def prepare_action(self, action: Sleep) -> None:
        """Prepare a sleep that powerd is about to request.

        Raises:
            HostError: the alarm or a card cannot be set, or logind refuses; cancel() undoes the preparation.
            SleepCancelledError: a reason to stay awake has appeared, and the preparation is undone; or a
                sleep of another program has begun.
        """
        async with self._lock:
            started_at = self._clock.now().mono
            if self._is_announced():
                raise SleepCancelledError(_OTHER_SLEEP)
            progress = self._progress = _Progress(math.inf)
            await self._alarm.set(action.wake_time)
            for name in self._cards_to_arm():
                await self._helper.arm_card(name)
        # Without the lock: another program's sleep is prepared meanwhile.
        await self._run_hook(progress, _KINDS.get(action.sleep_action, "sleep"))
        progress.at = self._clock.now().mono
        wake_time = action.wake_time
        if progress.at - started_at > _QUICK or self._options().hooks.before_sleep:
            wake_time = await self._next_wake_time()
            async with self._lock:
                if self._progress is progress:
                    await self._alarm.ensure(wake_time)
            await self._check_again(progress, started_at, polls=True)
        # After the hook and the polls: a server that begins to need this one before is detected here; one
        # that needs it later receives the announcement, and wakes it.
        await self._announce(wake_time)
        if action.sleep_action != "command":
            await self._logind.check_sleep(action.sleep_action)
        # A person may have kept the server awake, or called the sleep off, meanwhile. Nothing is waited for
        # between this and the request.
        await self._check_again(progress, started_at, polls=False)

    async def _check_again(self, progress: _Progress, since: float, *, polls: bool) -> None:
        """Undo the preparation if there is a reason to stay awake; ``since``, ``polls``: as of Recheck.

        Raises:
            SleepCancelledError: there is one, or a sleep of another program has begun since; its end undoes,
                or has undone, this preparation.
        """
        reason = await self._recheck(since, polls=polls)
        if self._is_announced() or self._progress is not progress:
            raise SleepCancelledError(_OTHER_SLEEP)
        if reason is None and self._alarm.is_due:  # a hook may take an hour; the next decision has a new time
            reason = "its RTC alarm is over"
        if reason is not None:
            await self.cancel()
            raise SleepCancelledError(f"cancelled by the last check: {reason}")

    async def prepare_announced(self, kind: str) -> None:
        """Complete the preparation for a sleep that logind has announced and that cannot be cancelled."""
        wake_time = await self._next_wake_time()
        async with self._lock:
            progress = self._progress = self._valid_progress() or _Progress(self._clock.now().mono)
            cards = (self._helper.arm_card(name) for name in self._cards_to_arm())
            steps = (self._alarm.ensure(wake_time), *cards, self._announce(wake_time))
            await asyncio.gather(*(self._attempt(kind, step) for step in steps))
        await self._run_hook(progress, kind)

    async def _attempt(self, kind: str, step: Awaitable[object]) -> None:
        """Run one step; after a failure another way to wake up may still work."""
        try:
            await step
        except HostError as error:
            self._on_error(f"the {kind} begins without full preparation: {error}")

    async def cancel(self) -> None:
        """Undo the preparation of a sleep that does not take place, unless logind has announced another."""
        async with self._lock:  # another preparation may be running
            if self._progress is not None and not self._is_announced():
                await self._finish("")

    def _valid_progress(self) -> _Progress | None:
        """The preparation; None = there is none, or it is too old to be that of the present sleep."""
        progress = self._progress
        is_valid = progress is not None and self._clock.now().mono - progress.at <= _VALID_FOR
        return progress if is_valid else None

    def _is_announced(self) -> bool:
        """Whether logind has announced a sleep or shutdown that is not over; it cannot be cancelled."""
        return self._state.snapshot().part(TransitionFacts).shutdown is not None

    async def finish(self, cause: str) -> None:
        """After the sleep: clear powerd's alarm, and run the after_wake hook.

        Args:
            cause: the cause of the wake-up; "" = the server did not sleep.
        """
        async with self._lock:
            if not self._is_announced():  # otherwise the next one needs the alarm
                await self._finish(cause)

    async def _finish(self, cause: str) -> None:
        progress, self._progress = self._progress, None  # before the alarm: a preparation checks this
        hook_run = progress is not None and progress.hook_run  # in observe mode too, after a reload meanwhile
        if hook_run or (cause and self._options().mode == "enforce"):
            task = asyncio.ensure_future(self._hook_runner.run(self._options().hooks, "after_wake", cause))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await self._clear_alarm()  # last: it may wait for the helper until powerd stops

    async def undo(self) -> None:
        """Undo what is prepared when powerd starts or stops, unless a sleep in progress may need it."""
        progress = self._progress
        if self._alarm.is_set_for(None) and progress is None:
            return
        try:
            if await is_going_down(self._logind):
                return
        except HostError as error:  # a sleep that is in progress needs the alarm
            self._on_error(f"powerd's RTC alarm may still be set, in case a sleep is in progress: {error}")
            return
        async with self._lock:
            if self._progress is not progress:  # a sleep has been announced meanwhile
                return
            await self._finish("")

    async def close(self) -> None:
        """Undo what is prepared when powerd stops, and wait for the after_wake hook."""
        await self.undo()
        await asyncio.gather(*self._tasks)

    async def _clear_alarm(self) -> None:
        try:
            await self._alarm.clear()
        except HostError as error:
            self._on_error(f"powerd's RTC alarm may still be set: {error}")

    def _cards_to_arm(self) -> list[str]:
        """Cards to arm for a magic packet, if wake.arm_lan is set.

        Armed cards are included: the reading may be a day old, and drivers and network managers clear the
        flag. The helper reads the flag first, and sets it only if needed.
        """
        if not self._options().wake.arm_lan:
            return []
        cards = self._state.snapshot().part(NetworkCardFacts).network_cards.items()
        return [
            name
            for name, reading in cards
            if isinstance(reading, Reading) and MAGIC_PACKET in reading.value.supported
        ]

    async def _run_hook(self, progress: _Progress, kind: str) -> None:
        if progress.hook_run:
            await progress.hook_ended.wait()
            return
        progress.hook_run = True
        try:
            await self._hook_runner.run(self._options().hooks, "before_sleep", kind)
        finally:
            progress.hook_ended.set()
