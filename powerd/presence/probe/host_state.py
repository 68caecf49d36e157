"""What is known of each host while a sweep is under way; no socket, no clock."""

from __future__ import annotations

import errno
import os
import socket
from typing import Final

from powerd.linux.values import ProbeOutcome, ProbeReply, ProbeRequest

TRANSIENT_ERRNOS: Final = frozenset({errno.ENOBUFS, errno.EAGAIN, errno.ENOMEM})
"""Refusals that pass by themselves: a neighbour table frees entries after 5 s, a send buffer after 3 s."""
_MAX_TRANSIENT_RETRIES: Final = 4
"""How many times ``tries`` a question may be refused for a transient reason before it counts as failed."""


# Looking a member up in its Enum costs more than all else that is done per host here.
_ANSWERED: Final = ProbeOutcome.ANSWERED
_SILENT: Final = ProbeOutcome.SILENT
_FAILED: Final = ProbeOutcome.FAILED
_NOT_PROBED: Final = ProbeOutcome.NOT_PROBED


class ProtocolProbe:
    """One host asked by one protocol.

    Attributes:
        sent: when each question went out, by sequence number, seconds of the loop's clock.
        pending: one is out, and its answer may still come.
        silent: at least one was out for its full time and got no answer.
        obstructed: a router said that they do not get through.
        rtt: seconds from a question to its answer; None = none yet.
        refused: errno with which the kernel refused the latest; 0 = it took it.
        why: the text for it, or what else kept a question from being asked.
    """

    __slots__ = ("obstructed", "pending", "refused", "rtt", "sent", "silent", "why")

    def __init__(self) -> None:
        self.sent: dict[int, float] = {}
        self.obstructed = False
        self.pending = False
        self.silent = False
        self.rtt: float | None = None
        self.refused = 0
        self.why: str | None = None

    def record_sent(self, sequence: int, now: float, code: int) -> None:
        """A question was handed to the kernel, which said ``code`` (0 = taken)."""
        self.refused = code
        if code:
            self.why = os.strerror(code)
        else:
            self.sent[sequence] = now
            self.pending = True

    def record_answer(self, sequence: int, now: float) -> bool:
        """An answer came; whether it is the first to a question that was asked."""
        if self.rtt is not None or sequence not in self.sent:
            return False
        self.rtt = now - self.sent[sequence]
        self.pending = False
        return True

    def record_obstruction(self, reason: str) -> None:
        """A router told that questions do not get through, so silence says nothing in this sweep."""
        self.obstructed, self.silent, self.pending, self.why = True, False, False, reason

    def end_round(self, *, waited: bool) -> None:
        """The round in which it may have been asked is over; ``waited`` = its full time has passed."""
        self.silent = self.silent or (waited and self.pending and not self.obstructed)
        self.pending = False

    @property
    def outcome(self) -> ProbeOutcome:
        """How it stands."""
        if self.rtt is not None:
            return _ANSWERED
        if self.silent:
            return _SILENT
        return _NOT_PROBED if self.why is None else _FAILED


class HostProbe:
    """One host of a sweep, and the two questions that it may be asked.

    Attributes:
        ask: who it is.
        packed: its address, four bytes.
        icmp, arp: the two questions; None = not by this protocol.
        main: the one whose answer settles it: ICMP where that is asked, else ARP.
        mac: who answered the ARP question.
        tries: how many more rounds it may be asked in.

    Raises:
        ValueError: its address is none.
    """

    __slots__ = ("_patience", "arp", "ask", "icmp", "mac", "main", "packed", "tries")

    def __init__(self, request: ProbeRequest, tries: int) -> None:
        try:
            self.packed = socket.inet_pton(socket.AF_INET, request.address)
        except OSError:
            raise ValueError(f'"{request.address}" is no IPv4 address') from None
        self.ask = request
        self.tries = tries
        self.mac: str | None = None
        self.icmp = ProtocolProbe() if request.icmp else None
        self.arp = ProtocolProbe() if request.link else None
        self.main = self.icmp or self.arp
        self._patience = tries * _MAX_TRANSIENT_RETRIES
        if request.link is not None and not request.link.ready:
            # The kernel takes packets for a dead link and drops them without a word.
            self.abort(f"{request.link.name} is down or has no carrier")

    @property
    def settled(self) -> bool:
        """Nothing more is to be asked: it is there, or was asked often enough."""
        main, arp = self.main, self.arp
        if self.tries <= 0 or main is None or main.rtt is not None:
            return True
        # An ARP answer does not spare it one ping: only that tells a host from the card of a sleeping one.
        return main.silent and arp is not None and arp.rtt is not None and self.ask.arp_sufficient

    @property
    def needs_resend(self) -> bool:
        """Something remains to be asked within this round: by ARP too, or what the kernel refused."""
        icmp, arp = self.icmp, self.arp
        if icmp is None or icmp.rtt is not None:
            return False
        return bool(icmp.refused) or (arp is not None and not arp.pending)

    @property
    def answered(self) -> bool:
        """It has given an answer that counts."""
        if self.icmp is not None and self.icmp.rtt is not None:
            return True
        return self.arp is not None and self.arp.rtt is not None and self.ask.arp_sufficient

    def end_round(self, *, waited: bool) -> None:
        """A round is over; ``waited`` = its questions had their full time."""
        main, arp = self.main, self.arp
        if main is None:
            return
        if main.refused in TRANSIENT_ERRNOS and self._patience > 0:
            self._patience -= 1
        else:
            self.tries -= 1
        if main.pending:
            main.end_round(waited=waited)
        if arp is not None and arp.pending:
            arp.end_round(waited=waited)

    def mark_silent(self) -> None:
        """Silent to ARP on its own link: an echo request could not even be sent to it, so none is."""
        self.tries = 0
        if self.icmp is not None:
            self.icmp.silent = True

    def abort(self, reason: str) -> None:
        """Nobody can ask it any more; whatever has not been answered is unknown."""
        self.tries = 0
        for probe in (self.icmp, self.arp):
            if probe is not None and probe.rtt is None:
                probe.silent, probe.why = False, reason

    def expire(self, reason: str) -> None:
        """The sweep had to end; who had one question of full time out was silent, all others are unknown."""
        for probe in (self.icmp, self.arp):
            if probe is not None and probe.outcome is _NOT_PROBED and not self.settled:
                probe.why = reason

    def reply(self, *, cut_short: bool) -> ProbeReply:
        """The result; ``cut_short`` = another's answer ended the sweep, so silence is not yet silence."""
        icmp, arp = self.icmp, self.arp
        icmp_outcome = _NOT_PROBED if icmp is None else icmp.outcome
        arp_outcome = _NOT_PROBED if arp is None else arp.outcome
        if cut_short and not self.settled:
            icmp_outcome = _NOT_PROBED if icmp_outcome is _SILENT else icmp_outcome
            arp_outcome = _NOT_PROBED if arp_outcome is _SILENT else arp_outcome
        rtt = icmp.rtt if icmp is not None else None
        if rtt is None and arp is not None:
            rtt = arp.rtt
        reason = icmp.why if icmp is not None and icmp_outcome is _FAILED else None
        if reason is None and arp is not None and arp_outcome is _FAILED:
            reason = arp.why
        return ProbeReply(icmp_outcome, arp_outcome, rtt, self.mac, reason)
