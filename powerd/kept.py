"""What the daemon keeps over a restart besides disks and health: learned hosts, keeps, its alarm, unrest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from powerd.clock import Clock
from powerd.model import Unrest, Wake
from powerd.policy import powered_off
from powerd.sources import learned
from powerd.store import Store

_LEARNED: Final = "learned"
_UNREST: Final = "unrest"


class Kept:
    """See the module.

    Args:
        store: where; None = nowhere, so nothing outlives a restart.
        boot: which boot of the machine this is; "" = unknown.
        clock: says when.
        complain: called with what could not be written, one sentence.
    """

    def __init__(self, store: Store | None, boot: str, clock: Clock, complain: Callable[[str], None]) -> None:
        self._store = store
        self._boot = boot
        self._clock = clock
        self._complain = complain

    def load(self, name: str) -> object:
        """The document ``name``; None = there is none that can be read."""
        return self._store.load(name) if self._store else None

    def save(self, name: str, document: object) -> None:
        """Keep a document."""
        trouble = self._store.save(name, document) if self._store else None
        if trouble:
            self._complain(trouble)

    def strangers(self) -> learned.Book:
        """Hosts that were learned on the LAN."""
        return learned.from_json(self.load(_LEARNED))

    def remember(self, book: learned.Book) -> None:
        """Keep the hosts that were learned."""
        if book:
            self.save(_LEARNED, learned.to_json(book))

    def unrest(self) -> Unrest:
        """What the storm guard knows, if this boot ends a power-off of powerd's; that counts once."""
        document = self.load(_UNREST)
        if document is not None:
            self.save(_UNREST, None)
        return powered_off.revive(document, self._boot, self._clock.now())

    def part(self, unrest: Unrest, wake: Wake | None) -> None:
        """The server powers off: keep what the storm guard knows for the next boot.

        Args:
            unrest: what that is.
            wake: what the alarm is set for; None = for nothing.
        """
        self.save(_UNREST, powered_off.document(unrest, wake, self._boot, self._clock.now()))
