"""The RTC's alarm as far as it is powerd's own: set, remembered, taken away, and others' given back.

What is remembered outlives a crash and a reboot, so no alarm of powerd's stays behind for good. All that is
known of an alarm is its time by the RTC's own clock (powerd/helper/protocol.py); nothing tells who set it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from powerd.clock import Clock
from powerd.host.values import Alarm, HostError
from powerd.model import Wake

LEAST: Final = 60
"""Seconds: the helper sets no alarm that is nearer."""
_SAME: Final = 2.0
"""A wanted wake-up that has moved by no more, seconds, has not moved."""
_DAY: Final = 86_400 - 300
"""Seconds that every RTC reaches ahead: many hold no date, and an alarm a day ahead at most (rtc-cmos.c)."""
_EARLY: Final = 2.0
"""An alarm that is due in so many seconds is due: the RTC counts whole ones."""
_LATE: Final = 30
"""Seconds after an alarm was asked for the helper may have set it: it promises an answer within 25."""


class Eyes(Protocol):
    """What has to be seen for it."""

    async def read_alarm(self) -> Alarm:
        """The alarm that stands. Raises HostError when nobody can say."""
        ...


class Hands(Protocol):
    """What has to be done for it; each raises HostError when it is not done, or not confirmed."""

    async def set_alarm(self, in_seconds: int, replaces: int | None) -> Alarm:
        """Wake the machine in so many seconds, in place of the own alarm at ``replaces``; read back."""
        ...

    async def clear_alarm(self, at: int) -> Alarm:
        """Take away the alarm that is set to exactly ``at``."""
        ...


@dataclass(frozen=True, slots=True)
class Own:
    """An alarm that powerd has set, or has asked for without hearing what became of it; times of the RTC's.

    Attributes:
        at: its time; None = none was set for certain.
        before: the time of the later one that it replaced; None = it replaced none.
        asked: times that were asked for; one of them may stand.
    """

    at: int | None
    before: int | None = None
    asked: tuple[int, ...] = ()

    def owns(self, alarm: int | None) -> bool:
        """Whether the alarm that stands is powerd's."""
        if alarm is None:
            return False
        return alarm == self.at or any(-_EARLY <= alarm - asked <= _LATE for asked in self.asked)


