"""The part of the vocabulary that is about the alarm of the real-time clock.

Alarms are seconds of the RTC's own clock since 1970, read as if it kept UTC: what since_epoch and wakealarm
below /sys/class/rtc/ hold (Documentation/ABI/testing/sysfs-class-rtc). They are compared with each other
and never with the wall clock, as an RTC may keep local time, or be wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, TypeAlias

from powerd.helper.kinds import BooleanField, IntegerField, Message, OptionalField, PatternField

MIN_AHEAD: Final = 60
"""Seconds: a nearer alarm can go off while the machine is still falling asleep."""

_AHEAD_FIELD: Final = IntegerField(MIN_AHEAD, 31 * 86_400)
_TIME_FIELD: Final = IntegerField(0, 253_402_300_799)  # to the end of the year 9999
_RTC_FIELD: Final = PatternField(r"rtc[0-9]{1,3}", "an RTC's name")


@dataclass(frozen=True, slots=True)
class ReadAlarm(Message):
    """Which RTC can wake the machine, its time, and the alarm that stands. Answer: Alarm."""

    wire_name: ClassVar[str] = "read-alarm"


@dataclass(frozen=True, slots=True)
class SetAlarm(Message):
    """Wake the machine ``in_seconds`` from now. Answer: Alarm, read back from the kernel.

    An alarm that stands and is no later is left alone, as it wakes the machine in time, unless it
    is the one that the caller names as its own; one that goes off within 60 s is Refused.

    Attributes:
        in_seconds: from 60 to 31 days.
        replaces: the caller's own alarm as an Alarm told it; None = it knows of none.
    """

    wire_name: ClassVar[str] = "set-alarm"
    in_seconds: Annotated[int, _AHEAD_FIELD]
    replaces: Annotated[int | None, OptionalField(_TIME_FIELD)]


@dataclass(frozen=True, slots=True)
class ClearAlarm(Message):
    """Take away the alarm that is set to exactly ``at``. Answer: Alarm.

    Where none stands, as it has gone off, there is nothing to do; another one is left alone: Refused.
    """

    wire_name: ClassVar[str] = "clear-alarm"
    at: Annotated[int, _TIME_FIELD]


@dataclass(frozen=True, slots=True)
class AlarmResponse(Message):
    """The RTC after the request, as read from it.

    Attributes:
        rtc: its name, e.g. ``rtc0``.
        now: its time.
        at: the alarm that stands; None = none.
        before: the alarm that stood before the request; None = none.
        written: the one that stands was set by this request.
    """

    wire_name: ClassVar[str] = "alarm"
    rtc: Annotated[str, _RTC_FIELD]
    now: Annotated[int, _TIME_FIELD]
    at: Annotated[int | None, OptionalField(_TIME_FIELD)]
    before: Annotated[int | None, OptionalField(_TIME_FIELD)]
    written: Annotated[bool, BooleanField()]

    @property
    def in_seconds(self) -> int | None:
        """Seconds from the RTC's now to the alarm; None = no alarm stands."""
        return None if self.at is None else self.at - self.now


AlarmRequest: TypeAlias = ReadAlarm | SetAlarm | ClearAlarm
