"""The state of each host during a sweep; without sockets and clocks."""

from __future__ import annotations

import errno
import os
import socket
from typing import Final

from powerd.linux.values import ProbeOutcome, ProbeReply, ProbeRequest

TRANSIENT_ERRNOS: Final = frozenset({errno.ENOBUFS, errno.EAGAIN, errno.ENOMEM})
"""Errors that pass: the neighbour table frees entries after 5 s, a send buffer frees its space after 3 s."""
_TRANSIENT_ERRORS_PER_TRY: Final = 4
"""After this many transient errors per try, a probe counts as failed."""
_MAX_MACS: Final = 4
"""MAC addresses that are recorded of one host; two are a conflict already."""

# A member access on an Enum class costs more than everything else that is done per host here.
_ANSWERED: Final = ProbeOutcome.ANSWERED
_SILENT: Final = ProbeOutcome.SILENT
_FAILED: Final = ProbeOutcome.FAILED
_NOT_PROBED: Final = ProbeOutcome.NOT_PROBED


class ProtocolProbe:
    """The probes of one host by one protocol.

    Attributes:
        sent: time at which each probe was sent, by sequence number, seconds of the event loop's clock.
        pending: a probe was sent and its reply may still arrive.
        silent: at least one probe had its full time without a reply.
        unreachable: a router reported that the probes do not reach the host.
        rtt: seconds from a probe to its reply; None = no reply yet.
        refused_errno: errno with which the kernel refused the latest probe; 0 = it was accepted.
        error: the text of that error, or another reason why no probe was sent.
    """

    __slots__ = ("error", "pending", "refused_errno", "rtt", "sent", "silent", "unreachable")

    def __init__(self) -> None:
        self.sent: dict[int, float] = {}
        self.unreachable = False
        self.pending = False
        self.silent = False
        self.rtt: float | None = None
        self.refused_errno = 0
        self.error: str | None = None

    def record_sent(self, sequence: int, now: float, code: int) -> None:
        """Record that a probe was passed to the kernel, which returned ``code`` (0 = accepted)."""
        self.refused_errno = code
        if code:
            self.error = os.strerror(code)
        else:
            self.sent[sequence] = now
            self.pending = True

    def record_answer(self, sequence: int, now: float) -> bool:
        """Record a reply; return whether it is the first to a probe that was sent."""
        if self.rtt is not None or sequence not in self.sent:
            return False
        self.rtt = now - self.sent[sequence]
        self.pending = False
        return True

    def record_unreachable(self, error: str) -> None:
        """Record a router's error, after which silence proves nothing in this sweep."""
        self.unreachable, self.silent, self.pending, self.error = True, False, False, error

    def end_round(self, *, waited: bool) -> None:
        """End the round; ``waited`` = the full time for a reply has passed."""
        self.silent = self.silent or (waited and self.pending and not self.unreachable)
        self.pending = False

    @property
    def probe_outcome(self) -> ProbeOutcome:
        """The outcome so far."""
        if self.rtt is not None:
            return _ANSWERED
        if self.silent:
            return _SILENT
        return _NOT_PROBED if self.error is None else _FAILED


