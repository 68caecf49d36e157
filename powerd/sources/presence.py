"""Who is home: knows the clients, asks them, and keeps what was observed of each.

One look does it all, so that a quiet house costs one wake-up a round: lease files (a stat each), links,
the neighbour table, then the sweep. The client heard last is asked first, and one answer ends the search
unless a person wants to see everybody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from powerd.board import Facts
from powerd.clock import Clock
from powerd.config import Clients as Options
from powerd.host.eyes import Surroundings
from powerd.host.values import Heard, HostError, Lan, Neighbour, Reply
from powerd.model import Blind, Client, ClientId, How, Moment, Seen, Sighting, SourceId
from powerd.sources.known import Known
from powerd.sources.learned import gateway_macs
from powerd.sources.questions import Wanted, check_ears, dead_link, on_link, questions
from powerd.sources.runner import Extent, longest_look
from powerd.sources.sightings import Evidence, Said, arp_counts, said, strongest, unasked, updated

_RECENT: Final = 2.5
"""A client heard within so many rounds is asked alone first."""
_SPARE: Final = 0.5
"""A look's last sweep ends so many seconds before the look must."""
_ROUNDS_ENOUGH: Final = 3
"""A silence that spans so many rounds is asked often enough without a second try in each."""


@dataclass(slots=True)
class _Record:
    """What this source keeps of a client between looks."""

    sighting: Sighting
    asked: float | None = None
    word: Seen[Sighting] | Blind | None = None
    no_arp: bool = False
    """It did not answer ARP the last time: until it does there is nobody there for ICMP to reach."""


