"""What a configuration value may be: each kind reads a TOML value, or says why it cannot."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from powerd.config.values import parse_duration, show_duration

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """A way to read a TOML value into T, and to write T back as TOML.

    Attributes:
        read: raises ValueError; each of its ``args`` is one clause that says what is wrong.
        show: TOML text of a value; ``read(toml(show(x))) == x``.
    """

    read: Callable[[object], T]
    show: Callable[[T], str]


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"a string is wanted, not {_name(value)}")  # noqa: TRY004 - one error kind for one reader
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError(f"a list is wanted, not {_name(value)}")  # noqa: TRY004 - one error kind for one reader
    return value


def _name(value: object) -> str:
    names = {
        bool: "true/false",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "a list",
        dict: "a table",
    }
    return names.get(type(value), "a date or time")


def toml_string(text: str) -> str:
    """``text`` as a TOML basic string: JSON's escapes, and DEL's, which TOML 1.0 wants too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def duration(least: float = 0, most: float = float("inf")) -> Kind[float]:
    """Seconds, written ``"90s"`` or ``"1h30min"``, from ``least`` to ``most``."""

    def read(value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise ValueError(f'write a duration with its unit, like "{value}s" or "{value}min"')  # noqa: TRY004 - one error kind
        seconds = parse_duration(_string(value))
        if not least <= seconds <= most:
            bounds = (
                f"at least {show_duration(least)}" if seconds < least else f"at most {show_duration(most)}"
            )
            raise ValueError(f'"{value}" is out of range: {bounds}')
        return seconds

    return Kind(read, lambda seconds: toml_string(show_duration(seconds)))


def whole(least: int, most: int) -> Kind[int]:
    """A whole number from ``least`` to ``most``."""

    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"a whole number is wanted, not {_name(value)}")  # noqa: TRY004 - one error kind
        if not least <= value <= most:
            raise ValueError(f"{value} is out of range: {least} to {most}")
        return value

    return Kind(read, str)


def choice(*words: str) -> Kind[Any]:  # Any: each use narrows to its own Literal
    """One of a few words."""

    def read(value: object) -> str:
        word = _string(value)
        if word not in words:
            raise ValueError(f'"{word}" is not one of {", ".join(words)}')
        return word

    return Kind(read, toml_string)


def flag() -> Kind[bool]:
    """A plain true or false."""

    def read(value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError(f"true or false is wanted, not {_name(value)}")  # noqa: TRY004 - one error kind
        return value

    return Kind(read, lambda value: "true" if value else "false")


def text() -> Kind[str]:
    """A string that is not empty."""

    def read(value: object) -> str:
        word = _string(value)
        if not word.strip():
            raise ValueError("it is empty")
        return word

    return Kind(read, toml_string)


def many(each: Callable[[str], T]) -> Kind[tuple[T, ...]]:
    """A list of strings, each read by ``each``; ``str()`` of an item is its text."""

    def read(value: object) -> tuple[T, ...]:
        items: list[T] = []
        faults: dict[object, None] = {}
        for item in _list(value):
            try:
                items.append(each(_string(item)))
            except ValueError as error:
                faults |= dict.fromkeys(error.args)
        if faults:
            raise ValueError(*faults)
        return tuple(items)

    return Kind(read, lambda items: "[" + ", ".join(toml_string(str(item)) for item in items) + "]")


def texts() -> Kind[tuple[str, ...]]:
    """A list of strings, none empty."""
    return many(text().read)


def argv() -> Kind[tuple[str, ...]]:
    """A command as a list, its program an absolute path, for it is run without a shell."""

    def read(value: object) -> tuple[str, ...]:
        words = tuple(_string(item) for item in _list(value))
        if words and not words[0].startswith("/"):
            raise ValueError(f'"{words[0]}" is not an absolute path, and commands run without a shell')
        return words

    return Kind(read, texts().show)


def file() -> Kind[str]:
    """An absolute path, or "" for none."""

    def read(value: object) -> str:
        path = _string(value)
        if path and not path.startswith("/"):
            raise ValueError(f'"{path}" is not an absolute path')
        return path

    return Kind(read, toml_string)


_LISTEN: Final = re.compile(r"(\[[0-9a-fA-F:]+\]|[0-9.]+):(\d{1,5})")


def listen(word: str) -> str:
    """Check ``ADDRESS:PORT`` of a loopback address, e.g. ``127.0.0.1:8787`` or ``[::1]:8787``."""
    from ipaddress import ip_address  # noqa: PLC0415 - only a configuration that names it pays for it

    match = _LISTEN.fullmatch(word)
    try:
        address = ip_address(match[1].strip("[]")) if match else None
    except ValueError:
        address = None
    if match is None or address is None or not 0 < int(match[2]) < 1 << 16:
        raise ValueError(f'"{word}" is no address and port: write it like "127.0.0.1:8787" or "[::1]:8787"')
    if not address.is_loopback:
        raise ValueError(
            f'"{word}" is not on loopback; to show the page elsewhere put a web server before it'
        )
    return word
