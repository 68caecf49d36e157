"""The source "clients": finds the clients, probes them, and publishes what it has observed of each.

One poll does everything, so that an idle LAN costs one wake-up per poll interval: lease files (one stat
each), links, the neighbour table, then the probes. The client seen last is probed first, and the first
evidence ends the poll unless a user has asked for the state of every client.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from powerd.config.options import ClientOptions as Options
from powerd.core.clock import Clock
from powerd.core.poller import PollDepth, poll_timeout
from powerd.core.snapshot import SourceId
from powerd.core.state import PollResult
from powerd.core.time import Moment, Reading, Unavailable
from powerd.linux.ports import Network
from powerd.linux.values import HostError, Lan, Neighbour, ProbeOutcome, ProbeReply
from powerd.presence.evidence import (
    ClientRecord,
    Evidence,
    ProbeResult,
    arp_proves_presence,
    best_evidence,
    check_links,
    evaluate_replies,
    link_error,
    not_probed,
    on_link,
    plan_probes,
    update_observation,
)
from powerd.presence.model import HOSTS_SOURCE, Client, ClientId, EvidenceKind, Observation, PresenceFacts
from powerd.presence.neighbours import gateway_macs
from powerd.presence.registry import ClientRegistry

_RECENT_ROUNDS: Final = 2.5
"""A client seen within this many poll intervals is probed alone first."""
_DEADLINE_MARGIN: Final = 0.5
"""Seconds between the end of a poll's last sweep and the timeout of the poll."""
_ROUNDS_WITHOUT_RETRY: Final = 3
"""``absent_after`` spanning this many polls makes up for lost packets without a second try in each poll."""
_TIMEOUT_FACTOR_BEFORE_SLEEP: Final = 1.5


