"""Clients: hosts whose presence may keep the server awake, and what is observed of each."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Final, NewType

from powerd.core.dataclass import dataclass
from powerd.core.snapshot import SourceId
from powerd.core.time import Moment, Reading, Unavailable
from powerd.presence.silences import Limit

CLIENTS: Final = SourceId("clients")

ClientId = NewType("ClientId", str)
"""A client's stable identifier: its MAC address, or its IP address where no MAC is known.

A host that was only learned on the LAN has ``MAC/address``, since a repeater has the MAC of many hosts.
"""
HOSTS_SOURCE: Final = "hosts"
"""Source of clients that ``[clients] hosts`` names."""
LEARNED_SOURCE: Final = "learned"
"""Source of clients that were learned from the neighbour table."""
MAX_CLIENTS: Final = 4096
"""Clients that are probed; a decision about that number takes 60 ms. A home network has fewer."""
MAX_SILENCE_GAP: Final = 1.6
"""Silence is continuous if its probes are at most this many poll intervals apart: a phone that is not probed
in one round may have answered in that time."""
RECENT_ROUNDS: Final = 2.5
"""A client seen within this many poll intervals is probed alone first."""


class EvidenceKind(enum.StrEnum):
    """The kind of evidence that a client is present, strongest first."""

    ICMP = "icmp"
    LEASE = "lease"
    STATION = "wifi"
    ARP = "arp"
    NEIGHBOUR = "neighbour"


PRIVATE_ADDRESS: Final = "private address"
"""The maker of a network card that makes up its MAC (the U/L bit of IEEE 802 is set)."""


@dataclass(frozen=True, slots=True)
class Client:
    """A host that lease files, the configuration or the neighbour table name.

    Attributes:
        id: stable over address changes where a MAC address is known.
        addresses: to probe, IPv4 first, the most recently leased first.
        mac: lower case with colons, or None.
        name: host name without a trailing dot, or None.
        sources: what names it, e.g. ``("dhcpd.leases", "learned")``.
        runs_here: it is a virtual machine or a container of this server.
        stale: its lease file is missing, invalid, or has stopped naming it within the grace period.
        other_macs, other_names: of further reservations of its address: the second network card of a laptop;
            and the names that [clients] name replaces.
        maker: of its network card, or ``private address``; None = unknown.
    """

    id: ClientId
    addresses: tuple[str, ...] = ()
    mac: str | None = None
    name: str | None = None
    sources: tuple[str, ...] = ()
    stale: bool = False
    runs_here: bool = False
    other_macs: tuple[str, ...] = ()
    other_names: tuple[str, ...] = ()
    maker: str | None = None

    def __hash__(self) -> int:
        return hash(self.id)  # equal clients share it; that of all fields takes 1 us, 15 times a round

    @property
    def label(self) -> str:
        """What users see: its name, else its address, else its MAC."""
        return self.name or (self.addresses[0] if self.addresses else self.id)

    @property
    def macs(self) -> tuple[str, ...]:
        """All its MACs."""
        return (self.mac, *self.other_macs) if self.mac else self.other_macs


@dataclass(frozen=True, slots=True)
class Observation:
    """What has been observed of one client.

    Attributes:
        last_seen: time of the last evidence, CLOCK_MONOTONIC; None = none since powerd started.
        evidence: the kind of that evidence.
        rtt: the round trip time of that evidence, seconds; None where it has none.
        silent_since: time of the first of a continuous series of unanswered probes; None while the client
            answers, and after a probe that could not be sent.
        answers_icmp: it has answered an ICMP echo request at least once.
        on_link: ARP can prove its presence; behind a router, or with the MAC of a gateway, only ICMP can.
        answered_at: time of the last evidence that the device itself has given; later evidence is of its
            network card alone.
        answering_since: start of a continuous series of answers of the device, without a nap.
        dozing_since: start of the first nap since it last answered steadily; None = none.
        limit: the learned limit of silence.
    """

    last_seen: float | None = None
    evidence: EvidenceKind | None = None
    rtt: float | None = None
    silent_since: float | None = None
    answers_icmp: bool = False
    on_link: bool = True
    answered_at: float | None = None
    answering_since: float | None = None
    dozing_since: float | None = None
    limit: Limit = Limit()


class ClientState(enum.StrEnum):
    """Whether a client is present. ``unknown`` keeps the server awake.

    DOZING: its device is on the LAN and in power-save mode: it is silent in naps and answers for a moment
    between them, or only its network card answers.
    """

    PRESENT = "present"
    DOZING = "dozing"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class ProbeState(enum.Enum):
    """Whether probes have decided the state of a client.

    MISSING: none has, or none recently. SKIPPED: MISSING, because another client is present, which suffices.
    """

    DECISIVE = "decisive"
    MISSING = "missing"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class ClientStatus:
    """The state of a client as policy derives it from the observation.

    Attributes:
        client: the client.
        state: present, dozing, absent or unknown.
        reason: why, one clause, e.g. ``answers ping``; without a number that changes every minute.
        since: when the state began.
        last_seen: time of the last evidence; kept while the source is unavailable.
        evidence, rtt: of that evidence.
        class_name: the name of its ``[[clients.class]]``, or None.
        blocks_sleep: its presence blocks sleep: it is not ignored, and its class allows it.
        always_on: present for three days without a break, so probably a lamp or an access point.
        on_link: as in Observation.
        probe: whether probes have decided the state.
        counts_until_absent: by its new name it would not block sleep; it does until it has been absent once.
        was_named: it has or had a name since it was last absent.
        remark: what the administrator should know about it, one clause; None = nothing.
        absent_after: the limit of silence in force, seconds.
        limit: the learned limit, if it is in force; None = the configuration sets it.
        answered_at: CLOCK_MONOTONIC of the last evidence that the device itself has given.
        needed_until: CLOCK_MONOTONIC of the last evidence, or of the beginning of a silence without any;
            None = unknown, or the configuration sets the limit.
    """

    client: Client
    state: ClientState
    reason: str
    since: Moment
    last_seen: Moment | None = None
    evidence: EvidenceKind | None = None
    rtt: float | None = None
    class_name: str | None = None
    blocks_sleep: bool = True
    always_on: bool = False
    on_link: bool = True
    probe: ProbeState = ProbeState.DECISIVE
    counts_until_absent: bool = False
    was_named: bool = False
    remark: str | None = None
    absent_after: float = 0.0
    limit: Limit | None = None
    answered_at: float | None = None
    needed_until: float | None = None


@dataclass(frozen=True, slots=True)
class PresenceFacts:
    """The facts that the presence source reads.

    Attributes:
        clients: every client that a source names.
        observations: what was observed of each; a missing one has not been probed yet.
        clock_synchronised: an NTP client has set the wall clock, by which leases expire.
    """

    clients: Mapping[ClientId, Client] = field(default_factory=lambda: MappingProxyType({}))
    observations: Mapping[ClientId, Reading[Observation] | Unavailable] = field(
        default_factory=lambda: MappingProxyType({})
    )
    clock_synchronised: bool = True


@dataclass(frozen=True, slots=True)
class PresenceMemory:
    """The last status of each client."""

    client_statuses: Mapping[ClientId, ClientStatus] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class PresenceReport:
    """The status of each client."""

    client_statuses: tuple[ClientStatus, ...] = ()
