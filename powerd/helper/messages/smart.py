"""The part of the vocabulary that is about drives' health."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, TypeAlias

from powerd.helper.kinds import BooleanField, ChoiceField, Message
from powerd.helper.messages.disk import COMMANDS_FIELD, DISK_FIELD
from powerd.model import TEST_KINDS
from powerd.model.plain import MalformedHealthError, health_from_json

DEVICE_TYPES: Final = ("", "auto", "sat", "sat,12", "scsi", "nvme", "usbjmicron", "usbprolific", "usbsunplus")
"""Device types of smartctl's (-d); "" = whatever fits the disk."""
_MAX_LENGTH: Final = 14_000


@dataclass(frozen=True, slots=True)
class HealthField:
    """A Health as powerd.model.plain makes one plain, small enough for a line."""

    def describe(self) -> str:
        """In words."""
        return "a plain Health"

    def accepts(self, value: object) -> bool:
        """As Kind says."""
        try:
            health_from_json(value)
        except MalformedHealthError:
            return False
        return len(json.dumps(value)) <= _MAX_LENGTH


@dataclass(frozen=True, slots=True)
class CheckHealthRequest(Message):
    """Read all that a drive says of its health. Answer: DriveHealth. Refused for one that is asleep.

    Attributes:
        disk: which.
        wake: it may be woken for it.
        kind: how it was reached the last time; "" = unknown.
    """

    wire_name: ClassVar[str] = "check-health"
    disk: Annotated[str, DISK_FIELD]
    wake: Annotated[bool, BooleanField()]
    kind: Annotated[str, ChoiceField(DEVICE_TYPES)]


@dataclass(frozen=True, slots=True)
class StartTestRequest(Message):
    """Have a spinning drive test itself. Answer: Power."""

    wire_name: ClassVar[str] = "start-test"
    disk: Annotated[str, DISK_FIELD]
    test: Annotated[str, ChoiceField(TEST_KINDS)]
    kind: Annotated[str, ChoiceField(DEVICE_TYPES)]


@dataclass(frozen=True, slots=True)
class HealthResponse(Message):
    """A drive's health.

    Attributes:
        disk: which.
        kind: how it was reached, to be tried first the next time.
        health: as powerd.model.plain makes it plain; its time is 0, as the helper tells none.
        commands: as in Power; as many as smartctl sends to an ATA drive for all this.
    """

    wire_name: ClassVar[str] = "health"
    disk: Annotated[str, DISK_FIELD]
    kind: Annotated[str, ChoiceField(DEVICE_TYPES)]
    health: Annotated[dict[str, Any], HealthField()]
    commands: Annotated[int, COMMANDS_FIELD]


SmartRequest: TypeAlias = CheckHealthRequest | StartTestRequest