class PresenceSource:
    """The source "clients".

    Args:
        network: the links, the neighbour table and the prober.
        clock: the time of each poll.
        options: ``[clients]``; replaced on reload.
        registry: the clients.
        blocks_sleep_for: for some options, whether a client's presence blocks sleep; all others are probed
            only at full depth.
    """

    name = SourceId("clients")

    def __init__(
        self,
        network: Network,
        clock: Clock,
        options: Options,
        registry: ClientRegistry,
        blocks_sleep_for: Callable[[Options], Callable[[Client], bool]],
    ) -> None:
        self._network = network
        self._clock = clock
        self._registry = registry
        self._blocks_sleep_for = blocks_sleep_for
        self._records: dict[ClientId, ClientRecord] = {}
        self._deadline = 0.0
        self.options = options

    @property
    def poll_interval(self) -> float:
        """Seconds between the starts of two polls."""
        return self.options.every

    async def poll(self, depth: PollDepth) -> PollResult:
        """Probe the clients.

        Raises:
            HostError: this server cannot probe any client: no link, no carrier, no permission.
        """
        try:
            return await self._poll_clients(depth)
        except HostError:
            for record in self._records.values():
                record.last_probed = None  # no probe was sent, so the silence is interrupted
            raise

    async def _poll_clients(self, depth: PollDepth) -> PollResult:
        started = self._clock.now()
        self._deadline = started.mono + poll_timeout(self.poll_interval) - _DEADLINE_MARGIN
        lan = await self._network.lan()
        check_links(lan)
        neighbours = await self._network.neighbours()
        wall, near_sleep = started.wall.timestamp(), depth is PollDepth.BEFORE_SLEEP
        clients = await self._registry.poll(self.options, lan, neighbours, wall, near_sleep=near_sleep)
        if not clients:
            raise HostError(
                self._registry.unavailable_reason
                or "no client is known: there is no lease file, and no host on the LAN has exchanged "
                "traffic with this server yet; name lease files or hosts in [clients]"
            )
        self._records = {id_: self._records.get(id_) or ClientRecord(Observation()) for id_ in clients}
        passive_evidence = self._passive_evidence(clients, neighbours, started)
        replies = await self._probe(clients, lan, passive_evidence, depth)
        self._record_results(clients, lan, neighbours, passive_evidence, replies)
        readings = {
            id_: record.reading for id_, record in self._records.items() if record.reading is not None
        }
        now = self._clock.now().mono
        unavailable_reason = self._registry.unavailable_reason
        return PollResult(
            Unavailable(now, unavailable_reason)
            if unavailable_reason
            else Reading(now, self._registry.warnings),
            (PresenceFacts(clients, readings),),
        )

    def _passive_evidence(
        self, clients: Mapping[ClientId, Client], neighbours: Iterable[Neighbour], now: Moment
    ) -> dict[ClientId, Evidence]:
        """Evidence without a probe: reachable neighbours, found by MAC, and associated stations."""
        by_mac = {
            entry.mac: entry
            for entry in sorted(neighbours, key=lambda entry: -entry.confirmed_ago)
            if entry.reachable
        }
        evidence_by_client: dict[ClientId, Evidence] = {}
        for id_, client in clients.items():
            candidates = []
            entry = by_mac.get(client.mac) if client.mac else None
            if entry is not None and arp_proves_presence(self.options.arp, self._records[id_].observation):
                candidates.append(Evidence(EvidenceKind.NEIGHBOUR, now.mono - entry.confirmed_ago))
            if client.mac in self._registry.associated_stations:
                candidates.append(Evidence(EvidenceKind.STATION, now.mono))
            best = best_evidence(candidates)
            if best is not None:
                evidence_by_client[id_] = best
        return evidence_by_client

    async def _probe(
        self,
        clients: Mapping[ClientId, Client],
        lan: Lan,
        passive_evidence: Mapping[ClientId, Evidence],
        depth: PollDepth,
    ) -> dict[str, ProbeReply]:
        """Probe the clients that the depth requires; return the replies by address.

        At full depth every client is probed. Otherwise only those whose presence blocks sleep are probed, and
        the first evidence ends the poll.
        """
        blocks_sleep = self._blocks_sleep_for(self.options)
        client_ids = [
            id_ for id_, client in clients.items() if depth is PollDepth.FULL or blocks_sleep(client)
        ]
        client_ids.sort(
            key=lambda id_: self._records[id_].observation.last_seen or float("-inf"), reverse=True
        )
        until_first = depth is not PollDepth.FULL
        if until_first and client_ids and self._seen_recently(client_ids[0]):
            replies = await self._sweep([clients[client_ids[0]]], lan, depth, tries=1, until_first=True)
            result = self._probe_result(clients[client_ids[0]], replies, frozenset())
            if result.evidence is not None or any(id_ in passive_evidence for id_ in client_ids):
                return replies
        elif until_first and any(id_ in passive_evidence for id_ in client_ids):
            return {}
        targets = [clients[id_] for id_ in client_ids]
        replies = await self._sweep(targets, lan, depth, tries=self._tries(depth), until_first=until_first)
        arp_only_answers = [client for client in targets if self._needs_icmp(client, replies)]
        if arp_only_answers and not (
            until_first
            and any(self._probe_result(client, replies, frozenset()).evidence for client in targets)
        ):
            replies |= await self._sweep(
                arp_only_answers, lan, PollDepth.BEFORE_SLEEP, tries=1, until_first=False
            )
        return replies

    def _needs_icmp(self, client: Client, replies: Mapping[str, ProbeReply]) -> bool:
        """Whether a client probed by ARP alone answered, which may be its network card and calls for ICMP."""
        own_replies = [replies[each] for each in client.addresses if each in replies]
        arp_sufficient = arp_proves_presence(self.options.arp, self._records[client.id].observation)
        return not arp_sufficient and any(
            reply.arp is ProbeOutcome.ANSWERED and not_probed(reply) for reply in own_replies
        )

    def _tries(self, depth: PollDepth) -> int:
        """How often a silent client is probed in one poll: packets get lost, and phones doze."""
        if depth is PollDepth.BEFORE_SLEEP:
            return 3
        default_absent_after = self.options.absent_after
        shortest_absent_after = min(
            [default_absent_after, *(row.absent_after or default_absent_after for row in self.options.class_)]
        )
        return (
            1
            if depth is PollDepth.ROUTINE
            and shortest_absent_after >= _ROUNDS_WITHOUT_RETRY * self.poll_interval
            else 2
        )

    def _seen_recently(self, id_: ClientId) -> bool:
        last_seen = self._records[id_].observation.last_seen
        return (
            last_seen is not None
            and self._clock.now().mono - last_seen <= _RECENT_ROUNDS * self.poll_interval
        )

    async def _sweep(
        self, clients: Sequence[Client], lan: Lan, depth: PollDepth, *, tries: int, until_first: bool
    ) -> dict[str, ProbeReply]:
        requests = plan_probes(
            clients,
            self._records,
            lan,
            self.options.arp,
            arp_only_if_silent=depth is PollDepth.ROUTINE,
        )
        if not requests:
            return {}
        timeout = self.options.timeout * (
            _TIMEOUT_FACTOR_BEFORE_SLEEP if depth is PollDepth.BEFORE_SLEEP else 1
        )
        result = await self._network.sweep(
            requests,
            timeout=timeout,
            tries=tries,
            until_first=until_first,
            deadline=max(self._deadline - self._clock.now().mono, _DEADLINE_MARGIN),
        )
        return dict(result.replies)

    def _probe_result(
        self, client: Client, replies: Mapping[str, ProbeReply], proxy_macs: frozenset[str]
    ) -> ProbeResult:
        arp_sufficient = arp_proves_presence(self.options.arp, self._records[client.id].observation)
        own_replies = [replies.get(address, ProbeReply()) for address in client.addresses]
        return evaluate_replies(
            own_replies, arp_sufficient=arp_sufficient, proxy_macs=proxy_macs, now=self._clock.now().mono
        )

    def _record_results(
        self,
        clients: Mapping[ClientId, Client],
        lan: Lan,
        neighbours: Iterable[Neighbour],
        passive_evidence: Mapping[ClientId, Evidence],
        replies: Mapping[str, ProbeReply],
    ) -> None:
        """Update what is remembered of each client."""
        now = self._clock.now().mono
        proxy_macs = gateway_macs(neighbours, lan)
        clients_per_address = Counter(address for client in clients.values() for address in client.addresses)
        for id_, client in clients.items():
            record = self._records[id_]
            result = self._probe_result(client, replies, proxy_macs)
            if result.evidence is None and id_ in passive_evidence:
                result = ProbeResult(evidence=passive_evidence[id_])
            elif result.evidence is None and not result.silent and result.failure is None:
                result = self._result_without_probe(client, lan)
            arp_outcomes = [replies[each].arp for each in client.addresses if each in replies]
            if any(arp is not ProbeOutcome.NOT_PROBED for arp in arp_outcomes):
                record.arp_silent = all(arp is ProbeOutcome.SILENT for arp in arp_outcomes)
            shared = any(clients_per_address[each] > 1 for each in client.addresses)
            observation = update_observation(
                record.observation,
                result,
                last_probed=record.last_probed,
                now=now,
                poll_interval=self.poll_interval,
                shared_address=shared,
            )
            record.observation = replace(observation, on_link=on_link(client, lan))
            if result.failure is not None:
                record.last_probed, record.reading = None, Unavailable(now, result.failure)
            elif result.evidence is not None or result.silent:
                record.last_probed, record.reading = now, Reading(now, record.observation)

    def _result_without_probe(self, client: Client, lan: Lan) -> ProbeResult:
        """The result for a client without a reply: why it could not be probed; empty if it was not probed."""
        if not client.addresses and HOSTS_SOURCE in client.sources:
            return ProbeResult(failure=f'"{client.name}" in [clients] hosts has no address: check the name')
        if not client.addresses:
            stations_current = self._registry.stations_current
            return ProbeResult(
                silent=stations_current,
                failure=None if stations_current else "its access point does not answer",
            )
        errors = (link_error(address, lan) for address in client.addresses)
        return ProbeResult(failure=next(filter(None, errors), None))
