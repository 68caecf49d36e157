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

from powerd.helper.kinds import Message, OneOf, ProtocolError, Sentence, kinds, shown
from powerd.helper.messages.alarm import MIN_AHEAD, Alarm, AlarmRequest, ClearAlarm, ReadAlarm, SetAlarm
from powerd.helper.messages.bounds import within
from powerd.helper.messages.card import FLAGS, ArmCard, Card, CardRequest, ReadCard
from powerd.helper.messages.disk import (
    COMMANDS,
    Drive,
    DriveRequest,
    Guard,
    Power,
    PowerRequest,
    ReadDrive,
    ReadPower,
    Roused,
    SetApm,
    SetTimer,
    StandBy,
)
from powerd.helper.messages.disk import DiskAnswer as _DiskAnswer
from powerd.helper.messages.disk import DiskRequest as _DiskRequest
from powerd.helper.messages.smart import CheckHealth, DriveHealth, SmartRequest, StartTest
from powerd.model import Trouble

__all__ = [
    "ANSWERS",
    "CAUSES",
    "FLAGS",
    "LINE",
    "MIN_AHEAD",
    "REQUESTS",
    "Alarm",
    "AlarmRequest",
    "Answer",
    "ArmCard",
    "Card",
    "CardRequest",
    "CheckHealth",
    "ClearAlarm",
    "DiskAnswer",
    "DiskRequest",
    "Drive",
    "DriveHealth",
    "DriveRequest",
    "Guard",
    "Power",
    "PowerRequest",
    "ProtocolError",
    "ReadAlarm",
    "ReadCard",
    "ReadDrive",
    "ReadPower",
    "Refused",
    "Request",
    "Roused",
    "SetAlarm",
    "SetApm",
    "SetTimer",
    "SmartRequest",
    "StandBy",
    "StartTest",
    "parse_answer",
    "parse_request",
    "to_line",
    "within",
]

LINE: Final = 16_384
"""Bytes that a line may have, its end included: a hundred disks by name fit into one."""

CAUSES: Final = tuple(Trouble)


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

    word: ClassVar[str] = "refused"
    why: Annotated[str, Sentence()]
    cause: Annotated[str, OneOf(CAUSES)] = Trouble.FAILED
    commands: Annotated[int, COMMANDS] = 0


DiskRequest: TypeAlias = _DiskRequest | SmartRequest
DiskAnswer: TypeAlias = _DiskAnswer | DriveHealth
Request: TypeAlias = AlarmRequest | CardRequest | DiskRequest
Answer: TypeAlias = Alarm | Card | DiskAnswer | Refused

REQUESTS: Final[Mapping[str, type[Request]]] = {
    kind.word: kind
    for kind in (
        *(ReadAlarm, SetAlarm, ClearAlarm, ReadCard, ArmCard),
        *(ReadPower, StandBy, SetTimer, SetApm, ReadDrive, Guard, CheckHealth, StartTest),
    )
}
ANSWERS: Final[Mapping[str, type[Answer]]] = {
    kind.word: kind for kind in (Alarm, Card, Power, Drive, Roused, DriveHealth, Refused)
}


def parse_request(line: bytes) -> Request:
    """The request in one line, with or without its end.

    Raises:
        ProtocolError: it is none.
    """
    word, values = _parse(line, "ask", REQUESTS)
    return REQUESTS[word](**values)


def parse_answer(line: bytes) -> Answer:
    """The answer in one line, with or without its end.

    Raises:
        ProtocolError: it is none.
    """
    word, values = _parse(line, "answer", ANSWERS)
    return ANSWERS[word](**values)


def to_line(message: Request | Answer) -> bytes:
    """A request or an answer as a line of ASCII, its end included."""
    tag = "ask" if isinstance(message, Request) else "answer"
    values = {name: getattr(message, name) for name in kinds(type(message))}
    return json.dumps({tag: message.word, **values}).encode() + b"\n"


def _parse(line: bytes, tag: str, words: Mapping[str, type[Message]]) -> tuple[str, dict[str, Any]]:
    """The word that ``line`` gives under ``tag``, and the values of exactly its fields."""
    values = _object(line)
    if tag not in values:
        raise ProtocolError(f"the key {tag!r} is missing")
    word = values.pop(tag)
    if not isinstance(word, str) or word not in words:
        raise ProtocolError(f"{tag} must be one of {', '.join(words)}, not {shown(word)}")
    known = kinds(words[word])
    for key in values:
        if key not in known:
            raise ProtocolError(f"{word}: unknown key {shown(key)}")
    for key in known:
        if key not in values:
            raise ProtocolError(f"{word}: the key {key!r} is missing")
    return word, {key: _frozen(value) for key, value in values.items()}


def _frozen(value: object) -> object:
    """An array of JSON as a tuple, for a message never changes."""
    return tuple(value) if isinstance(value, list) else value


def _object(line: bytes) -> dict[str, Any]:
    """The one JSON object of a line (RFC 8259): no name twice in it, no NaN."""
    if len(line) > LINE:
        raise ProtocolError(f"a line may have {LINE} bytes, and this one has {len(line)}")
    try:
        value = json.loads(line.decode(), object_pairs_hook=_unique, parse_constant=_no_number)
    except ProtocolError:
        raise
    except (ValueError, RecursionError):  # also what is no UTF-8, and nested too deeply for the parser
        raise ProtocolError("the line is no JSON") from None
    if not isinstance(value, dict):
        raise ProtocolError(f"a line holds one JSON object, not {shown(value)}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ProtocolError("a key stands twice in an object")
    return table


def _no_number(constant: str) -> Any:  # noqa: ANN401 - as json.loads wants it; never returns
    raise ProtocolError(f"{constant} is no JSON")
