"""Which trace events happened at the same time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import Final

from powerd.attribution.model import TraceEvent

SLACK: Final = 2.0
"""Seconds by which events that belong together may be apart."""


def overlap(event: TraceEvent, other: TraceEvent) -> bool:
    """Whether both happened at the same time, or up to SLACK apart."""
    return other.first_at <= event.last_at + SLACK and other.last_at >= event.first_at - SLACK


class EventTimes:
    """Events by time, for those that overlap with another one.

    One look-up takes logarithmic time, besides the events that it returns: a reading has up to 2,000.
    """

    def __init__(self, events: Iterable[TraceEvent]) -> None:
        self._events = sorted(events, key=lambda each: each.first_at)
        self._first_at = [each.first_at for each in self._events]
        self._ended = list(accumulate((each.last_at for each in self._events), max))

    def during(self, event: TraceEvent) -> list[TraceEvent]:
        """Those events."""
        begin, end = self._range(event)
        return [each for each in self._events[begin:end] if overlap(event, each)]

    def any_during(self, event: TraceEvent) -> bool:
        """Whether there is one."""
        begin, end = self._range(event)
        return begin < end

    def _range(self, event: TraceEvent) -> tuple[int, int]:
        """From the first that has not ended before, to those that begin after; empty if there is none."""
        return (
            bisect_left(self._ended, event.first_at - SLACK),
            bisect_right(self._first_at, event.last_at + SLACK),
        )
