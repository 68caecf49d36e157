"""What the daemon stores over a restart, one JSON document per name."""

from __future__ import annotations

from collections.abc import Callable

from powerd.core.clock import Clock
from powerd.core.storage import Storage


class Persistence:
    """Loads and saves documents; works without a storage too, where nothing outlives a restart.

    Args:
        storage: the state directory; None = none.
        boot_id: the boot of the machine; "" = unknown.
        clock: the clock for documents with times.
        on_error: called with each failure to write, one sentence.
    """

    def __init__(
        self, storage: Storage | None, boot_id: str, clock: Clock, on_error: Callable[[str], None]
    ) -> None:
        self._storage = storage
        self.boot_id = boot_id
        self.clock = clock
        self._on_error = on_error

    def load(self, name: str) -> object:
        """The document ``name``; None = there is none that can be read."""
        return self._storage.load(name) if self._storage else None

    def save(self, name: str, document: object) -> None:
        """Store a document."""
        error_message = self._storage.save(name, document) if self._storage else None
        if error_message:
            self._on_error(error_message)
