"""Standard output of the command line: text, JSON and colours."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from powerd.ui.layout import Paint, Style, no_color

_SGR_CODES: Final[dict[Style, str]] = {"strong": "1", "good": "32", "doubt": "33", "bad": "31", "dim": "2"}
"""Parameters of SGR, the control function that sets colours (ECMA-48, 8.3.117)."""


class Answer(NamedTuple):
    """What a command prints, a text or a JSON value, and its exit code."""

    output: object
    code: int


Ask: TypeAlias = Callable[[], Answer]
"""Queries the daemon. Raises UnreachableError and DeniedError."""


class OutputError(Exception):
    """Writing to standard output failed, for example on a full disk; the text is one sentence."""


def emit(value: object) -> None:
    """Print text as it is, and other values as JSON. Characters missing in the encoding are printed as "?".

    Raises:
        BrokenPipeError: the reader has closed the pipe.
        OutputError: writing failed for another reason.
    """
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    text = value if isinstance(value, str) else json.dumps(value, indent=2) + "\n"
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write to standard output: {error.strerror}") from None


def has_terminal() -> bool:
    """Whether standard output is a terminal that understands escape sequences."""
    is_terminal = sys.stdout is not None and sys.stdout.isatty()  # None if the shell has closed it
    return is_terminal and os.environ.get("TERM") != "dumb"


def paint() -> Paint:
    """Colours, if standard output is a terminal that has them and NO_COLOR (no-color.org) is unset."""
    if not has_terminal() or os.environ.get("NO_COLOR"):
        return no_color
    return lambda text, style: f"\033[{_SGR_CODES[style]}m{text}\033[0m"
