"""Declaration of options: types that read and write TOML values, and dataclass fields with documentation."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import field
from typing import Any, Final, Generic, NamedTuple, TypeVar

from powerd.config.values import format_duration, parse_duration
from powerd.core.dataclass import dataclass

T = TypeVar("T")
_MAX_NUMBERS: Final = 5
_CONTROL: Final = re.compile(r"[\0-\x1f\x7f-\x9f]")
_NUL: Final = re.compile("\0")


@dataclass(frozen=True, slots=True)
class OptionType(Generic[T]):
    """Converts between a TOML value and T.

    Attributes:
        read: raises ValueError; each of its ``args`` is one clause: the error, and after ``; `` the remedy.
        show: returns the TOML text of a value; ``read(toml(show(x))) == x``.
    """

    read: Callable[[object], T]
    show: Callable[[T], str]


def _require_string(value: object, forbidden: re.Pattern[str] = _CONTROL) -> str:
    """A string without control characters: no path and no name has one."""
    if not isinstance(value, str):
        remedy = 'write "…"' if isinstance(value, bool | list | dict) else "quote it"
        raise _wrong_type("a string", value, remedy)
    if odd := forbidden.search(value):
        raise ValueError(f"has the control character {odd[0]!r}; remove it")
    return value


def _require_list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise _wrong_type("a list", value, 'write ["…", "…"]')
    return value


def _wrong_type(expected: str, value: object, remedy: str) -> ValueError:
    """The error of a reader; not a TypeError, because readers raise one kind."""
    names = {
        bool: "true/false",
        int: "a number",
        float: "a decimal number",
        str: "a string",
        list: "a list",
        dict: "a table",
    }
    return ValueError(f"must be {expected}, not {names.get(type(value), 'a date or time')}; {remedy}")


def toml_string(text: str) -> str:
    """``text`` as a TOML basic string: the escapes of JSON, and DEL, which TOML 1.0 also requires."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def duration(minimum: float = 0, maximum: float = float("inf")) -> OptionType[float]:
    """Seconds from ``minimum`` to ``maximum``, written ``"90s"`` or ``"1h30min"``."""

    def read(value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise ValueError(f'must be a duration with its unit; write "{value}s" or "{value}min"')  # noqa: TRY004 - readers raise ValueError only
        if not isinstance(value, str):
            raise _wrong_type("a duration", value, 'write it like "20min"')
        seconds = parse_duration(value)
        if not minimum <= seconds <= maximum:
            bounds = (
                f"at least {format_duration(minimum)}"
                if seconds < minimum
                else f"at most {format_duration(maximum)}"
            )
            raise ValueError(f'"{value}" is out of range; write {bounds}')
        return seconds

    return OptionType(read, lambda seconds: toml_string(format_duration(seconds)))


def duration_or_auto(
    minimum: float = 0, maximum: float = float("inf")
) -> OptionType[Any]:  # Any: a Literal or a float
    """``"auto"``, or a duration."""
    seconds = duration(minimum, maximum)
    return OptionType(
        lambda value: value if value == "auto" else seconds.read(value),
        lambda value: toml_string(value) if value == "auto" else seconds.show(value),
    )


def integer(minimum: int, maximum: int) -> OptionType[int]:
    """An integer from ``minimum`` to ``maximum``."""

    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong_type("a whole number", value, "write a number")
        if not minimum <= value <= maximum:
            raise ValueError(f"{value} is out of range; write {minimum} to {maximum}")
        return value

    return OptionType(read, str)


def number(maximum: float) -> OptionType[float]:
    """A number from 0 to ``maximum``, written ``38`` or ``0.35``."""

    def read(value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise _wrong_type("a number", value, "write it like 0.35, without quotes")
        if not 0 <= value <= maximum:
            raise ValueError(f"{value} is out of range; write 0 to {maximum:g}")
        return float(value)

    return OptionType(read, lambda value: f"{value:g}" if value == float(f"{value:g}") else repr(value))


def choice(*words: str) -> OptionType[Any]:  # Any: the field has the Literal type
    """One of the given words."""

    def read(word: object) -> str:
        if not isinstance(word, str):
            raise _wrong_type("a string", word, f"write {' or '.join(map(toml_string, words))}")
        if word not in words:
            from difflib import get_close_matches  # noqa: PLC0415 - only for an invalid configuration

            close = get_close_matches(word.lower(), words, n=1)
            meant = f'"{close[0]}"' if close else f"one of {', '.join(words)}"
            raise ValueError(f'"{word}" is not possible here; write {meant}')
        return word

    return OptionType(read, toml_string)


def boolean() -> OptionType[bool]:
    """True or false."""

    def read(value: object) -> bool:
        if not isinstance(value, bool):
            raise _wrong_type("true or false", value, "write the bare word")
        return value

    return OptionType(read, lambda value: "true" if value else "false")


def nonempty_string(*, multiline: bool = False) -> OptionType[str]:
    """A string that is not empty; ``multiline``: as of a document, with line ends and tabs."""

    def read(value: object) -> str:
        word = _require_string(value, _NUL if multiline else _CONTROL)
        if not word.strip():
            raise ValueError("must not be empty; write a text, or remove the option")
        return word

    return OptionType(read, toml_string)


def list_of(parse_item: Callable[[str], T]) -> OptionType[tuple[T, ...]]:
    """A list of strings, each parsed by ``parse_item``; ``str()`` of an item is its text."""

    def read(value: object) -> tuple[T, ...]:
        items: list[T] = []
        faults: dict[str, list[int]] = {}
        given = _require_list(value)
        for number, item in enumerate(given, 1):
            try:
                items.append(parse_item(_require_string(item)))
            except ValueError as error:
                for clause in error.args:
                    faults.setdefault(clause, []).append(number)
        if faults:
            raise ValueError(*(_of_items(clause, at, len(given)) for clause, at in faults.items()))
        return tuple(items)

    return OptionType(read, lambda items: "[" + ", ".join(toml_string(str(item)) for item in items) + "]")


def _of_items(clause: str, numbers: list[int], count: int) -> str:
    """A clause about items of a list, which are numbered from 1 if it quotes none of them."""
    if count == 1 or clause.startswith('"'):
        return clause
    shown = ", ".join(map(str, numbers[:_MAX_NUMBERS])) + (", …" if len(numbers) > _MAX_NUMBERS else "")
    return f"item{'s' if len(numbers) > 1 else ''} {shown} of {count}: {clause}"


def text_as(parse: Callable[[str], T]) -> OptionType[T]:
    """A string, parsed by ``parse``; ``str()`` of the value is its text."""
    return OptionType(lambda value: parse(_require_string(value)), lambda value: toml_string(str(value)))


def string_list() -> OptionType[tuple[str, ...]]:
    """A list of non-empty strings."""
    return list_of(nonempty_string().read)


def argv() -> OptionType[tuple[str, ...]]:
    """A command as a list. Its program is an absolute path, because it runs without a shell."""

    def read(value: object) -> tuple[str, ...]:
        words = tuple(_require_string(item, _NUL) for item in _require_list(value))
        if words and not words[0].startswith("/"):
            raise ValueError(
                f'"{words[0]}" is not an absolute path, which a command without a shell needs; write it'
            )
        return words

    return OptionType(read, string_list().show)


def absolute_path() -> OptionType[str]:
    """An absolute path, or "" for none."""

    def read(value: object) -> str:
        path = _require_string(value)
        if path and not path.startswith("/"):
            raise ValueError('must be an absolute path; begin it with "/"')  # it may be a password by mistake
        return path

    return OptionType(read, toml_string)


_LISTEN_ADDRESS: Final = re.compile(r"(\[[0-9a-fA-F:]+\]|[0-9.]+):(\d{1,5})")


def listen_address(address_and_port: str) -> str:
    """Check ``ADDRESS:PORT``, e.g. ``127.0.0.1:8787`` or ``[::1]:8787``."""
    match = _LISTEN_ADDRESS.fullmatch(address_and_port)
    try:
        is_loopback(address_and_port)
    except ValueError:
        match = None
    if match is None or not 0 < int(match[2]) < 1 << 16:
        raise ValueError(
            f'"{address_and_port}" is not an address and port; write it like "127.0.0.1:8787" or "[::1]:8787"'
        )
    return address_and_port


def is_loopback(address_and_port: str) -> bool:
    """Whether ``ADDRESS:PORT`` is on this machine only.

    Raises:
        ValueError: it is not an address.
    """
    from ipaddress import ip_address  # noqa: PLC0415 - imported only if the option is set

    return ip_address(address_and_port.rpartition(":")[0].strip("[]")).is_loopback


class InvalidCombination(NamedTuple):
    """An error of options that are valid by themselves but not together.

    Attributes:
        keys: key paths of the options; the error is reported at the first, unless one of them has an error
            itself.
        text: one clause with the error.
    """

    keys: tuple[str, ...]
    text: str


def option(default: T, doc: str, kind: OptionType[Any]) -> T:
    """A dataclass field with documentation and type. Its static type is that of its value."""
    return field(default=default, metadata={"doc": doc, "kind": kind})


def table_array(row: type[T], doc: str) -> tuple[T, ...]:
    """A field for an array of tables, each read into the dataclass ``row``."""
    return field(default=(), metadata={"doc": doc, "row": row})
