"""The one error that the helper answers with.

Lines on standard error, which the service manager takes to the journal with their level (sd-daemon(3)).
"""

from __future__ import annotations

import contextlib
import sys
from typing import Final

from powerd.disks.model import FailureCause


class RefusalError(Exception):
    """It cannot or must not be done; the text is one sentence with what, where and the remedy.

    Attributes:
        cause: the same for a program.
        commands: that had gone to the disk by then; whoever knows them adds them.
    """

    def __init__(self, reason: str, cause: FailureCause = FailureCause.FAILED) -> None:
        super().__init__(reason)
        self.cause = cause
        self.commands = 0


WARNING: Final = 4
INFO: Final = 6


def log_line(level: int, text: str) -> None:
    """Say ``text``, one printable line; nobody listening is no reason to fail."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"<{level}>{text}\n")
        sys.stderr.flush()
