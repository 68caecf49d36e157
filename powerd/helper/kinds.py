"""Kinds of values in the vocabulary: what each must be; and messages that check theirs when they are made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final, Protocol, get_type_hints

WORDS: Final = 300
"""Characters that a sentence may have; escaped in JSON (at most 12 bytes each) it still fits into a line."""
_SHOWN: Final = 40


class ProtocolError(ValueError):
    """A line or a value that is none of the vocabulary; one printable sentence that names what is wrong."""


class Kind(Protocol):
    """A kind of value."""

    def must_be(self) -> str:
        """What a value of this kind is, in words."""
        ...

    def fits(self, value: object) -> bool:
        """Whether ``value`` is of this kind; types are strict, so ``True`` is no number."""
        ...


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from ``low`` to ``high``, both included."""

    low: int
    high: int

    def must_be(self) -> str:
        """In words."""
        return f"a whole number from {self.low} to {self.high}"

    def fits(self, value: object) -> bool:
        """As Kind says."""
        return type(value) is int and self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Text:
    """A string that the whole of ``pattern`` fits; ``what`` says so in words."""

    pattern: str
    what: str

    def must_be(self) -> str:
        """In words."""
        return self.what

    def fits(self, value: object) -> bool:
        """As Kind says."""
        return isinstance(value, str) and re.fullmatch(self.pattern, value) is not None


@dataclass(frozen=True, slots=True)
class Maybe:
    """A value of ``kind``, or none."""

    kind: Kind

    def must_be(self) -> str:
        """In words."""
        return f"{self.kind.must_be()} or null"

    def fits(self, value: object) -> bool:
        """As Kind says."""
        return value is None or self.kind.fits(value)


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of a few words."""

    words: tuple[str, ...]

    def must_be(self) -> str:
        """In words."""
        return f"one of {', '.join(self.words)}"

    def fits(self, value: object) -> bool:
        """As Kind says."""
        return isinstance(value, str) and value in self.words


@dataclass(frozen=True, slots=True)
class Seconds:
    """A length of time from 0 to ``most`` seconds, fractions of them included."""

    most: int

    def must_be(self) -> str:
        """In words."""
        return f"a number from 0 to {self.most}"

    def fits(self, value: object) -> bool:
        """As Kind says."""
        return type(value) in {int, float} and 0 <= value <= self.most  # type: ignore[operator] # a number here


@dataclass(frozen=True, slots=True)
class Several:
    """From ``least`` to ``most`` different values of ``kind``: a tuple here, an array in JSON."""

    kind: Kind
    least: int
    most: int

    def must_be(self) -> str:
        """In words."""
        return f"a list of {self.least} to {self.most} different values, each {self.kind.must_be()}"

    def fits(self, value: object) -> bool:
        """As Kind says."""
        return (
            isinstance(value, tuple)
            and self.least <= len(value) <= self.most
            and all(map(self.kind.fits, value))
            and len(set(value)) == len(value)
        )


class Truth:
    """True or false."""

    def must_be(self) -> str:
        """In words."""
        return "true or false"

    def fits(self, value: object) -> bool:
        """As Kind says."""
        return type(value) is bool


class Sentence:
    """A line for people."""

    def must_be(self) -> str:
        """In words."""
        return f"a printable line of 1 to {WORDS} characters"

    def fits(self, value: object) -> bool:
        """As Kind says."""
        return isinstance(value, str) and 0 < len(value) <= WORDS and value.isprintable()


class Message:
    """A frozen dataclass with a name on the wire, whose fields are each annotated with their Kind.

    Raises:
        ProtocolError: at its making, when a value is not of its kind.
    """

    __slots__ = ()
    word: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __post_init__(self) -> None:
        for name, kind in kinds(type(self)).items():
            value = getattr(self, name)
            if not kind.fits(value):
                raise ProtocolError(f"{self.word}: {name} must be {kind.must_be()}, not {shown(value)}")


def kinds(message: type[Message]) -> Mapping[str, Kind]:
    """The Kind of each field, by its name."""
    known = _known.get(message)
    if known is None:
        hints = get_type_hints(message, include_extras=True)
        known = _known[message] = {field.name: hints[field.name].__metadata__[0] for field in fields(message)}
    return known


_known: Final[dict[type[Message], Mapping[str, Kind]]] = {}
"""What has been looked up: typing takes 0.1 ms for it, and keeps what it makes of a hundred times."""


def shown(value: object) -> str:
    """A foreign value, fit for a sentence: printable ASCII, and short."""
    text = ascii(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
