"""Leads that are kept for a while after they have gone from where they stood."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from powerd.sources.leases.found import HostEntry

GRACE_PERIOD: Final = 600.0
"""Seconds for which an entry that has gone is kept: a server may be writing its file anew, in place."""


@dataclass(frozen=True, slots=True)
class EntryBatch:
    """Leads from one place.

    Attributes:
        label: names the place to people, e.g. ``dhcpd.leases``.
        leads: at most one per address.
        stale: the place no longer names them, or can no longer be asked.
    """

    label: str
    entries: tuple[HostEntry, ...]
    stale: bool = False


class RetainedEntries:
    """The leads of one place, and those that have gone from it lately.

    Attributes:
        leads: those that were there at the last look.
    """

    def __init__(self) -> None:
        self.current: tuple[HostEntry, ...] = ()
        self._removed: dict[str, tuple[HostEntry, float]] = {}

    def update(self, entries: tuple[HostEntry, ...], now: float) -> bool:
        """Note what is there now; give back whether something has gone."""
        removed = []
        if self.current or self._removed:
            current_keys = {lead.key for lead in entries}
            removed = [lead for lead in self.current if lead.key not in current_keys]
            for key in self._removed.keys() & current_keys:
                del self._removed[key]
        self._removed.update((lead.key, (_without_evidence(lead), now)) for lead in removed)
        self.current = entries
        return bool(removed)

    def expire(self, now: float) -> bool:
        """Drop what has gone for longer than the grace; give back whether there was any."""
        expired = [key for key, (_lead, since) in self._removed.items() if now - since > GRACE_PERIOD]
        for key in expired:
            del self._removed[key]
        return bool(expired)

    def batches(self, label: str, *, stale: bool) -> Iterable[EntryBatch]:
        """What is there, ``stale`` or not, and what has gone."""
        if self.current:
            yield EntryBatch(label, self.current, stale)
        if self._removed:
            yield EntryBatch(label, tuple(lead for lead, _since in self._removed.values()), stale=True)

    @property
    def is_empty(self) -> bool:
        """Whether nobody is left."""
        return not self.current and not self._removed


def _without_evidence(entry: HostEntry) -> HostEntry:
    """What has gone is no evidence of anybody any more: a station is known, but not associated."""
    return replace(entry, kind="lease") if entry.kind == "station" else entry
