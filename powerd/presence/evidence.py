"""Plans the probes of clients, and derives from the replies whether a client is present.

The rule of this module: a probe that could not be sent proves nothing. A client is silent only if a probe was
sent that the client could have answered, and no reply came in time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from itertools import product
from typing import Final, Literal, NamedTuple

from powerd.config.options import ClientOptions
from powerd.core.poller import PollDepth
from powerd.linux.values import HostError, Lan, Neighbour, ProbeOutcome, ProbeReply, ProbeRequest
from powerd.presence.model import HOSTS_SOURCE, LEARNED_SOURCE, Client, ClientId, EvidenceKind, Observation
from powerd.presence.observations import Evidence, ProbeResult
from powerd.presence.records import ClientRecord
from powerd.presence.silences import LOWER_LIMIT

ArpMode = Literal["auto", "always", "never"]
_NO_REPLY: Final = ProbeReply()
_NOT_PROBED: Final = ProbeResult()
_SILENT: Final = ProbeResult(silent=True)
_ROUNDS_WITHOUT_RETRY: Final = 3
"""``absent_after`` spanning this many polls makes up for lost packets without a second try in each poll."""


class Poll(NamedTuple):
    """What one poll of the clients knows before it probes.

    Attributes:
        clients: the clients.
        lan: this server's links.
        depth: of the poll.
        proxy_macs: MAC addresses of the gateways, which may answer ARP for other hosts.
        kernel_macs: the MAC to which the kernel sends packets for an IPv4 address.
        clients_per_address: how many clients have an address.
        listed_macs: for an address of several clients, the MACs of those that are not merely learned.
        renewed: as in ClientRegistry; None = the leases have not been read.
        passive_evidence: evidence without a probe.
    """

    clients: Mapping[ClientId, Client]
    lan: Lan
    depth: PollDepth
    proxy_macs: frozenset[str]
    kernel_macs: Mapping[str, str]
    clients_per_address: Mapping[str, int]
    listed_macs: Mapping[str, frozenset[str]]
    renewed: Mapping[str, bool] | None
    passive_evidence: Mapping[ClientId, Evidence]


class MacRules(NamedTuple):
    """Which MACs may answer ARP for a client.

    Attributes:
        own: the client's; none = unknown.
        proxies: those of gateways, which answer for other hosts: their reply proves nothing.
        others: those of other clients to which a lease file or the configuration gives the same address.
    """

    own: frozenset[str] = frozenset()
    proxies: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()

    def prove_presence(self, macs: Iterable[str]) -> bool:
        """Whether one of the replies is the client's own."""
        return any(mac not in self.proxies and (not self.own or mac in self.own) for mac in macs)

    def conflict(self, macs: Iterable[str]) -> tuple[str, ...]:
        """The MACs that should not answer, with the client's own if it is unknown; () = no conflict."""
        unexpected = {*macs} - self.own - self.proxies - self.others
        return tuple(sorted(unexpected)) if len(unexpected) > (not self.own) else ()


def plan_probes(  # noqa: PLR0913 - what is known before a sweep, the last two by keyword
    clients: Iterable[Client],
    records: Mapping[ClientId, ClientRecord],
    lan: Lan,
    arp_mode: ArpMode,
    *,
    arp_only_if_silent: bool,
    proxy_macs: frozenset[str] = frozenset(),
) -> list[ProbeRequest]:
    """One request per address, in the order of the clients; none for an address with a link_error().

    Two clients may share an address (a reservation and a lease); its request then serves both.

    Args:
        clients: the clients to probe.
        records: what is remembered of each.
        lan: this server's links.
        arp_mode: ``[clients] arp``.
        arp_only_if_silent: send no echo request to a client that did not answer the last ARP request. For
            each of them the kernel would send three ARP requests of its own, which costs a wake-up per poll.
        proxy_macs: MAC addresses of gateways, see MacRules.
    """
    requests: dict[str, ProbeRequest] = {}
    for client in clients:
        record = records[client.id]
        arp_sufficient = arp_proves_presence(arp_mode, record.observation)
        arp_only = arp_only_if_silent and record.arp_silent
        macs = own_macs(client)
        for address in client.addresses:
            link = lan.link_for(address)
            if link_error(address, lan) is None:
                icmp = link is None or not arp_only
                request = ProbeRequest(address, link, icmp, arp_sufficient, macs=macs, proxy_macs=proxy_macs)
                other = requests.get(address)
                requests[address] = _merge_requests(request, other) if other else request
    return list(requests.values())


