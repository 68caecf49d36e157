"""What is known of each host while a sweep is under way; no socket, no clock."""

from __future__ import annotations

import errno
import os
import socket
from typing import Final

from powerd.host.values import Ask, Heard, Reply

TRANSIENT: Final = frozenset({errno.ENOBUFS, errno.EAGAIN, errno.ENOMEM})
"""Refusals that pass by themselves: a neighbour table frees entries after 5 s, a send buffer after 3 s."""
_PATIENCE: Final = 4
"""How many times ``tries`` a question may be refused for a transient reason before it counts as failed."""


# Looking a member up in its Enum costs more than all else that is done per host here.
_ANSWERED: Final = Heard.ANSWERED
_SILENT: Final = Heard.SILENT
_FAILED: Final = Heard.FAILED
_NOT_ASKED: Final = Heard.NOT_ASKED


class Question:
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

    def ask(self, sequence: int, now: float, code: int) -> None:
        """A question was handed to the kernel, which said ``code`` (0 = taken)."""
        self.refused = code
        if code:
            self.why = os.strerror(code)
        else:
            self.sent[sequence] = now
            self.pending = True

    def answer(self, sequence: int, now: float) -> bool:
        """An answer came; whether it is the first to a question that was asked."""
        if self.rtt is not None or sequence not in self.sent:
            return False
        self.rtt = now - self.sent[sequence]
        self.pending = False
        return True

    def obstruct(self, why: str) -> None:
        """A router told that questions do not get through, so silence says nothing in this sweep."""
        self.obstructed, self.silent, self.pending, self.why = True, False, False, why

    def end_round(self, *, waited: bool) -> None:
        """The round in which it may have been asked is over; ``waited`` = its full time has passed."""
        self.silent = self.silent or (waited and self.pending and not self.obstructed)
        self.pending = False

    @property
    def heard(self) -> Heard:
        """How it stands."""
        if self.rtt is not None:
            return _ANSWERED
        if self.silent:
            return _SILENT
        return _NOT_ASKED if self.why is None else _FAILED


class Target:
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

    def __init__(self, ask: Ask, tries: int) -> None:
        try:
            self.packed = socket.inet_pton(socket.AF_INET, ask.address)
        except OSError:
            raise ValueError(f'"{ask.address}" is no IPv4 address') from None
        self.ask = ask
        self.tries = tries
        self.mac: str | None = None
        self.icmp = Question() if ask.icmp else None
        self.arp = Question() if ask.link else None
        self.main = self.icmp or self.arp
        self._patience = tries * _PATIENCE
        if ask.link is not None and not ask.link.ready:
            # The kernel takes packets for a dead link and drops them without a word.
            self.give_up(f"{ask.link.name} is down or has no carrier")

    @property
    def settled(self) -> bool:
        """Nothing more is to be asked: it is there, or was asked often enough."""
        main, arp = self.main, self.arp
        if self.tries <= 0 or main is None or main.rtt is not None:
            return True
        # An ARP answer does not spare it one ping: only that tells a host from the card of a sleeping one.
        return main.silent and arp is not None and arp.rtt is not None and self.ask.arp_counts

    @property
    def wants_more(self) -> bool:
        """Something remains to be asked within this round: by ARP too, or what the kernel refused."""
        icmp, arp = self.icmp, self.arp
        if icmp is None or icmp.rtt is not None:
            return False
        return bool(icmp.refused) or (arp is not None and not arp.pending)

    @property
    def found(self) -> bool:
        """It has given an answer that counts."""
        if self.icmp is not None and self.icmp.rtt is not None:
            return True
        return self.arp is not None and self.arp.rtt is not None and self.ask.arp_counts

    def end_round(self, *, waited: bool) -> None:
        """A round is over; ``waited`` = its questions had their full time."""
        main, arp = self.main, self.arp
        if main is None:
            return
        if main.refused in TRANSIENT and self._patience > 0:
            self._patience -= 1
        else:
            self.tries -= 1
        if main.pending:
            main.end_round(waited=waited)
        if arp is not None and arp.pending:
            arp.end_round(waited=waited)

    def imply_silence(self) -> None:
        """Silent to ARP on its own link: an echo request could not even be sent to it, so none is."""
        self.tries = 0
        if self.icmp is not None:
            self.icmp.silent = True

    def give_up(self, why: str) -> None:
        """Nobody can ask it any more; whatever has not been answered is unknown."""
        self.tries = 0
        for question in (self.icmp, self.arp):
            if question is not None and question.rtt is None:
                question.silent, question.why = False, why

    def out_of_time(self, why: str) -> None:
        """The sweep had to end; who had one question of full time out was silent, all others are unknown."""
        for question in (self.icmp, self.arp):
            if question is not None and question.heard is _NOT_ASKED and not self.settled:
                question.why = why

    def reply(self, *, cut_short: bool) -> Reply:
        """The result; ``cut_short`` = another's answer ended the sweep, so silence is not yet silence."""
        icmp, arp = self.icmp, self.arp
        icmp_heard = _NOT_ASKED if icmp is None else icmp.heard
        arp_heard = _NOT_ASKED if arp is None else arp.heard
        if cut_short and not self.settled:
            icmp_heard = _NOT_ASKED if icmp_heard is _SILENT else icmp_heard
            arp_heard = _NOT_ASKED if arp_heard is _SILENT else arp_heard
        rtt = icmp.rtt if icmp is not None else None
        if rtt is None and arp is not None:
            rtt = arp.rtt
        why = icmp.why if icmp is not None and icmp_heard is _FAILED else None
        if why is None and arp is not None and arp_heard is _FAILED:
            why = arp.why
        return Reply(icmp_heard, arp_heard, rtt, self.mac, why)
