"""Sets of times: when somebody is home, when a phone answers, when a disk is busy."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from math import inf


class Timeline:
    """Sorted, disjoint intervals of POSIX seconds, closed at the begin and open at the end.

    Times that grow are cheap to look up: the interval of the last one is remembered.
    """

    __slots__ = ("_edges", "_from", "_inside", "_until")

    def __init__(self, intervals: Iterable[tuple[float, float]] = ()) -> None:
        edges: list[float] = []
        for begin, end in sorted(intervals):
            if end <= begin:
                continue
            if edges and begin <= edges[-1]:
                edges[-1] = max(edges[-1], end)
            else:
                edges += (begin, end)
        self._edges = edges
        self._from, self._until, self._inside = inf, -inf, False

    def __iter__(self) -> Iterator[tuple[float, float]]:
        edges = iter(self._edges)
        return zip(edges, edges, strict=True)

    def __contains__(self, at: float) -> bool:
        if not self._from <= at < self._until:
            index = bisect_right(self._edges, at)
            self._from = self._edges[index - 1] if index else -inf
            self._until = self._edges[index] if index < len(self._edges) else inf
            self._inside = index % 2 == 1
        return self._inside

    def __or__(self, other: Timeline) -> Timeline:
        return Timeline((*self, *other))

    def __invert__(self) -> Timeline:
        edges = iter((-inf, *self._edges, inf))
        return Timeline(zip(edges, edges, strict=True))

    def __and__(self, other: Timeline) -> Timeline:
        return ~(~self | ~other)

    def __sub__(self, other: Timeline) -> Timeline:
        return ~(~self | other)

    def next_begin(self, after: float) -> float:
        """The begin of the first interval that begins later than ``after``; infinity if there is none."""
        index = bisect_right(self._edges, after)
        index += index % 2
        return self._edges[index] if index < len(self._edges) else inf

    def begin_of(self, at: float) -> float:
        """The begin of the interval, or of the gap, that contains ``at``."""
        _ = at in self
        return self._from

    def seconds(self) -> float:
        """The length of all intervals."""
        return sum(end - begin for begin, end in self)

    def shortened(self, seconds: float) -> Timeline:
        """Each interval begins ``seconds`` later."""
        return Timeline((begin + seconds, end) for begin, end in self)


def union(timelines: Iterable[Timeline]) -> Timeline:
    """The times that at least one of the timelines contains."""
    return Timeline(interval for each in timelines for interval in each)
