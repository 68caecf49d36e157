"""The RTC alarm of powerd: sets it, stores its ownership, clears it, restores a replaced alarm.

The stored ownership outlives a crash and a reboot, so powerd never leaves an alarm behind. An alarm is known
only by its time on the RTC's clock (powerd/helper/protocol/codec.py); the RTC does not record who set it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Annotated, Final, TypeAlias

from powerd.core.actions import WakeTime
from powerd.core.clock import Clock
from powerd.core.codec import Key, span
from powerd.core.dataclass import dataclass
from powerd.core.storage import Storage
from powerd.linux.ports import Alarm, Helper
from powerd.linux.values import HostError

MIN_ALARM_DELAY: Final = 60
"""Seconds; the helper refuses a nearer alarm."""
_TOLERANCE: Final = 2.0
"""Seconds by which a wake time may move before the alarm is set again."""
_RTC_RANGE: Final = 86_400 - 300
"""Seconds ahead that every RTC supports: many hold no date, and an alarm at most a day ahead (rtc-cmos.c)."""
_DUE_EARLY: Final = 2.0
"""Seconds before its time at which an alarm counts as due: the RTC counts whole seconds."""
_HELPER_DELAY_MAX: Final = 30
"""Seconds after a request within which the helper may still set the alarm: it replies within 25."""
_DOCUMENT: Final = "alarm"
_RtcTime: TypeAlias = Annotated[int, span(0, 1 << 40)]


@dataclass(frozen=True, slots=True)
class AlarmOwnership:
    """An alarm that powerd has set, or has requested without a reply; times are the RTC's.

    Attributes:
        at: the time of the alarm; None = no alarm is confirmed.
        replaced: the time of the later alarm that it replaced; None = it replaced none.
        requested: times that were requested; one of them may be set.
    """

    at: _RtcTime | None
    replaced: Annotated[_RtcTime | None, Key("before")] = None
    requested: Annotated[tuple[_RtcTime, ...], Key("asked")] = ()

    def owns(self, alarm: int | None) -> bool:
        """Whether the alarm that is set at ``alarm`` is powerd's."""
        if alarm is None:
            return False
        return alarm == self.at or any(
            -_DUE_EARLY <= alarm - asked <= _HELPER_DELAY_MAX for asked in self.requested
        )


