"""What may be asked of the helper, and what it answers: the whole vocabulary, one JSON object per line.

A request is ``{"ask": WORD, ...}``, an answer ``{"answer": WORD, ...}``, and the other keys are exactly the
fields of the word's class: none missing, none besides. Every value is checked where it is made, so an object
of these classes is valid, whichever side of the socket built it.

Alarms are seconds of the RTC's own clock since 1970, read as if it kept UTC: what since_epoch and wakealarm
below /sys/class/rtc/ hold (Documentation/ABI/testing/sysfs-class-rtc). They are compared with each other
and never with the wall clock, as an RTC may keep local time, or be wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, TypeAlias

from powerd.helper.kinds import Maybe, Message, ProtocolError, Sentence, Text, Truth, Whole, kinds, shown

__all__ = [
    "ANSWERS",
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
    "ClearAlarm",
    "ProtocolError",
    "ReadAlarm",
    "ReadCard",
    "Refused",
    "Request",
    "SetAlarm",
    "parse_answer",
    "parse_request",
    "to_line",
]

LINE: Final = 4096
"""Bytes that a line may have, its end included."""
MIN_AHEAD: Final = 60
"""Seconds: a nearer alarm can go off while the machine is still falling asleep."""
FLAGS: Final = "pumbagsf"
"""Ways to wake by the network, by the letters of ethtool(8), in the order of the kernel's bits: PHY activity,
unicast, multicast, broadcast, ARP, magic packet, SecureOn password, filter."""

_AHEAD: Final = Whole(MIN_AHEAD, 31 * 86_400)
_TIME: Final = Whole(0, 253_402_300_799)  # to the end of the year 9999
_RTC: Final = Text(r"rtc[0-9]{1,3}", "an RTC's name")
_FLAGS: Final = Text(
    "".join(f"{letter}?" for letter in FLAGS), f"letters of {FLAGS!r}, each at most once and in this order"
)
_INTERFACE: Final = Text(
    r"(?!\.{1,2}$)[A-Za-z0-9_.:@-]{1,15}", "an interface's name of 1 to 15 letters, digits or _.:@-"
)


@dataclass(frozen=True, slots=True)
class ReadAlarm(Message):
    """Which RTC can wake the machine, its time, and the alarm that stands. Answer: Alarm."""

    word: ClassVar[str] = "read-alarm"


@dataclass(frozen=True, slots=True)
class SetAlarm(Message):
    """Wake the machine ``in_seconds`` from now. Answer: Alarm, read back from the kernel.

    An alarm that stands and is no later is left alone, as it wakes the machine in time, unless it
    is the one that the caller names as its own; one that goes off within 60 s is Refused.

    Attributes:
        in_seconds: from 60 to 31 days.
        replaces: the caller's own alarm as an Alarm told it; None = it knows of none.
    """

    word: ClassVar[str] = "set-alarm"
    in_seconds: Annotated[int, _AHEAD]
    replaces: Annotated[int | None, Maybe(_TIME)]


@dataclass(frozen=True, slots=True)
class ClearAlarm(Message):
    """Take away the alarm that is set to exactly ``at``. Answer: Alarm.

    Where none stands, as it has gone off, there is nothing to do; another one is left alone: Refused.
    """

    word: ClassVar[str] = "clear-alarm"
    at: Annotated[int, _TIME]


@dataclass(frozen=True, slots=True)
class ReadCard(Message):
    """By what a network card can wake the machine, and by what it will. Answer: Card."""

    word: ClassVar[str] = "read-card"
    interface: Annotated[str, _INTERFACE]


@dataclass(frozen=True, slots=True)
class ArmCard(Message):
    """Let a magic packet wake the machine, besides whatever may already. Answer: Card, read back."""

    word: ClassVar[str] = "arm-card"
    interface: Annotated[str, _INTERFACE]


@dataclass(frozen=True, slots=True)
class Alarm(Message):
    """The RTC after the request, as read from it.

    Attributes:
        rtc: its name, e.g. ``rtc0``.
        now: its time.
        at: the alarm that stands; None = none.
        before: the alarm that stood before the request; None = none.
        written: the one that stands was set by this request.
    """

    word: ClassVar[str] = "alarm"
    rtc: Annotated[str, _RTC]
    now: Annotated[int, _TIME]
    at: Annotated[int | None, Maybe(_TIME)]
    before: Annotated[int | None, Maybe(_TIME)]
    written: Annotated[bool, Truth()]

    @property
    def in_seconds(self) -> int | None:
        """Seconds from the RTC's now to the alarm; None = no alarm stands."""
        return None if self.at is None else self.at - self.now


@dataclass(frozen=True, slots=True)
class Card(Message):
    """A network card after the request, as the kernel tells it: letters of FLAGS.

    Attributes:
        interface: its name.
        supported: by what it can wake the machine, e.g. ``umbg``.
        armed: by what it will; "" = by nothing.
    """

    word: ClassVar[str] = "card"
    interface: Annotated[str, _INTERFACE]
    supported: Annotated[str, _FLAGS]
    armed: Annotated[str, _FLAGS]


@dataclass(frozen=True, slots=True)
class Refused(Message):
    """It was not done; one sentence with what, where and the remedy."""

    word: ClassVar[str] = "refused"
    why: Annotated[str, Sentence()]


AlarmRequest: TypeAlias = ReadAlarm | SetAlarm | ClearAlarm
CardRequest: TypeAlias = ReadCard | ArmCard
Request: TypeAlias = AlarmRequest | CardRequest
Answer: TypeAlias = Alarm | Card | Refused

REQUESTS: Final[Mapping[str, type[Request]]] = {
    kind.word: kind for kind in (ReadAlarm, SetAlarm, ClearAlarm, ReadCard, ArmCard)
}
ANSWERS: Final[Mapping[str, type[Answer]]] = {kind.word: kind for kind in (Alarm, Card, Refused)}


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
    return word, values


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
