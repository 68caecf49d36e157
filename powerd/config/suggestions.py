"""What to write instead: for an unknown key, and for a value of the wrong type."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Collection, Iterator, Sequence
from datetime import time
from difflib import get_close_matches
from functools import cache
from typing import Any, Final

from powerd.activity.registry import find_kind, own_names
from powerd.config.activity_options import CheckSettings, NamedCheckSettings
from powerd.config.declare import OptionType
from powerd.config.options import Options

BOOLEANS: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_VERY_CLOSE: Final = 0.8
_CLOSE: Final = 0.5
_MAX_PLACES: Final = 4
_UNITS: Final = (
    (r"\s*(?:seconds?|secs?)\b", "s"),
    (r"\s*(?:minutes?|mins?|m)\b", "min"),
    (r"\s*(?:hours?|hrs?)\b", "h"),
    (r"\s*days?\b", "d"),
)
_DAY_NAME: Final = re.compile(r"\b(mon|tue|wed|thu|fri|sat|sun)[a-z]*", re.IGNORECASE)
_URL: Final = re.compile(r"""//[^\s"',\]}]+""")
_SHORT_HOUR: Final = re.compile(r"(?<![\d:])(\d:\d\d)")


@cache
def declared() -> dict[str, OptionType[Any] | str]:
    """By key path without indexes: the type of each option, and of each table its header."""
    return dict(_declared(Options, ""))


def _declared(table: type[Any], path: str) -> Iterator[tuple[str, OptionType[Any] | str]]:
    for field in dataclasses.fields(table):
        key_path = f"{path}{field.name.rstrip('_')}"
        if "checks" in field.metadata:
            for name in own_names():
                kind = find_kind(name)
                check_path = f"{path}{name}"
                yield check_path, f"[[{check_path}]]" if kind.many else f"[{check_path}]"
                yield from _declared(NamedCheckSettings if kind.many else CheckSettings, f"{check_path}.")
                yield from _declared(kind.options, f"{check_path}.")
        elif "kind" in field.metadata:
            yield key_path, field.metadata["kind"]
        elif "row" in field.metadata:
            yield key_path, f"[[{key_path}]]"
            yield from _declared(field.metadata["row"], f"{key_path}.")
        else:
            yield key_path, f"[{key_path}]"
            default = (
                field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
            )
            yield from _declared(type(default), f"{key_path}.")


def key_suggestion(key: str, path: str, known: Collection[str]) -> str:
    """The remedy for an unknown key.

    Args:
        key: the key.
        path: key path of its table with a final dot, or "".
        known: the keys of this table.
    """
    if close := get_close_matches(key, known, n=1, cutoff=_VERY_CLOSE):
        return f'did you mean "{path}{close[0]}"?'
    table = re.sub(r"\[\d+\]", "", path)
    if table.endswith(f".{key}.") or table == f"{key}.":
        return f"the lines below the header of this table are part of it; write them without {key}"
    places = [each for each in declared() if each.rpartition(".")[2] == key]
    if 0 < len(places) <= _MAX_PLACES:
        return _belongs(places)
    if close := get_close_matches(key, known, n=1, cutoff=_CLOSE):
        return f'did you mean "{path}{close[0]}"?'
    return f"known keys: {', '.join(known)}"


def _belongs(key_paths: list[str]) -> str:
    """Where a key belongs that has these key paths."""
    tables = [header for each in key_paths if isinstance(header := declared()[each], str)]
    if tables:
        return f"it is a table; write {' or '.join(tables)} on a line of its own"
    places = [
        f"under {declared()[table]}" if (table := each.rpartition(".")[0]) else "" for each in key_paths
    ]
    return f"it belongs {' or '.join(place or 'above the first [table]' for place in places)}"


def hide_urls(text: str) -> str:
    """``text`` without what follows the scheme of a URL: it may be a secret, and errors are public."""
    return _URL.sub("//…", text)


def value_suggestion(kind: OptionType[Any], value: object) -> str | None:
    """The TOML text of the valid value that was probably intended; None = unknown."""
    for candidate in _candidates(value):
        try:
            return kind.show(kind.read(candidate))
        except ValueError:
            continue
    return None


def _candidates(value: object) -> Iterator[object]:
    if isinstance(value, list):
        yield from _candidates_of_list(value)
    elif isinstance(value, str):
        if value.startswith("/") and " " in value:
            yield value.split()  # a command
        yield [each.strip() for each in value.split(",")]
        yield [value]
        if value.lower() in BOOLEANS:
            yield BOOLEANS[value.lower()]
        if re.fullmatch(r"\s*\d{1,9}\s*%?\s*", value):
            yield int(value.strip(" %"))
        words = _words(value)
        yield from (words, [words], value.lower(), [each.strip() for each in words.split(",")])
        yield value.split()
    elif isinstance(value, bool | dict):
        return
    elif isinstance(value, int | float):
        yield from (str(value), [str(value)])
        if math.isfinite(value):
            yield round(value)
    else:
        text = _time_of_day(value)
        yield from (str(text), [str(text)])


def _candidates_of_list(value: Sequence[object]) -> Iterator[object]:
    if len(value) == 1:
        yield value[0]
    yield [_words(each) if isinstance(each, str) else _time_of_day(each) for each in value]
    if not any(isinstance(each, bool | dict | list) for each in value):
        yield [str(each) for each in value]


def _time_of_day(value: object) -> object:
    """A time of TOML as powerd reads it, without seconds; other values as they are."""
    return f"{value:%H:%M}" if isinstance(value, time) else value


def _words(text: str) -> str:
    """Durations, days and times in the form that powerd reads."""
    for pattern, unit in _UNITS:
        text = re.sub(rf"(?<=\d){pattern}", unit, text, flags=re.IGNORECASE)
    text = _DAY_NAME.sub(lambda match: match[1].capitalize(), text.strip())
    text = _SHORT_HOUR.sub(r"0\1", text)
    text = re.sub(r"(?<=\d)\s*[-–—]\s*(?=\d)", "-", text)  # noqa: RUF001 - dashes of word processors
    return re.sub(r"\s*,\s*", ",", text) if text[:3].capitalize() in _DAY_PREFIXES else text


_DAY_PREFIXES: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
