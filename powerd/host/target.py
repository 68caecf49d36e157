"""What is known of each host while a sweep is under way; no socket, no clock."""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from powerd.host.values import Ask, Heard, Reply

TRANSIENT: Final = frozenset({errno.ENOBUFS, errno.EAGAIN, errno.ENOMEM})
"""Refusals that pass by themselves: a neighbour table frees entries after 5 s, a send buffer after 3 s."""
_PATIENCE: Final = 4
"""How many times ``tries`` a question may be refused for a transient reason before it counts as failed."""


@dataclass(slots=True, eq=False)
class Question:
    """One host asked by one protocol.

    Attributes:
        sent: when each question went out, by sequence number, seconds of the loop's clock.
        pending: one is out, and its answer may still come.
        silent: at least one was out for its full time and got no answer.
        rtt: seconds from a question to its answer; None = none yet.
        refused: errno of the last question that could not be sent.
        why: the text for it, or what else kept a question from being asked.
    """

    sent: dict[int, float] = field(default_factory=dict)
    pending: bool = False
    silent: bool = False
    rtt: float | None = None
    refused: int = 0
    why: str | None = None

    def ask(self, sequence: int, now: float, code: int) -> None:
        """A question was handed to the kernel, which said ``code`` (0 = taken)."""
        if code:
            self.refused, self.why = code, os.strerror(code)
        else:
            self.refused = 0
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
        """The question did not get through, so its silence says nothing."""
        self.pending, self.why = False, why

    def end_round(self, *, waited: bool) -> None:
        """The round in which it may have been asked is over; ``waited`` = its full time has passed."""
        self.silent = self.silent or (waited and self.pending)
        self.pending = False

    @property
    def heard(self) -> Heard:
        """How it stands."""
        if self.rtt is not None:
            return Heard.ANSWERED
        if self.silent:
            return Heard.SILENT
        return Heard.NOT_ASKED if self.why is None else Heard.FAILED


@dataclass(slots=True, eq=False)
class Target:
    """One host of a sweep.

    Attributes:
        ask: who it is.
        tries: how many more rounds it may be asked in.
        icmp, arp: the two questions; None = not by this protocol.
        mac: who answered the ARP question.
    """

    ask: Ask
    tries: int
    icmp: Question | None = field(init=False)
    arp: Question | None = field(init=False)
    mac: str | None = None
    packed: bytes = field(init=False)
    _patience: int = field(init=False)

    def __post_init__(self) -> None:
        try:
            self.packed = socket.inet_pton(socket.AF_INET, self.ask.address)
        except OSError:
            raise ValueError(f'"{self.ask.address}" is no IPv4 address') from None
        self.icmp = Question() if self.ask.icmp else None
        self.arp = Question() if self.ask.link else None
        self._patience = self.tries * _PATIENCE
        if self.ask.link is not None and not self.ask.link.ready:
            # The kernel takes packets for a dead link and drops them without a word.
            self.give_up(f"{self.ask.link.name} is down or has no carrier")

    @property
    def main(self) -> Question | None:
        """The question whose answer settles it: ICMP where that is asked, else ARP."""
        return self.icmp or self.arp

    @property
    def settled(self) -> bool:
        """Nothing more is to be asked: it is there, or was asked often enough."""
        main = self.main
        if self.tries <= 0 or main is None or main.rtt is not None:
            return True
        return self.found

    @property
    def found(self) -> bool:
        """It has given an answer that counts."""
        if self.icmp is not None and self.icmp.rtt is not None:
            return True
        return self.arp is not None and self.arp.rtt is not None and self.ask.arp_counts

    def end_round(self, *, waited: bool) -> None:
        """A round is over; ``waited`` = its questions had their full time."""
        main = self.main
        if main is not None and not main.pending and main.refused in TRANSIENT and self._patience > 0:
            self._patience -= 1
        else:
            self.tries -= 1
        for question in (self.icmp, self.arp):
            if question is not None:
                question.end_round(waited=waited)

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
            if question is not None and question.heard is Heard.NOT_ASKED and not self.settled:
                question.why = why

    def reply(self, *, cut_short: bool) -> Reply:
        """The result; ``cut_short`` = another's answer ended the sweep, so silence is not yet silence."""
        icmp, arp = (self._verdict(question, cut_short=cut_short) for question in (self.icmp, self.arp))
        why = next(
            (q.why for q, heard in ((self.icmp, icmp), (self.arp, arp)) if q and heard is Heard.FAILED), None
        )
        if self.mac is None and Heard.ANSWERED not in (icmp, arp):
            return _shared(icmp, arp, why)
        answered = next((q for q in (self.icmp, self.arp) if q is not None and q.rtt is not None), None)
        return Reply(icmp, arp, answered.rtt if answered else None, self.mac, why)

    def _verdict(self, question: Question | None, *, cut_short: bool) -> Heard:
        heard = Heard.NOT_ASKED if question is None else question.heard
        return Heard.NOT_ASKED if cut_short and heard is Heard.SILENT and not self.settled else heard


@lru_cache(maxsize=32)
def _shared(icmp: Heard, arp: Heard, why: str | None) -> Reply:
    """One value for all the hosts that say the same nothing: thousands, in a large LAN."""
    return Reply(icmp, arp, why=why)
