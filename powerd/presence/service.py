"""The presence of clients in the daemon: their source, and over a restart the learned hosts and silences."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import field
from functools import partial
from typing import Annotated, Final

from powerd.config.options import ClientOptions
from powerd.core.codec import Json, span
from powerd.core.dataclass import dataclass
from powerd.core.service import DomainService, Environment
from powerd.core.snapshot import Status
from powerd.core.storage import Storage
from powerd.linux.ports import Files, Network, Processes
from powerd.presence.model import Client, ClientId, PresenceMemory
from powerd.presence.names.finder import NameFinder
from powerd.presence.neighbours import MAX_DOWNTIME, load_learned_hosts, save_learned_hosts
from powerd.presence.policy import client_policies
from powerd.presence.registry import ClientRegistry
from powerd.presence.silences import MAX_TIME, MEMORY, Silences, last_time, shift_times
from powerd.presence.source import PresenceSource

_DOCUMENT: Final = "silences"
_SAVE_INTERVAL: Final = 86400.0
"""Seconds between two saves: each may spin up the disk, and a day is little of what is remembered."""


@dataclass(frozen=True, slots=True)
class _StoredSilences:
    """The stored document: when it was saved, POSIX seconds, and the silences of each client."""

    saved: Annotated[float, span(0, MAX_TIME)]
    clients: Mapping[str, Silences] = field(default_factory=dict)


def load_silences(storage: Storage, now: float) -> Mapping[ClientId, Silences]:
    """The stored silences, with times relative to ``now``, POSIX seconds."""
    stored = storage.load(_DOCUMENT, _StoredSilences, _upgrade).value
    if stored is None:
        return {}
    shift = now - min(max(now - stored.saved, 0.0), MAX_DOWNTIME) - stored.saved
    return {ClientId(id_): shift_times(each, shift, now) for id_, each in stored.clients.items()}


def _upgrade(document: Json) -> Json:
    """The rows of the first form lack NapClass.first."""
    clients = document.get("clients") if isinstance(document, dict) else None
    for each in clients.values() if isinstance(clients, dict) else ():
        rows = each.get("nap_classes") if isinstance(each, dict) else None
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, list) and len(row) == 4:  # noqa: PLR2004 - its fields
                row.append(None)
    return document


def save_silences(
    storage: Storage, silences: Mapping[ClientId, Silences], now: float, learn_period: float
) -> None:
    """Store the silences at ``now``, POSIX seconds, without clients that have not answered for long."""
    known = {
        str(id_): each for id_, each in silences.items() if now - last_time(each) <= max(learn_period, MEMORY)
    }
    if known:
        storage.save(_DOCUMENT, _StoredSilences(max(now, 0.0), known))


class PresenceService(DomainService):
    """The service of the domain.

    Args:
        files, network, processes: the ports.
        environment: from the daemon.
        may_read: whether a program may be read from the disk of the system without starting it.
    """

    def __init__(
        self,
        files: Files,
        network: Network,
        processes: Processes,
        environment: Environment,
        may_read: Callable[[], bool],
    ) -> None:
        options, storage = environment.options, environment.storage
        self._memory = PresenceMemory()
        self._counted = frozenset[ClientId]()
        self._names = NameFinder(files, network, processes, storage, may_read)
        self._registry = ClientRegistry(
            files,
            network,
            load_learned_hosts(storage, environment.clock.now().wall.timestamp()),
            partial(save_learned_hosts, storage),
            lambda: self._names.found,
        )
        self._storage = storage
        self._options = options
        self._saved_at = environment.clock.now().mono
        self._source = PresenceSource(
            network,
            environment.clock,
            lambda: options().clients,
            self._registry,
            self._blocks_sleep,
            silences=load_silences(storage, environment.clock.now().wall.timestamp()),
        )
        self.pollers = (environment.new_poller(self._source),)

    def tasks(self) -> Mapping[str, Coroutine[None, None, None]]:
        """The task that looks up names."""
        return {"asking for the names of clients": self._names.run()}

    def on_decision(self, status: Status) -> None:
        """Note which clients count, and look up names. Once a day, store the silences and the names."""
        self._memory = status.decision.memory.part(PresenceMemory)
        statuses = self._memory.client_statuses
        self._counted = frozenset([id_ for id_, each in statuses.items() if each.counts_until_absent])
        self._names.on_clients(self._memory.client_statuses, status.now, self._options().clients.every)
        if status.now.mono - self._saved_at >= _SAVE_INTERVAL:
            self._saved_at = status.now.mono
            self._save_silences()

    def close(self) -> None:
        """Store the learned hosts, the silences and the names."""
        self._registry.save()
        self._save_silences()

    def _save_silences(self) -> None:
        options = self._options().clients
        self._names.save()
        if self._registry.now:  # else no poll has read the clock
            save_silences(self._storage, self._source.silences, self._registry.now, options.learn)

    def _blocks_sleep(self, options: ClientOptions) -> Callable[[Client], bool]:
        """A function that returns whether a client blocks sleep; a source may not import the policy."""
        client_policy = client_policies(options)
        counted = self._counted
        return lambda client: client_policy(client).blocks_sleep or client.id in counted
