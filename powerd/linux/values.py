"""What the host tells of the machine: files, links, neighbours, answers, its sleep; plain frozen values."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface
from typing import Literal, TypeAlias

from powerd.disks.model import FailureCause
from powerd.helper.protocol.messages import AlarmResponse as _Alarm

Alarm: TypeAlias = _Alarm
"""The RTC as the helper has read it; the one word of its protocol that other rooms need."""


@dataclass(frozen=True, slots=True)
class StatSignature:
    """What tells one version of a file from the next: one stat(2) of it."""

    inode: int
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface that leads to a LAN (Ethernet, Wi-Fi; no tunnel, no bridge of containers).

    Attributes:
        index, name: as the kernel numbers and names it.
        mac: its own address.
        ready: administratively up and with carrier.
        addresses: its IPv4 addresses with their prefix.
    """

    index: int
    name: str
    mac: str
    ready: bool
    addresses: tuple[IPv4Interface, ...] = ()


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One entry of the kernel's neighbour table (rtnetlink(7)) with a link-layer address.

    Attributes:
        link: index of the interface.
        address: IPv4 or IPv6, as text.
        mac: lower case with colons.
        reachable: NUD_REACHABLE, heard within 45 s; STALE, DELAY and PROBE say nothing about now.
        confirmed_ago: seconds since the last proof of reachability (NDA_CACHEINFO); an entry that never had
            one begins its life at 60 s.
    """

    link: int
    address: str
    mac: str
    reachable: bool
    confirmed_ago: float


@dataclass(frozen=True, slots=True)
class Lan:
    """The server's place in the network, at one moment.

    Attributes:
        links: those that lead to a LAN, ready or not.
        own_addresses: every IP address of this server on any interface, v4 and v6, as text.
        gateways: next hops of default routes, v4 and v6, as text.
    """

    links: tuple[Link, ...]
    own_addresses: frozenset[str] = frozenset()
    gateways: frozenset[str] = frozenset()

    def link_of(self, address: IPv4Address) -> Link | None:
        """The link on whose subnet ``address`` is, a ready one first; None = reached by a router."""
        fitting = [link for link in self.links if any(address in own.network for own in link.addresses)]
        return next((link for link in fitting if link.ready), fitting[0] if fitting else None)


class ProbeOutcome(enum.Enum):
    """How one question by one protocol ended."""

    ANSWERED = "answered"
    SILENT = "silent"
    FAILED = "failed"
    NOT_PROBED = "not asked"


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """One host to be asked in a sweep.

    Attributes:
        address: IPv4, as text.
        link: the link to ask by ARP on; None = off-link, ICMP only.
        icmp: ask by ICMP at all.
        arp_sufficient: an ARP answer alone is an answer (it may end a search).
    """

    address: str
    link: Link | None = None
    icmp: bool = True
    arp_sufficient: bool = True


@dataclass(frozen=True, slots=True)
class ProbeReply:
    """How the questions to one host ended.

    Attributes:
        icmp, arp: per protocol. SILENT: a question was out for its full time, or, for ICMP on a link of
            hundreds, could not even be sent because nobody answered its ARP. FAILED: it could not
            be sent, also not when re-sent, and says nothing of the host. NOT_ASKED: also who was
            asked, when somebody else's answer ended the sweep first.
        rtt: seconds from the question to the answer that counts, where one was answered.
        mac: who answered the ARP question, lower case with colons.
        error: for FAILED, the kernel's reason, e.g. ``No route to host``.
    """

    icmp: ProbeOutcome = ProbeOutcome.NOT_PROBED
    arp: ProbeOutcome = ProbeOutcome.NOT_PROBED
    rtt: float | None = None
    mac: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """How a child process ended; ``status`` is its exit status, negative = killed by that signal."""

    status: int
    stdout: str
    stderr: str

    def describe(self) -> str:
        """How it ended, with the last line of its complaints: ``ended with status 1: no such pool``."""
        last = next((line for line in reversed(self.stderr.splitlines()) if line.strip()), "").strip()
        outcome = (
            f"was ended by signal {-self.status}" if self.status < 0 else f"ended with status {self.status}"
        )
        return outcome + (f": {last[:200]}" if last else "")


class HostError(Exception):
    """The machine refused; the text is one sentence with what, where and the remedy."""


class RefusedByHelperError(HostError):
    """The helper was asked, and refuses.

    Attributes:
        cause: a word of powerd.helper.protocol.codec.CAUSES.
        commands: that went to a disk all the same.
    """

    def __init__(self, message: str, cause: str, commands: int = 0) -> None:
        super().__init__(message)
        self.cause = cause
        self.commands = commands


class DiskError(HostError):
    """An order to a disk was not carried out.

    Attributes:
        trouble: why, for a program.
        commands: sent to the drive all the same, as in Answered.
    """

    def __init__(self, message: str, trouble: FailureCause, commands: int = 0) -> None:
        super().__init__(message)
        self.trouble = trouble
        self.commands = commands


@dataclass(frozen=True, slots=True)
class SweepResult:
    """The whole result of a sweep: a Reply per address asked, and how long it took, seconds."""

    replies: Mapping[str, ProbeReply] = field(default_factory=dict)
    duration: float = 0.0


ProbeRequests = Sequence[ProbeRequest]


@dataclass(frozen=True, slots=True)
class LogindEvent:
    """Something that logind, or the way to it, said unasked; whoever hears it looks for themselves.

    Attributes:
        kind: ``sleep`` and ``shutdown`` are logind's PrepareForSleep and PrepareForShutdown
            (org.freedesktop.login1(5)), ``inhibitors``: somebody took or released a lock, ``found`` and
            ``lost``: the connection to D-Bus.
        start: False for the end of a sleep, and of a shutdown that was called off.
    """

    kind: Literal["sleep", "shutdown", "inhibitors", "found", "lost"]
    start: bool = True
