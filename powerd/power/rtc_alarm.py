"""The RTC's alarm as far as it is powerd's own: set, remembered, taken away, and others' given back.

What is remembered outlives a crash and a reboot, so no alarm of powerd's stays behind for good. All that is
known of an alarm is its time by the RTC's own clock (powerd/helper/protocol/codec.py); nothing tells who
set it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from powerd.core.clock import Clock
from powerd.linux.ports import Helper
from powerd.linux.values import Alarm, HostError
from powerd.power.model import WakeTime

MIN_ALARM_DELAY: Final = 60
"""Seconds: the helper sets no alarm that is nearer."""
_TOLERANCE: Final = 2.0
"""A wanted wake-up that has moved by no more, seconds, has not moved."""
_RTC_RANGE: Final = 86_400 - 300
"""Seconds that every RTC reaches ahead: many hold no date, and an alarm a day ahead at most (rtc-cmos.c)."""
_DUE_EARLY: Final = 2.0
"""An alarm that is due in so many seconds is due: the RTC counts whole ones."""
_HELPER_DELAY_MAX: Final = 30
"""Seconds after an alarm was asked for the helper may have set it: it promises an answer within 25."""


@dataclass(frozen=True, slots=True)
class AlarmOwnership:
    """An alarm that powerd has set, or has asked for without hearing what became of it; times of the RTC's.

    Attributes:
        at: its time; None = none was set for certain.
        replaced: the time of the later one that it replaced; None = it replaced none.
        requested: times that were asked for; one of them may stand.
    """

    at: int | None
    replaced: int | None = None
    requested: tuple[int, ...] = ()

    def owns(self, alarm: int | None) -> bool:
        """Whether the alarm that stands is powerd's."""
        if alarm is None:
            return False
        return alarm == self.at or any(
            -_DUE_EARLY <= alarm - asked <= _HELPER_DELAY_MAX for asked in self.requested
        )


class RtcAlarm:
    """Powerd's alarm.

    Attributes:
        is_intermediate: the one that was set comes before it is needed, for the RTC does not reach farther.

    Args:
        helper: the port.
        clock: the clock of the host.
        document: what ``remember`` was last given, or None.
        save: keeps a document over a restart.
    """

    def __init__(
        self,
        helper: Helper,
        clock: Clock,
        document: object = None,
        save: Callable[[object], None] = lambda _: None,
    ) -> None:
        self._helper = helper
        self._clock = clock
        self._save = save
        self._ownership = ownership_from_document(document)
        self.is_intermediate = False
        self._set_for: WakeTime | None = None
        self._due_at: float | None = None
        self._set_task: asyncio.Future[None] | None = None

    @property
    def wake_time(self) -> WakeTime | None:
        """What it was set for; None = for nothing."""
        return self._set_for

    @property
    def is_due(self) -> bool:
        """Whether the alarm that stood has gone off by now, be it powerd's or an earlier one of others."""
        return self._due_at is not None and self._boottime() >= self._due_at - _DUE_EARLY

    def is_set_for(self, wake_time: WakeTime | None) -> bool:
        """Whether all has been done for that wake-up."""
        if wake_time is None:
            return self._set_for is None and self._ownership is None
        return (
            self._set_for is not None
            and abs(_boottime_of(wake_time) - _boottime_of(self._set_for)) <= _TOLERANCE
        )

    async def set(self, wake_time: WakeTime | None) -> None:
        """Set it for ``wake``, or leave an earlier one of others in its place; None = take it away.

        Raises:
            HostError: it is not set, or not confirmed.
        """
        if wake_time is None:
            await self.clear()
            return
        self._set_task = asyncio.ensure_future(self._set(wake_time))
        self._set_task.add_done_callback(lambda asked: asked.cancelled() or asked.exception())
        await asyncio.shield(self._set_task)

    async def _set(self, wake_time: WakeTime) -> None:
        """Never broken off: an alarm that stands and is not remembered would stay."""
        self._set_for = None
        current = await self._helper.read_alarm()
        ownership = _confirmed_ownership(self._ownership, current)
        ahead = max(MIN_ALARM_DELAY, round(_boottime_of(wake_time) - self._boottime()))
        try:
            alarm = await self._set_on_rtc(ahead, ownership.at if ownership else None)
        except HostError:
            self._update_ownership(
                _unconfirmed_ownership(ownership, current, {ahead, min(ahead, _RTC_RANGE)})
            )
            raise
        if alarm.written and alarm.at is not None:
            self._update_ownership(AlarmOwnership(alarm.at, _replaced_alarm(alarm, ownership)))
        else:
            self._update_ownership(
                None
            )  # an earlier one of others will do; had ours stood, it would have been replaced
        self._set_for = wake_time
        self._due_at = self._boottime() + (alarm.in_seconds or 0)

    async def _set_on_rtc(self, ahead: int, replaces: int | None) -> Alarm:
        """Set it, or one to wake up for on the way where the RTC does not reach so far."""
        self.is_intermediate = False
        try:
            return await self._helper.set_alarm(ahead, replaces)
        except HostError:
            if ahead <= _RTC_RANGE:
                raise
        alarm = await self._helper.set_alarm(_RTC_RANGE, replaces)
        self.is_intermediate = True
        return alarm

    async def clear(self) -> None:
        """Take it away if it still stands, and set again the later one that it replaced.

        Raises:
            HostError: that could not be done; it is tried again the next time.
        """
        if self._set_task is not None:
            await asyncio.wait({self._set_task})
        self._set_for = self._due_at = None
        ownership = self._ownership
        if ownership is None:
            return
        alarm = await self._helper.read_alarm()
        if alarm.at is not None and ownership.owns(alarm.at):
            alarm = await self._helper.clear_alarm(alarm.at)
        self._update_ownership(None)
        if (
            ownership.replaced is not None
            and alarm.at is None
            and ownership.replaced >= alarm.now + MIN_ALARM_DELAY
        ):
            await self._helper.set_alarm(ownership.replaced - alarm.now, None)

    def _update_ownership(self, ownership: AlarmOwnership | None) -> None:
        if ownership != self._ownership:
            self._ownership = ownership
            self._save(None if ownership is None else _ownership_to_document(ownership))

    def _boottime(self) -> float:
        now = self._clock.now()
        return now.mono + now.slept


