"""Lines on standard error, which the service manager takes to the journal with their level (sd-daemon(3))."""

from __future__ import annotations

import contextlib
import sys
from typing import Final

WARNING: Final = 4
INFO: Final = 6


def log_line(level: int, text: str) -> None:
    """Say ``text``, one printable line; nobody listening is no reason to fail."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"<{level}>{text}\n")
        sys.stderr.flush()
