"""The document that carries the wake storm state over a power-off of powerd's own."""

from __future__ import annotations

from typing import Final

from powerd.core.actions import WakeTime
from powerd.core.persistence import Persistence
from powerd.power.model import WakeStormState
from powerd.power.wake_storm import storm_from_document, storm_to_document

_DOCUMENT: Final = "unrest"


def load_wake_storm(persistence: Persistence) -> WakeStormState:
    """The state before the power-off, if this boot ends one of powerd's; it counts once."""
    document = persistence.load(_DOCUMENT)
    if document is not None:
        persistence.save(_DOCUMENT, None)
    return storm_from_document(document, persistence.boot_id, persistence.clock.now())


def save_wake_storm(persistence: Persistence, state: WakeStormState, wake_time: WakeTime | None) -> None:
    """Store ``state`` for the next boot; ``wake_time`` is when the alarm starts the server, None = never."""
    document = storm_to_document(state, wake_time, persistence.boot_id, persistence.clock.now())
    persistence.save(_DOCUMENT, document)
