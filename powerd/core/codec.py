"""JSON codec for frozen dataclasses: the type hints of a class are its schema.

Supported are scalars, None, Literal, enumerations, tuples, frozensets, mappings, and nested dataclasses.
Annotated adds constraints (span, pattern, length, PRINTABLE, DISTINCT), another key (Key), or a list in
place of an object (ROW). Types are strict: True is not a number, and NaN is not JSON. The codec of a class is
built once, at its first use.
"""

from __future__ import annotations

import enum
import math
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeAlias, TypeVar, get_args, get_origin

Json: TypeAlias = Any
"""A value as json.loads() returns it."""
_T = TypeVar("_T")
_MAX_SHOWN: Final = 40


class CodecError(ValueError):
    """A value does not fit its type; one printable sentence that names the field."""


class Constraint(NamedTuple):
    """A condition on a value of the right type; "{}" in ``description`` stands for that of the type."""

    description: str
    accepts: Callable[[Any], bool]


class Key(NamedTuple):
    """The key of a field in JSON, where it differs from the field's name."""

    name: str


ROW: Final = object()
"""Marks a dataclass whose JSON is a list of its fields' values, as for a row of a table."""
PRINTABLE: Final = Constraint("{} of printable characters", str.isprintable)
DISTINCT: Final = Constraint("{}, all different", lambda items: len(set(items)) == len(items))


def span(low: float, high: float) -> Constraint:
    """A number from ``low`` to ``high``, both included."""
    return Constraint(f"{{}} from {low} to {high}", lambda value: low <= value <= high)


PosixTime: TypeAlias = Annotated[float, span(-1e11, 1e11)]
"""Seconds since 1970; the limit is the year 5138."""


def length(low: int, high: int) -> Constraint:
    """From ``low`` to ``high`` characters or items."""
    return Constraint(f"{{}}, {low} to {high} long", lambda sized: low <= len(sized) <= high)


def one_of(*values: str) -> Constraint:
    """One of a few strings."""
    return Constraint(f"one of {', '.join(values)}", values.__contains__)


def pattern(regex: str, description: str) -> Constraint:
    """A string that the whole of ``regex`` matches."""
    return Constraint(description, lambda text: re.fullmatch(regex, text) is not None)


class Codec(NamedTuple):
    """How values of one type are read from JSON, and written to it; both raise CodecError."""

    description: str
    decode: Callable[[Json], Any]
    encode: Callable[[Any], Json]


def decode(kind: type[_T], value: Json, *, strict: bool = True) -> _T:
    """The ``kind``, a frozen dataclass, that ``value`` describes.

    Args:
        kind: the class.
        value: its JSON.
        strict: keys are exactly the fields. Otherwise an unknown key is ignored, in mappings too, and a field
            whose key is missing has its default.

    Raises:
        CodecError: ``value`` does not fit.
    """
    result: _T = codec_of(kind, strict=strict).decode(value)
    return result


def salvage(kind: Any, value: Json) -> tuple[Any, tuple[str, ...]]:  # noqa: ANN401 - a type, or a form of typing
    """What can be read of a damaged ``value``, as decode() with ``strict=False``.

    Left out are items of lists, entries of mappings, and fields with a default that do not fit.

    Returns:
        The ``kind``, and a sentence for each part that was left out.

    Raises:
        CodecError: the value itself or a field without a default does not fit.
    """
    codec, faults = codec_of(kind, strict=False), list[str]()
    try:
        return codec.decode(value), ()
    except CodecError as error:
        try:
            return codec.decode(_without_misfits(kind, value, faults)), tuple(faults)
        except CodecError:
            raise error from None


def encode(value: object) -> Json:
    """The JSON of a frozen dataclass.

    Raises:
        CodecError: a field does not fit its type or constraint.
    """
    return codec_of(type(value)).encode(value)


def codec_of(kind: Any, *, strict: bool = True) -> Codec:  # noqa: ANN401 - a type, or a form of typing
    """The codec of a type."""
    codec = _codecs.get((kind, strict))
    if codec is None:
        codec = _codecs[kind, strict] = _build(kind, strict)
    return codec


_codecs: Final[dict[tuple[object, bool], Codec]] = {}
"""Built codecs: typing.get_type_hints() takes 0.1 ms for a class."""


