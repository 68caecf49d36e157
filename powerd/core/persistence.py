"""What the daemon keeps over a restart besides disks and health: learned hosts, keeps, its alarm, unrest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from powerd.core.clock import Clock
from powerd.core.storage import Storage
from powerd.power import wake_storm as powered_off
from powerd.power.model import WakeStormState, WakeTime
from powerd.presence import neighbours as learned

_NEIGHBOURS_DOCUMENT: Final = "learned"
_WAKE_STORM_DOCUMENT: Final = "unrest"


class Persistence:
    """See the module.

    Args:
        storage: where; None = nowhere, so nothing outlives a restart.
        boot_id: which boot of the machine this is; "" = unknown.
        clock: says when.
        on_error: called with what could not be written, one sentence.
    """

    def __init__(
        self, storage: Storage | None, boot_id: str, clock: Clock, on_error: Callable[[str], None]
    ) -> None:
        self._storage = storage
        self._boot_id = boot_id
        self._clock = clock
        self._on_error = on_error

    def load(self, name: str) -> object:
        """The document ``name``; None = there is none that can be read."""
        return self._storage.load(name) if self._storage else None

    def save(self, name: str, document: object) -> None:
        """Keep a document."""
        error_message = self._storage.save(name, document) if self._storage else None
        if error_message:
            self._on_error(error_message)

    def load_neighbours(self) -> learned.LearnedHosts:
        """Hosts that were learned on the LAN."""
        return learned.from_json(self.load(_NEIGHBOURS_DOCUMENT))

    def save_neighbours(self, neighbours: learned.LearnedHosts) -> None:
        """Keep the hosts that were learned."""
        if neighbours:
            self.save(_NEIGHBOURS_DOCUMENT, learned.to_json(neighbours))

    def load_wake_storm(self) -> WakeStormState:
        """What the storm guard knows, if this boot ends a power-off of powerd's; that counts once."""
        document = self.load(_WAKE_STORM_DOCUMENT)
        if document is not None:
            self.save(_WAKE_STORM_DOCUMENT, None)
        return powered_off.storm_from_document(document, self._boot_id, self._clock.now())

    def save_wake_storm(self, wake_storm: WakeStormState, wake_time: WakeTime | None) -> None:
        """The server powers off: keep what the storm guard knows for the next boot.

        Args:
            wake_storm: what that is.
            wake_time: what the alarm is set for; None = for nothing.
        """
        self.save(
            _WAKE_STORM_DOCUMENT,
            powered_off.storm_to_document(wake_storm, wake_time, self._boot_id, self._clock.now()),
        )
