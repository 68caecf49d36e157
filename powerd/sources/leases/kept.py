"""Leads that are kept for a while after they have gone from where they stood."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from powerd.sources.leases.found import Lead

GRACE: Final = 600.0
"""Seconds for which an entry that has gone is kept: a server may be writing its file anew, in place."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Leads from one place.

    Attributes:
        label: names the place to people, e.g. ``dhcpd.leases``.
        leads: at most one per address.
        stale: the place no longer names them, or can no longer be asked.
    """

    label: str
    leads: tuple[Lead, ...]
    stale: bool = False


class Kept:
    """The leads of one place, and those that have gone from it lately.

    Attributes:
        leads: those that were there at the last look.
    """

    def __init__(self) -> None:
        self.leads: tuple[Lead, ...] = ()
        self._gone: dict[str, tuple[Lead, float]] = {}

    def take(self, leads: tuple[Lead, ...], now: float) -> bool:
        """Note what is there now; give back whether something has gone."""
        gone = []
        if self.leads or self._gone:
            here = {lead.key for lead in leads}
            gone = [lead for lead in self.leads if lead.key not in here]
            for key in self._gone.keys() & here:
                del self._gone[key]
        self._gone.update((lead.key, (_past(lead), now)) for lead in gone)
        self.leads = leads
        return bool(gone)

    def forget(self, now: float) -> bool:
        """Drop what has gone for longer than the grace; give back whether there was any."""
        over = [key for key, (_lead, since) in self._gone.items() if now - since > GRACE]
        for key in over:
            del self._gone[key]
        return bool(over)

    def batches(self, label: str, *, stale: bool) -> Iterable[Batch]:
        """What is there, ``stale`` or not, and what has gone."""
        if self.leads:
            yield Batch(label, self.leads, stale)
        if self._gone:
            yield Batch(label, tuple(lead for lead, _since in self._gone.values()), stale=True)

    @property
    def empty(self) -> bool:
        """Whether nobody is left."""
        return not self.leads and not self._gone


def _past(lead: Lead) -> Lead:
    """What has gone is no evidence of anybody any more: a station is known, but not associated."""
    return replace(lead, kind="lease") if lead.kind == "station" else lead