class OwnAlarm:
    """Powerd's alarm.

    Attributes:
        halfway: the one that was set comes before it is needed, for the RTC does not reach farther.

    Args:
        eyes, hands, clock: the host.
        document: what ``remember`` was last given, or None.
        remember: keeps a document over a restart.
    """

    def __init__(
        self,
        eyes: Eyes,
        hands: Hands,
        clock: Clock,
        document: object = None,
        remember: Callable[[object], None] = lambda _: None,
    ) -> None:
        self._eyes = eyes
        self._hands = hands
        self._clock = clock
        self._remember = remember
        self._own = revive(document)
        self.halfway = False
        self._for: Wake | None = None
        self._rings: float | None = None
        self._asking: asyncio.Future[None] | None = None

    @property
    def wake(self) -> Wake | None:
        """What it was set for; None = for nothing."""
        return self._for

    @property
    def due(self) -> bool:
        """Whether the alarm that stood has gone off by now, be it powerd's or an earlier one of others."""
        return self._rings is not None and self._boottime() >= self._rings - _EARLY

    def stands_for(self, wake: Wake | None) -> bool:
        """Whether all has been done for that wake-up."""
        if wake is None:
            return self._for is None and self._own is None
        return self._for is not None and abs(_boottime(wake) - _boottime(self._for)) <= _SAME

    async def set(self, wake: Wake | None) -> None:
        """Set it for ``wake``, or leave an earlier one of others in its place; None = take it away.

        Raises:
            HostError: it is not set, or not confirmed.
        """
        if wake is None:
            await self.clear()
            return
        self._asking = asyncio.ensure_future(self._set(wake))
        self._asking.add_done_callback(lambda asked: asked.cancelled() or asked.exception())
        await asyncio.shield(self._asking)

    async def _set(self, wake: Wake) -> None:
        """Never broken off: an alarm that stands and is not remembered would stay."""
        self._for = None
        stood = await self._eyes.read_alarm()
        own = _settled(self._own, stood)
        ahead = max(LEAST, round(_boottime(wake) - self._boottime()))
        try:
            alarm = await self._ask(ahead, own.at if own else None)
        except HostError:
            self._keep(_doubted(own, stood, {ahead, min(ahead, _DAY)}))
            raise
        if alarm.written and alarm.at is not None:
            self._keep(Own(alarm.at, _replaced(alarm, own)))
        else:
            self._keep(None)  # an earlier one of others will do; had ours stood, it would have been replaced
        self._for = wake
        self._rings = self._boottime() + (alarm.in_seconds or 0)

    async def _ask(self, ahead: int, replaces: int | None) -> Alarm:
        """Set it, or one to wake up for on the way where the RTC does not reach so far."""
        self.halfway = False
        try:
            return await self._hands.set_alarm(ahead, replaces)
        except HostError:
            if ahead <= _DAY:
                raise
        alarm = await self._hands.set_alarm(_DAY, replaces)
        self.halfway = True
        return alarm

    async def clear(self) -> None:
        """Take it away if it still stands, and set again the later one that it replaced.

        Raises:
            HostError: that could not be done; it is tried again the next time.
        """
        if self._asking is not None:
            await asyncio.wait({self._asking})
        self._for = self._rings = None
        own = self._own
        if own is None:
            return
        alarm = await self._eyes.read_alarm()
        if alarm.at is not None and own.owns(alarm.at):
            alarm = await self._hands.clear_alarm(alarm.at)
        self._keep(None)
        if own.before is not None and alarm.at is None and own.before >= alarm.now + LEAST:
            await self._hands.set_alarm(own.before - alarm.now, None)

    def _keep(self, own: Own | None) -> None:
        if own != self._own:
            self._own = own
            self._remember(None if own is None else _document(own))

    def _boottime(self) -> float:
        now = self._clock.now()
        return now.mono + now.slept


def revive(document: object) -> Own | None:
    """The alarm that a former life of the daemon has set; what is no document of ours is passed over."""
    data = document if isinstance(document, dict) else {}
    at, before = (_whole(data.get(name)) for name in ("at", "before"))
    rows = data.get("asked")
    asked = tuple(time for time in map(_whole, rows if isinstance(rows, list) else []) if time is not None)
    return None if at is None and not asked else Own(at, before, asked)


def _document(own: Own) -> object:
    """What revive() reads."""
    document: dict[str, object] = {"at": own.at, "before": own.before}
    return document | {"asked": list(own.asked)} if own.asked else document


def _settled(own: Own | None, stood: Alarm) -> Own | None:
    """What is powerd's by what stands, so that nothing is in doubt."""
    if own is None or not own.owns(stood.at):
        return None if own is None or own.at is None else Own(own.at, own.before)
    return Own(stood.at, own.before)


def _doubted(own: Own | None, stood: Alarm, ahead: Iterable[int]) -> Own | None:
    """What may be powerd's after an alarm was asked for so many seconds ahead, and the answer was none.

    The helper may have been slow, and set it all the same. What stood before is somebody else's, though, and
    where it stands so near that it could be mistaken for the new one, it is left alone.
    """
    asked = tuple(sorted(stood.now + each for each in ahead))
    if (own is None or stood.at != own.at) and Own(None, None, asked).owns(stood.at):
        return own
    return Own(own.at if own else None, _replaced(stood, own), asked)


def _whole(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _replaced(alarm: Alarm, own: Own | None) -> int | None:
    """The alarm of others that the new one has taken the place of, now or before."""
    if alarm.before is None or alarm.before <= alarm.now:
        return own.before if own else None
    return own.before if own and own.at == alarm.before else alarm.before


def _boottime(wake: Wake) -> float:
    return wake.at.mono + wake.at.slept
