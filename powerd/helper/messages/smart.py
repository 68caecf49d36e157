"""The part of the vocabulary that is about drives' health."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, TypeAlias

from powerd.helper.kinds import Message, OneOf, Truth
from powerd.helper.messages.disk import COMMANDS, DISK
from powerd.model import TESTS
from powerd.model.plain import NotPlainError, from_plain

KINDS: Final = ("", "auto", "sat", "sat,12", "scsi", "nvme", "usbjmicron", "usbprolific", "usbsunplus")
"""Device types of smartctl's (-d); "" = whatever fits the disk."""
_MOST: Final = 14_000


@dataclass(frozen=True, slots=True)
class PlainHealth:
    """A Health as powerd.model.plain makes one plain, small enough for a line."""

    def must_be(self) -> str:
        """In words."""
        return "a plain Health"

    def fits(self, value: object) -> bool:
        """As Kind says."""
        try:
            from_plain(value)
        except NotPlainError:
            return False
        return len(json.dumps(value)) <= _MOST


@dataclass(frozen=True, slots=True)
class CheckHealth(Message):
    """Read all that a drive says of its health. Answer: DriveHealth. Refused for one that is asleep.

    Attributes:
        disk: which.
        wake: it may be woken for it.
        kind: how it was reached the last time; "" = unknown.
    """

    word: ClassVar[str] = "check-health"
    disk: Annotated[str, DISK]
    wake: Annotated[bool, Truth()]
    kind: Annotated[str, OneOf(KINDS)]


@dataclass(frozen=True, slots=True)
class StartTest(Message):
    """Have a spinning drive test itself. Answer: Power."""

    word: ClassVar[str] = "start-test"
    disk: Annotated[str, DISK]
    test: Annotated[str, OneOf(TESTS)]
    kind: Annotated[str, OneOf(KINDS)]


@dataclass(frozen=True, slots=True)
class DriveHealth(Message):
    """A drive's health.

    Attributes:
        disk: which.
        kind: how it was reached, to be tried first the next time.
        health: as powerd.model.plain makes it plain; its time is 0, as the helper tells none.
        commands: as in Power; as many as smartctl sends to an ATA drive for all this.
    """

    word: ClassVar[str] = "health"
    disk: Annotated[str, DISK]
    kind: Annotated[str, OneOf(KINDS)]
    health: Annotated[dict[str, Any], PlainHealth()]
    commands: Annotated[int, COMMANDS]


SmartRequest: TypeAlias = CheckHealth | StartTest