def ownership_from_document(document: object) -> AlarmOwnership | None:
    """The alarm that a former life of the daemon has set; what is no document of ours is passed over."""
    data = document if isinstance(document, dict) else {}
    at, replaced = (_non_negative_int(data.get(name)) for name in ("at", "before"))
    rows = data.get("asked")
    requested = tuple(
        time for time in map(_non_negative_int, rows if isinstance(rows, list) else []) if time is not None
    )
    return None if at is None and not requested else AlarmOwnership(at, replaced, requested)


def _ownership_to_document(ownership: AlarmOwnership) -> object:
    """What revive() reads."""
    document: dict[str, object] = {"at": ownership.at, "before": ownership.replaced}
    return document | {"asked": list(ownership.requested)} if ownership.requested else document


def _confirmed_ownership(ownership: AlarmOwnership | None, current: Alarm) -> AlarmOwnership | None:
    """What is powerd's by what stands, so that nothing is in doubt."""
    if ownership is None or not ownership.owns(current.at):
        return (
            None
            if ownership is None or ownership.at is None
            else AlarmOwnership(ownership.at, ownership.replaced)
        )
    return AlarmOwnership(current.at, ownership.replaced)


def _unconfirmed_ownership(
    ownership: AlarmOwnership | None, current: Alarm, ahead: Iterable[int]
) -> AlarmOwnership | None:
    """What may be powerd's after an alarm was asked for so many seconds ahead, and the answer was none.

    The helper may have been slow, and set it all the same. What stood before is somebody else's, though, and
    where it stands so near that it could be mistaken for the new one, it is left alone.
    """
    requested = tuple(sorted(current.now + each for each in ahead))
    if (ownership is None or current.at != ownership.at) and AlarmOwnership(None, None, requested).owns(
        current.at
    ):
        return ownership
    return AlarmOwnership(ownership.at if ownership else None, _replaced_alarm(current, ownership), requested)


def _non_negative_int(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _replaced_alarm(alarm: Alarm, ownership: AlarmOwnership | None) -> int | None:
    """The alarm of others that the new one has taken the place of, now or before."""
    if alarm.before is None or alarm.before <= alarm.now:
        return ownership.replaced if ownership else None
    return ownership.replaced if ownership and ownership.at == alarm.before else alarm.before


def _boottime_of(wake_time: WakeTime) -> float:
    return wake_time.at.mono + wake_time.at.slept
