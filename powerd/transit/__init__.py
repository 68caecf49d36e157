"""The way into a sleep and out of it, whoever ordered it: the alarm, the hooks, and locks of powerd's own."""

from typing import Protocol

from powerd.transit import alarm, lock, night, way
from powerd.transit.alarm import OwnAlarm
from powerd.transit.lock import Lock
from powerd.transit.night import Night
from powerd.transit.way import Transit

__all__ = ["Eyes", "Hands", "Lock", "Night", "OwnAlarm", "Transit"]


class Eyes(alarm.Eyes, way.Eyes, Protocol):
    """All that has to be seen for it."""


class Hands(lock.Hands, night.Hands, Protocol):
    """All that has to be done for it."""
