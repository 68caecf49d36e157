"""Who is associated with this machine's own access points, asked anew at each look."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from powerd.host.eyes import Surroundings
from powerd.host.values import HostError
from powerd.sources.leases.found import Lead
from powerd.sources.leases.hostapd import Reader
from powerd.sources.leases.kept import Batch, Kept

LABEL: Final = "hostapd"


class Stations:
    """Associated stations.

    Args:
        patterns: paths or glob patterns of hostapd's control sockets.

    Attributes:
        version: grows when anything changes that others may ask for.
        asked: whether every access point could be asked the last time.
        warnings: access points that could not be asked. That hides no client for which there is a lease.
    """

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self.version = 0
        self.asked = True
        self.warnings: tuple[str, ...] = ()
        self._patterns = patterns
        self._kept = Kept()

    def batches(self) -> Iterable[Batch]:
        """Stations, and after them those that left lately."""
        return self._kept.batches(LABEL, stale=False)

    async def look(self, eyes: Surroundings, now: float) -> None:
        """Ask every access point."""
        warnings: list[str] = []
        leads: dict[str, Lead] = {}
        for control in self._controls(eyes, warnings):
            try:
                reader = Reader()
                reader.feed(await eyes.stations(control))
                leads.update((lead.key, lead) for lead in reader.finish().leads)
            except HostError as error:
                warnings.append(str(error))
        self.asked = not warnings
        if warnings:  # whoever was there may still be: nobody is taken to have left unasked
            leads = {lead.key: lead for lead in self._kept.leads} | leads
        there = tuple(leads.values())
        changed = self._kept.forget(now)
        if there != self._kept.leads:
            self._kept.take(there, now)
            changed = True
        if changed or tuple(warnings) != self.warnings:
            self.version += 1
        self.warnings = tuple(warnings)

    def _controls(self, eyes: Surroundings, warnings: list[str]) -> Iterable[str]:
        """Control sockets that exist, each once: /var/run is nearly always another name of /run."""
        found: dict[str, str] = {}
        for pattern in self._patterns:
            try:
                found |= {path.removeprefix("/var"): path for path in eyes.find(pattern)}
            except HostError as error:
                warnings.append(str(error))
        return found.values()
