"""What people ask of the daemon, and what they are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NewType

from powerd.core.time import Moment

KeepAwakeId = NewType("KeepAwakeId", str)
"""A keep's name, short enough to be typed: ``3``; a hold's begins with h: ``h1``."""


class RequestRefusedError(Exception):
    """A person asked for what cannot be; the text is one sentence with what, where and the remedy.

    Attributes:
        not_found: it names something that does not exist.
    """

    def __init__(self, text: str, *, not_found: bool = False) -> None:
        super().__init__(text)
        self.not_found = not_found


@dataclass(frozen=True, slots=True)
class KeepAwake:
    """Somebody wants the server awake: a keep until a time, a hold for as long as a command runs.

    Attributes:
        id: by which a keep is dropped.
        reason: why, in the words of who asked; may be empty.
        since: when it was asked for.
        until: when it ends; None = a hold. What counts is time as CLOCK_BOOTTIME counts it, ``mono + slept``,
            for a wall clock that is set must not end a keep early; ``wall`` is what people are told.
    """

    id: KeepAwakeId
    reason: str
    since: Moment
    until: Moment | None

    def seconds_left(self, now: Moment) -> float:
        """Seconds until it ends, 0 at the least; a hold's are endless."""
        if self.until is None:
            return float("inf")
        return max(0.0, self.until.mono + self.until.slept - now.mono - now.slept)


@dataclass(frozen=True, slots=True)
class WakeOnLanResult:
    """Where magic packets have been sent.

    Attributes:
        label: what a person calls the host.
        mac: whom they wake.
        destinations: name of the link, and the broadcast address.
    """

    label: str
    mac: str
    destinations: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class KeepAwakeFacts:
    """Keep-awake requests by their identifiers."""

    keep_awake: Mapping[KeepAwakeId, KeepAwake] = field(default_factory=lambda: MappingProxyType({}))
