"""Adds up how long each blocker has kept the server awake in the last 24 hours; bounded.

This is not derived from the record (policy_record.py), which would need fewer lines: the record has one text
of a state, that of its begin, and ``home`` of a client, but people want the reasons that they have read
(``home, answers ping``). It has nothing before the clock is believed and beyond the limit of a day, and its
hours are those of the wall clock, which steps. A decision takes 23 to 43 us here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from powerd.core.snapshot import Reason
from powerd.core.time import Moment
from powerd.history.model import Blocker, BlockerTimes, hour_of, recent

MAX_BLOCKERS: Final = 256
"""Blockers; the shortest ones are removed; a large LAN has 50 clients, each with two texts or three."""


def record_blockers(times: BlockerTimes, reasons: Iterable[Reason], now: Moment) -> BlockerTimes:
    """The record after a decision.

    The blockers of the decision before have lasted until now. Time asleep does not count: CLOCK_MONOTONIC
    stands still.

    Args:
        times: the record until now.
        reasons: of the decision; those that do not keep the server awake are ignored.
        now: the time of the decision.
    """
    current = frozenset(Blocker(each.subject, each.text) for each in reasons if each.blocks_sleep)
    hour, seconds = hour_of(now), times.seconds
    elapsed = now.mono - times.updated_at.mono if times.updated_at is not None else 0.0
    if elapsed > 0 and times.current:
        seconds = {
            **seconds,
            **{
                blocker: {
                    **recent(seconds.get(blocker, {}), hour),
                    hour: _at(seconds, blocker, hour) + elapsed,
                }
                for blocker in times.current
            },
        }
    if times.updated_at is None or hour != hour_of(times.updated_at) or len(seconds) > MAX_BLOCKERS:
        seconds = _bounded(seconds, hour)
    return BlockerTimes(seconds, current, times.since or now, now)


def _at(seconds: Mapping[Blocker, Mapping[int, float]], blocker: Blocker, hour: int) -> float:
    return seconds.get(blocker, {}).get(hour, 0.0)


def _bounded(seconds: Mapping[Blocker, Mapping[int, float]], hour: int) -> dict[Blocker, Mapping[int, float]]:
    found = {blocker: rest for blocker, by_hour in seconds.items() if (rest := recent(by_hour, hour))}
    if len(found) <= MAX_BLOCKERS:
        return dict(found)
    longest = sorted(found, key=lambda blocker: -sum(found[blocker].values()))
    return {blocker: found[blocker] for blocker in longest[:MAX_BLOCKERS]}
