"""What is done for a sleep and undone after it: the alarm, the network cards, the hooks.

Powerd's own orders and those of others are prepared alike, and what has been done for a night is done once:
an order of powerd's comes back as logind's signal a moment later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from powerd.board import Board
from powerd.clock import Clock
from powerd.config import Options
from powerd.host.values import HostError
from powerd.model import Card, Seen, Sleep, Wake
from powerd.transit import alarm, hooks
from powerd.transit.alarm import OwnAlarm
from powerd.transit.hooks import Hooks

_LASTS: Final = 300.0
"""A sleep that was prepared and has not begun within this time, seconds, is prepared anew when it does."""
_SOON: Final = 5.0
"""Seconds that the alarm and the cards may take before it is asked again who is there."""
_MAGIC: Final = "g"
"""The letter of ethtool(8) for the magic packet."""
_WHAT: Final = {"command": "command", "poweroff": "shutdown"}


class Hands(alarm.Hands, hooks.Hands, Protocol):
    """What a night needs; each raises HostError when it is not done."""

    async def arm_card(self, interface: str) -> Card:
        """Let a magic packet to this network card wake the machine."""
        ...


@dataclass(slots=True)
class _Done:
    """What has been done for the sleep that is coming, and when: begun, or since ended.

    Attributes:
        announced: nothing can stop it any more.
    """

    at: float
    hooked: bool = False
    announced: bool = False


class Night:
    """Prepares a sleep, once, and clears up after it.

    Args:
        board: names the network cards.
        clock, hands: the host.
        options: the configuration in force; may be replaced on reload.
        alarm: powerd's own.
        still: asked after a hook, or whatever else took time, since when that was, CLOCK_MONOTONIC: why the
            server must not go after all; None = it may.
        complain: told of what could not be done and holds nothing up.
    """

    def __init__(  # noqa: PLR0913 - the host, and all that belongs to a night
        self,
        board: Board,
        clock: Clock,
        hands: Hands,
        *,
        options: Options,
        alarm: OwnAlarm,
        still: Callable[[float], Awaitable[str | None]],
        complain: Callable[[str], None],
    ) -> None:
        self.options = options
        self._board = board
        self._clock = clock
        self._hands = hands
        self._alarm = alarm
        self._still = still
        self._complain = complain
        self._hooks = Hooks(hands, complain)
        self._one_at_a_time = asyncio.Lock()
        self._done: _Done | None = None
        self._errands: set[asyncio.Task[None]] = set()

    @property
    def alarm_due(self) -> bool:
        """Whether an alarm that was set, or left standing, for this night has gone off."""
        return self._alarm.due

    @property
    def alarm_fate(self) -> str:
        """What becomes of the alarm when the night ends, one clause; "" = there is none."""
        wake = self._alarm.wake
        if wake is None:
            return ""
        way = "halfway to" if self._alarm.halfway else "for"
        return f"the alarm was {way} {wake.because}" + ("" if self._alarm.due else ", and is taken away")

    async def set_out(self, order: Sleep) -> None:
        """Prepare a sleep that powerd is about to order.

        Raises:
            HostError: the server could not be woken as it has to be, or somebody came back meanwhile; nothing
                is left of what was done. Or it goes already, by somebody else's order.
        """
        async with self._one_at_a_time:
            begun = self._clock.now().mono
            if self._announced():
                raise HostError("the server is on its way into a sleep already, by somebody else's order")
            done = self._done = _Done(begun)
            try:
                await self._alarm.set(order.wake)
                for name in self._cards():
                    await self._hands.arm_card(name)
            except HostError:
                self._done = None
                await self._put_away()
                raise
            await self._hook(done, _WHAT.get(order.action, "sleep"))
            done.at = self._clock.now().mono  # a hook may take an hour, and is not to run again for that
        slow = done.at - begun > _SOON
        why = await self._still(begun) if slow or self.options.hooks.before_sleep else None
        if why is not None:
            await self.turn_back()
            raise HostError(f"called off at the last moment: {why}")

    async def prepare(self, what: str, wake: Wake | None) -> None:
        """The same for a sleep that nothing can stop any more, as far as it has not been done."""
        async with self._one_at_a_time:
            now = self._clock.now().mono
            if self._done is None or now - self._done.at > _LASTS:
                self._done = _Done(now)
            self._done.announced = True
            cards = (self._hands.arm_card(name) for name in self._cards())
            await asyncio.gather(*(self._attempt(what, way) for way in (self._see_to_alarm(wake), *cards)))
            await self._hook(self._done, what)

    async def _attempt(self, what: str, way: Awaitable[object]) -> None:
        """Prepare one way to wake up; where it fails, another may yet bring the server back."""
        try:
            await way
        except HostError as error:
            self._complain(f"the {what} begins unprepared, and nobody asked powerd: {error}")

    async def _see_to_alarm(self, wake: Wake | None) -> None:
        if not self._alarm.stands_for(wake):
            await self._alarm.set(wake)

    async def turn_back(self) -> None:
        """The sleep that was prepared does not come; one of somebody else's does, and has its own end."""
        async with self._one_at_a_time:  # it may be being prepared
            announced = self._announced()
        if not announced:
            await self.end("")

    def _announced(self) -> bool:
        """Whether a sleep comes that nothing can stop."""
        done = self._done
        return done is not None and done.announced and self._clock.now().mono - done.at <= _LASTS

    async def end(self, cause: str) -> None:
        """The night is over: take powerd's alarm away, and run the hook.

        Args:
            cause: what woke the server; "" = it did not sleep.
        """
        async with self._one_at_a_time:
            await self._put_away()
            done, self._done = self._done, None
        if (cause or (done is not None and done.hooked)) and self.options.mode == "enforce":
            errand = asyncio.ensure_future(self._hooks.run(self.options.hooks, "after_wake", cause))
            self._errands.add(errand)
            errand.add_done_callback(self._errands.discard)

    async def put_away(self) -> None:
        """Take powerd's alarm away, whatever it was set for."""
        async with self._one_at_a_time:
            await self._put_away()

    async def _put_away(self) -> None:
        try:
            await self._alarm.clear()
        except HostError as error:
            self._complain(f"an alarm of powerd's may still stand: {error}")

    def _cards(self) -> list[str]:
        """Cards by which a magic packet is to wake the server, where that is asked for.

        Armed ones too: their flags were read up to a day ago, and drivers and network managers clear them.
        The helper reads first, and arms what is not.
        """
        if not self.options.wake.arm_lan:
            return []
        cards = self._board.snapshot().cards.items()
        return [name for name, word in cards if isinstance(word, Seen) and _MAGIC in word.value.supported]

    async def _hook(self, done: _Done, what: str) -> None:
        if not done.hooked:
            done.hooked = True
            await self._hooks.run(self.options.hooks, "before_sleep", what)
