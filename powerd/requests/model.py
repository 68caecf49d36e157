"""Requests of users, and their results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NewType

from powerd.core.dataclass import dataclass
from powerd.core.time import Moment

if TYPE_CHECKING:  # the commands keep and sleep load this module
    from powerd.core.snapshot import Status
    from powerd.power.model import SleepRequest

KeepAwakeId = NewType("KeepAwakeId", str)
"""The id of a keep-awake request, short enough to type: ``3`` for a keep, ``h1`` for a hold."""
UNREADABLE: Final = KeepAwakeId("unreadable")
"""The request that stands for the keeps that cannot be read from their state file."""


@dataclass(frozen=True, slots=True)
class KeepAwake:
    """A request to keep the server awake: a keep lasts until a time, a hold while a command runs.

    Attributes:
        id: identifies the request when it is dropped.
        reason: given by the user; may be empty. That of UNREADABLE is a sentence.
        since: when the request was made.
        until: the end; None = a hold, or UNREADABLE. Only ``mono + slept`` (CLOCK_BOOTTIME) ends a keep, so
            that setting the wall clock does not; ``wall`` is shown to users.
        not_stored: in the answer to a user, why the request or its end is forgotten at a restart; "" = it is
            stored, or a hold.
    """

    id: KeepAwakeId
    reason: str
    since: Moment
    until: Moment | None
    not_stored: str = ""

    def seconds_left(self, now: Moment) -> float:
        """Seconds until the end, at least 0; inf for a hold."""
        if self.until is None:
            return float("inf")
        return max(0.0, self.until.mono + self.until.slept - now.mono - now.slept)


@dataclass(frozen=True, slots=True)
class WakeOnLanResult:
    """Where magic packets were sent.

    Attributes:
        label: the name of the host, for users.
        mac: the MAC address of the host.
        destinations: pairs of link name and broadcast address.
    """

    label: str
    mac: str
    destinations: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class AcceptedSleep:
    """A request to sleep with the first decision that contains it; None = there is no decision yet."""

    request: SleepRequest
    status: Status | None


@dataclass(frozen=True, slots=True)
class KeepAwakeFacts:
    """Keep-awake requests by their identifiers."""

    keep_awake: Mapping[KeepAwakeId, KeepAwake] = field(default_factory=lambda: MappingProxyType({}))