class RtcAlarm:
    """powerd's alarm.

    Attributes:
        is_intermediate: the alarm is earlier than the wake time, which is out of the RTC's range.

    Args:
        helper: the port.
        clock: the clock of the host.
        storage: has the ownership over a restart.
    """

    def __init__(self, helper: Helper, clock: Clock, storage: Storage) -> None:
        self._helper = helper
        self._clock = clock
        self._storage = storage
        self._ownership = storage.load(_DOCUMENT, AlarmOwnership).value
        self.is_intermediate = False
        self._set_for: WakeTime | None = None
        self._alarm_at: int | None = (
            None  # by the RTC's clock; powerd's, or an earlier one of another program
        )
        self._due_at: float | None = None
        self._set_task: asyncio.Future[None] | None = None

    @property
    def wake_time(self) -> WakeTime | None:
        """The wake time for which the alarm is set; None = it is not set."""
        return self._set_for

    @property
    def is_due(self) -> bool:
        """Whether the alarm is due, powerd's or an earlier one of another program."""
        return self._due_at is not None and self._boottime() >= self._due_at - _DUE_EARLY

    def is_set_for(self, wake_time: WakeTime | None) -> bool:
        """Whether the alarm is set for that wake time; None = whether no alarm is set."""
        if wake_time is None:
            return self._set_for is None and self._ownership is None
        return (
            self._set_for is not None
            and abs(_boottime_of(wake_time) - _boottime_of(self._set_for)) <= _TOLERANCE
        )

    async def ensure(self, wake_time: WakeTime | None) -> None:
        """Set the alarm, unless the RTC still has it for that wake time.

        The RTC may have been set, so that the alarm is too late or too early. Another program may have
        replaced the alarm meanwhile, such as a rtcwake(8) in a hook, or may have cleared its own earlier one,
        because of which powerd's was not set.

        Raises:
            HostError: the alarm is not set, or not confirmed.
        """
        if (
            self.is_due
            or not self.is_set_for(wake_time)
            or (wake_time is not None and not await self._is_still_set())
        ):
            await self.set(wake_time)

    async def _is_still_set(self) -> bool:
        """Whether the RTC still has the alarm, at its distance: the kernel or hwclock(8) may set the RTC."""
        alarm = await self._helper.read_alarm()
        if alarm.at != self._alarm_at or alarm.in_seconds is None or self._due_at is None:
            return False
        return abs(alarm.in_seconds - (self._due_at - self._boottime())) <= _TOLERANCE

    async def set(self, wake_time: WakeTime | None) -> None:
        """Set the alarm, unless an earlier alarm of another program is set; None = clear it.

        Raises:
            HostError: the alarm is not set, or not confirmed.
        """
        if wake_time is None:
            await self.clear()
            return
        self._set_task = asyncio.ensure_future(self._set(wake_time))
        self._set_task.add_done_callback(lambda asked: asked.cancelled() or asked.exception())
        await asyncio.shield(self._set_task)

    async def _set(self, wake_time: WakeTime) -> None:
        """Never cancelled: an alarm that is set but not stored would stay."""
        self._set_for = None
        current = await self._helper.read_alarm()
        ownership = _confirmed_ownership(self._ownership, current)
        ahead = max(MIN_ALARM_DELAY, round(_boottime_of(wake_time) - self._boottime()))
        # Stored before the request: after a kill, or without a reply, the next process owns the alarm.
        self._update_ownership(_unconfirmed_ownership(ownership, current, {ahead, min(ahead, _RTC_RANGE)}))
        alarm = await self._set_on_rtc(ahead, ownership.at if ownership else None)
        if alarm.written and alarm.at is not None:
            self._update_ownership(AlarmOwnership(alarm.at, _replaced_alarm(alarm, ownership)))
        else:
            self._update_ownership(
                None
            )  # an earlier alarm of another program suffices; powerd's would have been replaced
        self._set_for, self._alarm_at = wake_time, alarm.at
        self._due_at = self._boottime() + (alarm.in_seconds or 0)

    async def _set_on_rtc(self, ahead: int, replaces: int | None) -> Alarm:
        """Set the alarm, or an intermediate one where the time is out of the RTC's range."""
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
        """Clear the alarm if it is still set, and restore the later alarm that it replaced.

        Raises:
            HostError: the helper refuses; the next call tries again.
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
        try:
            if (
                ownership.replaced is not None
                and alarm.at is None
                and ownership.replaced >= alarm.now + MIN_ALARM_DELAY
            ):
                await self._helper.set_alarm(ownership.replaced - alarm.now, None)
        finally:  # last: a process that is killed before leaves the rest to the next one
            self._update_ownership(None)

    def _update_ownership(self, ownership: AlarmOwnership | None) -> None:
        if ownership != self._ownership:
            self._ownership = ownership
            self._storage.save(_DOCUMENT, ownership)

    def _boottime(self) -> float:
        now = self._clock.now()
        return now.mono + now.slept


def _confirmed_ownership(ownership: AlarmOwnership | None, current: Alarm) -> AlarmOwnership | None:
    """The ownership according to the alarm that is set, without unconfirmed requests."""
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
    """The ownership after a request without a reply, for alarms ``ahead`` seconds ahead.

    The helper may have set the alarm late. The alarm that was set before belongs to another program; where it
    is so near that it could be mistaken for the requested one, it is left alone.
    """
    requested = tuple(sorted(current.now + each for each in ahead))
    if (ownership is None or current.at != ownership.at) and AlarmOwnership(None, None, requested).owns(
        current.at
    ):
        return ownership
    return AlarmOwnership(ownership.at if ownership else None, _replaced_alarm(current, ownership), requested)


def _replaced_alarm(alarm: Alarm, ownership: AlarmOwnership | None) -> int | None:
    """The alarm of another program that powerd's alarm has replaced, now or earlier."""
    if alarm.before is None or alarm.before <= alarm.now:
        return ownership.replaced if ownership else None
    return ownership.replaced if ownership and ownership.at == alarm.before else alarm.before


def _boottime_of(wake_time: WakeTime) -> float:
    return wake_time.at.mono + wake_time.at.slept
