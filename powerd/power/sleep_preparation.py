"""What is done for a sleep and undone after it: the alarm, the network cards, the hooks.

Powerd's own orders and those of others are prepared alike, and what has been done for a night is done once:
an order of powerd's comes back as logind's signal a moment later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from powerd.config.options import Options
from powerd.core.actions import Sleep
from powerd.core.clock import Clock
from powerd.core.state import StateStore
from powerd.core.time import Reading
from powerd.linux.ports import Helper, Processes
from powerd.linux.values import HostError
from powerd.power.hooks import HookRunner
from powerd.power.model import WakeTime
from powerd.power.rtc_alarm import RtcAlarm

_VALID_FOR: Final = 300.0
"""A sleep that was prepared and has not begun within this time, seconds, is prepared anew when it does."""
_QUICK: Final = 5.0
"""Seconds that the alarm and the cards may take before it is asked again who is there."""
_MAGIC_PACKET: Final = "g"
"""The letter of ethtool(8) for the magic packet."""
_KINDS: Final = {"command": "command", "poweroff": "shutdown"}


@dataclass(slots=True)
class _Progress:
    """What has been done for the sleep that is coming, and when: begun, or since ended.

    Attributes:
        is_final: nothing can stop it any more.
    """

    at: float
    hook_run: bool = False
    is_final: bool = False


class SleepPreparation:
    """Prepares a sleep, once, and clears up after it.

    Args:
        state: names the network cards.
        clock: the clock of the host.
        helper, processes: the ports.
        options: the configuration in force; may be replaced on reload.
        alarm: powerd's own.
        recheck: asked after a hook, or whatever else took time, since when that was, CLOCK_MONOTONIC: why the
            server must not go after all; None = it may.
        on_error: told of what could not be done and holds nothing up.
    """

    def __init__(  # noqa: PLR0913 - the host, and all that belongs to a night
        self,
        state: StateStore,
        clock: Clock,
        helper: Helper,
        processes: Processes,
        *,
        options: Options,
        alarm: RtcAlarm,
        recheck: Callable[[float], Awaitable[str | None]],
        on_error: Callable[[str], None],
    ) -> None:
        self.options = options
        self._state = state
        self._clock = clock
        self._helper = helper
        self._alarm = alarm
        self._recheck = recheck
        self._on_error = on_error
        self._hook_runner = HookRunner(processes, on_error)
        self._lock = asyncio.Lock()
        self._progress: _Progress | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def alarm_due(self) -> bool:
        """Whether an alarm that was set, or left standing, for this night has gone off."""
        return self._alarm.is_due

    @property
    def alarm_description(self) -> str:
        """What becomes of the alarm when the night ends, one clause; "" = there is none."""
        wake_time = self._alarm.wake_time
        if wake_time is None:
            return ""
        relation = "halfway to" if self._alarm.is_intermediate else "for"
        return f"the alarm was {relation} {wake_time.reason}" + (
            "" if self._alarm.is_due else ", and is taken away"
        )

    async def prepare_action(self, action: Sleep) -> None:
        """Prepare a sleep that powerd is about to order.

        Raises:
            HostError: the server could not be woken as it has to be, or somebody came back meanwhile; nothing
                is left of what was done. Or it goes already, by somebody else's order.
        """
        async with self._lock:
            started_at = self._clock.now().mono
            if self._is_final():
                raise HostError("the server is on its way into a sleep already, by somebody else's order")
            progress = self._progress = _Progress(started_at)
            try:
                await self._alarm.set(action.wake_time)
                for name in self._cards_to_arm():
                    await self._helper.arm_card(name)
            except HostError:
                self._progress = None
                await self._clear_alarm()
                raise
            await self._run_hook(progress, _KINDS.get(action.sleep_action, "sleep"))
            progress.at = self._clock.now().mono  # a hook may take an hour, and is not to run again for that
        took_long = progress.at - started_at > _QUICK
        reason = await self._recheck(started_at) if took_long or self.options.hooks.before_sleep else None
        if reason is not None:
            await self.cancel()
            raise HostError(f"called off at the last moment: {reason}")

    async def prepare_announced(self, kind: str, wake_time: WakeTime | None) -> None:
        """The same for a sleep that nothing can stop any more, as far as it has not been done."""
        async with self._lock:
            now = self._clock.now().mono
            if self._progress is None or now - self._progress.at > _VALID_FOR:
                self._progress = _Progress(now)
            self._progress.is_final = True
            cards = (self._helper.arm_card(name) for name in self._cards_to_arm())
            await asyncio.gather(
                *(self._attempt(kind, step) for step in (self._ensure_alarm(wake_time), *cards))
            )
            await self._run_hook(self._progress, kind)

    async def _attempt(self, kind: str, step: Awaitable[object]) -> None:
        """Prepare one way to wake up; where it fails, another may yet bring the server back."""
        try:
            await step
        except HostError as error:
            self._on_error(f"the {kind} begins unprepared, and nobody asked powerd: {error}")

    async def _ensure_alarm(self, wake_time: WakeTime | None) -> None:
        if not self._alarm.is_set_for(wake_time):
            await self._alarm.set(wake_time)

    async def cancel(self) -> None:
        """The sleep that was prepared does not come; one of somebody else's does, and has its own end."""
        async with self._lock:  # it may be being prepared
            is_final = self._is_final()
        if not is_final:
            await self.finish("")

    def _is_final(self) -> bool:
        """Whether a sleep comes that nothing can stop."""
        progress = self._progress
        return (
            progress is not None and progress.is_final and self._clock.now().mono - progress.at <= _VALID_FOR
        )

    async def finish(self, cause: str) -> None:
        """The night is over: take powerd's alarm away, and run the hook.

        Args:
            cause: what woke the server; "" = it did not sleep.
        """
        async with self._lock:
            await self._clear_alarm()
            progress, self._progress = self._progress, None
        if (cause or (progress is not None and progress.hook_run)) and self.options.mode == "enforce":
            task = asyncio.ensure_future(self._hook_runner.run(self.options.hooks, "after_wake", cause))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def clear_alarm(self) -> None:
        """Take powerd's alarm away, whatever it was set for."""
        async with self._lock:
            await self._clear_alarm()

    async def _clear_alarm(self) -> None:
        try:
            await self._alarm.clear()
        except HostError as error:
            self._on_error(f"an alarm of powerd's may still stand: {error}")

    def _cards_to_arm(self) -> list[str]:
        """Cards by which a magic packet is to wake the server, where that is asked for.

        Armed ones too: their flags were read up to a day ago, and drivers and network managers clear them.
        The helper reads first, and arms what is not.
        """
        if not self.options.wake.arm_lan:
            return []
        cards = self._state.snapshot().network_cards.items()
        return [
            name
            for name, reading in cards
            if isinstance(reading, Reading) and _MAGIC_PACKET in reading.value.supported
        ]

    async def _run_hook(self, progress: _Progress, kind: str) -> None:
        if not progress.hook_run:
            progress.hook_run = True
            await self._hook_runner.run(self.options.hooks, "before_sleep", kind)
