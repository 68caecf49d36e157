"""Hosts that may come and go, and what is known of each."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NewType

from powerd.core.time import Moment

ClientId = NewType("ClientId", str)
"""A client's stable name: its MAC address, or its IP address where no MAC is known."""


class EvidenceKind(enum.StrEnum):
    """The kind of evidence that a client is there, strongest first."""

    ICMP = "icmp"
    STATION = "wifi"
    ARP = "arp"
    NEIGHBOUR = "neighbour"


@dataclass(frozen=True, slots=True)
class Client:
    """A host that may come and go, as the lease files, the configuration or the neighbour table name it.

    Attributes:
        id: stable over address changes where a MAC address is known.
        addresses: IPv4 addresses to ask, the most recently leased first.
        mac: lower case with colons, or None.
        name: host name without a trailing dot, or None.
        sources: where it is known from, e.g. ``("dhcpd.leases", "learned")``.
        stale: its lease file has vanished or no longer names it; kept for a while.
    """

    id: ClientId
    addresses: tuple[str, ...] = ()
    mac: str | None = None
    name: str | None = None
    sources: tuple[str, ...] = ()
    stale: bool = False

    @property
    def label(self) -> str:
        """What a person calls it: its name, else its address, else its MAC."""
        return self.name or (self.addresses[0] if self.addresses else self.id)


@dataclass(frozen=True, slots=True)
class Observation:
    """What has been observed of one client.

    Attributes:
        last_seen: when there was last evidence of it; None = never since powerd started.
        evidence: the kind of that evidence.
        rtt: the round trip time of that evidence, seconds; None where it has none.
        silent_since: the first of an unbroken row of unanswered questions; None while it
            answers, and after any question that could not be asked.
        answers_icmp: it has answered an ICMP echo at least once.
        on_link: at least one of its addresses is on a LAN of this server; others are asked by ICMP only.
    """

    last_seen: float | None = None
    evidence: EvidenceKind | None = None
    rtt: float | None = None
    silent_since: float | None = None
    answers_icmp: bool = False
    on_link: bool = True


class ClientState(enum.StrEnum):
    """Whether a client is there. Unknown keeps the server awake."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ClientStatus:
    """What policy makes of a client's sightings.

    Attributes:
        client: whom it is about.
        state: present, absent or unknown.
        reason: one clause, e.g. ``answers ping``; never holds a number that changes by the minute.
        since: since when the state holds.
        last_seen: when there was last evidence; survives a blind round.
        evidence, rtt: of that evidence.
        class_name: the name of its ``[[clients.class]]``, or None.
        blocks_sleep: whether it counts at all (not ignored, class allows).
        always_on: present for three days without a break: likely a bulb or an access point.
        on_link: as in Sighting.
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
