"""The values that flow through the house; all frozen, none knows where it came from.

Facts go up (sources -> board -> Snapshot), a Decision comes down, and every face shows
the same pair. Times called ``at``, ``heard`` or ``since`` are seconds of CLOCK_MONOTONIC
unless their type says Moment.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar, Generic, Literal, NewType, TypeAlias, TypeVar

ClientId = NewType("ClientId", str)
"""A client's stable name: its MAC address, or its IP address where no MAC is known."""
SourceId = NewType("SourceId", str)
"""A source's name, as users see it in reasons: ``clients``, ``checks.users``."""

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Moment:
    """One reading of the kernel's clocks.

    Attributes:
        mono: CLOCK_MONOTONIC, seconds; stands still while the machine sleeps.
        slept: CLOCK_BOOTTIME - CLOCK_MONOTONIC, seconds; grows by exactly the time asleep.
        wall: the civil time, aware; may step at any time.
    """

    mono: float
    slept: float
    wall: datetime


@dataclass(frozen=True, slots=True)
class Seen(Generic[T_co]):
    """A sensor's word: ``value`` was true at ``at``."""

    at: float
    value: T_co


@dataclass(frozen=True, slots=True)
class Blind:
    """A sensor that cannot say, and why: one sentence with what, where and the remedy."""

    at: float
    why: str


class How(enum.StrEnum):
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
class Sighting:
    """What has been observed of one client.

    Attributes:
        heard: when there was last evidence of it; None = never since powerd started.
        how: the kind of that evidence.
        rtt: the round trip time of that evidence, seconds; None where it has none.
        silent_since: the first of an unbroken row of unanswered questions; None while it
            answers, and after any question that could not be asked.
        answers_icmp: it has answered an ICMP echo at least once.
        on_link: at least one of its addresses is on a LAN of this server; others are asked by ICMP only.
    """

    heard: float | None = None
    how: How | None = None
    rtt: float | None = None
    silent_since: float | None = None
    answers_icmp: bool = False
    on_link: bool = True


class State(enum.StrEnum):
    """Whether a client is there. Unknown keeps the server awake."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What policy makes of a client's sightings.

    Attributes:
        client: whom it is about.
        state: present, absent or unknown.
        why: one clause, e.g. ``answers ping``; never holds a number that changes by the minute.
        since: since when the state holds.
        heard: when there was last evidence; survives a blind round.
        how, rtt: of that evidence.
        class_name: the name of its ``[[clients.class]]``, or None.
        keeps_awake: whether it counts at all (not ignored, class allows).
        always_on: present for three days without a break: likely a bulb or an access point.
        on_link: as in Sighting.
    """

    client: Client
    state: State
    why: str
    since: Moment
    heard: Moment | None = None
    how: How | None = None
    rtt: float | None = None
    class_name: str | None = None
    keeps_awake: bool = True
    always_on: bool = False
    on_link: bool = True


Mode: TypeAlias = Literal["observe", "enforce"]

Action: TypeAlias = Literal[
    "suspend", "hibernate", "hybrid-sleep", "suspend-then-hibernate", "poweroff", "command"
]


@dataclass(frozen=True, slots=True)
class Warn:
    """Announce that ``action`` will be taken ``within`` seconds unless something stirs."""

    rule: int
    action: Action
    within: float
    final: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Sleep:
    """Take the action of rule number ``rule`` (0 is the first).

    Attributes:
        rule, action: see there.
        command: argv of action "command".
        timeout: seconds that the command may take.
    """

    rule: int
    action: Action
    command: tuple[str, ...] = ()
    timeout: float = 60.0
    final: ClassVar[bool] = True


Order: TypeAlias = Warn | Sleep