class HostProbe:
    """One host of a sweep, with its probes by both protocols.

    Attributes:
        request: the request for it.
        packed: its address, four bytes.
        icmp, arp: the probes by each protocol; None = not by this protocol.
        main: the probes that decide about it: by ICMP if there are any, else by ARP.
        macs: MAC addresses in its ARP replies, the first one first.
        tries: number of further rounds in which it may be probed.

    Raises:
        ValueError: the address is invalid.
    """

    __slots__ = ("_transient_errors_left", "arp", "icmp", "macs", "main", "packed", "request", "tries")

    def __init__(self, request: ProbeRequest, tries: int) -> None:
        try:
            self.packed = socket.inet_pton(socket.AF_INET, request.address)
        except OSError:
            raise ValueError(f'"{request.address}" is not an IPv4 address') from None
        self.request = request
        self.tries = tries
        self.macs: tuple[str, ...] = ()
        self.icmp = ProtocolProbe() if request.icmp else None
        self.arp = ProtocolProbe() if request.link else None
        self.main = self.icmp or self.arp
        self._transient_errors_left = tries * _TRANSIENT_ERRORS_PER_TRY
        if request.link is not None and not request.link.ready:
            # The kernel accepts packets for a link without carrier and drops them without an error.
            self.abort(f"{request.link.name} is down or has no carrier")

    @property
    def settled(self) -> bool:
        """No further probe is needed: the host answered, or was probed often enough."""
        main, arp = self.main, self.arp
        if self.tries <= 0 or main is None or main.rtt is not None:
            return True
        # After an ARP reply one echo request is still sent, since a sleeping host's card may answer ARP.
        return main.silent and arp is not None and self._arp_proves_presence

    @property
    def needs_resend(self) -> bool:
        """A probe remains to be sent within this round: by ARP, or the one that the kernel refused."""
        icmp, arp = self.icmp, self.arp
        if icmp is None or icmp.rtt is not None:
            return False
        return bool(icmp.refused_errno) or (arp is not None and not arp.pending)

    @property
    def answered(self) -> bool:
        """The host has sent a sufficient reply."""
        if self.icmp is not None and self.icmp.rtt is not None:
            return True
        return self._arp_proves_presence

    @property
    def _arp_proves_presence(self) -> bool:
        request = self.request
        return request.arp_sufficient and any(
            mac not in request.proxy_macs and (not request.macs or mac in request.macs) for mac in self.macs
        )

    def record_arp_reply(self, mac: str, now: float) -> bool:
        """Record an ARP reply to the latest request; return whether it is the first one from ``mac``."""
        # An ARP reply has no sequence number.
        latest = next(reversed(self.arp.sent), 0) if self.arp is not None else 0
        if self.arp is None or not latest or mac in self.macs or len(self.macs) >= _MAX_MACS:
            return False
        self.arp.record_answer(latest, now)
        self.macs += (mac,)
        return True

    def end_round(self, *, waited: bool) -> None:
        """End a round; ``waited`` = its probes had their full time."""
        main, arp = self.main, self.arp
        if main is None:
            return
        if main.refused_errno in TRANSIENT_ERRNOS and self._transient_errors_left > 0:
            self._transient_errors_left -= 1
        else:
            self.tries -= 1
        if main.pending:
            main.end_round(waited=waited)
        if arp is not None and arp.pending:
            arp.end_round(waited=waited)

    def mark_silent(self) -> None:
        """Record silence to ARP on the host's own link: no echo request could reach it, so none is sent."""
        self.tries = 0
        if self.icmp is not None:
            self.icmp.silent = True

    def abort(self, error: str) -> None:
        """End all probes of a host that cannot be probed; what has not been answered counts as failed."""
        self.tries = 0
        for probe in (self.icmp, self.arp):
            if probe is not None and probe.rtt is None:
                probe.silent, probe.error = False, error

    def expire(self, error: str) -> None:
        """End all probes at the deadline of the sweep; a protocol without a probe of full time has failed."""
        for probe in (self.icmp, self.arp):
            if probe is not None and probe.probe_outcome is _NOT_PROBED and not self.settled:
                probe.error = error

    def reply(self, *, cut_short: bool) -> ProbeReply:
        """The reply; ``cut_short`` = another host's reply ended the sweep, so silence is inconclusive."""
        icmp, arp = self.icmp, self.arp
        icmp_outcome = _NOT_PROBED if icmp is None else icmp.probe_outcome
        arp_outcome = _NOT_PROBED if arp is None else arp.probe_outcome
        if cut_short and not self.settled:
            icmp_outcome = _NOT_PROBED if icmp_outcome is _SILENT else icmp_outcome
            arp_outcome = _NOT_PROBED if arp_outcome is _SILENT else arp_outcome
        rtt = icmp.rtt if icmp is not None else None
        if rtt is None and arp is not None:
            rtt = arp.rtt
        error = icmp.error if icmp is not None and icmp_outcome is _FAILED else None
        if error is None and arp is not None and arp_outcome is _FAILED:
            error = arp.error
        return ProbeReply(icmp_outcome, arp_outcome, rtt, self.macs, error)
