"""What is printed, and in which colours."""

from __future__ import annotations

import json
import os
import sys
from typing import Final

from powerd.faces.words import Paint, Style, plain

_COLOURS: Final[dict[Style, str]] = {"strong": "1", "good": "32", "doubt": "33", "bad": "31", "dim": "2"}
"""Parameters of SGR, the control function that sets colours (ECMA-48, 8.3.117)."""


def say(answer: object) -> None:
    """Print text as it is, anything else as JSON; what the terminal's encoding lacks becomes "?"."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    print(answer if isinstance(answer, str) else json.dumps(answer, indent=2) + "\n", end="")


def paint() -> Paint:
    """Colours on a terminal that has them, unless NO_COLOR (no-color.org) is set and not empty."""
    terminal = sys.stdout is not None and sys.stdout.isatty()  # it is None where the shell has closed it
    if not terminal or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return plain
    return lambda text, style: f"\033[{_COLOURS[style]}m{text}\033[0m"
