"""Values in a report of smartctl, which is not trusted: each has the expected type, or is None."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

MAX_TEXT: Final = 200
"""Characters of a text."""


def parse_object(text: str) -> Mapping[str, Any] | None:
    """The JSON object in ``text``; None = it is truncated, nested too deeply, or not an object."""
    try:
        report = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return report if isinstance(report, dict) else None


def lookup(report: Mapping[str, Any], *path: str) -> object:
    """The value at ``path``; None = there is none."""
    value: object = report
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def lookup_int(report: Mapping[str, Any], *path: str) -> int | None:
    """The integer at ``path``."""
    return as_int(lookup(report, *path))


def as_int(value: object) -> int | None:
    """The integer; a bool is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def lookup_bool(report: Mapping[str, Any], *path: str) -> bool | None:
    """The bool at ``path``."""
    value = lookup(report, *path)
    return value if isinstance(value, bool) else None


def lookup_text(report: Mapping[str, Any], *path: str) -> str | None:
    """The string at ``path``."""
    value = lookup(report, *path)
    return value if isinstance(value, str) else None


def printable_text(text: object) -> str:
    """The text with printable characters only, truncated to MAX_TEXT."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(text).strip())[:MAX_TEXT]
