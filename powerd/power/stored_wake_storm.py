"""The document that carries the wake storm state over a power-off of powerd's own."""

from __future__ import annotations

from typing import Final

from powerd.core.actions import WakeTime
from powerd.core.storage import Storage
from powerd.core.time import Moment
from powerd.power.model import WakeStormState
from powerd.power.wake_storm import StoredWakeStorm, storm_after_boot, storm_at_power_off

_DOCUMENT: Final = "unrest"


def load_wake_storm(storage: Storage, boot: str, now: Moment) -> WakeStormState:
    """The state before the power-off, if this boot ends one of powerd's; it counts once."""
    stored = storage.load(_DOCUMENT, StoredWakeStorm).value
    if stored is not None:
        storage.save(_DOCUMENT, None)
    return storm_after_boot(stored, boot, now)


def save_wake_storm(
    storage: Storage, state: WakeStormState, wake_time: WakeTime | None, boot: str, now: Moment
) -> None:
    """Store ``state`` for the next boot; ``wake_time`` is when the alarm starts the server, None = never."""
    storage.save(_DOCUMENT, storm_at_power_off(state, wake_time, boot, now))
