"""What servers with powerd publish about themselves at a broker, and what this one stores of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Annotated, Final, Literal, TypeAlias

from powerd.core.actions import Action
from powerd.core.codec import span
from powerd.core.dataclass import dataclass
from powerd.core.time import Moment

SUBJECT: Final = "mqtt"
"""The subject of reasons about the broker."""
ServerState: TypeAlias = Literal["up", "asleep", "gone"]
"""``asleep``: it has announced that it sleeps or shuts down. ``gone``: its connection was lost, or powerd was
stopped there."""


@dataclass(frozen=True, slots=True)
class PeerServer:
    """Another server, as it has described itself.

    Attributes:
        state: see ServerState.
        since: when this server received the state.
        busy: something other than a server that needs it keeps it awake.
        needs: names of servers that have to be up while it is.
        macs: of its network cards.
        addresses: its IPv4 addresses.
    """

    state: ServerState
    since: Moment
    busy: bool = False
    needs: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownServer:
    """A server that needs this one, or that this one needs, as stored for the time without the broker.

    Attributes:
        seen_at: POSIX time at which it was up, or announced a sleep; exact to a day.
        needs_this: it needs this server.
        macs, addresses: as in PeerServer.
    """

    seen_at: Annotated[float, span(-1e11, 1e11)]
    needs_this: bool = False
    macs: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PeerFacts:
    """What the broker has reported.

    Attributes:
        name: of this server.
        synchronised: the messages that the broker had stored have been received over the present connection.
        problem: why there is no connection, one sentence; "" = there is one, or it is being made.
        peers: the other servers, by name; those of the last connection while there is none.
        known: the servers that are connected with this one by need, by name, also from before a restart.
    """

    name: str = ""
    synchronised: bool = False
    problem: str = ""
    peers: Mapping[str, PeerServer] = field(default_factory=lambda: MappingProxyType({}))
    known: Mapping[str, KnownServer] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class StoredServers:
    """The state file.

    Attributes:
        name: of this server at the broker; another one is deleted there. "" = never connected.
        known: as in PeerFacts.
    """

    name: str = ""
    known: Mapping[str, KnownServer] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class PeerMemory:
    """Since when each needed server has not been up; CLOCK_MONOTONIC."""

    down_since: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class PeerReport:
    """What this server publishes: ``busy`` as in PeerServer."""

    busy: bool = True


@dataclass(frozen=True, slots=True)
class WakePeer(Action):
    """Send magic packets to a server that this one needs."""

    name: str
    macs: tuple[str, ...]
    addresses: tuple[str, ...]

    @property
    def target(self) -> str:
        """The name of the server."""
        return self.name