def tries_per_poll(options: ClientOptions, depth: PollDepth) -> int:
    """How often a silent client is probed in one poll: packets get lost, and phones doze."""
    if depth is PollDepth.BEFORE_SLEEP:
        return 3
    limits = [options.absent_after, *(row.absent_after for row in options.class_)]
    shortest_absent_after = min(LOWER_LIMIT if each == "auto" else each for each in limits if each)
    suffices = depth is PollDepth.ROUTINE and shortest_absent_after >= _ROUNDS_WITHOUT_RETRY * options.every
    return 1 if suffices else 2


def _merge_requests(request: ProbeRequest, other: ProbeRequest) -> ProbeRequest:
    return ProbeRequest(
        request.address,
        request.link,
        icmp=request.icmp or other.icmp,
        arp_sufficient=request.arp_sufficient or other.arp_sufficient,
        macs=request.macs | other.macs if request.macs and other.macs else frozenset(),
        proxy_macs=request.proxy_macs,
    )


def listed_macs(
    clients: Mapping[ClientId, Client], clients_per_address: Mapping[str, int]
) -> dict[str, frozenset[str]]:
    """For each address of several clients, the MACs of those that lease files or the configuration name."""
    listed: dict[str, frozenset[str]] = {}
    for client in clients.values():
        if client.mac and client.sources != (LEARNED_SOURCE,):
            for address in client.addresses:
                if clients_per_address[address] > 1:
                    listed[address] = listed.get(address, frozenset()).union(client.macs)
    return listed


def own_macs(client: Client) -> frozenset[str]:
    """The MACs with which a client may answer ARP; none = unknown."""
    return frozenset(client.macs)


def check_links(lan: Lan) -> None:
    """Check that this server can probe hosts on any LAN at all.

    Raises:
        HostError: it cannot, so silence would prove nothing.
    """
    if not lan.links:
        raise HostError("this server has no Ethernet or Wi-Fi interface, so no client can be detected")
    names = ", ".join(link.name for link in lan.links)
    if not any(link.ready for link in lan.links):
        raise HostError(f"{names}: no carrier, so no client can be detected; check the cable or the Wi-Fi")
    if not any(link.ready and link.addresses for link in lan.links):
        raise HostError(
            f"{names}: no IPv4 address, so no client can be detected; check the network configuration"
        )


def link_error(address: str, lan: Lan) -> str | None:
    """Why no host in the subnet of ``address`` can be probed; None = the hosts can be probed."""
    link = lan.link_for(address)
    if link is None:
        name = address.partition("%")[2]
        return f"this server has no Ethernet or Wi-Fi interface {name}" if name else None
    return None if link.ready else f"{link.name} has no carrier"


def on_link(client: Client, lan: Lan) -> bool:
    """Whether any of its addresses is on a LAN of this server; True for a client without addresses."""
    return not client.addresses or any(lan.link_for(each) for each in client.addresses)


def uses_link(client: Client, lan: Lan, indices: Collection[int]) -> bool:
    """Whether a client is reached by one of these links; True if that is unknown, as behind a router."""
    links = [lan.link_for(address) for address in client.addresses]
    return not links or any(link is None or link.index in indices for link in links)


