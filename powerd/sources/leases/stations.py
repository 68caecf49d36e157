"""Who is associated with this machine's own access points, asked anew at each look."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from powerd.host.eyes import Surroundings
from powerd.host.values import HostError
from powerd.sources.leases.found import HostEntry
from powerd.sources.leases.hostapd import StationReader
from powerd.sources.leases.kept import EntryBatch, RetainedEntries

HOSTAPD_LABEL: Final = "hostapd"


class StationWatcher:
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
        self.all_answered = True
        self.warnings: tuple[str, ...] = ()
        self._patterns = patterns
        self._entries = RetainedEntries()

    def batches(self) -> Iterable[EntryBatch]:
        """Stations, and after them those that left lately."""
        return self._entries.batches(HOSTAPD_LABEL, stale=False)

    async def poll(self, machine: Surroundings, now: float) -> None:
        """Ask every access point."""
        warnings: list[str] = []
        entries: dict[str, HostEntry] = {}
        for control in self._control_sockets(machine, warnings):
            try:
                reader = StationReader()
                reader.feed(await machine.stations(control))
                entries.update((lead.key, lead) for lead in reader.finish().entries)
            except HostError as error:
                warnings.append(str(error))
        self.all_answered = not warnings
        if warnings:  # whoever was there may still be: nobody is taken to have left unasked
            entries = {entry.key: entry for entry in self._entries.current} | entries
        current = tuple(entries.values())
        changed = self._entries.expire(now)
        if current != self._entries.current:
            self._entries.update(current, now)
            changed = True
        if changed or tuple(warnings) != self.warnings:
            self.version += 1
        self.warnings = tuple(warnings)

    def _control_sockets(self, machine: Surroundings, warnings: list[str]) -> Iterable[str]:
        """Control sockets that exist, each once: /var/run is nearly always another name of /run."""
        paths: dict[str, str] = {}
        for pattern in self._patterns:
            try:
                paths |= {path.removeprefix("/var"): path for path in machine.find(pattern)}
            except HostError as error:
                warnings.append(str(error))
        return paths.values()