@dataclass(frozen=True, slots=True)
class Outcome:
    """What really happened when ``order`` was obeyed.

    Attributes:
        order: the one obeyed.
        at: when obeying ended.
        ok: whether it was done.
        observed: what was seen, one sentence.
        begun: when obeying began.
    """

    order: Order
    at: float
    ok: bool
    observed: str
    begun: float = 0.0


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the server is awake, or what else a person should know.

    Attributes:
        subject: the client, source or rule that it is about.
        text: shown verbatim by every face; never holds a number that changes by the minute.
        since: when it first held.
        keeps_awake: False for a remark that holds nothing up.
    """

    subject: str
    text: str
    since: Moment
    keeps_awake: bool = True


Phase: TypeAlias = Literal["starting", "awake", "idle", "warning", "going-down", "asleep"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that is known at one moment; the only thing that policy may look at.

    Attributes:
        sources: each source's word on itself; ``Seen`` holds its warnings (skipped lease blocks).
        known: every client that a source names.
        sightings: what was observed of each of them; a missing one has not been asked yet.
        checks: activity checks by name; a Seen str is a reason to stay awake, a Seen None is none.
        outcomes: the last outcome of each kind of order (``warn``, ``sleep``).
        in_flight: orders being obeyed at this moment.
    """

    sources: Mapping[SourceId, Seen[tuple[str, ...]] | Blind] = field(
        default_factory=lambda: MappingProxyType({})
    )
    known: Mapping[ClientId, Client] = field(default_factory=lambda: MappingProxyType({}))
    sightings: Mapping[ClientId, Seen[Sighting] | Blind] = field(default_factory=lambda: MappingProxyType({}))
    checks: Mapping[str, Seen[str | None] | Blind] = field(default_factory=lambda: MappingProxyType({}))
    outcomes: Mapping[type[Order], Outcome] = field(default_factory=lambda: MappingProxyType({}))
    in_flight: frozenset[Order] = frozenset()


@dataclass(frozen=True, slots=True)
class Memory:
    """What policy must remember between decisions; only decide() makes a new one, and only from facts.

    Attributes:
        started: the first decision of this process.
        last: the moment of the latest decision; clock steps and sleeps are seen against it.
        resumed: monotonic time of the last resume; facts from before it are void.
        stepped: monotonic time at which the wall clock last stepped.
        idle_since: since when nothing has kept the server awake; None while something does.
        verdicts: the last word on each client.
        since: when each reason, by (subject, text), first held.
        failures: consecutive failed attempts of each rule, and when the last one failed.
        done: rules carried out since idle_since.
        outcome: the latest sleep outcome already taken into account.
    """

    started: Moment
    last: Moment
    resumed: float | None = None
    stepped: float | None = None
    idle_since: float | None = None
    verdicts: Mapping[ClientId, Verdict] = field(default_factory=lambda: MappingProxyType({}))
    since: Mapping[tuple[str, str], Moment] = field(default_factory=lambda: MappingProxyType({}))
    failures: Mapping[int, tuple[int, float]] = field(default_factory=lambda: MappingProxyType({}))
    done: frozenset[int] = frozenset()
    outcome: Outcome | None = None

    @classmethod
    def newborn(cls, now: Moment) -> Memory:
        """The memory of a daemon that has just started."""
        return cls(started=now, last=now)


@dataclass(frozen=True, slots=True)
class Plan:
    """The sleep that is coming if nothing stirs: which rule, what, and when at the earliest."""

    rule: int
    action: Action
    at: Moment


@dataclass(frozen=True, slots=True)
class Decision:
    """What decide() says.

    Attributes:
        orders: to be obeyed now.
        reasons: why the server is awake, weightiest first, then remarks.
        memory: to be handed to the next decide().
        look_again: CLOCK_MONOTONIC by which to ask again even if no fact changes.
        closely: a sleep is near, so every source should look afresh before the next question.
        phase: the state shown to people.
        plan: the earliest sleep in sight; None when no rule can lead to one, or something keeps it awake.
        verdicts: one per known client.
    """

    orders: tuple[Order, ...]
    reasons: tuple[Reason, ...]
    memory: Memory
    look_again: float
    closely: bool
    phase: Phase
    plan: Plan | None
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """All that a face may see: the last decision, what it was made from, and when."""

    now: Moment
    mode: Mode
    snapshot: Snapshot
    decision: Decision
    since: Moment
    """When the present phase began."""
