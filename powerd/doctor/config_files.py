"""Parses the configuration files of other programs, and quotes words for unit files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Final

_ASSIGNMENT: Final = re.compile(r"^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$", re.MULTILINE)
_TIME_SPAN: Final = re.compile(r"(\d+)\s*([a-zA-Z]*)")
_CONTROL: Final = re.compile(r"[\x01-\x1f\x7f]")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def assignments(text: str) -> Mapping[str, str]:
    """The values of lines ``NAME=VALUE`` (sh(1), EnvironmentFile= in systemd.exec(5)); the last one counts.

    Quotes are removed, and a comment after a blank and ``#``.
    """
    return {found[1]: _unquote(found[2]) for found in _ASSIGNMENT.finditer(text)}


def directives(text: str, comment: str = "#") -> Mapping[str, str]:
    """The values of lines ``NAME VALUE`` by the name in lower case; the last one counts.

    Args:
        text: of the file.
        comment: the characters, each of which begins a comment line.
    """
    found: dict[str, str] = {}
    for line in map(str.strip, text.split("\n")):
        name, _, value = line.partition(" ") if " " in line else line.partition("\t")
        if line and line[0] not in comment:
            found[name.lower()] = _unquote(value.strip())
    return found


def seconds(span: str) -> int | None:
    """The seconds of a time span in one unit, ``300``, ``10m``, ``2h30m``; None = the text is not one."""
    parts = _TIME_SPAN.findall(span)
    if not parts or _TIME_SPAN.sub("", span).strip() or any(unit not in _SECONDS for _, unit in parts):
        return None
    return sum(int(count) * _SECONDS[unit] for count, unit in parts)


def quote_argument(word: str) -> str:
    """A word of a command line in a unit file (systemd.service(5), COMMAND LINES; systemd.syntax(7)).

    A line break in a path must not begin a setting of the unit, so control characters are escaped.
    """
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    escaped = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", escaped)
    return f'"{escaped}"'


def _unquote(value: str) -> str:
    try:
        words = shlex.split(value, comments=True)
    except ValueError:  # an apostrophe in a text without quotes
        return value
    return " ".join(words)