def shown(value: object) -> str:
    """A foreign value for use in a sentence: printable ASCII, at most 40 characters."""
    text = ascii(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."


def _build(kind: Any, strict: bool) -> Codec:  # noqa: ANN401, C901, FBT001, PLR0911 - one return for each form
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _annotated(args[0], args[1:], strict=strict)
    if isinstance(kind, typing.NewType):
        return codec_of(kind.__supertype__, strict=strict)
    if origin in {typing.Union, types.UnionType}:
        (inner,) = (arg for arg in args if arg is not type(None))
        return _optional(codec_of(inner, strict=strict))
    if origin is Literal:
        return _choice(args, lambda value: value)
    if origin is tuple and args[-1] is not ...:
        return _fixed_list_of([codec_of(arg, strict=strict) for arg in args], tuple)
    if origin in {tuple, frozenset}:
        return _list_of(codec_of(args[0], strict=strict), origin)
    if origin is Mapping:
        return _mapping_of(*(codec_of(arg, strict=strict) for arg in args), strict=strict)
    if is_dataclass(kind):
        return _object_of(kind, strict=strict)
    if issubclass(kind, enum.Flag):
        return _convert(codec_of(int), kind, int)
    if issubclass(kind, enum.Enum):
        return _choice([member.value for member in kind], kind)
    return _SCALARS[kind]


def _without_misfits(kind: Any, value: Json, faults: list[str]) -> Json:  # noqa: ANN401 - a type, or a form of typing
    """``value`` without the parts that salvage() leaves out; each is described in ``faults``."""
    while get_origin(kind) in {Annotated, typing.Union, types.UnionType}:
        kind = next(arg for arg in get_args(kind) if arg is not type(None))
    origin, args = get_origin(kind), get_args(kind)
    if (origin is frozenset or (origin is tuple and args[-1] is ...)) and isinstance(value, list):
        hints: Mapping[Json, object] = dict.fromkeys(range(len(value)), args[0])
        parts = dict(enumerate(value))
    elif origin is Mapping and isinstance(value, dict):
        hints, parts = dict.fromkeys(value, args[1]), value
    elif is_dataclass(kind) and isinstance(value, dict):
        declared = typing.get_type_hints(kind, include_extras=True)
        hints = {_key_of(name, hint): hint for name, hint in declared.items()}
        parts = {key: part for key, part in value.items() if key in hints}
    else:
        return value
    fitting = {}
    for key, part in parts.items():
        codec = codec_of(hints[key], strict=False)
        try:
            codec.decode(part)
            fitting[key] = part
        except CodecError as error:
            reduced = _without_misfits(hints[key], part, inner := list[str]())
            try:
                codec.decode(reduced)
            except CodecError:
                faults.append(f"{key} {error}")
            else:
                fitting[key] = reduced
                faults += (f"{key}: {fault}" for fault in inner)
    return list(fitting.values()) if isinstance(value, list) else fitting


def _check(description: str, accepts: Callable[[Any], bool], convert: Callable[[Any], Any]) -> Codec:
    def check(value: object) -> object:
        _require(accepts(value), description, value)
        return convert(value)

    return Codec(description, check, check)


def _is_number(value: object) -> bool:
    """Whether ``value`` is a finite number that a float can hold; JSON has integers of any size."""
    if type(value) is int:
        return abs(value) <= sys.float_info.max
    return type(value) is float and math.isfinite(value)


_SCALARS: Final[Mapping[object, Codec]] = {
    dict: _check("an object", lambda value: isinstance(value, dict), dict),
    bool: _check("true or false", lambda value: type(value) is bool, bool),
    int: _check("a whole number", lambda value: type(value) is int, int),
    float: _check("a number", _is_number, float),
    str: _check("a string", lambda value: isinstance(value, str), str),
}


def _convert(codec: Codec, after: Callable[[Any], Any], before: Callable[[Any], Any]) -> Codec:
    """``codec`` for a type that ``after`` makes from its values, and ``before`` converts back to them."""
    return Codec(
        codec.description, lambda value: after(codec.decode(value)), lambda value: codec.encode(before(value))
    )


def _choice(values: Iterable[Json], make: Callable[[Json], Any]) -> Codec:
    known = [(type(value), value) for value in values]
    description = f"one of {', '.join(str(value) for _, value in known)}"
    plain = _check(description, lambda value: (type(value), value) in known, lambda value: value)
    return _convert(plain, make, lambda member: getattr(member, "value", member))


def _optional(codec: Codec) -> Codec:
    description = f"{codec.description} or null"

    def nullable(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda value: None if value is None else convert(value)

    return Codec(description, nullable(codec.decode), nullable(codec.encode))


def _annotated(kind: Any, marks: tuple[object, ...], *, strict: bool) -> Codec:  # noqa: ANN401 - a type
    codec = _row_of(kind, strict=strict) if ROW in marks else codec_of(kind, strict=strict)
    for mark in marks:
        if isinstance(mark, Constraint):
            codec = _constrained(codec, mark)
    return codec


def _constrained(codec: Codec, constraint: Constraint) -> Codec:
    description = constraint.description.format(codec.description)

    def apply(convert: Callable[[Any], Any], value: object, *, before: bool) -> object:
        try:
            result = convert(value)
        except CodecError:
            pass
        else:
            if constraint.accepts(value if before else result):
                return result
        raise CodecError(f"must be {description}, not {shown(value)}")

    return Codec(
        description,
        lambda value: apply(codec.decode, value, before=False),
        lambda value: apply(codec.encode, value, before=True),
    )


def _list_of(item: Codec, make: Callable[[Iterable[object]], object]) -> Codec:
    description = f"a list, each item {item.description}"

    def read(value: Json) -> object:
        _require(isinstance(value, list), description, value)
        return make([item.decode(each) for each in value])

    return Codec(description, read, lambda items: [item.encode(each) for each in items])


def _fixed_list_of(items: Sequence[Codec], make: Callable[[Sequence[object]], object]) -> Codec:
    """A list in which each item has a type of its own."""
    description = f"a list of {', '.join(item.description for item in items)}"

    def read(value: Json) -> object:
        _require(isinstance(value, list) and len(value) == len(items), description, value)
        return make([item.decode(each) for item, each in zip(items, value, strict=True)])

    def write(values: Iterable[object]) -> Json:
        return [item.encode(each) for item, each in zip(items, values, strict=True)]

    return Codec(description, read, write)


def _mapping_of(key: Codec, item: Codec, *, strict: bool) -> Codec:
    description = f"an object, each value {item.description}"

    def read(value: Json) -> object:
        _require(isinstance(value, dict), description, value)
        return {read_key: item.decode(each) for name, each in value.items() for read_key in known(name)}

    def known(name: str) -> Iterable[object]:
        try:
            return (key.decode(name),)
        except CodecError:
            if strict:
                raise
            return ()

    def write(mapping: Mapping[object, object]) -> Json:
        return {key.encode(name): item.encode(each) for name, each in mapping.items()}

    return Codec(description, read, write)


def _row_of(kind: Any, *, strict: bool) -> Codec:  # noqa: ANN401 - a dataclass
    hints = typing.get_type_hints(kind, include_extras=True)
    names = [field.name for field in fields(kind)]
    row = _fixed_list_of([codec_of(hints[name], strict=strict) for name in names], lambda items: kind(*items))
    return Codec(
        row.description, row.decode, lambda value: row.encode([getattr(value, name) for name in names])
    )


def _object_of(kind: Any, *, strict: bool) -> Codec:  # noqa: ANN401 - a dataclass
    hints = typing.get_type_hints(kind, include_extras=True)
    members = {_key_of(field.name, hints[field.name]): field for field in fields(kind)}
    codecs = {key: codec_of(hints[field.name], strict=strict) for key, field in members.items()}
    required = {
        key
        for key, field in members.items()
        if strict or (field.default is MISSING and field.default_factory is MISSING)
    }

    def read(value: Json) -> object:
        _require(isinstance(value, dict), "an object", value)
        for key in required - value.keys():
            raise CodecError(f"the key {key!r} is missing")
        for key in value.keys() - members.keys() if strict else ():
            raise CodecError(f"unknown key {shown(key)}")
        present = [key for key in members if key in value]
        return kind(**{members[key].name: _at(key, codecs[key].decode, value[key]) for key in present})

    def write(value: object) -> Json:
        return {key: _at(key, codecs[key].encode, getattr(value, members[key].name)) for key in members}

    return Codec("an object", read, write)


def _key_of(name: str, hint: Any) -> str:  # noqa: ANN401 - a form of typing
    return next((mark.name for mark in getattr(hint, "__metadata__", ()) if isinstance(mark, Key)), name)


def _at(key: str, convert: Callable[[Any], Any], value: object) -> object:
    """``value`` converted; an error names its key."""
    try:
        return convert(value)
    except CodecError as error:
        raise CodecError(f"{key}{' ' if str(error).startswith('must be') else ': '}{error}") from None


def _require(fits: object, description: str, value: object) -> None:
    if not fits:
        raise CodecError(f"must be {description}, not {shown(value)}")
