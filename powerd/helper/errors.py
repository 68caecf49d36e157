"""The error for a refused request, and the log.

The log is standard error: the service manager passes each line to the journal with its level (sd-daemon(3)).
"""

from __future__ import annotations

import contextlib
import sys
from typing import Final

from powerd.disks.model import FailureCause


class RefusalError(Exception):
    """A request cannot or must not be executed; the text is one sentence with what, where and the remedy.

    Attributes:
        cause: the reason, for a program.
        commands: sent to the disk by then, set by the code that counts them.
    """

    def __init__(self, reason: str, cause: FailureCause = FailureCause.FAILED) -> None:
        super().__init__(reason)
        self.cause = cause
        self.commands = 0


WARNING: Final = 4
NOTICE: Final = 5


def log_line(level: int, text: str) -> None:
    """Write ``text``, one printable line; a closed standard error is ignored."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"<{level}>{text}\n")
        sys.stderr.flush()
