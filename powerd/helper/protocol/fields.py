"""Kinds of values in the vocabulary: what each must be; and messages that check theirs when they are made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final, Protocol, get_type_hints

MAX_SENTENCE: Final = 300
"""Characters that a sentence may have; escaped in JSON (at most 12 bytes each) it still fits into a line."""
_MAX_SHOWN: Final = 40


class ProtocolError(ValueError):
    """A line or a value that is none of the vocabulary; one printable sentence that names what is wrong."""


class FieldType(Protocol):
    """A kind of value."""

    def describe(self) -> str:
        """What a value of this kind is, in words."""
        ...

    def accepts(self, value: object) -> bool:
        """Whether ``value`` is of this kind; types are strict, so ``True`` is no number."""
        ...


@dataclass(frozen=True, slots=True)
class IntegerField:
    """A whole number from ``low`` to ``high``, both included."""

    low: int
    high: int

    def describe(self) -> str:
        """In words."""
        return f"a whole number from {self.low} to {self.high}"

    def accepts(self, value: object) -> bool:
        """As Kind says."""
        return type(value) is int and self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class PatternField:
    """A string that the whole of ``pattern`` fits; ``what`` says so in words."""

    pattern: str
    description: str

    def describe(self) -> str:
        """In words."""
        return self.description

    def accepts(self, value: object) -> bool:
        """As Kind says."""
        return isinstance(value, str) and re.fullmatch(self.pattern, value) is not None


@dataclass(frozen=True, slots=True)
class OptionalField:
    """A value of ``kind``, or none."""

    kind: FieldType

    def describe(self) -> str:
        """In words."""
        return f"{self.kind.describe()} or null"

    def accepts(self, value: object) -> bool:
        """As Kind says."""
        return value is None or self.kind.accepts(value)


@dataclass(frozen=True, slots=True)
class ChoiceField:
    """One of a few words."""

    choices: tuple[str, ...]

    def describe(self) -> str:
        """In words."""
        return f"one of {', '.join(self.choices)}"

    def accepts(self, value: object) -> bool:
        """As Kind says."""
        return isinstance(value, str) and value in self.choices


@dataclass(frozen=True, slots=True)
class DurationField:
    """A length of time from 0 to ``most`` seconds, fractions of them included."""

    maximum: int

    def describe(self) -> str:
        """In words."""
        return f"a number from 0 to {self.maximum}"

    def accepts(self, value: object) -> bool:
        """As Kind says."""
        return type(value) in {int, float} and 0 <= value <= self.maximum  # type: ignore[operator] # a number here


@dataclass(frozen=True, slots=True)
class ListField:
    """From ``least`` to ``most`` different values of ``kind``: a tuple here, an array in JSON."""

    kind: FieldType
    minimum: int
    maximum: int

    def describe(self) -> str:
        """In words."""
        return f"a list of {self.minimum} to {self.maximum} different values, each {self.kind.describe()}"

    def accepts(self, value: object) -> bool:
        """As Kind says."""
        return (
            isinstance(value, tuple)
            and self.minimum <= len(value) <= self.maximum
            and all(map(self.kind.accepts, value))
            and len(set(value)) == len(value)
        )


class BooleanField:
    """True or false."""

    def describe(self) -> str:
        """In words."""
        return "true or false"

    def accepts(self, value: object) -> bool:
        """As Kind says."""
        return type(value) is bool


class SentenceField:
    """A line for people."""

    def describe(self) -> str:
        """In words."""
        return f"a printable line of 1 to {MAX_SENTENCE} characters"

    def accepts(self, value: object) -> bool:
        """As Kind says."""
        return isinstance(value, str) and 0 < len(value) <= MAX_SENTENCE and value.isprintable()


class Message:
    """A frozen dataclass with a name on the wire, whose fields are each annotated with their Kind.

    Raises:
        ProtocolError: at its making, when a value is not of its kind.
    """

    __slots__ = ()
    wire_name: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __post_init__(self) -> None:
        for name, kind in field_types(type(self)).items():
            value = getattr(self, name)
            if not kind.accepts(value):
                raise ProtocolError(
                    f"{self.wire_name}: {name} must be {kind.describe()}, not {printable(value)}"
                )


def field_types(message: type[Message]) -> Mapping[str, FieldType]:
    """The Kind of each field, by its name."""
    types = _field_types.get(message)
    if types is None:
        hints = get_type_hints(message, include_extras=True)
        types = _field_types[message] = {
            field.name: hints[field.name].__metadata__[0] for field in fields(message)
        }
    return types


_field_types: Final[dict[type[Message], Mapping[str, FieldType]]] = {}
"""What has been looked up: typing takes 0.1 ms for it, and keeps what it makes of a hundred times."""


def printable(value: object) -> str:
    """A foreign value, fit for a sentence: printable ASCII, and short."""
    text = ascii(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."
