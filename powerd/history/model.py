"""What the daemon remembers over time: for how long each blocker has kept the server awake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

from powerd.core.time import Moment

HOURS: Final = 24
"""How far back the record goes."""
_HOUR: Final = 3600.0


class Blocker(NamedTuple):
    """A reason that keeps the server awake, without its beginning."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class BlockerTimes:
    """How long blockers have lasted, in memory only.

    Attributes:
        seconds: of each blocker, by hour; hours are those of CLOCK_BOOTTIME. The server was awake during all
            of them.
        current: the blockers of the last decision.
        since: the first decision; None = there is none yet.
        updated_at: the last decision.
    """

    seconds: Mapping[Blocker, Mapping[int, float]] = field(default_factory=lambda: MappingProxyType({}))
    current: frozenset[Blocker] = frozenset()
    since: Moment | None = None
    updated_at: Moment | None = None

    def totals(self, now: Moment) -> list[tuple[Blocker, float]]:
        """Each blocker of the last 24 hours with its seconds, the longest first."""
        hour = hour_of(now)
        found = [(blocker, sum(recent(by_hour, hour).values())) for blocker, by_hour in self.seconds.items()]
        return sorted((each for each in found if each[1]), key=lambda each: (-each[1], each[0]))


def hour_of(now: Moment) -> int:
    """The hour of CLOCK_BOOTTIME."""
    return int((now.mono + now.slept) // _HOUR)


def recent(by_hour: Mapping[int, float], hour: int) -> dict[int, float]:
    """The hours of the last 24, up to ``hour``."""
    return {each: value for each, value in by_hour.items() if each > hour - HOURS}