class Presence:
    """The source "clients".

    Args:
        eyes: the host.
        clock: for the time of each look.
        options: ``[clients]``; may be replaced on reload.
        known: who there is to look for.
        counting: tells of options whose presence keeps the server awake; others are asked for a person only.
    """

    name = SourceId("clients")

    def __init__(
        self,
        eyes: Surroundings,
        clock: Clock,
        options: Options,
        known: Known,
        counting: Callable[[Options], Callable[[Client], bool]],
    ) -> None:
        self._eyes = eyes
        self._clock = clock
        self._known = known
        self._counting = counting
        self._records: dict[ClientId, _Record] = {}
        self._ends = 0.0
        self.options = options

    @property
    def every(self) -> float:
        """Seconds between the starts of two looks."""
        return self.options.every

    async def look(self, extent: Extent) -> Facts:
        """Find out who is there.

        Raises:
            HostError: this server cannot see anybody: no link, no carrier, no permission.
        """
        try:
            return await self._look(extent)
        except HostError:
            for record in self._records.values():
                record.asked = None  # nobody could be asked, so whatever silence follows is a new one
            raise

    async def _look(self, extent: Extent) -> Facts:
        started = self._clock.now()
        self._ends = started.mono + longest_look(self.every) - _SPARE
        lan = await self._eyes.lan()
        check_ears(lan)
        neighbours = await self._eyes.neighbours()
        wall, closely = started.wall.timestamp(), extent is Extent.CLOSE
        clients = await self._known.look(self.options, lan, neighbours, wall, closely=closely)
        if not clients:
            raise HostError(
                self._known.blind
                or "no client is known: no lease file was found and nobody has talked to this server yet; "
                "name lease files or hosts in [clients]"
            )
        self._records = {id_: self._records.get(id_) or _Record(Sighting()) for id_ in clients}
        proofs = self._proofs(clients, neighbours, started)
        replies = await self._ask(clients, lan, proofs, extent)
        self._note(clients, lan, neighbours, proofs, replies)
        words = {id_: record.word for id_, record in self._records.items() if record.word is not None}
        now = self._clock.now().mono
        blind = self._known.blind
        return Facts(Blind(now, blind) if blind else Seen(now, self._known.warnings), clients, words)

    def _proofs(
        self, clients: Mapping[ClientId, Client], neighbours: Iterable[Neighbour], now: Moment
    ) -> dict[ClientId, Evidence]:
        """Evidence that costs no packet: reachable neighbours, joined by MAC, and associated stations."""
        by_mac = {
            entry.mac: entry
            for entry in sorted(neighbours, key=lambda entry: -entry.confirmed_ago)
            if entry.reachable
        }
        found: dict[ClientId, Evidence] = {}
        for id_, client in clients.items():
            proofs = []
            entry = by_mac.get(client.mac) if client.mac else None
            if entry is not None and arp_counts(self.options.arp, self._records[id_].sighting):
                proofs.append(Evidence(How.NEIGHBOUR, now.mono - entry.confirmed_ago))
            if client.mac in self._known.stations:
                proofs.append(Evidence(How.STATION, now.mono))
            best = strongest(proofs)
            if best is not None:
                found[id_] = best
        return found

    async def _ask(
        self,
        clients: Mapping[ClientId, Client],
        lan: Lan,
        proofs: Mapping[ClientId, Evidence],
        extent: Extent,
    ) -> dict[str, Reply]:
        """Ask whoever must be asked; the replies by address."""
        counts = self._counting(self.options)
        wanted = [id_ for id_, client in clients.items() if extent is Extent.ALL or counts(client)]
        wanted.sort(key=lambda id_: self._records[id_].sighting.heard or float("-inf"), reverse=True)
        first = extent is not Extent.ALL
        if first and wanted and self._lately(wanted[0]):
            replies = await self._sweep([clients[wanted[0]]], lan, extent, tries=1, until_first=True)
            word = self._said(clients[wanted[0]], replies, frozenset())
            if word.evidence is not None or any(id_ in proofs for id_ in wanted):
                return replies
        elif first and any(id_ in proofs for id_ in wanted):
            return {}
        everybody = [clients[id_] for id_ in wanted]
        replies = await self._sweep(everybody, lan, extent, tries=self._tries(extent), until_first=first)
        back = [client for client in everybody if self._card_answers(client, replies)]
        if back and not (
            first and any(self._said(client, replies, frozenset()).evidence for client in everybody)
        ):
            replies |= await self._sweep(back, lan, Extent.CLOSE, tries=1, until_first=False)
        return replies

    def _card_answers(self, client: Client, replies: Mapping[str, Reply]) -> bool:
        """Whether a client asked by ARP alone answered, which proves a card, and calls for a ping."""
        mine = [replies[each] for each in client.addresses if each in replies]
        counts = arp_counts(self.options.arp, self._records[client.id].sighting)
        return not counts and any(reply.arp is Heard.ANSWERED and unasked(reply) for reply in mine)

    def _tries(self, extent: Extent) -> int:
        """How often the silent are asked in one look: packets get lost, and phones doze."""
        if extent is Extent.CLOSE:
            return 3
        usual = self.options.absent_after
        patience = min([usual, *(row.absent_after or usual for row in self.options.class_)])
        return 1 if extent is Extent.ROUND and patience >= _ROUNDS_ENOUGH * self.every else 2

    def _lately(self, id_: ClientId) -> bool:
        heard = self._records[id_].sighting.heard
        return heard is not None and self._clock.now().mono - heard <= _RECENT * self.every

    async def _sweep(
        self, clients: Sequence[Client], lan: Lan, extent: Extent, *, tries: int, until_first: bool
    ) -> dict[str, Reply]:
        asks = questions((self._wanted(client, extent) for client in clients), lan, self.options.arp)
        if not asks:
            return {}
        timeout = self.options.timeout * (1 if extent is not Extent.CLOSE else 1.5)
        sweep = await self._eyes.sweep(
            asks,
            timeout=timeout,
            tries=tries,
            until_first=until_first,
            deadline=max(self._ends - self._clock.now().mono, _SPARE),
        )
        return dict(sweep.replies)

    def _wanted(self, client: Client, extent: Extent) -> Wanted:
        """How to ask: a host that did not even answer ARP is asked by ARP alone until it does.

        That saves the kernel's own three ARP requests for each echo to a dead host, and a wake-up a round.
        """
        record = self._records[client.id]
        return Wanted(client, record.sighting, arp_alone=extent is Extent.ROUND and record.no_arp)

    def _said(self, client: Client, replies: Mapping[str, Reply], proxies: frozenset[str]) -> Said:
        counts = arp_counts(self.options.arp, self._records[client.id].sighting)
        mine = [replies.get(address, Reply()) for address in client.addresses]
        return said(mine, counts=counts, proxies=proxies, now=self._clock.now().mono)

    def _note(
        self,
        clients: Mapping[ClientId, Client],
        lan: Lan,
        neighbours: Iterable[Neighbour],
        proofs: Mapping[ClientId, Evidence],
        replies: Mapping[str, Reply],
    ) -> None:
        """Keep what this look brought of each client."""
        now = self._clock.now().mono
        proxies = gateway_macs(neighbours, lan)
        owners = Counter(address for client in clients.values() for address in client.addresses)
        for id_, client in clients.items():
            record = self._records[id_]
            word = self._said(client, replies, proxies)
            if word.evidence is None and id_ in proofs:
                word = Said(evidence=proofs[id_])
            elif word.evidence is None and not word.silent and word.failed is None:
                word = self._unaskable(client, lan)
            mine = [replies[each].arp for each in client.addresses if each in replies]
            if any(arp is not Heard.NOT_ASKED for arp in mine):
                record.no_arp = all(arp is Heard.SILENT for arp in mine)
            shared = any(owners[each] > 1 for each in client.addresses)
            sighting = updated(
                record.sighting, word, last=record.asked, now=now, every=self.every, shared=shared
            )
            record.sighting = replace(sighting, on_link=on_link(client, lan))
            if word.failed is not None:
                record.asked, record.word = None, Blind(now, word.failed)
            elif word.evidence is not None or word.silent:
                record.asked, record.word = now, Seen(now, record.sighting)

    def _unaskable(self, client: Client, lan: Lan) -> Said:
        """Why a client of which nothing was heard could not even be asked; empty if it merely was not."""
        if not client.addresses and "hosts" in client.sources:
            return Said(failed=f'"{client.name}" in [clients] hosts has no address: check the name')
        if not client.addresses:
            asked = self._known.stations_asked
            return Said(silent=asked, failed=None if asked else "its access point could not be asked")
        dead = next((why for each in client.addresses if (why := dead_link(each, lan))), None)
        return Said(failed=dead)