def passive_evidence(
    clients: Collection[tuple[Client, bool]],
    neighbours: Iterable[Neighbour],
    stations: frozenset[str],
    now: float,
) -> dict[ClientId, Evidence]:
    """Evidence without a probe: reachable neighbours and associated stations.

    An IPv6 neighbour is found by its MAC, and so is an address of no client.

    Args:
        clients: each client, and whether evidence of the link layer proves its presence.
        neighbours: the table without the gateways, which may answer for other hosts.
        stations: MAC addresses of associated stations.
        now: monotonic seconds.
    """
    known = {address for client, _ in clients for address in client.addresses}
    confirmed: dict[tuple[str, str | None], float] = {}
    for entry in neighbours:
        if entry.reachable:
            key = (entry.mac, entry.address if entry.address in known else None)
            confirmed[key] = min(entry.confirmed_ago, confirmed.get(key, entry.confirmed_ago))
    evidence_by_client: dict[ClientId, Evidence] = {}
    for client, arp_sufficient in clients if confirmed or stations else ():
        candidates: list[Evidence] = []
        keys = product(client.macs, (*client.addresses, None))
        ages = [confirmed[key] for key in keys if key in confirmed]
        if ages and arp_sufficient:
            candidates.append(Evidence(EvidenceKind.NEIGHBOUR, now - min(ages)))
        if not stations.isdisjoint(client.macs):
            candidates.append(Evidence(EvidenceKind.STATION, now))
        best = best_evidence(candidates)
        if best is not None:
            evidence_by_client[client.id] = best
    return evidence_by_client


def find_passive_evidence(  # noqa: PLR0913 - all that is known before a probe, the last two by keyword
    clients: Mapping[ClientId, Client],
    records: Mapping[ClientId, ClientRecord],
    neighbours: Iterable[Neighbour],
    stations: frozenset[str],
    renewed: Collection[str],
    *,
    arp_mode: ArpMode,
    now: float,
) -> dict[ClientId, Evidence]:
    """As passive_evidence(), and the clients whose lease has been renewed.

    An association proves the presence of the card alone if the device answers echo requests.

    Args:
        clients: all clients.
        records: what is remembered of each.
        neighbours: the table without the gateways.
        stations: MAC addresses of associated stations.
        renewed: MAC addresses whose lease has been renewed.
        arp_mode: ``[clients] arp``.
        now: monotonic seconds.
    """
    found = passive_evidence(
        [
            (client, arp_proves_presence(arp_mode, records[id_].observation))
            for id_, client in clients.items()
        ],
        neighbours,
        stations,
        now,
    )
    found = {
        id_: each._replace(
            card_only=each.kind is EvidenceKind.STATION and records[id_].observation.answers_icmp
        )
        for id_, each in found.items()
    }
    for id_, client in clients.items() if renewed else ():
        if any(mac in renewed for mac in client.macs):
            found[id_] = Evidence(EvidenceKind.LEASE, now)
    return found


def arp_proves_presence(arp_mode: ArpMode, observation: Observation) -> bool:
    """Whether link-layer evidence alone proves that this client is awake.

    The network card of a sleeping PC may answer ARP (Wake-on-LAN offload). A client that has ever answered
    ICMP would answer it again if it were awake.
    """
    return arp_mode == "always" or (arp_mode == "auto" and not observation.answers_icmp)


def evaluate_replies(
    replies: Mapping[str, ProbeReply], rules: MacRules, *, arp_sufficient: bool, now: float
) -> ProbeResult:
    """Combine the replies for all addresses of one client.

    Args:
        replies: one per address.
        rules: which MACs may answer.
        arp_sufficient: see arp_proves_presence().
        now: monotonic seconds at the end of the sweep.
    """
    if (undisputed := _undisputed_result(replies.values(), now)) is not None:
        return undisputed
    for reply in replies.values():
        if reply.arp is ProbeOutcome.ANSWERED and arp_sufficient and rules.prove_presence(reply.macs):
            return ProbeResult(Evidence(EvidenceKind.ARP, now, reply.rtt))
    probed = [reply for reply in replies.values() if not not_probed(reply)]
    inconclusive = next(
        (reply for reply in probed if not _is_conclusive(reply, arp_sufficient=arp_sufficient)), None
    )
    if inconclusive is not None:
        return ProbeResult(failure=f"could not be probed: {inconclusive.error or 'no probe was sent'}")
    for address, reply in replies.items():
        if macs := rules.conflict(reply.macs):
            verb = "answers" if len(macs) == 1 else "answer"
            instead = f" instead of {' or '.join(sorted(rules.own))}" if rules.own else ""
            return ProbeResult(
                failure=f"{' and '.join(macs)} {verb} for {address}{instead}, so its silence proves nothing; "
                "with a repeater or a Bonjour sleep proxy (Apple TV, HomePod) set clients.arp = "
                '"never", or add the client to clients.ignore'
            )
    card = next(
        (
            Evidence(EvidenceKind.ARP, now, reply.rtt, card_only=True)
            for reply in probed
            if reply.arp is ProbeOutcome.ANSWERED and rules.prove_presence(reply.macs)
        ),
        None,
    )
    return ProbeResult(silent=bool(probed) and len(probed) == len(replies), card=card)


