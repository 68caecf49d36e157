"""Storage of state across restarts, one JSON document per name."""

from __future__ import annotations

from collections.abc import Callable

from powerd.core.clock import Clock
from powerd.core.storage import Storage


class Persistence:
    """Loads and saves documents. Without a state directory, load() returns None and save() does nothing.

    Args:
        storage: the state directory; None = there is none.
        boot_id: identifies the present boot of the machine; "" = unknown.
        clock: the clock for documents that contain times.
        on_error: called with one sentence for each failure to write.
    """

    def __init__(
        self, storage: Storage | None, boot_id: str, clock: Clock, on_error: Callable[[str], None]
    ) -> None:
        self._storage = storage
        self.boot_id = boot_id
        self.clock = clock
        self._on_error = on_error

    def load(self, name: str) -> object:
        """The document ``name``; None = it is missing or unreadable."""
        return self._storage.load(name) if self._storage else None

    def save(self, name: str, document: object) -> None:
        """Store a document; a failure is reported to ``on_error``."""
        error_message = self._storage.save(name, document) if self._storage else None
        if error_message:
            self._on_error(error_message)
