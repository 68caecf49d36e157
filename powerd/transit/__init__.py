"""The way into a sleep and out of it, whoever ordered it: the alarm, the hooks, and locks of powerd's own."""

from typing import Protocol

from powerd.transit import alarm, lock, night, way
from powerd.transit.alarm import RtcAlarm
from powerd.transit.lock import InhibitorLock
from powerd.transit.night import SleepPreparation
from powerd.transit.way import PowerTransition

__all__ = ["PowerEyes", "PowerHands", "InhibitorLock", "SleepPreparation", "RtcAlarm", "PowerTransition"]


class PowerEyes(alarm.AlarmReader, way.TransitionEyes, Protocol):
    """All that has to be seen for it."""


class PowerHands(lock.InhibitHands, night.PreparationHands, Protocol):
    """All that has to be done for it."""
