"""What may be asked of the helper, and what it answers: the whole vocabulary, one JSON object per line.

A request is ``{"ask": WORD, ...}``, an answer ``{"answer": WORD, ...}``, and the other keys are exactly the
fields of the word's class: none missing, none besides. Every value is checked where it is made, so an object
of these classes is valid, whichever side of the socket built it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, TypeAlias

from powerd.disks.model import FailureCause
from powerd.helper.protocol.deadlines import deadline_of
from powerd.helper.protocol.fields import (
    ChoiceField,
    Message,
    ProtocolError,
    SentenceField,
    field_types,
    printable,
)
from powerd.helper.protocol.messages import (
    COMMANDS_FIELD,
    MIN_AHEAD,
    WOL_FLAGS,
    AlarmRequest,
    AlarmResponse,
    ArmCard,
    AwaitFirstAccess,
    CardRequest,
    CardResponse,
    CheckHealthRequest,
    ClearAlarm,
    DriveRequest,
    DriveResponse,
    GroupSpinUpResponse,
    HealthResponse,
    PowerRequest,
    PowerResponse,
    ReadAlarm,
    ReadCard,
    ReadDriveRequest,
    ReadPowerRequest,
    SetAlarm,
    SetApmRequest,
    SetTimerRequest,
    SmartRequest,
    SpinDownRequest,
    StartTestRequest,
)
from powerd.helper.protocol.messages import HdparmRequest as _DiskRequest
from powerd.helper.protocol.messages import HdparmResponse as _DiskAnswer

__all__ = [
    "CAUSES",
    "MAX_LINE",
    "MIN_AHEAD",
    "REQUESTS",
    "RESPONSES",
    "WOL_FLAGS",
    "AlarmRequest",
    "AlarmResponse",
    "ArmCard",
    "AwaitFirstAccess",
    "CardRequest",
    "CardResponse",
    "CheckHealthRequest",
    "ClearAlarm",
    "DiskRequest",
    "DiskResponse",
    "DriveRequest",
    "DriveResponse",
    "GroupSpinUpResponse",
    "HealthResponse",
    "PowerRequest",
    "PowerResponse",
    "ProtocolError",
    "ReadAlarm",
    "ReadCard",
    "ReadDriveRequest",
    "ReadPowerRequest",
    "Refused",
    "Request",
    "Response",
    "SetAlarm",
    "SetApmRequest",
    "SetTimerRequest",
    "SmartRequest",
    "SpinDownRequest",
    "StartTestRequest",
    "deadline_of",
    "encode",
    "parse_request",
    "parse_response",
]

MAX_LINE: Final = 16_384
"""Bytes that a line may have, its end included: a hundred disks by name fit into one."""

CAUSES: Final = tuple(FailureCause)


@dataclass(frozen=True, slots=True)
class Refused(Message):
    """It was not done.

    Attributes:
        why: one sentence with what, where and the remedy.
        cause: the same for a program: ``busy`` = ask again in a minute; ``asleep`` = it would have woken the
            disk; ``hung`` = what was begun at the device, now or before, is over its bound; ``gone`` = there
            is no such device; ``unreached`` = the device was not even asked, for a reason that is not its
            own, such as a tool that is not installed; ``failed`` = anything else.
        commands: that went to a disk all the same, as in Power.
    """

    wire_name: ClassVar[str] = "refused"
    why: Annotated[str, SentenceField()]
    cause: Annotated[str, ChoiceField(CAUSES)] = FailureCause.FAILED
    commands: Annotated[int, COMMANDS_FIELD] = 0


DiskRequest: TypeAlias = _DiskRequest | SmartRequest
DiskResponse: TypeAlias = _DiskAnswer | HealthResponse
Request: TypeAlias = AlarmRequest | CardRequest | DiskRequest
Response: TypeAlias = AlarmResponse | CardResponse | DiskResponse | Refused

REQUESTS: Final[Mapping[str, type[Request]]] = {
    kind.wire_name: kind
    for kind in (
        *(ReadAlarm, SetAlarm, ClearAlarm, ReadCard, ArmCard),
        *(
            ReadPowerRequest,
            SpinDownRequest,
            SetTimerRequest,
            SetApmRequest,
            ReadDriveRequest,
            AwaitFirstAccess,
            CheckHealthRequest,
            StartTestRequest,
        ),
    )
}
RESPONSES: Final[Mapping[str, type[Response]]] = {
    kind.wire_name: kind
    for kind in (
        AlarmResponse,
        CardResponse,
        PowerResponse,
        DriveResponse,
        GroupSpinUpResponse,
        HealthResponse,
        Refused,
    )
}


def parse_request(line: bytes) -> Request:
    """The request in one line, with or without its end.

    Raises:
        ProtocolError: it is none.
    """
    wire_name, values = _parse(line, "ask", REQUESTS)
    return REQUESTS[wire_name](**values)


def parse_response(line: bytes) -> Response:
    """The answer in one line, with or without its end.

    Raises:
        ProtocolError: it is none.
    """
    wire_name, values = _parse(line, "answer", RESPONSES)
    return RESPONSES[wire_name](**values)


def encode(message: Request | Response) -> bytes:
    """A request or an answer as a line of ASCII, its end included."""
    tag = "ask" if isinstance(message, Request) else "answer"
    values = {name: getattr(message, name) for name in field_types(type(message))}
    return json.dumps({tag: message.wire_name, **values}).encode() + b"\n"


def _parse(line: bytes, tag: str, message_types: Mapping[str, type[Message]]) -> tuple[str, dict[str, Any]]:
    """The word that ``line`` gives under ``tag``, and the values of exactly its fields."""
    values = _parse_object(line)
    if tag not in values:
        raise ProtocolError(f"the key {tag!r} is missing")
    wire_name = values.pop(tag)
    if not isinstance(wire_name, str) or wire_name not in message_types:
        raise ProtocolError(f"{tag} must be one of {', '.join(message_types)}, not {printable(wire_name)}")
    types = field_types(message_types[wire_name])
    for key in values:
        if key not in types:
            raise ProtocolError(f"{wire_name}: unknown key {printable(key)}")
    for key in types:
        if key not in values:
            raise ProtocolError(f"{wire_name}: the key {key!r} is missing")
    return wire_name, {key: _freeze(value) for key, value in values.items()}


def _freeze(value: object) -> object:
    """An array of JSON as a tuple, for a message never changes."""
    return tuple(value) if isinstance(value, list) else value


def _parse_object(line: bytes) -> dict[str, Any]:
    """The one JSON object of a line (RFC 8259): no name twice in it, no NaN."""
    if len(line) > MAX_LINE:
        raise ProtocolError(f"a line may have {MAX_LINE} bytes, and this one has {len(line)}")
    try:
        value = json.loads(
            line.decode(), object_pairs_hook=_reject_duplicate_keys, parse_constant=_reject_constant
        )
    except ProtocolError:
        raise
    except (ValueError, RecursionError):  # also what is no UTF-8, and nested too deeply for the parser
        raise ProtocolError("the line is no JSON") from None
    if not isinstance(value, dict):
        raise ProtocolError(f"a line holds one JSON object, not {printable(value)}")
    return value


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ProtocolError("a key stands twice in an object")
    return table


def _reject_constant(constant: str) -> Any:  # noqa: ANN401 - as json.loads wants it; never returns
    raise ProtocolError(f"{constant} is no JSON")
