"""Which clients are probed between two rounds: those that may be in a nap.

The answer of a phone between two naps may be shorter than a round. So a silence counts as one nap, and
towards the limit, only while the client is watched.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Final

from powerd.core.poller import poll_timeout
from powerd.presence.model import ClientId
from powerd.presence.records import ClientRecord
from powerd.presence.silences import UPPER_LIMIT

_WATCH_INTERVAL: Final = 20.0
"""Most seconds between polls while a client may be in a nap: phones answer for 20 s and more between two."""
MAX_WATCHED: Final = 256
"""Maximum number of clients for additional probes: with more, a poll takes longer than that interval."""
_TIMEOUTS_WHILE_WATCHING: Final = 9.5
"""``clients.timeout`` may pass so often in a poll while clients are watched: 1, 2, 1.5 and 3 * 1.5 times."""


class NapWatch:
    """What is watched.

    Attributes:
        clients: those that are probed between two rounds.
        is_possible: clients that may be in a nap are watched.
    """

    def __init__(self) -> None:
        self.clients: frozenset[ClientId] = frozenset()
        self.is_possible = False

    def update(
        self, records: Mapping[ClientId, ClientRecord], now: float, *, every: float, timeout: float | None
    ) -> None:
        """Determine the clients to watch after a poll that began at ``now``.

        Args:
            records: of the clients whose presence blocks sleep.
            now: CLOCK_MONOTONIC.
            every: seconds of a round.
            timeout: of a probe, seconds; None = no limit of silence is learned.
        """
        fits = timeout is not None and _TIMEOUTS_WHILE_WATCHING * timeout <= poll_timeout(
            watch_interval(every)
        )
        self.is_possible = fits and len(records) <= MAX_WATCHED
        self.clients = clients_to_watch(records, now) if self.is_possible else frozenset()


def watch_interval(every: float) -> float:
    """Seconds between two polls while clients are watched: a part of a round, which keeps its time."""
    return every / ceil(every / _WATCH_INTERVAL)


def clients_to_watch(records: Mapping[ClientId, ClientRecord], now: float) -> frozenset[ClientId]:
    """The clients that may be in a nap.

    They are silent and not absent by their learned limit. If the begin of the silence is known, they are
    watched up to UPPER_LIMIT: only then a nap that is longer than the limit can be learned. A client that
    never naps is not among them, and one that has never answered, as the hosts of old leases after a start,
    only in the second half of its limit: that is longer than most naps.

    Args:
        records: of the clients whose presence blocks sleep.
        now: CLOCK_MONOTONIC at which the last poll began.
    """
    watched = []
    for id_, record in records.items():
        observation, limit = record.observation, record.observation.limit
        if observation.silent_since is not None and limit.basis != "answers":
            silence = now - observation.silent_since
            has_answered = observation.last_seen is not None or record.silences.since is not None
            begin_known = observation.silent_since == observation.last_seen
            most = UPPER_LIMIT if begin_known else limit.seconds
            if silence <= most and (has_answered or silence >= limit.seconds / 2):
                watched.append(id_)
    return frozenset(watched)
