"""Which clients are probed between two rounds: those that may be in a nap, if no other answers steadily.

The answer of a phone between two naps may be shorter than a round. So a silence counts as one nap, and
towards the limit, only while the client is watched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import ceil
from typing import Final

from powerd.core.poller import poll_timeout
from powerd.presence.model import MAX_SILENCE_GAP, ClientId
from powerd.presence.records import ClientRecord, last_seen, set_observation
from powerd.presence.silences import UPPER_LIMIT

_WATCH_INTERVAL: Final = 20.0
"""Most seconds between polls while a client may be in a nap: phones answer for 20 s and more between two."""
_MAX_WATCHED: Final = 256
"""Maximum number of clients for additional probes: with more, a poll takes longer than that interval."""
_TIMEOUTS_WHILE_WATCHING: Final = 9.5
"""``clients.timeout`` may pass so often in a poll while clients are watched: 1, 2, 1.5 and 3 * 1.5 times."""
_UNWATCHED_LIMIT: Final = 4 * UPPER_LIMIT
"""Seconds of silence to one probe in each poll interval after which a client is not present."""


class NapWatch:
    """What is watched.

    Attributes:
        clients: those that are probed between two rounds.
        is_possible: clients that may be in a nap are watched, if no other answers steadily.
    """

    def __init__(self) -> None:
        self.clients: frozenset[ClientId] = frozenset()
        self.is_possible = False
        self._is_steady = False

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
        self.clients, self.is_possible = frozenset(), fits and len(records) <= _MAX_WATCHED
        if not self.is_possible:
            return
        is_steady, was_steady = is_any_steady(records.values(), now, every), self._is_steady
        self._is_steady = is_steady
        if is_steady:
            return
        for record in records.values() if was_steady else ():
            restart_unwatched_silence(record, now, every)
        self.clients = clients_to_watch(records, now)


def watch_interval(every: float) -> float:
    """Seconds between two polls while clients are watched: a part of a round, which keeps its time."""
    return every / ceil(every / _WATCH_INTERVAL)


def is_any_steady(records: Iterable[ClientRecord], now: float, poll_interval: float) -> bool:
    """Whether a client answers steadily; ``now`` is the time at which the last poll began."""
    return any(
        each.observation.silent_since is None
        and each.observation.dozing_since is None
        and last_seen(each) >= now - poll_interval
        for each in records
    )


def clients_to_watch(records: Mapping[ClientId, ClientRecord], now: float) -> frozenset[ClientId]:
    """The clients that may be in a nap, while no client answers steadily.

    They are silent and not absent by their learned limit. They are probed often, because the answer of a
    phone between two naps may be shorter than a poll interval. A client that never naps is not among them,
    and one that has never answered, as the hosts of old leases after a start, only in the second half of
    its limit: that is longer than most naps.

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
            if silence <= limit.seconds and (has_answered or silence >= limit.seconds / 2):
                watched.append(id_)
    return frozenset(watched)


def restart_unwatched_silence(record: ClientRecord, now: float, poll_interval: float) -> None:
    """Let the silence of a client that may nap begin ``now``, CLOCK_MONOTONIC, when it is first watched.

    While another client answers steadily, it is probed once in ``poll_interval`` or not at all, so it may
    have answered meanwhile. That it never did so in _UNWATCHED_LIMIT can be excluded.
    """
    since = record.observation.silent_since
    may_nap = record.observation.limit.basis != "answers"
    if since is not None and may_nap and MAX_SILENCE_GAP * poll_interval < now - since < _UNWATCHED_LIMIT:
        set_observation(record, replace(record.observation, silent_since=now))
