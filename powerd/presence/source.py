"""The source "clients": finds the clients, probes them, and publishes what it has observed of each.

One poll does everything, so that an idle LAN costs few wake-ups: lease files (one stat each), links, the
neighbour table, then the probes of all clients that count. So who has left is known when the last present
client leaves. On a large LAN the client seen last is probed first, and the first evidence ends the poll.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from powerd.config.options import ClientOptions as Options
from powerd.core.clock import Clock
from powerd.core.poller import PollDepth, poll_timeout
from powerd.core.snapshot import SourceId
from powerd.core.state import PollResult
from powerd.core.time import MIN_SLEEP, Moment, Reading, Unavailable
from powerd.core.turns import in_turns
from powerd.linux.ports import Network
from powerd.linux.values import HostError, Lan, ProbeOutcome, ProbeReply
from powerd.presence.evidence import (
    Poll,
    arp_proves_presence,
    check_links,
    find_passive_evidence,
    listed_macs,
    not_probed,
    on_link,
    plan_probes,
    probe_result,
    result_without_probe,
    tries_per_poll,
    uses_link,
)
from powerd.presence.model import RECENT_ROUNDS, Client, ClientId, PresenceFacts
from powerd.presence.observations import ProbeResult
from powerd.presence.records import (
    Circumstances,
    ClientRecord,
    find_known,
    last_seen,
    new_record,
    record_result,
    restart_silence,
    with_answered,
)
from powerd.presence.registry import ClientLimit, ClientRegistry, probed_clients
from powerd.presence.silences import Silences, may_be_phone
from powerd.presence.watch import MAX_WATCHED, NapWatch, watch_interval

_DEADLINE_MARGIN: Final = 0.5
"""Seconds between the end of a poll's last sweep and the timeout of the poll."""
_TIMEOUT_FACTOR_BEFORE_SLEEP: Final = 1.5
_ICMP_INTERVAL: Final = 900.0
"""Seconds between two attempts to find out whether a client that answers ARP answers ICMP, too."""