def _undisputed_result(replies: Collection[ProbeReply], now: float) -> ProbeResult | None:
    """The result if no MAC address can change it: an echo reply, or silence to all ARP requests."""
    silent = bool(replies)
    for reply in replies:
        if reply.icmp is ProbeOutcome.ANSWERED:
            return ProbeResult(Evidence(EvidenceKind.ICMP, now, reply.rtt))
        silent = silent and reply.arp is ProbeOutcome.SILENT and not reply.macs
    return _SILENT if silent else None


def probe_result(  # noqa: PLR0913 - a poll, one client, and two circumstances by keyword
    poll: Poll,
    client: Client,
    replies: Mapping[str, ProbeReply],
    observation: Observation,
    *,
    arp_mode: ArpMode,
    now: float,
) -> ProbeResult:
    """What the replies to a poll say about one client; for ``now`` see evaluate_replies()."""
    if replies.keys().isdisjoint(client.addresses):
        return _NOT_PROBED
    own_replies = {address: replies.get(address, _NO_REPLY) for address in client.addresses}
    if (undisputed := _undisputed_result(own_replies.values(), now)) is not None:
        return undisputed
    others: set[str] = set()
    for address, reply in own_replies.items():
        others |= poll.listed_macs.get(address, frozenset())
        if arp_mode == "never":
            own_replies[address] = replace(reply, macs=())
        elif reply.macs and poll.kernel_macs.get(address, reply.macs[0]) not in reply.macs:
            # The echo request went to another MAC than the one that answers ARP.
            own_replies[address] = replace(reply, macs=(*reply.macs, poll.kernel_macs[address]))
    return evaluate_replies(
        own_replies,
        MacRules(own_macs(client), poll.proxy_macs, frozenset(others)),
        arp_sufficient=arp_proves_presence(arp_mode, observation),
        now=now,
    )


def result_without_probe(client: Client, lan: Lan, *, stations_current: bool) -> ProbeResult:
    """The result for a client without a reply: why it could not be probed; empty if it was not probed."""
    if not client.addresses and HOSTS_SOURCE in client.sources:
        return ProbeResult(failure=f'"{client.name}" in [clients] hosts has no address: check the name')
    if not client.addresses:
        failure = None if stations_current else "its access point does not answer"
        return ProbeResult(silent=stations_current, failure=failure)
    errors = (link_error(address, lan) for address in client.addresses)
    return ProbeResult(failure=next(filter(None, errors), None))


def not_probed(reply: ProbeReply) -> bool:
    """Whether no probe was sent that proves anything; an insufficient ARP reply calls for an echo request."""
    return reply.icmp is ProbeOutcome.NOT_PROBED and reply.arp in {
        ProbeOutcome.NOT_PROBED,
        ProbeOutcome.ANSWERED,
    }


def _is_conclusive(reply: ProbeReply, *, arp_sufficient: bool) -> bool:
    """Whether a silent host was probed in a way that it could have answered.

    Silence to ARP is conclusive by itself: no other packet can reach a host that does not answer ARP.
    """
    if reply.arp is ProbeOutcome.SILENT:
        return True
    if arp_sufficient and reply.arp is ProbeOutcome.FAILED:
        return False
    return reply.icmp is ProbeOutcome.SILENT


def best_evidence(candidates: Iterable[Evidence]) -> Evidence | None:
    """The latest evidence; of two at one time, the stronger kind."""
    kinds = list(EvidenceKind)
    return max(candidates, key=lambda evidence: (evidence.at, -kinds.index(evidence.kind)), default=None)
