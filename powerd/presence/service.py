"""The presence of clients in the daemon: their source, and the hosts learned on the LAN over a restart."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from powerd.config.options import ClientOptions
from powerd.core.service import DomainService, Environment
from powerd.core.snapshot import Status
from powerd.linux.ports import Files, Network
from powerd.presence.model import Client, PresenceMemory
from powerd.presence.neighbours import load_learned_hosts, save_learned_hosts
from powerd.presence.policy import client_policies
from powerd.presence.registry import ClientRegistry
from powerd.presence.source import PresenceSource


class PresenceService(DomainService):
    """The service of the domain.

    Args:
        files, network: the ports.
        environment: from the daemon.
    """

    def __init__(self, files: Files, network: Network, environment: Environment) -> None:
        options, storage = environment.options, environment.storage
        self._memory = PresenceMemory()
        self._registry = ClientRegistry(
            files,
            network,
            load_learned_hosts(storage, environment.clock.now().wall.timestamp()),
            partial(save_learned_hosts, storage),
        )
        source = PresenceSource(
            network, environment.clock, lambda: options().clients, self._registry, self._blocks_sleep
        )
        self.pollers = (environment.new_poller(source),)

    def on_decision(self, status: Status) -> None:
        """Note which clients count."""
        self._memory = status.decision.memory.part(PresenceMemory)

    def close(self) -> None:
        """Store the learned hosts."""
        self._registry.save()

    def _blocks_sleep(self, options: ClientOptions) -> Callable[[Client], bool]:
        """A function that returns whether a client blocks sleep; a source may not import the policy."""
        client_policy = client_policies(options)
        counted = {id_ for id_, each in self._memory.client_statuses.items() if each.counts_until_absent}
        return lambda client: client_policy(client).blocks_sleep or client.id in counted