class PresenceSource:
    """The source "clients".

    Args:
        network: the links, the neighbour table and the prober.
        clock: the time of each poll.
        options: returns ``[clients]`` in force.
        registry: the clients.
        blocks_sleep_for: for some options, whether a client's presence blocks sleep; all others are probed
            only at full depth.
        silences: the stored ones.
    """

    name = SourceId("clients")

    def __init__(  # noqa: PLR0913 - the stored silences by keyword
        self,
        network: Network,
        clock: Clock,
        options: Callable[[], Options],
        registry: ClientRegistry,
        blocks_sleep_for: Callable[[Options], Callable[[Client], bool]],
        *,
        silences: Mapping[ClientId, Silences] = MappingProxyType({}),
    ) -> None:
        self._network = network
        self._clock = clock
        self._registry = registry
        self._blocks_sleep_for = blocks_sleep_for
        self._stored_silences = dict(silences)
        self._records: dict[ClientId, ClientRecord] = {}
        self._slept = self._last_round = self._since_round = 0.0
        self._icmp_probed_at = float("-inf")
        self._round: tuple[Poll, ClientLimit, Options] | None = None
        self._watch = NapWatch()
        self._deadline = 0.0
        self._carrier_losses: dict[int, int] = {}
        self._options = options

    @property
    def poll_interval(self) -> float:
        """Seconds to the start of the next poll: the rest of ``clients.every``, or of a part of it.

        All sources are polled at the same times, which saves wake-ups.
        """
        return watch_interval(self._every) if self._watch.clients else self._every - self._since_round

    @property
    def _every(self) -> float:
        return float(self._options().every)

    async def poll(self, depth: PollDepth) -> PollResult:
        """Probe the clients.

        Raises:
            HostError: this server cannot probe any client: no link, no carrier, no permission.
        """
        started = self._clock.now()
        try:
            if depth is PollDepth.ROUTINE and self._round and self._is_between_rounds(started):
                return await self._poll_watched(*self._round[:2], started.mono)
            return await self._poll_clients(depth, started)
        except HostError:
            for record in self._records.values():
                record.last_probed = None  # no probe was sent, so the silence is interrupted
            raise

    def _is_between_rounds(self, started: Moment) -> bool:
        """Whether only the watched clients are to be probed: all others were in the last poll."""
        return (
            bool(self._watch.clients)
            and self._round is not None
            and self._round[2] == self._options()
            and started.mono - self._last_round < self._every - watch_interval(self._every) / 2
            and started.slept <= self._slept + MIN_SLEEP
        )

    async def _poll_watched(self, last: Poll, limit: ClientLimit, started: float) -> PollResult:
        """Probe the clients that may be in a nap. Without news nothing is decided."""
        self._deadline = started + poll_timeout(self.poll_interval) - _DEADLINE_MARGIN
        parts = round((started - self._last_round) / watch_interval(self._every))
        self._since_round = parts * watch_interval(self._every)
        lan = await self._network.lan()
        check_links(lan)
        clients = {id_: last.clients[id_] for id_ in sorted(self._watch.clients)}
        before = [self._records[id_].observation for id_ in clients], self._watch.clients
        self._restart_silence(last.clients, lan)
        poll = last._replace(clients=clients, lan=lan, renewed=None, passive_evidence={})
        await self._record_results(poll, await self._probe_watched(poll, list(clients.values())))
        self._update_watch(last.clients, started)
        after = [self._records[id_].observation for id_ in clients], self._watch.clients
        return self._result(last.clients, limit, has_news=after != before)

    async def _poll_clients(self, depth: PollDepth, started: Moment) -> PollResult:
        self._deadline = started.mono + poll_timeout(self.poll_interval) - _DEADLINE_MARGIN
        self._round, self._since_round = None, 0.0
        lan = await self._network.lan()
        check_links(lan)
        neighbours = await self._network.neighbours()
        near_sleep = depth is PollDepth.BEFORE_SLEEP
        clients = await self._registry.poll(self._options(), lan, neighbours, started, near_sleep=near_sleep)
        clients, limit = await probed_clients(clients, self._blocks_sleep_for(self._options()))
        if not clients:
            raise HostError(
                self._registry.unavailable_reason
                or "no client is known: there is no lease file, and no host on the LAN has exchanged "
                "traffic with this server yet; name lease files or hosts in [clients]"
            )
        self._restart_silence(clients, lan)
        self._update_records(clients, started.slept)
        proxy_macs = self._registry.gateway_macs
        clients_per_address = Counter(address for client in clients.values() for address in client.addresses)
        poll = Poll(
            clients,
            lan,
            depth,
            proxy_macs,
            {entry.address: entry.mac for entry in neighbours if ":" not in entry.address},
            clients_per_address,
            listed_macs(clients, clients_per_address),
            self._registry.renewed,
            find_passive_evidence(
                clients,
                self._records,
                [entry for entry in neighbours if entry.mac not in proxy_macs],
                self._registry.associated_stations,
                self._registry.renewed,
                arp_mode=self._options().arp,
                now=started.mono,
            ),
        )
        self._last_round = started.mono
        await self._record_results(poll, await self._probe(poll))
        self._round = poll, limit, self._options()
        self._update_watch(clients, started.mono)
        if near_sleep:
            self._restart_silence(clients, await self._network.lan())
        return self._result(clients, limit)

    def _result(
        self, clients: Mapping[ClientId, Client], limit: ClientLimit, *, has_news: bool = True
    ) -> PollResult:
        readings = {
            id_: record.reading for id_, record in self._records.items() if record.reading is not None
        }
        now = self._clock.now().mono
        unavailable_reason = self._registry.unavailable_reason or limit.unavailable_reason
        return PollResult(
            Unavailable(now, unavailable_reason)
            if unavailable_reason
            else Reading(now, (*self._registry.warnings, *limit.warnings)),
            (PresenceFacts(clients, readings, self._registry.clock_synchronised),),
            has_news=has_news,
        )

    def _update_records(self, clients: Mapping[ClientId, Client], slept: float) -> None:
        if slept > self._slept + MIN_SLEEP:  # after a sleep of the server no silence continues
            self._slept, self._watch.clients = slept, frozenset()
            for record in self._records.values():
                restart_silence(record)
        if not clients.keys() >= self._records.keys():
            self._stored_silences = dict(self.silences)
        self._records = {
            id_: find_known(self._records, client, clients) or self._new_record(client, clients)
            for id_, client in clients.items()
        }

    @property
    def silences(self) -> Mapping[ClientId, Silences]:
        """What is known of the silences of each client, with those that are not clients at present."""
        return self._stored_silences | {id_: with_answered(each) for id_, each in self._records.items()}

    def _new_record(self, client: Client, clients: Mapping[ClientId, Client]) -> ClientRecord:
        known = find_known(self._stored_silences, client, clients)
        return new_record(known, self._registry.now, phone=self._may_be_phone(client))

    def _may_be_phone(self, client: Client) -> bool:
        return may_be_phone(client.macs, self._registry.associated_stations)

    def _restart_silence(self, clients: Mapping[ClientId, Client], lan: Lan) -> None:
        """Restart the silence of clients on links that have lost their carrier since the last call."""
        losses = {link.index: link.carrier_losses for link in lan.links}
        lost = {index for index, count in losses.items() if self._carrier_losses.get(index, count) != count}
        self._carrier_losses = losses
        for id_, record in self._records.items() if lost else ():
            if id_ in clients and uses_link(clients[id_], lan, lost):
                restart_silence(record)

    async def _probe(self, poll: Poll) -> dict[str, ProbeReply]:
        """Probe the clients that the depth requires; return the replies by address.

        At full depth every client is probed, otherwise only those whose presence blocks sleep. Before a
        sleep, and with more than MAX_WATCHED of them, the first evidence ends the poll.
        """
        clients, depth = poll.clients, poll.depth
        seen_passively = {id_ for id_, evidence in poll.passive_evidence.items() if not evidence.card_only}
        blocks_sleep = self._blocks_sleep_for(self._options())
        client_ids = [
            id_ for id_, client in clients.items() if depth is PollDepth.FULL or blocks_sleep(client)
        ]
        dozing = [id_ for id_ in client_ids if self._records[id_].observation.dozing_since is not None]
        client_ids.sort(key=lambda id_: last_seen(self._records[id_]), reverse=True)
        is_large = len(client_ids) > MAX_WATCHED
        until_first = depth is PollDepth.BEFORE_SLEEP or (depth is PollDepth.ROUTINE and is_large)
        recently = self._clock.now().mono - RECENT_ROUNDS * self._every
        steady = (
            id_ for id_ in client_ids if id_ not in dozing and last_seen(self._records[id_]) >= recently
        )
        latest = clients.get(next(steady, ClientId("")))
        if until_first and latest is not None:
            replies = await self._sweep(poll, [latest], depth, tries=1, until_first=True)
            if self._probe_result(poll, latest, replies).evidence is not None or any(
                id_ in seen_passively for id_ in client_ids
            ):
                return replies | await self._icmp_replies(poll, client_ids)
        elif until_first and any(id_ in seen_passively for id_ in client_ids):
            return {}
        targets = [clients[id_] for id_ in client_ids]
        await asyncio.sleep(0)  # noqa: TID251 - it does not wait; the event loop runs between two long steps
        until_first = until_first and not dozing  # whether others are in use decides rules that ignore dozing
        replies = await self._sweep(
            poll, targets, depth, tries=tries_per_poll(self._options(), depth), until_first=until_first
        )
        ends = until_first and any(self._probe_result(poll, client, replies).evidence for client in targets)
        arp_only_answers = [client for client in targets if self._needs_icmp(client, replies)]
        if arp_only_answers and not ends:
            replies |= await self._sweep(
                poll, arp_only_answers, PollDepth.BEFORE_SLEEP, tries=1, until_first=False
            )
        if depth is PollDepth.ROUTINE and not ends:  # a lost packet must not join two naps
            watched = [client for client in targets if client.id in self._watch.clients]
            silent = [client for client in watched if self._probe_result(poll, client, replies).silent]
            replies |= await self._probe_watched(poll, silent)
        return replies

    async def _icmp_replies(self, poll: Poll, client_ids: Sequence[ClientId]) -> dict[str, ProbeReply]:
        """The replies of clients that have answered ARP only; every 15 minutes on a large LAN.

        A PC that was probed while it slept only would be taken for one that drops ICMP, and its network card,
        which answers ARP, would keep the server awake. Silence proves nothing here, and is left out.
        """
        now = self._clock.now().mono
        due = poll.depth is PollDepth.ROUTINE and now - self._icmp_probed_at >= _ICMP_INTERVAL
        if self._options().arp != "auto" or not due:
            return {}
        self._icmp_probed_at = now
        observations = {id_: self._records[id_].observation for id_ in client_ids}
        targets = [
            poll.clients[id_]
            for id_, each in observations.items()
            if each.last_seen is not None and not each.answers_icmp
        ]
        replies = await self._sweep(poll, targets, PollDepth.BEFORE_SLEEP, tries=1, until_first=False)
        return {address: reply for address, reply in replies.items() if reply.icmp is ProbeOutcome.ANSWERED}

    async def _probe_watched(self, poll: Poll, targets: Sequence[Client]) -> dict[str, ProbeReply]:
        return await self._sweep(poll, targets, PollDepth.BEFORE_SLEEP, tries=3, until_first=False)

    def _needs_icmp(self, client: Client, replies: Mapping[str, ProbeReply]) -> bool:
        """Whether a client probed by ARP alone answered, which may be its network card and calls for ICMP."""
        own_replies = [replies[each] for each in client.addresses if each in replies]
        arp_sufficient = arp_proves_presence(self._options().arp, self._records[client.id].observation)
        return not arp_sufficient and any(
            reply.arp is ProbeOutcome.ANSWERED and not_probed(reply) for reply in own_replies
        )

    async def _sweep(
        self, poll: Poll, clients: Sequence[Client], depth: PollDepth, *, tries: int, until_first: bool
    ) -> dict[str, ProbeReply]:
        requests = plan_probes(
            clients,
            self._records,
            poll.lan,
            self._options().arp,
            arp_only_if_silent=depth is PollDepth.ROUTINE,
            proxy_macs=poll.proxy_macs,
        )
        if not requests:
            return {}
        timeout = self._options().timeout * (
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

    def _probe_result(self, poll: Poll, client: Client, replies: Mapping[str, ProbeReply]) -> ProbeResult:
        observation = self._records[client.id].observation
        arp_mode = self._options().arp
        return probe_result(poll, client, replies, observation, arp_mode=arp_mode, now=self._clock.now().mono)

    async def _record_results(self, poll: Poll, replies: Mapping[str, ProbeReply]) -> None:
        """Update what is remembered of each client."""
        now, clients, seen_passively = self._clock.now().mono, poll.clients, poll.passive_evidence
        stations_current, every = self._registry.stations_current, self._every
        is_watching, watched = self._watch.is_possible, self._watch.clients
        async for id_, client in in_turns(clients.items()):
            record = self._records[id_]
            result = self._probe_result(poll, client, replies)
            if result.evidence is None and id_ in seen_passively:
                result = ProbeResult(evidence=seen_passively[id_])
            elif result.evidence is None and not result.silent and result.failure is None:
                result = result_without_probe(client, poll.lan, stations_current=stations_current)
            arp_outcomes = [replies[each].arp for each in client.addresses if each in replies]
            if any(arp is not ProbeOutcome.NOT_PROBED for arp in arp_outcomes):
                record.arp_silent = all(arp is ProbeOutcome.SILENT for arp in arp_outcomes)
            macs = client.macs
            circumstances = Circumstances(
                now,
                self._registry.now,
                every,
                any(poll.clients_per_address[each] > 1 for each in client.addresses),
                self._may_be_phone(client),
                None if poll.renewed is None else any(poll.renewed.get(mac, False) for mac in macs),
                may_have_answered=is_watching and id_ not in watched,
            )
            reachable = on_link(client, poll.lan) and poll.proxy_macs.isdisjoint(macs)
            record_result(record, result, circumstances, on_link=reachable)

    def _update_watch(self, clients: Mapping[ClientId, Client], now: float) -> None:
        options = self._options()
        counts = self._blocks_sleep_for(options)
        counted = {id_: each for id_, each in self._records.items() if counts(clients[id_])}
        timeout = options.timeout if options.absent_after == "auto" else None
        self._watch.update(counted, now, every=self._every, timeout=timeout)
