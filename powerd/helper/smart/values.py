"""What smartctl says, a document that nobody vouches for: each value in it is what it should be, or None."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

MAX_TEXT: Final = 200
"""Characters that a text may have."""


def parse_object(text: str) -> Mapping[str, Any] | None:
    """The object of JSON that ``text`` is; None = it is torn, nested too deeply, or anything else."""
    try:
        report = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return report if isinstance(report, dict) else None


def lookup(report: Mapping[str, Any], *path: str) -> object:
    """What stands at the end of ``path``; None where it leads nowhere."""
    value: object = report
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def lookup_int(report: Mapping[str, Any], *path: str) -> int | None:
    """The whole number there."""
    return as_int(lookup(report, *path))


def as_int(value: object) -> int | None:
    """A whole number; True is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def lookup_bool(report: Mapping[str, Any], *path: str) -> bool | None:
    """The verdict there."""
    value = lookup(report, *path)
    return value if isinstance(value, bool) else None


def lookup_text(report: Mapping[str, Any], *path: str) -> str | None:
    """The text there."""
    value = lookup(report, *path)
    return value if isinstance(value, str) else None


def printable_text(text: object) -> str:
    """Printable, and no longer than a text may be."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(text).strip())[:MAX_TEXT]
