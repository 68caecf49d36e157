"""The way into a sleep and out of it, whoever ordered it: the alarm, the hooks, and locks of powerd's own."""

from typing import Protocol

from powerd.power import inhibitor_lock, rtc_alarm, sleep_preparation, transition
from powerd.power.inhibitor_lock import InhibitorLock
from powerd.power.rtc_alarm import RtcAlarm
from powerd.power.sleep_preparation import SleepPreparation
from powerd.power.transition import PowerTransition

__all__ = ["InhibitorLock", "PowerEyes", "PowerHands", "PowerTransition", "RtcAlarm", "SleepPreparation"]


class PowerEyes(rtc_alarm.AlarmReader, transition.TransitionEyes, Protocol):
    """All that has to be seen for it."""


class PowerHands(inhibitor_lock.InhibitHands, sleep_preparation.PreparationHands, Protocol):
    """All that has to be done for it."""
