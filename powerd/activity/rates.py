"""How fast counters increase, on the average of the last minutes, by the polls of a check."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Final, Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)

MIN_AVERAGING_TIME: Final = 60.0
"""Seconds; a shorter time is not an average: what happens once in a minute would count as if it went on."""
_PARTS: Final = 10
"""Parts of the window, so that memory does not depend on the number of polls."""


class _Sample(NamedTuple):
    at: float
    total: float


class CounterRates(Generic[K]):
    """Remembers counters over a window.

    The counters of the first update are of unknown age, so only their increase counts. A counter that
    was not there at the last update is new: all of it counts, since that update. One that has gone back was
    reset, and counts from 0. One that has disappeared is remembered until the window has passed.

    Args:
        window: seconds.
    """

    def __init__(self, window: float) -> None:
        self._window = window
        self._at: float | None = None
        self._last: dict[K, float] = {}
        self._samples: dict[K, list[_Sample]] = {}

    def update(self, at: float, counters: Mapping[K, float]) -> None:
        """Add the counters read at CLOCK_MONOTONIC ``at``."""
        self._forget(at, self._last)
        for key, counter in counters.items():
            samples = self._samples.get(key)
            if samples is None:
                start = at if self._at is None else max(self._at, at - self._window)
                samples = self._samples[key] = [_Sample(start, counter if self._at is None else 0.0)]
            total = samples[-1].total
            last = self._last.get(key, samples[0].total)
            total += counter - last if counter >= last else counter
            if len(samples) > 1 and samples[-1].at - samples[-2].at < self._window / _PARTS:
                samples.pop()
            samples.append(_Sample(at, total))
        self._at = at
        self._last = dict(counters)
        for samples in self._samples.values():
            while len(samples) > 1 and samples[1].at <= at - self._window:
                del samples[0]
        self._forget(at, self._last)

    def _forget(self, at: float, present: Mapping[K, float]) -> None:
        """Remove what is not present and has moved nothing within the window."""
        for key, samples in list(self._samples.items()):
            if key not in present and samples[-1].at <= at - self._window:
                del self._samples[key]

    def rates(self) -> dict[K, float]:
        """The increase per second of each remembered counter, 0.0 after its first update."""
        at = self._at or 0.0
        return {
            key: (samples[-1].total - samples[0].total) / max(at - samples[0].at, MIN_AVERAGING_TIME)
            for key, samples in self._samples.items()
        }
